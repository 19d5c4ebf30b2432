package detect

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// otherStacks are files that belong to something winpack does not tell apart
// yet. Each is a sign; none is proof of a kind.
var otherStacks = []struct {
	exts, names []string
	what        string
	deep        bool   // counts below the root too
	remedy      string // empty for that of any other stack
}{
	{exts: []string{".php"}, what: "PHP", deep: true},
	{exts: []string{".asp", ".asa"}, what: "classic ASP", deep: true},
	{exts: []string{".py"}, what: "Python"},
	{names: []string{"requirements.txt", "pyproject.toml", "manage.py"}, what: "a Python project"},
	{exts: []string{".jar", ".war"}, what: "Java"},
	{exts: []string{".jsp"}, what: "Java server pages", deep: true},
	{names: []string{"nginx.conf", "conf/nginx.conf"}, what: "nginx"},
	{names: []string{"conf/httpd.conf"}, what: "Apache httpd"},
	{names: []string{"conf/server.xml"}, what: "Apache Tomcat"},
	{names: []string{"redis.windows.conf", "redis.conf"}, what: "Redis"},
	{exts: []string{".rb"}, what: "Ruby"},
	{exts: []string{".pl", ".cgi"}, what: "CGI scripts"},
	{exts: []string{".dtsx", ".ispac"}, what: "SQL Server Integration Services"},
	{names: []string{"host.json"}, what: "Azure Functions"},
	{exts: []string{".appref-ms", ".application"}, what: "a ClickOnce deployment",
		remedy: "Give winpack the program itself: the folder below Application Files, without the ending .deploy of its files."},
	{exts: []string{".msi", ".msix", ".appx"}, what: installer,
		remedy: "Install it on a Windows machine and give winpack the folder that it fills; what it writes elsewhere, as into the registry, does not come along."},
}

const installer = "an installer"

var sourceExts = []string{".sln", ".slnx", ".csproj", ".vbproj", ".fsproj", ".vcxproj", ".esproj"}

var codeExts = []string{".cs", ".vb", ".fs", ".c", ".cpp", ".cc", ".go", ".rs"}

var indexNames = []string{"index.html", "index.htm", "default.htm", "default.html", "iisstart.htm"}

// detectStatic finds sites that are files only, and signs of what is no kind of
// its own yet.
func detectStatic(t *Tree) []Fact {
	if t.empty() {
		return []Fact{{Key: "empty", Value: "no file", Evidence: []Evidence{{Path: ".", Detail: "the folder holds no file"}}}}
	}
	facts := append(t.signs(), t.leftoverSigns()...)
	index := ""
	for _, n := range indexNames {
		if p := t.find(n); p != "" {
			index = p
			break
		}
	}
	if index == "" {
		index = t.servedBelow()
	}
	if index == "" {
		return append(facts, t.sitesBelow()...)
	}
	if !t.isHTML(index) {
		return append(facts, signFact(index+" shows no HTML in its first 4 KB", "Look at that page: a site of files needs a start page of HTML.",
			Evidence{Path: index, Line: 1, Detail: "no element of HTML in the first 4 KB"}))
	}
	for _, f := range facts {
		if f.source != "" {
			return facts // it may be the front end of something else
		}
	}
	facts = append(facts, t.downloads()...)
	facts = append(facts, t.pageFlavors(index)...)
	return append(facts, Fact{Key: "kind", Value: string(KindStatic), source: "site-static",
		Evidence: []Evidence{{Path: index, Line: 1, Detail: "an HTML page that a web server shows first, and no code for a server"}}})
}

// isHTML says whether a page holds HTML: the declaration, or elements of it. Browsers
// take a page without <html> too.
func (t *Tree) isHTML(p string) bool { return htmlElement().Match(t.head(p, headBytes)) }

var htmlElement = pattern(`(?i)<!doctype\s+html|<(html|head|body|title|meta|link|script|style|h[1-6]|p|div|main|section|article|header|nav|table|form|ul|ol|a|img|span|br|center|font|frameset|iframe)(\s[^<]*)?/?>`)

