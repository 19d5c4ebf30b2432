package detect

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

const projectUnknown = "what it becomes once built is unknown"

// Bounds of what is read of a source tree.
const (
	maxProjects = 400
	maxSources  = 2000 // files of code of one project
)

// project is one project of a source tree.
type project struct {
	path string
	name string // empty where the file is called by it
	root *element
	web  bool // made for a web server
	test bool
	// becomes is what it is once built; empty for a library, a tool of the build or a test.
	becomes   Kind
	framework Framework
	arch      string
	shared    string // of .NET: the shared framework
	open      string // what is unknown of it, since it stands elsewhere
	runs      string // the version of what runs it
	evidence  []Evidence
}

// Project types of Visual Studio by their GUIDs (ProjectTypeGuids).
var projectTypes = map[string]string{
	"349c5851-65df-11da-9384-00065b846f21": "web", // ASP.NET web application, MVC 5 too
	"e3e379df-f4c6-4180-9b81-6769533abe47": "web", // MVC 4
	"e53f8fea-eae0-44a6-8774-ffd645390401": "web", // MVC 3
	"f85e285d-a4e0-4152-9332-ab1d724d3325": "web", // MVC 2
	"603c0e0b-db56-11dc-be95-000d561079b0": "web", // MVC 1
	"3ac096d0-a1c2-e12c-1390-a8335801fdab": "test",
}

// testPackages are those that a project of tests refers to, by how their names begin.
var testPackages = []string{"microsoft.net.test.sdk", "xunit", "nunit", "mstest.", "microsoft.visualstudio.qualitytools.unittestframework", "bunit", "specflow", "reqnroll"}

// property is the value of a property of MSBuild: of several the last one without a
// condition, else the first. What refers to another property is unknown.
func (p *project) property(names ...string) (value string, at *element) {
	for _, group := range childrenOf(p.root, "PropertyGroup") {
		for _, e := range group.children {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, e.name) }) || e.text == "" {
				continue
			}
			plain := group.attr("Condition") == "" && e.attr("Condition") == ""
			if at == nil || plain {
				value, at = e.text, e
			}
		}
	}
	return value, at
}

// items are the elements of item groups of one of the names.
func (p *project) items(names ...string) []*element {
	var found []*element
	for _, group := range childrenOf(p.root, "ItemGroup") {
		for _, e := range group.children {
			if slices.Contains(names, e.name) {
				found = append(found, e)
			}
		}
	}
	return found
}

// refersTo finds a reference, to an assembly or a package, whose name begins with one
// of the lower-case prefixes.
func (p *project) refersTo(prefixes ...string) *element {
	for _, e := range p.items("PackageReference", "Reference", "FrameworkReference") {
		name, _, _ := strings.Cut(e.attr("Include"), ",")
		name = strings.ToLower(strings.TrimSpace(name))
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return e
		}
	}
	return nil
}

// readProject says what a project of MSBuild becomes; nil where it cannot be read.
func (t *Tree) readProject(p string) *project {
	root := t.readXML(p, projectUnknown)
	if root == nil || root.name != "Project" {
		return nil
	}
	x := &project{path: p, root: root}
	if strings.HasSuffix(strings.ToLower(p), ".vcxproj") {
		t.nativeProject(x)
		return x
	}
	sdk := root.attr("Sdk")
	if e := root.child("Sdk"); sdk == "" && e != nil {
		sdk = e.attr("Name")
	}
	for _, e := range childrenOf(root, "Import") {
		if sdk == "" {
			sdk = e.attr("Sdk")
		}
	}
	if host, _ := x.property("IsAspireHost"); strings.EqualFold(host, "true") || aspireHost(root) {
		return x // it starts the others on a developer's machine
	}
	sdk, _, _ = strings.Cut(sdk, "/")
	types, _ := x.property("ProjectTypeGuids")
	for guid := range strings.SplitSeq(types, ";") {
		switch projectTypes[strings.ToLower(strings.Trim(strings.TrimSpace(guid), "{}"))] {
		case "web":
			x.web = true
		case "test":
			x.test = true
		}
	}
	if isTest, _ := x.property("IsTestProject", "TestProjectType"); isTest != "" && !strings.EqualFold(isTest, "false") || x.refersTo(testPackages...) != nil || strings.EqualFold(sdk, "MSTest.Sdk") {
		x.test = true
	}
	x.targets(t)
	if x.test {
		return x
	}
	// The host of .NET Aspire starts the other projects on the machine of a developer; what
	// is deployed are those (learn.microsoft.com/dotnet/aspire/fundamentals/app-host-overview).
	if aspire, at := x.property("IsAspireHost"); strings.EqualFold(aspire, "true") || x.refersTo("aspire.hosting.apphost") != nil || aspireSDK(root) != nil {
		if at == nil {
			at = root
		}
		x.evidence = line(p, at, "the host of .NET Aspire, which starts the others for a developer")
		return x
	}
	output, at := x.property("OutputType")
	if at == nil {
		at = root
	}
	if maui, mark := x.property("UseMaui"); strings.EqualFold(maui, "true") && strings.EqualFold(output, "Exe") {
		x.becomes, x.shared, x.arch = KindDotNetDesktop, "Microsoft.NETCore.App", AnyCPU
		x.evidence = append(x.evidence, line(p, mark, "UseMaui true: an app of .NET MAUI, for phones and desktops")...)
		return x
	}
	x.evidence = append(x.evidence, line(p, at, strings.TrimSpace("project "+sdk+" OutputType "+output))...)
	if x.framework.Name == NETFramework && !strings.EqualFold(sdk, "Microsoft.NET.Sdk.Web") {
		t.frameworkProject(x, output)
	} else {
		t.modernProject(x, sdk, output)
	}
	if x.becomes == KindNetFXConsole || x.becomes == KindDotNetConsole {
		x.evidence = append(x.evidence, Evidence{Path: p, Length: root.size, Detail: "the project names neither a service nor windows"})
	}
	if platform, _ := x.property("PlatformTarget"); strings.EqualFold(platform, "x86") {
		x.arch = X86
	} else if strings.EqualFold(platform, "x64") {
		x.arch = X64
	} else if x.becomes != "" && x.becomes != KindStatic && x.arch == "" {
		x.arch = AnyCPU
	}
	if rid, _ := x.property("RuntimeIdentifier"); strings.HasPrefix(rid, "win") {
		if _, arch, ok := strings.Cut(rid, "-"); ok && slices.Contains([]string{X86, X64, ARM64}, arch) {
			x.arch = arch
		}
	}
	return x
}

