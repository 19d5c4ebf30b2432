package detect

import (
	"path"
	"slices"
	"strings"
)

// phpStart is what begins code of PHP in a page.
var phpStart = pattern(`<\?(?:php\b|=)`)

// phpAside are folders whose pages belong to a library, its demonstrations or its tests.
var phpAside = []string{"/vendor/", "/node_modules/", "/tests/", "/test/", "/demo/", "/demos/", "/example/", "/examples/", "/docs/", "/site-packages/"}

// phpFlavors are applications that a file gives away.
var phpFlavors = []struct{ file, flavor string }{
	{"wp-includes/version.php", "wordpress"}, {"wp-load.php", "wordpress"}, {"artisan", "laravel"}, {"core/lib/Drupal.php", "drupal"}, {"symfony.lock", "symfony"},
	{"libraries/src/Version.php", "joomla"},
}

// detectPHP finds sites of PHP.
func detectPHP(t *Tree) []Fact {
	ev := t.phpStartPage()
	for f := range t.withExt(".php") {
		if ev != nil {
			break
		}
		p := f.path()
		low := "/" + strings.ToLower(p)
		if slices.ContainsFunc(phpAside, func(dir string) bool { return strings.Contains(low, dir) }) {
			continue
		}
		text := t.head(p, headBytes)
		if m := phpStart().FindIndex(text); m != nil {
			ev = append(ev, Evidence{Path: p, Line: lineAt(text, int64(m[0])), Detail: "a page with code of PHP"})
			break
		}
	}
	if len(ev) == 0 || t.depth(path.Dir(ev[0].Path)) > t.aspDepth() {
		return nil // none, or an editor that a site of classic ASP holds in all its languages
	}
	rt := t.runtimeIn(RuntimePHP, "php-cgi.exe")
	if rt == nil {
		rt = t.runtimeIn(RuntimePHP, "php.exe")
	}
	if rt == nil {
		rt = &Runtime{Name: RuntimePHP, Evidence: ev}
		if p := t.find("composer.json"); p != "" {
			if n := t.readJSON(p, "which PHP it asks for is unknown").get("require", "php"); n.string() != "" {
				rt.Version = clean(n.string())
				rt.Evidence = []Evidence{{Path: p, Line: n.line, Detail: "require php " + clean(n.string())}}
			}
		}
	}
	facts := stackFacts(KindPHP, "stack", nil, rt, ev)
	facts = append(facts, t.composerMissing()...)
	facts = append(facts, t.phpSiteBelow(ev)...)
	facts = append(facts, t.phpFrontEnd()...)
	facts = append(facts, t.phpSettings()...)
	known := ""
	for _, row := range phpFlavors {
		if f := t.find(row.file); f != "" && row.flavor != known {
			known = row.flavor
			facts = append(facts, Fact{Key: "stack-flavor", Value: row.flavor, source: string(KindPHP), Evidence: []Evidence{{Path: f, Line: 1, Detail: "a file of " + row.flavor}}})
		}
	}
	for _, c := range t.webConfigs() {
		sections(t.readXML(c, webConfigUnknown), func(section string, e *element) {
			exe, _, _ := strings.Cut(e.attr("scriptProcessor"), "|")
			if section == "system.webServer/handlers/add" && strings.EqualFold(e.attr("modules"), "FastCgiModule") &&
				strings.HasPrefix(programName(exe), "php") {
				facts = append(facts, Fact{Key: "php-cgi", Value: clean(exe), source: string(KindPHP), Evidence: line(c, e, "FastCGI with "+exe)})
			}
		})
	}
	return facts
}

// aspCode is what begins code of classic ASP in a page.
var aspCode = pattern(`<%|(?i:<script[^>]+runat\s*=\s*["']?server)`)

// detectASP finds sites of classic ASP: pages with code. Beside ASP.NET on .NET
// Framework they are a part of that site.
func detectASP(t *Tree) []Fact {
	for f := range t.withExt(".asp", ".asa") {
		p := f.path()
		text := t.head(p, headBytes)
		m := aspCode().FindIndex(text)
		if m == nil {
			continue
		}
		ev := []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: "a page with code of classic ASP"}}
		helper, mostly := t.mostlyASP()
		if !mostly {
			return stackFacts(KindClassicASP, "stack", nil, nil, ev)
		}
		facts := stackFacts(KindClassicASP, "asp-site", nil, nil, ev)
		if helper != "" {
			beside := []Evidence{{Path: helper, Line: 1, Detail: "a page of ASP.NET beside those of classic ASP"}}
			facts = append(facts, Fact{Key: "iis-feature", Value: "aspnet45", Evidence: beside, item: Need{ID: "aspnet45", Evidence: beside,
				Why: "a few pages of ASP.NET stand beside those of classic ASP"}})
		}
		return facts
	}
	return nil
}

// manyPages is how many pages of classic ASP have to come on each of ASP.NET, or alone,
// for a site to be one of classic ASP with helpers.
const manyPages = 10

// mostlyASP says whether a site is one of classic ASP, whatever a few pages of ASP.NET,
// applets or editors of many languages lie in it; and a page of ASP.NET that it has.
func (t *Tree) mostlyASP() (helper string, mostly bool) {
	for _, start := range []string{"Global.asax", "default.aspx", "index.php"} {
		if t.find(start) != "" {
			return "", false
		}
	}
	pages, others := 0, 0
	for f := range t.withExt(".asp", ".aspx", ".asmx", ".ashx", ".svc") {
		switch {
		case passedOver(f.dir.key):
		case f.ext() == ".asp":
			pages++
		default:
			if others++; helper == "" {
				helper = f.path()
			}
		}
	}
	top := t.find("global.asa")
	for f := range t.withExt(".asp") {
		if f.top() {
			top = f.name
		}
		break // those of the root come first
	}
	return helper, top != "" && pages >= manyPages*max(others, 1)
}

// aspDepth is how deep the first page with code of classic ASP lies, noDepth where
// there is none.
func (t *Tree) aspDepth() int {
	for f := range t.withExt(".asp", ".asa") {
		if aspCode().Match(t.head(f.path(), headBytes)) {
			return t.depth(f.dir.path)
		}
	}
	return noDepth
}
