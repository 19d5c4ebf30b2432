package detect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// traits is what the code of a managed entry assembly does, as far as the kind
// of program depends on it.
type traits struct {
	service    []Evidence // extends ServiceBase, or calls its Run
	foreground []Evidence // stays in the foreground without a service manager
	window     []Evidence // uses a windowing framework
	message    []Evidence // shows message boxes of Windows
	loop       []Evidence // runs a message loop
	names      []serviceName
	several    []string          // service types of one process, in the order in which they are made
	made       []Evidence        // where several are made
	maybe      []Evidence        // a library of the folder shows windows or runs services, if it is called
	types      map[string]string // type → base type, of all assemblies that were read
	calls      []pe.Call         // what Main reaches, in the entry assembly
	flavors    map[string][]Evidence
	metadata   Evidence   // for what the entry assembly does not name
	looked     []Evidence // the same for libraries that Main may call, of the first maxLooked
}

type serviceName struct {
	source, name string
	by           string // type that sets it
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
	// hostedServiceCalls and topshelfCalls are of hosts that look at the process which
	// started them, and stay in the foreground where it is no service manager
	// (WindowsServiceHelpers.IsWindowsService of dotnet/runtime, HostFactory of
	// Topshelf). A program that asks Environment.UserInteractive does not: that is
	// false in a container, which has no visible window station
	// (github.com/Particular/ServiceControl/issues/2175), so it runs as a service.
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

const (
	namesAll  = "metadata and code, which name all that the program uses"
	maxLooked = 3
)

// readTraits reads what an entry assembly does; ev makes evidence of a place in it.
func readTraits(ev func(pe.Span, string) Evidence, clr *pe.CLR) (tr traits, err error) {
	defer func() { tr.metadata = ev(clr.Metadata.With(clr.Code), namesAll) }()
	defs, err := clr.TypeDefs()
	if err != nil {
		return tr, err
	}
	tr.types = map[string]string{}
	for _, d := range defs {
		tr.types[d.Name] = d.Base
	}
	for _, d := range defs {
		base := tr.root(d.Base)
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
	var bad error // of methods, which do not keep others from being read
	find := func(to *[]Evidence, what []string) {
		for _, name := range what {
			calls, err := clr.CallsTo(name)
			bad = cmp.Or(bad, err)
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
	tr.flavors = map[string][]Evidence{}
	for _, row := range programFlavors {
		var found []Evidence
		find(&found, row.calls)
		for _, d := range defs {
			if base := tr.root(d.Base); slices.Contains(row.bases, base) {
				found = append(found, ev(d.Span, d.Name+" extends "+base))
			}
		}
		tr.addFlavor(row.flavor, found)
	}
	natives, err := clr.PInvokes()
	if err != nil {
		return tr, err
	}
	for _, n := range natives {
		if strings.EqualFold(moduleName(n.Module), "user32.dll") && isMessageBox(n.Function) {
			tr.message = append(tr.message, ev(n.Span, "calls the native "+n.Module+"!"+n.Function))
		}
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
		tr.readNames(calls, ev)
	}
	if clr.EntryPoint != 0 {
		if tr.calls, err = clr.CallsFrom(clr.EntryPoint); err != nil {
			return tr, err
		}
	}
	if len(tr.service) > 0 {
		tr.readSeveral(tr.calls, ev)
	}
	return tr, bad
}

// root is the base type at the end of the chain of types that were read.
func (tr *traits) root(base string) string {
	for range 8 {
		next, ok := tr.types[base]
		if !ok {
			break
		}
		base = next
	}
	return base
}

const serviceBase = "System.ServiceProcess.ServiceBase"

func (tr *traits) isService(typ string) bool { return tr.root(typ) == serviceBase }

func (tr *traits) readNames(calls []pe.Call, ev func(pe.Span, string) Evidence) {
	for _, c := range calls {
		if source := nameSetters[c.Member]; source != "" && c.Loaded && c.Literal != "" {
			by, _, _ := strings.Cut(c.Caller, "::")
			tr.names = append(tr.names, serviceName{source, c.Literal, by, []Evidence{ev(c.Span, "the name "+c.Literal+" is set in "+c.Caller)}})
		}
	}
}

// readSeveral looks for the services that a method makes and hands to
// ServiceBase.Run.
func (tr *traits) readSeveral(calls []pe.Call, ev func(pe.Span, string) Evidence) {
	for _, run := range calls {
		if run.Member != serviceBase+"::Run" {
			continue
		}
		var made []string
		for _, c := range calls {
			typ, method, _ := strings.Cut(c.Member, "::")
			if c.Caller == run.Caller && method == ".ctor" && typ != serviceBase && tr.isService(typ) && !slices.Contains(made, typ) {
				made = append(made, typ)
			}
		}
		if len(made) > 1 {
			tr.several, tr.made = made, []Evidence{ev(run.Span, run.Caller+" makes "+strings.Join(made, ", ")+" and calls "+run.Member)}
			return
		}
	}
}

// kind is the kind of a managed program, with the evidence for it. family is
// "netfx" or "dotnet".
func (tr *traits) kind(family string, gui bool, self Evidence) (Kind, []Evidence) {
	switch {
	case len(tr.service) > 0:
		return Kind(family + "-service"), tr.service
	case len(tr.window) > 0 && (gui || len(tr.loop) > 0):
		return Kind(family + "-desktop"), slices.Concat(tr.window[:1], []Evidence{tr.metadata}, tr.window[1:], tr.loop)
	}
	return Kind(family + "-console"), slices.Concat([]Evidence{self, tr.metadata}, tr.looked)
}

// serviceOf says how the service is started; nil where it is none. The name is
// that of the strongest source, as precedence.toml orders them.
func (tr *traits) serviceOf() *Service {
	if len(tr.service) == 0 {
		return nil
	}
	s := &Service{Foreground: len(tr.foreground) > 0, Evidence: mergeEvidence(nil, slices.Concat(tr.service[:min(len(tr.service), 3)], tr.foreground))}
	best := -1
	for _, n := range tr.names {
		if len(tr.several) > 0 && n.source == "service-name-set" && n.by != tr.several[0] {
			continue // the name of one of the other services
		}
		if r := rank("service-name", n.source); best < 0 || r < best {
			best, s.Name = r, n.name
		}
	}
	return s
}