// targets reads the target framework.
func (x *project) targets(t *Tree) {
	value, at := x.property("TargetFramework", "TargetFrameworks")
	if at == nil {
		if value, at = x.property("TargetFrameworkVersion"); at != nil {
			if v := strings.TrimPrefix(value, "v"); isVersion(v) {
				x.framework = Framework{NETFramework, v}
				x.evidence = line(x.path, at, "TargetFrameworkVersion "+value)
			}
			return
		}
		if schema, at := x.property("SchemaVersion"); schema == "2.0" && x.root.attr("ToolsVersion") == "" {
			x.framework = Framework{NETFramework, "2.0"} // of Visual Studio 2005, which knows no other
			x.evidence = line(x.path, at, "a project of Visual Studio 2005")
			return
		}
		// Directory.Build.props sets it for all projects below.
		for dir := path.Dir(x.path); ; dir = path.Dir(dir) {
			if p := t.find(path.Join(dir, "Directory.Build.props")); p != "" {
				props := &project{path: p, root: t.readXML(p, projectUnknown)}
				if value, at = props.property("TargetFramework", "TargetFrameworks"); at != nil {
					x.framework = bestTarget(value)
					x.evidence = line(p, at, "TargetFramework "+value)
				}
				break
			}
			if dir == "." {
				break
			}
		}
		if x.framework.Name == "" {
			x.open = "its target framework, which may stand in a Directory.Build.props above the folder"
		}
		return
	}
	x.framework = bestTarget(value)
	x.evidence = line(x.path, at, "TargetFramework "+value)
	if x.framework.Name == "" {
		x.open = "its target framework, " + clean(value)
	}
}

// bestTarget is the newest of the target framework monikers (learn.microsoft.com/dotnet/
// standard/frameworks): of modern .NET where there is one.
func bestTarget(monikers string) Framework {
	var best Framework
	for m := range strings.SplitSeq(monikers, ";") {
		f := targetOf(strings.ToLower(strings.TrimSpace(m)))
		switch {
		case f.Name == "":
		case best.Name == "", best.Name != NETCoreApp && f.Name == NETCoreApp, best.Name == NETStandard && f.Name != NETStandard,
			best.Name == f.Name && newer(f.Version, best.Version):
			best = f
		}
	}
	return best
}

func targetOf(m string) Framework {
	m, _, _ = strings.Cut(m, "-") // net8.0-windows
	if v, ok := strings.CutPrefix(m, "netcoreapp"); ok && isVersion(v) {
		return Framework{NETCoreApp, v}
	}
	if v, ok := strings.CutPrefix(m, "netstandard"); ok && isVersion(v) {
		return Framework{NETStandard, v}
	}
	v, ok := strings.CutPrefix(m, "net")
	switch {
	case !ok:
	case isVersion(v):
		return Framework{NETCoreApp, v}
	case len(v) >= 2 && len(v) <= 3 && !strings.ContainsFunc(v, func(r rune) bool { return r < '0' || r > '9' }): // net472
		return Framework{NETFramework, strings.Join(strings.Split(v, ""), ".")}
	}
	return Framework{}
}

