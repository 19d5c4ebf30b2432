package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// detectFramework finds programs and libraries of .NET Framework.
func detectFramework(t *Tree) []Fact {
	var facts []Fact
	for _, b := range t.binaries {
		switch {
		case b.clr == nil || strings.HasPrefix(b.clr.TargetFramework.Value, NETCoreApp):
		case !b.starts() && strings.HasSuffix(b.base, ".exe"):
			facts = append(facts, signFact(b.path+" is a library, whatever its name says", "Give winpack the folder of the program that uses the library.",
				at(b.path, b.clr.Span, "CLI header without an entry point")))
		case !b.isDLL && b.starts():
			facts = append(facts, t.netfxProgram(b)...)
		}
	}
	return append(facts, t.siteAssemblies()...)
}

func (t *Tree) netfxProgram(b *image) []Fact {
	source := "exe"
	if t.depth(b.dir) > t.programDepth() {
		source = "deeper"
	}
	if by := t.referenced(b); by != "" && source == "exe" {
		source = "referenced"
	}
	config := t.find(b.path + ".config")
	if config == "" && installed(b.path) != b.path {
		config = t.find(installed(b.path) + ".config" + deployExt)
	}
	if config != "" && source == "exe" {
		source = "exe-config"
	}
	self := at(b.path, b.clr.Span, "CLI header, metadata version "+b.clr.RuntimeVersion.Value)
	p := &Program{Path: b.path, Form: FormNetFX}
	if why := t.wrapperOf(b); why != "" {
		self.Detail = why
		return []Fact{helperFact(b, FormNetFX, self)}
	}
	facts := []Fact{{Key: "program", Value: b.path, source: source, about: b.path, Evidence: []Evidence{self}, item: p}}
	if source != "deeper" {
		t.withPE(b.path, func(f *pe.File) error {
			clr, err := f.CLR()
			if err != nil || clr == nil {
				return err
			}
			tr, err := readTraits(t.codeOf(b).evidence, clr)
			if b.arch.Mixed {
				does := b.nativeTraits()
				tr.service, tr.window, tr.message = append(tr.service, does.dispatcher...), append(tr.window, does.window...), append(tr.message, does.message...)
			}
			t.readLibraries(b, &tr)
			facts = append(facts, programFacts(&tr, p, "netfx", b.gui, self)...)
			return err
		})
		if len(facts) == 1 { // nothing of its code could be read
			facts = append(facts, brokenProgram(b.path, self))
		}
	}
	// ASP.NET Core up to 2.2 runs on .NET Framework too.
	facts = append(facts, webServerFacts(b.refs, b.path, func(r pe.Assembly) Evidence { return at(b.path, r.Span, "refers to "+r.Name+" "+r.Version) })...)
	facts = append(facts, frameworkFacts(b, b.path)...)
	facts = append(facts, architectureFacts(b, b.path, "entry")...)
	if config != "" {
		facts = append(facts, t.exeConfig(config, b.path)...)
	}
	return append(facts, t.dependencies(b, "netfx", b.path)...)
}

// referenced names another program of the folder that uses this one as a library.
func (t *Tree) referenced(b *image) string {
	for _, o := range t.binaries {
		if o != b && o.dir == b.dir && o.starts() && o.ref(b.name()) != nil && b.ref(o.name()) == nil {
			return o.path
		}
	}
	return ""
}

