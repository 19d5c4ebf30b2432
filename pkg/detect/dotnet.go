package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

const (
	runtimeConfigExt     = ".runtimeconfig.json"
	runtimeConfigUnknown = "which .NET the program needs is unknown"
	incomplete           = "Copy all files of the publish output again: they belong together."
)

// detectDotNet finds programs of modern .NET in all forms of publishing.
func detectDotNet(t *Tree) []Fact {
	var facts []Fact
	taken := map[string]bool{} // DLLs and hosts that a program was made of
	for f := range t.withExt(".json") {
		if strings.HasSuffix(f.base, runtimeConfigExt) {
			facts = append(facts, t.configuredProgram(f.path(), taken)...)
		}
	}
	for _, b := range t.binaries {
		if b.host == nil || taken[b.path] {
			continue
		}
		if why := t.wrapperOf(b); why != "" { // WinSW 3
			facts = append(facts, helperFact(b, FormSingleFile, at(b.path, b.sub, why)))
			continue
		}
		if b.host.Bundle != nil {
			facts = append(facts, t.singleFile(b)...)
		} else {
			facts = append(facts, t.bareHost(b, taken)...)
		}
	}
	return facts
}

// configuredProgram is a program with a NAME.runtimeconfig.json beside it.
func (t *Tree) configuredProgram(config string, taken map[string]bool) []Fact {
	stem := config[:len(config)-len(runtimeConfigExt)]
	dll := t.byName[strings.ToLower(stem+".dll")]
	if dll == nil || dll.clr == nil {
		return []Fact{signFact(config+" has no "+clean(path.Base(stem))+".dll beside it", incomplete,
			Evidence{Path: config, Line: 1, Detail: "a .NET program without its assembly"})}
	}
	if dll.clr.EntryPoint == 0 {
		return []Fact{signFact(config+" belongs to a library", "Give winpack the folder of the program that uses the library.",
			at(dll.path, dll.clr.Span, "the assembly has no entry point"))}
	}
	root := t.readJSON(config, runtimeConfigUnknown)
	host := t.hostOf(dll)
	if exe := t.byName[strings.ToLower(stem+".exe")]; host == nil && exe != nil && exe.native() && exe.host == nil && !exe.broken {
		t.problem(exe.path, "stands where the .NET host of "+clean(path.Base(dll.path))+" does, and carries no marks of one: how the program is started, and as which architecture it runs, is unknown")
	}
	p := &Program{Path: dll.path, Form: FormFrameworkDependent}
	if host != nil {
		taken[host.path] = true
		p.Path, p.Form = host.path, FormAppHost
	}
	if selfContained(root) && host != nil {
		p.Form, p.SelfContained = FormSelfContained, true
	}
	source := "runtimeconfig"
	if t.depth(dll.dir) > t.programDepth() {
		source = "deeper"
	} else if t.referenced(dll) != "" {
		source = "referenced"
	}
	ev := []Evidence{{Path: config, Line: 1, Detail: "runtimeconfig.json of " + path.Base(dll.path)}}
	facts := []Fact{{Key: "program", Value: p.Path, source: source, about: p.Path, Evidence: ev, item: p}}
	facts = append(facts, runtimeFacts(root, config, p.Path, nil)...)
	if root == nil { // Microsoft.AspNetCore.App may stand in it, or nothing
		facts = append(facts,
			Fact{Key: "kind", Value: string(KindUnknown), source: "aspnetcore", about: p.Path, Evidence: ev},
			signFact(config+" cannot be read, so which .NET and which kind of program is unknown", incomplete, ev...))
	}
	facts = append(facts, t.depsFacts(stem+".deps.json", p.Path)...)
	if source != "deeper" {
		facts = append(facts, t.managedEntry(dll, host, p)...)
	}
	facts = append(facts, frameworkFactsDotNet(dll, p.Path)...)
	facts = append(facts, webServerFacts(dll.refs, p.Path, func(r pe.Assembly) Evidence { return at(dll.path, r.Span, "refers to "+r.Name+" "+r.Version) })...)
	if host != nil {
		facts = append(facts, architectureFacts(host, p.Path, "host")...)
	}
	facts = append(facts, architectureFacts(dll, p.Path, "entry")...)
	if dll.arch.OS != "" {
		facts = append(facts, Fact{Key: "ready-to-run", Value: dll.path, about: p.Path,
			Evidence: []Evidence{at(dll.path, dll.arch.Span, "compiled ahead of time for "+dll.arch.OS+", with its IL (ReadyToRun)")}})
	}
	return append(facts, t.dependencies(dll, "dotnet", p.Path)...)
}