func (t *Tree) modernProject(x *project, sdk, output string) {
	desktop, at := x.property("UseWPF", "UseWindowsForms", "UseWinUI")
	exe := strings.EqualFold(output, "Exe") || strings.EqualFold(output, "WinExe")
	service := x.refersTo("microsoft.extensions.hosting.windowsservices", "microsoft.aspnetcore.hosting.windowsservices", "topshelf")
	if service == nil && exe {
		if e := x.refersTo("system.serviceprocess.servicecontroller"); e != nil { // which asks for other services, too
			if file, _ := t.codeHolds(path.Dir(x.path), serviceCode(), ".cs", ".vb", ".fs"); file != "" {
				service = e
			}
		}
	}
	x.shared = "Microsoft.NETCore.App"
	aspnet := x.refersTo("microsoft.aspnetcore.app")
	switch {
	case strings.EqualFold(sdk, "Microsoft.NET.Sdk.Web") && !strings.EqualFold(output, "Library"):
		x.becomes, x.shared = KindASPNETCore, "Microsoft.AspNetCore.App"
	case strings.EqualFold(sdk, "Microsoft.NET.Sdk.BlazorWebAssembly"):
		x.becomes, x.shared, x.framework = KindStatic, "", Framework{}
	case exe && strings.EqualFold(output, "WinExe") && strings.EqualFold(desktop, "true"):
		x.becomes = KindDotNetDesktop
		x.evidence = append(x.evidence, line(x.path, at, at.name+" true")...)
	case service != nil && (exe || strings.EqualFold(sdk, "Microsoft.NET.Sdk.Worker")):
		x.becomes = KindDotNetService
		x.evidence = append(x.evidence, line(x.path, service, "refers to "+service.attr("Include"))...)
	case exe, strings.EqualFold(sdk, "Microsoft.NET.Sdk.Worker"):
		x.becomes = KindDotNetConsole
	}
	if x.becomes == KindDotNetConsole && aspnet != nil {
		x.shared = "Microsoft.AspNetCore.App"
	}
	if x.framework.Name == NETStandard {
		x.becomes = ""
	}
}

func (t *Tree) frameworkProject(x *project, output string) {
	exe := strings.EqualFold(output, "Exe") || strings.EqualFold(output, "WinExe")
	switch {
	case x.web:
		x.becomes = KindASPNET
		pages, services := t.pagesOf(path.Dir(x.path))
		if services && !pages {
			x.becomes = KindWCF
		} else if _, mostly := t.mostlyASP(); mostly && !pages && !services && path.Dir(x.path) == "." {
			x.becomes = "" // an editor's list of the pages of classic ASP, with nothing to compile
		}
		return
	case !exe:
		return
	}
	x.becomes = KindNetFXConsole
	if x.refersTo("system.serviceprocess", "topshelf") != nil {
		if file, number := t.codeHolds(path.Dir(x.path), serviceCode(), ".cs", ".vb"); file != "" {
			x.becomes = KindNetFXService
			x.evidence = append(x.evidence, Evidence{Path: file, Line: number, Detail: "a Windows service in its code"})
			return
		}
	}
	if strings.EqualFold(output, "WinExe") {
		if e := x.refersTo("system.windows.forms", "presentationframework"); e != nil {
			x.becomes = KindNetFXDesktop
			x.evidence = append(x.evidence, line(x.path, e, "refers to "+e.attr("Include"))...)
		} else if use, at := x.property("UseWPF", "UseWindowsForms"); strings.EqualFold(use, "true") {
			x.becomes = KindNetFXDesktop
			x.evidence = append(x.evidence, line(x.path, at, at.name+" true")...)
		}
	}
}

// pagesOf says whether a project has pages or controllers, and services of WCF.
func (t *Tree) pagesOf(dir string) (pages, services bool) {
	for f := range t.withExt(".aspx", ".cshtml", ".vbhtml", ".asmx", ".ashx", ".svc") {
		if inFolder(f.path(), dir) {
			services = services || f.ext() == ".svc"
			pages = pages || f.ext() != ".svc"
		}
	}
	if !pages {
		file, _ := t.codeHolds(dir, webCode(), ".cs", ".vb")
		pages = file != ""
	}
	return pages, services
}

// codeHolds finds code of a project, and its line, in files of the endings. Folders of
// other projects below are theirs.
func (t *Tree) codeHolds(dir string, code *regexp.Regexp, exts ...string) (file string, number int) {
	var others []string
	for f := range t.withExt(projectExts...) {
		if inFolder(f.path(), dir) && !strings.EqualFold(f.dir.path, dir) {
			others = append(others, f.dir.path)
		}
	}
	seen := 0
	for f := range t.withExt(exts...) {
		p := f.path()
		if !inFolder(p, dir) || strings.Contains("/"+strings.ToLower(p), "/obj/") || slices.ContainsFunc(others, func(o string) bool { return inFolder(p, o) }) {
			continue
		}
		if seen++; seen > maxSources {
			break
		}
		data := t.head(p, 256<<10)
		if m := code.FindIndex(data); m != nil {
			return p, lineAt(data, int64(m[0]))
		}
	}
	return "", 0
}

