package detect

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
)

// oldNamespace is what Visual Studio 2005 wrote into web.config; later ones leave it out.
const oldNamespace = "http://schemas.microsoft.com/.NetConfiguration/v2.0"

const webConfigUnknown = "what the site asks of IIS and ASP.NET is unknown"

// webConfigs are the web.config files of the folder, that of the root first.
func (t *Tree) webConfigs() []string {
	var found []string
	for _, d := range t.dirs {
		if i, ok := d.search("web.config"); ok {
			found = append(found, d.in(d.files[i].name))
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	return found
}

// detectIIS reads what web.config files ask of IIS: features, modules, sections
// that the default applicationHost.config locks.
func detectIIS(t *Tree) []Fact {
	var facts []Fact
	for _, p := range t.webConfigs() {
		take := func(section string, e *element) {
			facts = append(facts, iisSection(p, section, e)...)
			facts = append(facts, aspnetSection(p, section, e)...)
		}
		if root := t.readXML(p, webConfigUnknown); root != nil && !strings.Contains(p, "/") && root.attr("xmlns") == oldNamespace {
			facts = append(facts, Fact{Key: "framework", Value: NETFramework + " 2.0", source: "web-config",
				Evidence: line(p, root, "the namespace of .NET Framework 2.0"), item: Framework{NETFramework, "2.0"}})
		}
		sections(t.readXML(p, webConfigUnknown), func(section string, e *element) {
			switch there, missing := t.sourced(p, e); {
			case missing:
				facts = append(facts, Fact{Key: "section-unknown", Value: section, Evidence: line(p, e, section+" is read from a file that is not in the folder")})
			case there != nil:
				walkSections(section, there, take)
			default:
				take(section, e)
			}
		})
		if broken := t.brokenConfig(p, "", "IIS answers every request of the site with 500.19"); broken != nil {
			facts = append(facts, broken...)
			if !strings.Contains(p, "/") {
				facts = append(facts, Fact{Key: "section-unknown", Value: "system.web/machineKey", Evidence: broken[0].Evidence})
			}
		}
	}
	return facts
}

// brokenConfig is a configuration file, read before, that is no XML, with what follows
// for whom it is about; nil where it is XML.
func (t *Tree) brokenConfig(p, about, then string) []Fact {
	at, ok := t.malformed[p]
	if !ok {
		return nil
	}
	return []Fact{{Key: "config-broken", Value: p, about: about, item: map[string]string{"then": then},
		Evidence: []Evidence{{Path: p, Line: at, Detail: "the XML breaks here"}}}}
}

func iisSection(p, section string, e *element) []Fact {
	var facts []Fact
	add := func(key, value, why, detail string) {
		ev := line(p, e, detail)
		facts = append(facts, Fact{Key: key, Value: value, Evidence: ev, item: Need{ID: value, Why: why, Evidence: ev}})
	}
	if !strings.HasPrefix(section, "system.webServer/") && !strings.HasPrefix(section, "system.applicationHost/") {
		return nil
	}
	d := iisData()
	for _, l := range d.Lock {
		if !slices.Contains(l.Sections, section) {
			continue
		}
		switch l.State {
		case "locked-without-aspnet":
			add("unlock", section, "applicationHost.config locks the section where ASP.NET is not installed: "+l.Result, section+" is set")
			facts[len(facts)-1].source = "without-aspnet"
		case "locked":
			add("unlock", section, "the default applicationHost.config locks the section: without unlocking it, "+l.Result, section+" is set")
		case "apphost-only":
			add("apphost-only", section, l.Result, section+" is set")
		}
	}
	for _, f := range d.Feature {
		if slices.Contains(f.Sections, section) && conditionHolds(e, f.When) {
			if why := because(section, f.When, f.Missing); f.Optional {
				add("iis-feature-optional", f.ID, why, section+" "+f.When)
			} else {
				add("iis-feature", f.ID, why, section+" "+f.When)
			}
		}
	}
	for _, m := range d.Module {
		if slices.Contains(m.Sections, section) {
			add("iis-module", m.ID, section+" needs "+m.Title+", which is not part of Windows", section+" is set")
		}
	}
	for _, r := range d.Setting {
		if slices.Contains(r.Sections, section) && conditionHolds(e, r.When) {
			name := strings.TrimPrefix(section, "system.webServer/")
			facts = append(facts, Fact{Key: "iis-setting", Value: strings.TrimSuffix(strings.TrimSuffix(name, "/add"), "/remove"),
				Evidence: line(p, e, section+" is set"), item: map[string]string{"why": r.Why}})
		}
	}
	switch section {
	case "system.webServer/modules/add", "system.webServer/handlers/add":
		facts = append(facts, iisModule(p, section, e)...)
	case "system.webServer/modules/remove", "system.webServer/modules/clear":
		if name := e.attr("name"); e.name == "clear" || containsFold(d.Modules.Locked, name) {
			tag := "clear/"
			if e.name == "remove" {
				tag = `remove name="` + maskValue(name) + `"/`
			}
			add("locked-module", tag, "native modules are registered with lockItem", "<"+tag+"> in modules")
		}
	case "system.webServer/httpErrors":
		if v, ok := e.lookup("defaultPath"); ok {
			add("http-errors-default-path", maskValue(v), "the attribute is locked", "httpErrors defaultPath="+v)
		}
	case "system.webServer/aspNetCore":
		if v := e.attr("processPath"); v != "" {
			pp := processPath{path: launcher(v), arguments: launcher(e.attr("arguments"))}
			shown := strings.TrimSpace(v + " " + e.attr("arguments"))
			if hasSecret(pp.arguments) {
				shown = v + " (its arguments hold a secret)"
				ev := line(p, e, "the arguments hold a secret (not shown)")
				facts = append(facts, Fact{Key: "secret", Value: "aspNetCore arguments", Evidence: ev},
					Fact{Key: "arguments-dropped", Value: "the arguments hold a secret, so that none of them goes into the image: give them to the container", Evidence: ev})
			}
			if _, args := pp.program(); len(args) > 0 {
				facts = append(facts, listeningArguments(args, line(p, e, "the arguments say where the program listens"))...)
			}
			facts = append(facts, Fact{Key: "process-path", Value: mask(shown), Evidence: line(p, e, "aspNetCore processPath="+v), item: pp})
		}
	case "system.webServer/rewrite/rules/rule/action":
		if u := e.attr("url"); strings.EqualFold(e.attr("type"), "Rewrite") && strings.Contains(u, "://") {
			add("iis-module", "arr", "a rewrite rule that passes requests on to another server needs Application Request Routing", "action type=Rewrite url="+u)
		}
	}
	return facts
}

// containsFold says whether a name is in a list, as IIS compares names of modules.
func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

// processPath is what the ASP.NET Core Module starts.
type processPath struct{ path, arguments string }

// launcher drops the placeholders that the SDK replaces when it publishes, and
// that stay where a web.config was copied from a project.
func launcher(s string) string {
	return strings.TrimSpace(strings.NewReplacer("%LAUNCHER_PATH%", "", "%LAUNCHER_ARGS%", "").Replace(s))
}

// program is the file that is started, and its arguments.
func (pp processPath) program() (file string, args []string) {
	args = commandLine(pp.arguments)
	file = strings.Trim(pp.path, `"`)
	if name := path.Base(strings.ToLower(strings.ReplaceAll(file, `\`, "/"))); (name == "dotnet" || name == "dotnet.exe") && len(args) > 0 {
		file, args = args[0], args[1:]
	}
	file, ok := winPath(file)
	if !ok || hasSecret(pp.arguments) {
		args = nil
	}
	return file, args
}

func because(section, when, missing string) string {
	s := section
	if when != "" {
		s += " " + when
	}
	s += " needs the Windows feature"
	if missing != "" {
		s += "; without it " + missing
	}
	return s
}

func conditionHolds(e *element, when string) bool {
	if when == "" {
		return true
	}
	name, want, _ := strings.Cut(when, "=")
	return strings.EqualFold(e.attr(name), want)
}

// iisModule judges a native module that web.config asks for by name.
func iisModule(p, section string, e *element) []Fact {
	names := []string{e.attr("name")}
	if section == "system.webServer/handlers/add" {
		names = strings.Split(e.attr("modules"), ",")
	} else if e.attr("type") != "" {
		return nil // managed
	}
	d := iisData()
	var facts []Fact
	for _, name := range names {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		known := containsFold(d.Modules.Builtin, name)
		add := func(key, value, why string) {
			known = true
			ev := line(p, e, "<add> in "+section+" names the native module "+name)
			facts = append(facts, Fact{Key: key, Value: value, Evidence: ev, item: Need{ID: value, Why: why, Evidence: ev}})
		}
		for _, f := range d.Feature {
			if containsFold(f.Modules, name) && f.ID != "asp" {
				add("iis-feature", f.ID, "the module "+name+" comes with the Windows feature")
			}
		}
		for _, m := range d.Module {
			if containsFold(m.Modules, name) {
				add("iis-module", m.ID, name+" is "+m.Title+", which is not part of Windows")
			}
		}
		if !known {
			add("unknown-module", maskValue(name), "no image has it")
		}
	}
	return facts
}

// classicOnly are settings of system.web that IIS refuses in an integrated app
// pool, unless system.webServer/validation turns the check off, with the error
// that it then answers (learn.microsoft.com/iis, "ASP.NET integration with IIS").
var classicOnly = map[string]string{
	"system.web/httpModules/add":  "system.web/httpModules (HTTP Error 500.22)",
	"system.web/httpHandlers/add": "system.web/httpHandlers (HTTP Error 500.23)",
}

// aspnetSection reads what system.web and its neighbours say.
func aspnetSection(p, section string, e *element) []Fact {
	fact := func(key, value, detail string) []Fact {
		return []Fact{{Key: key, Value: maskValue(value), Evidence: line(p, e, detail)}}
	}
	root := !strings.Contains(p, "/") && e.location == ""
	if what := classicOnly[section]; what != "" && root {
		return fact("classic-only", what, section+" is set")
	}
	switch section {
	case "system.web/compilation":
		var facts []Fact
		if v := strings.TrimPrefix(e.attr("targetFramework"), "v"); isNetFX(v) && root {
			facts = append(facts, Fact{Key: "framework", Value: NETFramework + " " + v, source: "web-config",
				Evidence: line(p, e, "compilation targetFramework="+v), item: Framework{NETFramework, v}})
		}
		if strings.EqualFold(e.attr("debug"), "true") {
			facts = append(facts, fact("debug", "true", "compilation debug=true")...)
		}
		return facts
	case "system.web/compilation/assemblies/add":
		name, _, _ := strings.Cut(e.attr("assembly"), ",")
		for _, v := range []string{"2.0", "3.0", "3.5"} {
			if root && vendor(strings.TrimSpace(name)) && strings.Contains(e.attr("assembly"), "Version="+v+".0.0") {
				return []Fact{{Key: "framework", Value: NETFramework + " " + v, source: "web-config",
					Evidence: line(p, e, "compiles against "+e.attr("assembly")), item: Framework{NETFramework, v}}}
			}
		}
	case "system.codedom/compilers/compiler/providerOption":
		if v := strings.TrimPrefix(e.attr("value"), "v"); root && e.attr("name") == "CompilerVersion" && (v == "2.0" || v == "3.5") {
			return []Fact{{Key: "framework", Value: NETFramework + " " + v, source: "web-config",
				Evidence: line(p, e, "CompilerVersion "+e.attr("value")), item: Framework{NETFramework, v}}}
		}
	case "system.web/httpRuntime":
		if v := strings.TrimPrefix(e.attr("targetFramework"), "v"); isNetFX(v) && root {
			return []Fact{{Key: "framework", Value: NETFramework + " " + v, source: "web-config",
				Evidence: line(p, e, "httpRuntime targetFramework="+v), item: Framework{NETFramework, v}}}
		}
	case "system.web/machineKey":
		if !root {
			return nil
		}
		if k := e.attr("validationKey"); k != "" && !strings.Contains(strings.ToLower(k), "autogenerate") {
			return fact("machine-key", "fixed", "machineKey has a fixed validationKey (not shown)")
		}
		return fact("machine-key", "generated", "machineKey is generated on each machine")
	case "system.web/authentication":
		return fact("authentication", strings.ToLower(e.attr("mode")), "authentication mode="+e.attr("mode"))
	case "system.web/sessionState":
		if m := e.attr("mode"); m != "" {
			host, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(e.attr("stateConnectionString")), "tcpip="), ":")
			if strings.EqualFold(m, "StateServer") && host != "" && host != "loopback" && !isLocal(host) {
				return fact("session-state", "StateServer of another machine", "sessionState mode=StateServer with the server "+clean(host))
			}
			return fact("session-state", m, "sessionState mode="+m)
		}
	case "system.webServer/validation":
		if strings.EqualFold(e.attr("validateIntegratedModeConfiguration"), "false") && root {
			return fact("integrated-validation", "off", "validation validateIntegratedModeConfiguration=false")
		}
	case "system.web/identity":
		if strings.EqualFold(e.attr("impersonate"), "true") {
			who := "the caller"
			if e.attr("userName") != "" {
				who = "a named account"
			}
			facts := fact("impersonation", who, "identity impersonate=true for "+who)
			if root {
				facts = append(facts, fact("classic-only", "system.web/identity impersonate=true (HTTP Error 500.24)", "identity impersonate=true")...)
			}
			return facts
		}
	}
	return nil
}

// directive is the first <%@ ... %> of a page or service file.
var (
	directive = pattern(`(?s)<%@\s*([A-Za-z]*)\s*(.*?)%>`)
	dirAttr   = pattern(`(?i)([a-z]+)\s*=\s*["']([^"']*)["']`)
)

// pageTypes says what a file that IIS hands to ASP.NET makes of a site.
var pageTypes = map[string]string{
	".aspx": "web-forms", ".ascx": "web-forms", ".master": "web-forms",
	".asmx": "asmx", ".ashx": "handlers", ".svc": "wcf", ".xamlx": "wcf",
}

func pageExts() []string { return slices.Collect(maps.Keys(pageTypes)) }

const headBytes = 4 << 10

// precompiledMarker is what aspnet_compiler leaves of a page that cannot be changed.
const precompiledMarker = "This is a marker file generated by the precompilation tool"

// detectPages reads the directives of pages and services: an extension alone is
// no proof of what a file is.
func detectPages(t *Tree) []Fact {
	facts := t.siteLayout()
	counts := map[string]int{}
	below := !t.siteRoot()
	for f := range t.withExt(pageExts()...) {
		flavor := pageTypes[f.ext()]
		if counts[flavor] >= 3 { // three of a kind prove enough
			continue
		}
		p := f.path()
		head := t.head(p, headBytes)
		m := directive().FindSubmatchIndex(head)
		if at := bytes.Index(head, []byte(precompiledMarker)); m == nil && at >= 0 && !below {
			counts[flavor]++
			ev := []Evidence{{Path: p, Line: lineAt(head, int64(at)), Detail: "the marker of a precompiled page"}}
			facts = append(facts, Fact{Key: "flavor", Value: flavor, Evidence: ev}, Fact{Key: "site", Value: flavor, Evidence: ev})
			continue
		}
		if m == nil {
			facts = append(facts, signFact(p+" has no directive", "Look at the file: a page or service of ASP.NET begins with a directive.",
				Evidence{Path: p, Line: 1, Detail: "no <%@ ... %> in the first bytes"}))
			continue
		}
		counts[flavor]++
		kind, attrs := string(head[m[2]:m[3]]), map[string]string{}
		for _, a := range dirAttr().FindAllStringSubmatch(string(head[m[4]:m[5]]), -1) {
			attrs[strings.ToLower(a[1])] = a[2]
		}
		ev := []Evidence{{Path: p, Line: lineAt(head, int64(m[0])), Detail: mask("directive " + kind)}}
		if flavor == "web-forms" && strings.Contains(attrs["inherits"], "System.Web.Mvc.") {
			flavor = "mvc"
		}
		facts = append(facts, Fact{Key: "flavor", Value: flavor, Evidence: ev})
		if attrs["codefile"] != "" || attrs["src"] != "" && strings.EqualFold(kind, "page") {
			facts = append(facts, Fact{Key: "flavor", Value: "web-site", Evidence: ev})
		}
		behind := attrs["codebehind"]
		if behind != "" && t.find(path.Join(f.dir.path, behind)) != "" && !t.hasDLLs("bin") {
			facts = append(facts, signFact("uncompiled "+p+" with its code in "+clean(behind), sourceRemedy, ev...))
			continue
		}
		if below {
			facts = append(facts, siteBelow(f.dir.path, ev[0]))
			continue
		}
		facts = append(facts, Fact{Key: "site", Value: flavor, Evidence: ev})
	}
	return facts
}

// siteRoot says whether the folder itself looks like the root of a site of
// ASP.NET, rather than a folder above one.
func (t *Tree) siteRoot() bool {
	if t.find("web.config") != "" || t.find("Global.asax") != "" || t.hasDLLs("bin") {
		return true
	}
	for f := range t.withExt(pageExts()...) {
		return f.top() // which come first
	}
	return false
}

func (t *Tree) hasDLLs(dir string) bool {
	return slices.ContainsFunc(t.byDir[strings.ToLower(dir)], func(b *image) bool { return b.isDLL })
}

// siteLayout tells sites without a project, which ASP.NET compiles as they are asked
// for, and precompiled ones.
func (t *Tree) siteLayout() []Fact {
	var facts []Fact
	for f := range t.withExt(".cs", ".vb") {
		if strings.HasPrefix(strings.ToLower(f.path()), "app_code/") {
			facts = append(facts, Fact{Key: "flavor", Value: "web-site", Evidence: []Evidence{{Path: f.path(), Line: 1, Detail: "code in App_Code, which ASP.NET compiles"}}})
			break
		}
	}
	if p := t.find("PrecompiledApp.config"); p != "" {
		if root := t.readXML(p, "whether the site is precompiled is unknown"); root != nil && root.name == "precompiledApp" {
			facts = append(facts, Fact{Key: "flavor", Value: "precompiled", Evidence: line(p, root, "precompiledApp updatable="+root.attr("updatable"))})
		}
	}
	return facts
}

// isNetFX says whether there is a .NET Framework of that version. A web.config may name
// another one, as where somebody wrote that of .NET there.
func isNetFX(v string) bool {
	return slices.ContainsFunc(frameworkData().NetFX, func(row netfxRow) bool { return row.Version == v })
}