// sitesBelow are signs of sites of files in the folders below, where nothing else
// is there that would start.
func (t *Tree) sitesBelow() []Fact {
	if t.programDepth() < noDepth || t.siteRoot() {
		return nil
	}
	var facts []Fact
	for _, d := range t.dirs {
		if len(facts) == maxSites {
			break
		}
		if t.depth(d.path) != 1 {
			continue
		}
		for _, n := range indexNames {
			if p := t.find(path.Join(d.path, n)); p != "" && t.isHTML(p) {
				facts = append(facts, siteBelow(d.path, Evidence{Path: p, Line: 1, Detail: "an HTML page that a web server shows first"}))
				break
			}
		}
	}
	return facts
}

// maxSites bounds how many sites below the folder are named.
const maxSites = 8

// Bounds of the pages in which links are looked for.
const (
	maxPages  = 32
	pageBytes = 256 << 10
)

// downloads are programs at the root that a page of the site links to.
func (t *Tree) downloads() []Fact {
	var facts []Fact
	var links map[string]Evidence
	for _, b := range t.binaries {
		if b.dir != "." || b.isDLL {
			continue
		}
		if links == nil {
			links = t.links()
		}
		if ev, ok := links[b.base]; ok {
			facts = append(facts, Fact{Key: "download", Value: b.path, Evidence: []Evidence{ev}})
		}
	}
	return facts
}

// links are the files that pages at the root link to, in lower case, each with
// the place of the first link.
func (t *Tree) links() map[string]Evidence {
	found := map[string]Evidence{}
	pages := 0
	for f := range t.withExt(".html", ".htm") {
		if !f.top() || pages == maxPages {
			continue
		}
		pages++
		text := t.head(f.name, pageBytes)
		for _, m := range link().FindAllSubmatchIndex(text, -1) {
			target, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(string(text[m[2]:m[3]]), "/"), "./"), "?")
			if unescaped, err := url.PathUnescape(target); err == nil {
				target = unescaped
			}
			target = strings.ToLower(target)
			if _, ok := found[target]; !ok && t.find(target) != "" {
				found[target] = Evidence{Path: f.name, Line: lineAt(text, int64(m[2])), Detail: "links to " + clean(t.find(target))}
			}
		}
	}
	return found
}

var link = pattern(`(?i)\bhref\s*=\s*["']?([^"'\s>]+)`)

// scripts are those at the root that run a server, or may: where no page is
// there that would load them, a name is a sign.
func (t *Tree) scripts() (p, why string) {
	page := slices.ContainsFunc(indexNames, func(n string) bool { return t.find(n) != "" })
	for _, n := range serverScripts {
		p := t.find(n)
		switch {
		case p == "":
		case nodeServer().Match(t.head(p, pageBytes)):
			return p, "a server in JavaScript"
		case !page:
			return p, "JavaScript that may be a server"
		}
	}
	return "", ""
}

// nodePackage says whether a package.json, in lower case and at the root, is that
// of something which Node.js runs. Packages of npm that only carry a file, like a
// program, name none.
func (t *Tree) nodePackage(p string) bool {
	root := t.readJSON(p, "what the package holds is unknown")
	for _, key := range []string{"main", "bin", "exports", "dependencies"} {
		if n := root.get(key); n != nil && (n.text != "" || len(n.values) > 0) {
			return true
		}
	}
	return root == nil || root.get("scripts", "start") != nil || t.find("node.exe") != "" || t.hasDir("node_modules") ||
		slices.ContainsFunc(serverScripts, func(n string) bool { return t.find(n) != "" })
}

// signFact is a thing that was seen of what has no kind of its own, and what to do
// about it where nothing else says what the application is.
func signFact(value, remedy string, ev ...Evidence) Fact {
	return Fact{Key: "sign", Value: value, Evidence: ev, item: signItem{remedy}}
}

type signItem struct{ remedy string }

func siteBelow(dir string, ev Evidence) Fact {
	return signFact("a site below the folder: "+dir, fmt.Sprintf("Give winpack the folder %s in place of the one above it.", clean(dir)), ev)
}

const (
	otherStackRemedy = "winpack makes no images of it yet: name a base image that has what runs it with --base, and the command that starts it as entrypoint in winpack.toml."
	sourceRemedy     = "Build it first (dotnet publish; msbuild /p:DeployOnBuild=true for a web project), and give winpack the folder with the result."
)