// projectExts are the endings of projects of MSBuild.
var projectExts = []string{".csproj", ".vbproj", ".fsproj", ".vcxproj"}

var (
	serviceCode = pattern(`\bServiceBase\b|\bHostFactory\.|\bTopshelfExitCode\b`)
	webCode     = pattern(`ApiController|System\.Web\.Mvc|: Controller`)
)

// detectProjects finds what has to be compiled first, and what it becomes.
func detectProjects(t *Tree) []Fact {
	if t.hasDLLs("bin") || t.programDepth() == 0 {
		return nil // what was built says more
	}
	var all []*project
	for f := range t.withExt(projectExts...) {
		if len(all) == maxProjects {
			t.problem(f.path(), fmt.Sprintf("more than %d projects: this one and later ones were not looked at", maxProjects))
			break
		}
		low := "/" + strings.ToLower(f.path())
		if strings.Contains(low, "/node_modules/") || strings.Contains(low, "/obj/") {
			continue
		}
		if x := t.readProject(f.path()); x != nil {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		all = t.otherProjects()
	}
	all = append(all, t.oldProjects()...)
	deployable := slices.DeleteFunc(slices.Clone(all), func(x *project) bool { return x.becomes == "" || x.test })
	if apps := slices.DeleteFunc(slices.Clone(deployable), (*project).aside); len(apps) > 0 {
		deployable = apps
	}
	source := "source-tree"
	if t.projectDepth() < t.programDepth() && t.programDepth() < noDepth || slices.ContainsFunc(deployable, func(x *project) bool { return x.web }) {
		source = "source-above" // programs are what it was built to, or tools of the build; pages are not compiled yet
	}
	var facts []Fact
	for _, x := range all {
		what := string(x.becomes)
		switch {
		case x.test:
			what = "test"
		case what == "":
			what = "library"
		case !slices.Contains(deployable, x):
			what = "tool or sample (" + what + ")"
		}
		ev := x.evidence
		if len(ev) == 0 {
			ev = []Evidence{{Path: x.path, Line: 1, Detail: "a project"}}
		}
		facts = append(facts, Fact{Key: "project", Value: x.path + ": " + what, Evidence: ev})
	}
	for _, x := range deployable {
		facts = append(facts, Fact{Key: "kind", Value: string(KindSource), source: source, about: x.path, Evidence: x.evidence, item: &stack{source: x}})
	}
	return facts
}

// takeSource makes the application the one that a project becomes.
func (r *resolution) takeSource(x *project) {
	r.app.Becomes, r.app.Framework, r.app.Architecture = x.becomes, x.framework, x.arch
	if x.framework.Name != "" {
		r.framework = x.framework.Name + " " + x.framework.Version
		r.derive("framework", r.framework, "", x.evidence, x.framework)
	}
	if x.framework.Name == NETCoreApp && x.shared != "" {
		need := SharedFramework{Name: x.shared, Version: x.framework.Version + ".0", Evidence: x.evidence}
		r.derive("shared-framework", x.shared+" "+need.Version, "", x.evidence, need)
	}
	if x.arch == X86 {
		r.derive("architecture", X86, "", x.evidence, nil)
	}
	if strings.HasPrefix(string(x.becomes), "native-") && slices.Contains([]string{".vcxproj", ".dpr", ".vbp", ".toml"}, strings.ToLower(path.Ext(x.path))) {
		r.derive("native-source", x.path, "", x.evidence, FamilyNeed{Family: FamilyServerCore, Evidence: x.evidence,
			Why: "which DLLs a native program imports shows once it is built, so Nano Server is not proven"})
	}
	if x.open != "" {
		r.derive("project-open", x.path, "", x.evidence, map[string]string{"what": x.open})
	}
	if name := runtimeOf[x.becomes]; name != "" {
		r.needs.Runtime = &Runtime{Name: name, Version: x.runs, Evidence: x.evidence}
	}
	r.derive("source-becomes", string(x.becomes), "", x.evidence, map[string]string{"project": x.path, "build": x.build()})
}

// aspireSDK is the element that names the SDK of .NET Aspire's hosts.
func aspireSDK(root *element) *element {
	for _, e := range append(childrenOf(root, "Sdk"), root) {
		if strings.HasPrefix(e.attr("Name"), "Aspire.AppHost.Sdk") || strings.HasPrefix(e.attr("Sdk"), "Aspire.AppHost.Sdk") {
			return e
		}
	}
	return nil
}