// programFacts are those that follow from what the code of a program does.
func programFacts(tr *traits, p *Program, family string, gui bool, self Evidence) []Fact {
	kind, ev := tr.kind(family, gui, self)
	facts := []Fact{{Key: "kind", Value: string(kind), source: "managed", about: p.Path, Evidence: ev}}
	if p.Service = tr.serviceOf(); p.Service != nil {
		for _, n := range tr.names {
			facts = append(facts, Fact{Key: "service-name", Value: n.name, source: n.source, about: p.Path, Evidence: n.evidence})
		}
		how := "needs a service manager"
		if p.Service.Foreground {
			how = "stays in the foreground without one"
		}
		facts = append(facts, Fact{Key: "service-start", Value: how, about: p.Path, Evidence: p.Service.Evidence})
	}
	facts = append(facts, tr.flavorFacts(p.Path, kind)...)
	if len(tr.several) > 1 {
		facts = append(facts, Fact{Key: "several-services", Value: strings.Join(tr.several, ", "), about: p.Path, Evidence: tr.made})
	}
	switch {
	case kind == Kind(family+"-console") && len(tr.maybe) > 0:
		facts = append(facts, Fact{Key: "library-trait", Value: p.Path, about: p.Path, Evidence: tr.maybe})
	}
	if kind == Kind(family+"-console") {
		facts = append(facts, consoleFacts(gui && len(tr.maybe) == 0, p.Path, tr.message, self)...)
	} else if gui && kind != Kind(family+"-desktop") {
		facts = append(facts, consoleFacts(true, p.Path, nil, self)...)
	}
	return facts
}

// frameworkFacts are what an assembly says of its framework, in three ways.
func frameworkFacts(b *image, about string) []Fact {
	var facts []Fact
	add := func(source string, f Framework, s pe.Span, detail string) {
		facts = append(facts, Fact{Key: "framework", Value: f.label(source), source: source, about: about,
			Evidence: []Evidence{at(b.path, s, detail)}, item: f})
	}
	if f, ok := parseTarget(b.clr.TargetFramework.Value); ok && f.Name != NETStandard {
		add("target-framework-attribute", f, b.clr.TargetFramework.Span, "TargetFrameworkAttribute "+b.clr.TargetFramework.Value)
	}
	if core := b.ref("mscorlib"); core != nil {
		major, _, _ := strings.Cut(core.Version, ".")
		switch {
		case major == "4":
			add("assembly-version", Framework{NETFramework, "4.0"}, core.Span, "refers to mscorlib "+core.Version)
		case major == "2":
			version, seen := "2.0", core
			for _, r := range b.refs {
				if strings.HasPrefix(r.Version, "3.5.") {
					version, seen = "3.5", &r
					break
				} else if strings.HasPrefix(r.Version, "3.0.") {
					version, seen = "3.0", &r
				}
			}
			source := "assembly-version"
			if version != "2.0" {
				source = "assembly-layer"
			}
			add(source, Framework{NETFramework, version}, seen.Span, "refers to "+seen.Name+" "+seen.Version)
		}
	}
	for _, row := range frameworkData().NetFX {
		if row.CLR == b.clr.RuntimeVersion.Value { // the lowest version that has this CLR
			add("metadata-version", Framework{NETFramework, row.Version}, b.clr.RuntimeVersion.Span, "metadata version "+row.CLR)
			break
		}
	}
	return facts
}

// label names a framework that a source speaks of. What was built for CLR 4 without
// saying for which version may be for any 4.x: "4.0" is its lowest bound.
func (f Framework) label(source string) string {
	if f.unstated(source) {
		return f.Name + " 4.x"
	}
	return f.Name + " " + f.Version
}

func (f Framework) unstated(source string) bool {
	return f.Name == NETFramework && f.Version == "4.0" && slices.Contains([]string{"exe-config-clr4", "assembly-version", "metadata-version"}, source)
}

// parseTarget splits ".NETFramework,Version=v4.7.2" (with or without a profile).
func parseTarget(s string) (Framework, bool) {
	name, rest, ok := strings.Cut(s, ",")
	if !ok {
		return Framework{}, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(part), "Version="); ok {
			f := Framework{strings.TrimSpace(name), strings.TrimPrefix(v, "v")}
			known := f.Name == NETFramework || f.Name == NETCoreApp || f.Name == NETStandard
			return f, known && isVersion(f.Version)
		}
	}
	return Framework{}, false
}

var versionPattern = pattern(`^\d{1,3}(\.\d{1,3}){1,3}$`)

// isVersion says whether text from the application can be the version of a framework.
func isVersion(s string) bool { return versionPattern().MatchString(s) }