// signs lists what else was seen. A source of "other-stack" or "source-sign"
// keeps the folder from being called by a weaker kind.
func (t *Tree) signs() []Fact {
	var facts []Fact
	sign := func(p, what, source, remedy string) {
		f := signFact(what+": "+p, remedy, Evidence{Path: p, Line: 1, Detail: "a sign of " + what})
		f.source = source
		facts = append(facts, f, Fact{Key: "kind", Value: string(KindUnknown), source: source, Evidence: f.Evidence})
	}
	if p, what := t.scripts(); p != "" {
		sign(p, what, "other-stack", otherStackRemedy)
	}
	if p := t.find("package.json"); p != "" && t.nodePackage(p) {
		sign(p, "a Node.js package", "other-stack", otherStackRemedy)
	}
	byExt := map[string]int{}
	for i, row := range otherStacks {
		for _, e := range row.exts {
			byExt[e] = i
		}
		for _, n := range row.names {
			if p := t.find(n); p != "" {
				sign(p, row.what, "other-stack", cmp.Or(row.remedy, otherStackRemedy))
				break
			}
		}
	}
	seen := map[int]bool{}
	asp := false
	var links map[string]Evidence
	source := ""
	deep := t.programDepth() > 0 && t.programDepth() < noDepth // a program far from the root may be a tool of the build
	for f := range t.withExt(slices.Concat([]string{".asp"}, sourceExts, codeExts, slices.Collect(maps.Keys(byExt)))...) {
		ext, top := f.ext(), f.top()
		if source == "" && (slices.Contains(sourceExts, ext) && (top || deep) && !t.scriptSolution(f) || deep && slices.Contains(codeExts, ext)) {
			source = f.path()
		}
		if i, ok := byExt[ext]; ok && !seen[i] && (top || otherStacks[i].deep) {
			if otherStacks[i].what == installer {
				if links == nil {
					links = t.links()
				}
				if _, offered := links[strings.ToLower(f.path())]; offered {
					continue // it is for those who visit the site
				}
			}
			seen[i] = true
			sign(f.path(), otherStacks[i].what, "other-stack", cmp.Or(otherStacks[i].remedy, otherStackRemedy))
		}
		if ext == ".asp" && !asp { // beside ASP.NET, which decides the kind
			asp = true
			ev := []Evidence{{Path: f.path(), Line: 1, Detail: "a page of classic ASP"}}
			facts = append(facts, Fact{Key: "iis-feature", Value: "asp", Evidence: ev, item: Need{ID: "asp", Why: "pages of classic ASP need the Windows feature", Evidence: ev}})
		}
	}
	built := t.hasDLLs("bin") || t.programDepth() == 0
	if source != "" && !built {
		sign(source, "a source tree that has to be compiled first", "source-sign", sourceRemedy)
	}
	stack := func(value string, ev []Evidence) Fact {
		f := signFact(value, otherStackRemedy, ev...)
		f.source = "other-stack"
		return f
	}
	for _, p := range t.webConfigs()[:min(1, len(t.webConfigs()))] {
		sections(t.readXML(p, webConfigUnknown), func(section string, e *element) {
			if section == "system.webServer/httpPlatform" || section == "system.webServer/iisnode" {
				facts = append(facts, stack(section+" in "+p, line(p, e, section)))
			}
			if section == "system.webServer/handlers/add" && (strings.EqualFold(e.attr("modules"), "iisnode") || strings.EqualFold(e.attr("modules"), "FastCgiModule")) {
				facts = append(facts, stack("handler through "+clean(e.attr("modules")), line(p, e, "handler "+e.attr("name"))))
			}
		})
	}
	return facts
}

// servedBelow is the start page in wwwroot, where the web.config of the root rewrites
// each request to what lies there, as the SDK publishes Blazor WebAssembly.
func (t *Tree) servedBelow() string {
	index, config := t.find("wwwroot/index.html"), t.find("web.config")
	if index == "" || config == "" {
		return ""
	}
	served := false
	sections(t.readXML(config, webConfigUnknown), func(section string, e *element) {
		if section == "system.webServer/rewrite/rules/rule/action" && strings.EqualFold(e.attr("type"), "Rewrite") &&
			strings.HasPrefix(strings.ReplaceAll(strings.ToLower(e.attr("url")), `\`, "/"), "wwwroot/{r:") {
			served = true
		}
	})
	if !served {
		return ""
	}
	return index
}
