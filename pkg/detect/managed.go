package detect

import (
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// traits is what the code of a managed entry assembly does, as far as the kind
// of program depends on it.
type traits struct {
	service    []Evidence // extends ServiceBase, or calls its Run
	foreground []Evidence // falls back to a console
	window     []Evidence // uses a windowing framework
	loop       []Evidence // runs a message loop
	names      []serviceName
}

type serviceName struct {
	source, name string
	evidence     []Evidence
}

// Base types and members that tell. Names are those of the public API of .NET.
var (
	windowBases = []string{
		"System.Windows.Forms.Form", "System.Windows.Forms.ApplicationContext",
		"System.Windows.Window", "System.Windows.Application", "System.Windows.Navigation.NavigationWindow",
	}
	windowCalls = []string{
		"System.Windows.Forms.Application::Run", "System.Windows.Application::Run",
		"System.Windows.Forms.MessageBox::Show", "System.Windows.MessageBox::Show",
		"System.Windows.Forms.Form::ShowDialog", "System.Windows.Window::Show",
		"Microsoft.UI.Xaml.Application::Start", "Avalonia.ClassicDesktopStyleApplicationLifetimeExtensions::StartWithClassicDesktopLifetime",
	}
	loopCalls = []string{
		"System.Windows.Forms.Application::Run", "System.Windows.Application::Run", "Microsoft.UI.Xaml.Application::Start",
		"Avalonia.ClassicDesktopStyleApplicationLifetimeExtensions::StartWithClassicDesktopLifetime",
	}
	hostedServiceCalls = []string{
		"Microsoft.Extensions.Hosting.WindowsServiceLifetimeHostBuilderExtensions::UseWindowsService",
		"Microsoft.Extensions.Hosting.WindowsServiceLifetimeHostBuilderExtensions::AddWindowsService",
	}
	topshelfCalls = []string{"Topshelf.HostFactory::Run", "Topshelf.HostFactory::New"}
	serviceRuns   = []string{
		"System.ServiceProcess.ServiceBase::Run",
		"Microsoft.AspNetCore.Hosting.WindowsServices.WebHostWindowsServiceExtensions::RunAsService",
	}
	nameSetters = map[string]string{
		"System.ServiceProcess.ServiceBase::set_ServiceName":                          "service-name-set",
		"Microsoft.Extensions.Hosting.WindowsServiceLifetimeOptions::set_ServiceName": "service-name-set",
		"System.ServiceProcess.ServiceInstaller::set_ServiceName":                     "installer",
		"Topshelf.HostConfigurators.HostConfigurator::SetServiceName":                 "topshelf",
		"Topshelf.ServiceNameHostConfiguratorExtensions::SetServiceName":              "topshelf",
	}
	windowFunctions = []string{"CreateWindowEx", "CreateWindow", "DialogBox", "CreateDialog"}
)

const userInteractive = "System.Environment::get_UserInteractive"

// readTraits reads what an entry assembly does. p is the path for evidence,
// where the file inside a bundle in it, or "".
func readTraits(p, where string, clr *pe.CLR) (traits, error) {
	var tr traits
	ev := func(s pe.Span, detail string) Evidence {
		if where != "" {
			detail = where + ": " + detail
			s = pe.Span{}
		}
		return at(p, s, detail)
	}
	defs, err := clr.TypeDefs()
	if err != nil {
		return tr, err
	}
	bases := map[string]string{}
	for _, d := range defs {
		bases[d.Name] = d.Base
	}
	for _, d := range defs {
		base := d.Base
		for range 8 { // through base classes of this file
			next, ok := bases[base]
			if !ok {
				break
			}
			base = next
		}
		switch {
		case base == "System.ServiceProcess.ServiceBase":
			tr.service = append(tr.service, ev(d.Span, d.Name+" extends System.ServiceProcess.ServiceBase"))
		case slices.Contains(windowBases, base):
			tr.window = append(tr.window, ev(d.Span, d.Name+" extends "+base))
		}
	}
	members, err := clr.MemberRefs()
	if err != nil {
		return tr, err
	}
	used := map[string]pe.Span{}
	for _, m := range members {
		if _, ok := used[m.Name]; !ok {
			used[m.Name] = m.Span
		}
	}
	find := func(to *[]Evidence, what []string) {
		for _, name := range what {
			calls, _ := clr.CallsTo(name)
			for _, c := range calls[:min(len(calls), 1)] {
				*to = append(*to, ev(c.Span, c.Caller+" calls "+name))
			}
			if s, ok := used[name]; ok && len(calls) == 0 {
				*to = append(*to, ev(s, "refers to "+name))
			}
		}
	}
	find(&tr.service, serviceRuns)
	find(&tr.service, hostedServiceCalls)
	find(&tr.service, topshelfCalls)
	find(&tr.foreground, hostedServiceCalls)
	find(&tr.foreground, topshelfCalls)
	find(&tr.window, windowCalls)
	find(&tr.loop, loopCalls)
	natives, err := clr.PInvokes()
	if err != nil {
		return tr, err
	}
	for _, n := range natives {
		if slices.Contains(windowFunctions, strings.TrimRight(n.Function, "AW")) || slices.ContainsFunc(windowFunctions, func(w string) bool { return strings.TrimSuffix(strings.TrimSuffix(n.Function, "W"), "A") == w }) {
			tr.window = append(tr.window, ev(n.Span, "calls the native "+n.Module+"!"+n.Function))
		}
	}
	for _, setter := range sortedKeys(nameSetters) {
		if _, ok := used[setter]; !ok {
			continue
		}
		calls, err := clr.CallsTo(setter)
		if err != nil {
			return tr, err
		}
		for _, c := range calls {
			if c.Loaded && c.Literal != "" {
				tr.names = append(tr.names, serviceName{nameSetters[setter], c.Literal, []Evidence{ev(c.Span, "the name "+c.Literal+" is set in "+c.Caller)}})
			}
		}
	}
	if len(tr.service) > 0 && len(tr.foreground) == 0 && clr.EntryPoint != 0 {
		if err := readFallback(&tr, ev, clr, bases); err != nil {
			return tr, err
		}
	}
	return tr, nil
}

// readFallback looks for a Main that asks Environment.UserInteractive and calls
// something of its own besides ServiceBase.Run.
func readFallback(tr *traits, ev func(pe.Span, string) Evidence, clr *pe.CLR, own map[string]string) error {
	calls, err := clr.CallsFrom(clr.EntryPoint)
	if err != nil {
		return err
	}
	var asked *pe.Call
	for i, c := range calls {
		if c.Member == userInteractive {
			asked = &calls[i]
			break
		}
	}
	if asked == nil {
		return nil
	}
	for _, c := range calls {
		typ, method, _ := strings.Cut(c.Member, "::")
		_, mine := own[typ]
		if c.Caller == asked.Caller && mine && method != ".ctor" && method != ".cctor" {
			tr.foreground = []Evidence{ev(asked.Span, asked.Caller+" asks Environment.UserInteractive"), ev(c.Span, "and calls "+c.Member)}
			return nil
		}
	}
	return nil
}

// kind is the kind of a managed program, with the evidence for it. family is
// "netfx" or "dotnet".
func (tr *traits) kind(family string, gui bool, self Evidence) (Kind, []Evidence) {
	switch {
	case len(tr.service) > 0:
		return Kind(family + "-service"), tr.service
	case len(tr.window) > 0 && (gui || len(tr.loop) > 0):
		return Kind(family + "-desktop"), append(slices.Clone(tr.window), tr.loop...)
	}
	return Kind(family + "-console"), []Evidence{self}
}

// serviceOf says how the service is started; nil where it is none. The name is
// that of the strongest source, as precedence.toml orders them.
func (tr *traits) serviceOf() *Service {
	if len(tr.service) == 0 {
		return nil
	}
	s := &Service{Foreground: len(tr.foreground) > 0, Evidence: append(slices.Clone(tr.service), tr.foreground...)}
	best := -1
	for _, n := range tr.names {
		if r := rank("service-name", n.source); best < 0 || r < best {
			best, s.Name = r, n.name
		}
	}
	return s
}