func architectureFacts(b *image, about, source string) []Fact {
	if b.arch.Name == "" {
		return nil
	}
	what := "machine and CLI flags say "
	if b.native() {
		what = "machine of the PE header says "
	}
	ev := []Evidence{at(b.path, b.arch.Span, what+b.arch.Name)}
	if b.arch.Machine != b.arch.Span {
		ev = append(ev, at(b.path, b.arch.Machine, "machine of the PE header, which says what the flags mean"))
	}
	facts := []Fact{{Key: "architecture", Value: b.arch.Name, source: source, about: about, Evidence: ev}}
	if b.arch.Prefer32 {
		facts = append(facts, Fact{Key: "prefers-32-bit", Value: "true", about: about,
			Evidence: []Evidence{at(b.path, b.arch.Span, "32BITPREFERRED: runs as a 32-bit process where WOW64 exists")}})
	}
	if b.arch.Mixed {
		facts = append(facts, Fact{Key: "mixed-mode", Value: b.path, about: about,
			Evidence: []Evidence{at(b.path, b.arch.Span, "C++/CLI: IL and native code in one file")}})
	}
	return facts
}

// exeConfig reads supportedRuntime. The first runtime that is installed is used,
// and images have CLR 4 only: an entry for it counts before one for CLR 2
// (learn.microsoft.com/dotnet/framework/configure-apps/file-schema/startup/supportedruntime-element).
func (t *Tree) exeConfig(p, about string) []Fact {
	var facts []Fact
	root := t.readXML(p, configUnknown)
	if broken := t.brokenConfig(p, about, "the program does not start"); broken != nil {
		return broken
	}
	startup := root.child("startup")
	if startup == nil {
		return nil
	}
	found := map[string]bool{} // CLR 2 and 4, the first entry of each
	for _, e := range startup.children {
		if e.name != "supportedRuntime" {
			continue
		}
		clr, source := "", "exe-config"
		switch v := e.attr("version"); {
		case strings.HasPrefix(v, "v2.0"):
			clr, source = "2.0", "exe-config-clr2"
		case v == "v4.0" || strings.HasPrefix(v, "v4.0.") || v == "":
			clr = "4.0"
		default:
			continue
		}
		f, ok := parseTarget(e.attr("sku"))
		if !ok || f.Name != NETFramework || clr == "2.0" {
			if !ok && e.attr("version") == "" {
				continue
			}
			if f = (Framework{NETFramework, clr}); clr == "4.0" {
				source = "exe-config-clr4"
			}
		}
		if found[clr] {
			continue
		}
		found[clr] = true
		facts = append(facts, Fact{Key: "framework", Value: f.label(source), source: source, about: about,
			Evidence: line(p, e, fmt.Sprintf("supportedRuntime version=%s sku=%s", e.attr("version"), e.attr("sku"))), item: f})
	}
	return facts
}