// hostOf is the application host that starts the DLL: NAME.exe, or another
// host of the folder whose slot names the DLL.
func (t *Tree) hostOf(dll *image) *image {
	name := strings.TrimSuffix(dll.base, ".dll")
	var other *image
	for _, b := range t.binaries {
		if b.dir != dll.dir || b.host == nil || b.host.Bundle != nil || !b.host.Bound {
			continue
		}
		if b.base == name+".exe" {
			return b
		}
		for _, c := range b.host.Candidates {
			if strings.EqualFold(path.Clean(strings.ReplaceAll(c.Value, `\`, "/")), dll.base) && other == nil {
				other = b
			}
		}
	}
	return other
}

// selfContained: includedFrameworks, or no framework key at all, as the host
// reads runtimeconfig.json.
func selfContained(root *node) bool {
	o := root.get("runtimeOptions")
	return root != nil && o.get("framework") == nil && o.get("frameworks") == nil
}

// runtimeFacts are the frameworks that a runtimeconfig.json asks for.
// bundle is where it stands in the config where that is a bundle, else nil.
func runtimeFacts(root *node, config, about string, bundle *pe.Span) []Fact {
	var facts []Fact
	source := "runtimeconfig"
	if bundle != nil {
		source = "bundle"
	}
	ev := func(n *node, detail string) []Evidence {
		if bundle != nil {
			return []Evidence{at(config, *bundle, "runtimeconfig.json in the bundle: "+detail)}
		}
		return []Evidence{{Path: config, Line: n.line, Detail: clean(detail)}}
	}
	o := root.get("runtimeOptions")
	frameworks := map[bool][]*node{}
	if f := o.get("framework"); f != nil {
		frameworks[true] = append(frameworks[true], f)
	}
	if f := o.get("frameworks"); f != nil {
		frameworks[true] = append(frameworks[true], f.values...)
	}
	if f := o.get("includedFrameworks"); f != nil {
		frameworks[false] = append(frameworks[false], f.values...)
	}
	version := ""
	for _, shared := range []bool{true, false} {
		for _, f := range frameworks[shared] {
			name, v := f.get("name").string(), f.get("version").string()
			if name == "" {
				continue
			}
			e := ev(f, name+" "+v)
			fact := Fact{Key: "included-framework", Value: clean(name + " " + v), about: about, Evidence: e}
			if shared {
				roll := f.get("rollForward").string()
				if roll == "" {
					roll = o.get("rollForward").string()
				}
				fact.Key, fact.item = "shared-framework", SharedFramework{Name: clean(name), Version: clean(v), RollForward: clean(roll), Evidence: e}
			}
			facts = append(facts, fact)
			for _, f := range dependencyFacts(name, "dotnet", about, e[0]) {
				if f.Key != "assembly-partial" { // that no image has it is told by its own rule
					facts = append(facts, f)
				}
			}
			if strings.HasPrefix(name, "Microsoft.AspNetCore.") {
				facts = append(facts, Fact{Key: "kind", Value: string(KindASPNETCore), source: "aspnetcore", about: about, Evidence: e})
			}
			if version == "" || name == "Microsoft.NETCore.App" {
				version = majorMinor(v)
			}
		}
	}
	tfm := o.get("tfm")
	if v := strings.TrimPrefix(strings.TrimPrefix(tfm.string(), "netcoreapp"), "net"); tfm != nil && majorMinor(v) != "" {
		facts = append(facts, Fact{Key: "framework", Value: NETCoreApp + " " + majorMinor(v), source: source, about: about,
			Evidence: ev(tfm, "tfm "+tfm.text), item: Framework{NETCoreApp, majorMinor(v)}})
	} else if version != "" {
		facts = append(facts, Fact{Key: "framework", Value: NETCoreApp + " " + version, source: source, about: about,
			Evidence: ev(o, "version of the framework"), item: Framework{NETCoreApp, version}})
	}
	return facts
}

// webServers are assemblies that an entry assembly refers to where it is a web
// server: up to .NET Core 2.2 they were packages, so that runtimeconfig.json does
// not name Microsoft.AspNetCore.App.
var webServers = []string{
	"Microsoft.AspNetCore", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel",
	"Microsoft.AspNetCore.Server.IISIntegration", "CoreWCF.Http",
}

func webServerFacts(refs []pe.Assembly, about string, place func(pe.Assembly) Evidence) []Fact {
	var facts []Fact
	for _, r := range refs {
		if slices.Contains(webServers, r.Name) {
			facts = append(facts, Fact{Key: "kind", Value: string(KindASPNETCore), source: "aspnetcore", about: about, Evidence: []Evidence{place(r)}})
		}
	}
	return facts
}

// majorMinor is "8.0" of "8.0.11", empty where v does not start like that.
func majorMinor(v string) string {
	major, rest, ok := strings.Cut(v, ".")
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	if !ok || !digits(major) || !digits(minor) {
		return ""
	}
	return major + "." + minor
}

func digits(s string) bool {
	return s != "" && len(s) < 4 && strings.Trim(s, "0123456789") == ""
}

// depsFacts reads runtimeTarget of NAME.deps.json: ".NETCoreApp,Version=v8.0/win-x64".
func (t *Tree) depsFacts(want, about string) []Fact {
	p := t.find(want)
	if p == "" {
		return nil
	}
	target := t.readJSON(p, "which packages the program was published with is unknown").get("runtimeTarget", "name")
	return targetFacts(target, p, about, nil)
}

func targetFacts(target *node, p, about string, bundle *pe.Span) []Fact {
	if target == nil {
		return nil
	}
	name, rid, _ := strings.Cut(target.text, "/")
	ev := []Evidence{{Path: p, Line: target.line, Detail: clean("runtimeTarget " + target.text)}}
	if bundle != nil {
		ev = []Evidence{at(p, *bundle, "deps.json in the bundle: runtimeTarget "+target.text)}
	}
	var facts []Fact
	if f, ok := parseTarget(name); ok {
		facts = append(facts, Fact{Key: "framework", Value: f.Name + " " + f.Version, source: "deps.json", about: about, Evidence: ev, item: f})
	}
	if rid != "" {
		facts = append(facts, Fact{Key: "runtime-identifier", Value: clean(rid), about: about, Evidence: ev})
	}
	return facts
}

func frameworkFactsDotNet(b *image, about string) []Fact {
	f, ok := parseTarget(b.clr.TargetFramework.Value)
	if !ok {
		return nil
	}
	facts := []Fact{{Key: "framework", Value: f.Name + " " + f.Version, source: "target-framework-attribute", about: about, item: f,
		Evidence: []Evidence{at(b.path, b.clr.TargetFramework.Span, "TargetFrameworkAttribute "+b.clr.TargetFramework.Value)}}}
	if v := b.clr.TargetPlatform; v.Value != "" {
		facts = append(facts, Fact{Key: "target-platform", Value: clean(v.Value), about: about,
			Evidence: []Evidence{at(b.path, v.Span, "TargetPlatformAttribute "+v.Value)}})
	}
	return facts
}

// managedEntry reads what the entry assembly does; the host's subsystem counts,
// for the SDK copies it there.
func (t *Tree) managedEntry(dll, host *image, p *Program) []Fact {
	var facts []Fact
	gui := dll.gui
	self := at(dll.path, dll.clr.Span, "CLI header with an entry point")
	if host != nil {
		gui = host.gui
		self = at(host.path, host.sub, "host of "+path.Base(dll.path))
	}
	t.withPE(dll.path, func(f *pe.File) error {
		clr, err := f.CLR()
		if err != nil || clr == nil {
			return err
		}
		tr, err := readTraits(t.codeOf(dll).evidence, clr)
		t.readLibraries(dll, &tr)
		facts = programFacts(&tr, p, "dotnet", gui, self)
		return err
	})
	if facts == nil { // nothing of its code could be read
		facts = []Fact{brokenProgram(dll.path, self)}
	}
	return facts
}

// bareHost is an application host without a runtimeconfig.json.
func (t *Tree) bareHost(b *image, taken map[string]bool) []Fact {
	self := []Evidence{}
	for _, s := range b.host.Markers {
		self = append(self, at(b.path, s, "mark of a .NET application host"))
	}
	if len(self) == 0 {
		self = append(self, at(b.path, b.sub, "a .NET application host"))
	}
	if !b.host.Bound {
		return []Fact{signFact(b.path+" is a .NET host that no application was bound to", incomplete, self...)}
	}
	names := []string{strings.TrimSuffix(path.Base(b.path), path.Ext(b.path)) + ".dll"}
	for _, c := range b.host.Candidates {
		names = append(names, c.Value)
	}
	for _, n := range names {
		rel, ok := winPath(n)
		if !ok {
			continue
		}
		dll := t.byName[strings.ToLower(path.Join(b.dir, rel))]
		if dll == nil || dll.clr == nil {
			continue
		}
		config := strings.TrimSuffix(strings.ToLower(dll.path), ".dll") + runtimeConfigExt
		if t.find(config) != "" {
			return nil // a second host of a program that was found by its configuration
		}
		return t.unconfigured(b, dll, self)
	}
	return []Fact{signFact(b.path+" is a .NET host, and the DLL that it starts is not in the folder", incomplete, self...)}
}

// unconfigured is a program whose runtimeconfig.json is missing: the host takes
// it for self-contained (runtime_config.cpp of dotnet/runtime).
func (t *Tree) unconfigured(b, dll *image, self []Evidence) []Fact {
	p := &Program{Path: b.path, Form: FormSelfContained, SelfContained: true}
	source := "exe"
	if t.depth(b.dir) > t.programDepth() {
		source = "deeper"
	}
	facts := []Fact{
		{Key: "program", Value: b.path, source: source, about: b.path, Evidence: self, item: p},
		{Key: "runtimeconfig-missing", Value: path.Base(dll.path), about: b.path, Evidence: self},
	}
	if source != "deeper" {
		facts = append(facts, t.managedEntry(dll, b, p)...)
	}
	facts = append(facts, frameworkFactsDotNet(dll, b.path)...)
	facts = append(facts, architectureFacts(b, b.path, "host")...)
	return append(facts, t.dependencies(dll, "dotnet", b.path)...)
}