// siteAssemblies reads the assemblies that IIS would load: those of bin.
func (t *Tree) siteAssemblies() []Fact {
	var facts []Fact
	var highest *image
	var top Framework
	var pages bool
	for range t.withExt(".cshtml", ".vbhtml") {
		pages = true
		break
	}
	// A large site has thousands of assemblies that say the same: what uniqueFacts would
	// drop is not kept, as they come in the order of their paths.
	type same struct{ key, value, source string }
	seen := map[same]int{}
	join := func(more ...Fact) {
		for _, f := range more {
			k := same{f.Key, f.Value, f.source}
			if seen[k]++; seen[k] <= MaxEvidence {
				facts = append(facts, f)
			}
		}
	}
	for _, b := range t.binaries {
		if !strings.EqualFold(b.dir, "bin") || !b.isDLL || b.clr == nil {
			continue
		}
		if f, ok := parseTarget(b.clr.TargetFramework.Value); ok && f.Name == NETFramework && (highest == nil || newer(f.Version, top.Version)) {
			highest, top = b, f
		}
		if b.arch.Name == X86 && !b.arch.Prefer32 || b.arch.Mixed || b.arch.Name == X64 && b.arch.OS == "" { // one that is ReadyToRun holds IL as well
			join(architectureFacts(b, "", "bin")...)
		} else if b.arch.Name == AnyCPU && !vendor(b.name()) {
			join(architectureFacts(b, "", "bin-anycpu")[:1]...)
		}
		if r := b.ref("System.Web"); r != nil && !vendor(b.name()) {
			join(Fact{Key: "site", Value: "assembly", Evidence: []Evidence{at(b.path, r.Span, "refers to System.Web "+r.Version)}})
			join(frameworkFacts(b, "")...)
			if len(b.data) > 0 && b.own {
				f := writeFact("App_Data", "the code of the site names App_Data, where ASP.NET applications keep the data that they write", b.data)
				f.source = "data-directory"
				join(f)
			}
		}
		join(t.flavors(b, pages)...)
		join(t.dependencies(b, "netfx", "")...)
	}
	if highest != nil {
		facts = append(facts, Fact{Key: "framework", Value: top.Name + " " + top.Version, source: "target-framework-attribute",
			Evidence: []Evidence{at(highest.path, highest.clr.TargetFramework.Span, "TargetFrameworkAttribute "+highest.clr.TargetFramework.Value+", the highest in bin")}, item: top})
	}
	return facts
}

// dataFolder finds where the code of a site names App_Data, by its path or as
// |DataDirectory|.
func dataFolder(p string, clr *pe.CLR) ([]Evidence, error) {
	for _, name := range []string{"App_Data", "DataDirectory"} {
		place, ok, err := clr.FindString(name)
		if err != nil {
			return nil, err
		}
		if ok {
			return []Evidence{at(p, place, "a string holds "+name)}, nil
		}
	}
	return nil, nil
}

// vendor says whether an assembly belongs to a framework rather than to the
// application, by its name: such assemblies never decide alone.
func vendor(name string) bool {
	low := strings.ToLower(name)
	return strings.HasPrefix(low, "system.") || low == "system" || strings.HasPrefix(low, "microsoft.") || low == "mscorlib" || low == "netstandard" || low == "windowsbase"
}

// siteFlavors: an assembly of the application that refers to the framework in
// ref makes the site a flavor of it, where a type extends one of bases or, for
// MVC, where the site has Razor pages.
var siteFlavors = []struct {
	flavor, ref string
	bases       []string
}{
	{"mvc", "System.Web.Mvc", []string{"System.Web.Mvc.Controller", "System.Web.Mvc.AsyncController", "System.Web.Mvc.ControllerBase"}},
	{"web-api", "System.Web.Http", []string{"System.Web.Http.ApiController"}},
	{"signalr", "Microsoft.AspNet.SignalR.Core", []string{"Microsoft.AspNet.SignalR.Hub", "Microsoft.AspNet.SignalR.PersistentConnection"}},
	{"owin", "Microsoft.Owin", nil},
}

func (t *Tree) flavors(b *image, razor bool) []Fact {
	if vendor(b.name()) {
		return nil
	}
	var facts []Fact
	for _, row := range siteFlavors {
		ref := b.ref(row.ref)
		if ref == nil {
			continue
		}
		ev := []Evidence{at(b.path, ref.Span, "refers to "+ref.Name+" "+ref.Version)}
		proven := row.flavor == "owin" || row.flavor == "mvc" && razor
		t.withPE(b.path, func(f *pe.File) error {
			clr, err := f.CLR()
			if err != nil || clr == nil {
				return err
			}
			defs, err := clr.TypeDefs()
			for _, d := range defs {
				for _, base := range row.bases {
					if d.Base == base {
						proven = true
						ev = append(ev, at(b.path, d.Span, d.Name+" extends "+base))
						return nil
					}
				}
			}
			return err
		})
		if proven {
			facts = append(facts, Fact{Key: "flavor", Value: row.flavor, Evidence: ev})
			if row.flavor != "owin" {
				facts = append(facts, Fact{Key: "site", Value: row.flavor, Evidence: ev})
			}
		}
	}
	return facts
}
