package detect

import (
	"path"
	"slices"
	"strings"
)

// otherStacks are files that belong to something winpack does not tell apart
// yet. Each is a sign; none is proof of a kind.
var otherStacks = []struct {
	exts, names []string
	what        string
	deep        bool // counts below the root too
}{
	{names: []string{"package.json"}, what: "a Node.js package"},
	{names: []string{"server.js", "app.js", "index.js", "server.mjs"}, what: "JavaScript that may be a server"},
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
	{exts: []string{".appref-ms", ".application"}, what: "a ClickOnce deployment"},
	{exts: []string{".msi", ".msix", ".appx"}, what: "an installer"},
}

var sourceExts = []string{".sln", ".slnx", ".csproj", ".vbproj", ".fsproj", ".vcxproj", ".esproj"}

var codeExts = []string{".cs", ".vb", ".fs", ".c", ".cpp", ".cc", ".go", ".rs"}

var indexNames = []string{"index.html", "index.htm", "default.htm", "default.html", "iisstart.htm"}

// detectStatic finds sites that are files only, and signs of what is no kind of
// its own yet.
func detectStatic(t *Tree) []Fact {
	facts := t.signs()
	index := ""
	for _, n := range indexNames {
		if p := t.find(n); p != "" {
			index = p
			break
		}
	}
	if index == "" {
		return facts
	}
	head := strings.ToLower(string(t.head(index, headBytes)))
	if !strings.Contains(head, "<html") && !strings.Contains(head, "<!doctype html") && !strings.Contains(head, "<body") && !strings.Contains(head, "<head") {
		return append(facts, Fact{Key: "sign", Value: index + " holds no HTML", Evidence: []Evidence{{Path: index, Line: 1, Detail: "neither <html> nor <!doctype html> in the first bytes"}}})
	}
	for _, f := range facts {
		if f.source != "" {
			return facts // it may be the front end of something else
		}
	}
	return append(facts, Fact{Key: "kind", Value: string(KindStatic), source: "site-static",
		Evidence: []Evidence{{Path: index, Line: 1, Detail: "an HTML page that a web server shows first, and no code for a server"}}})
}

// signs lists what else was seen. A source of "other-stack" or "source-tree"
// keeps the folder from being called by a weaker kind.
func (t *Tree) signs() []Fact {
	var facts []Fact
	sign := func(p, what, source string) {
		ev := []Evidence{{Path: p, Line: 1, Detail: "a sign of " + what}}
		facts = append(facts, Fact{Key: "sign", Value: what + ": " + p, source: source, Evidence: ev})
		facts = append(facts, Fact{Key: "kind", Value: string(KindUnknown), source: source, Evidence: ev})
	}
	byExt := map[string]int{}
	for i, row := range otherStacks {
		for _, e := range row.exts {
			byExt[e] = i
		}
		for _, n := range row.names {
			if p := t.find(n); p != "" {
				sign(p, row.what, "other-stack")
				break
			}
		}
	}
	seen := map[int]bool{}
	asp := false
	source := ""
	deep := t.programDepth() > 0 && t.programDepth() < maxDepth // a program far from the root may be a tool of the build
	for _, f := range t.files {
		ext := path.Ext(f.key)
		top := !strings.Contains(f.key, "/")
		if source == "" && (slices.Contains(sourceExts, ext) && (top || deep) || deep && slices.Contains(codeExts, ext)) {
			source = f.path
		}
		if i, ok := byExt[ext]; ok && !seen[i] && (top || otherStacks[i].deep) {
			seen[i] = true
			sign(f.path, otherStacks[i].what, "other-stack")
		}
		if ext == ".asp" && !asp { // beside ASP.NET, which decides the kind
			asp = true
			ev := []Evidence{{Path: f.path, Line: 1, Detail: "a page of classic ASP"}}
			facts = append(facts, Fact{Key: "iis-feature", Value: "asp", Evidence: ev, item: Need{ID: "asp", Why: "pages of classic ASP need the Windows feature", Evidence: ev}})
		}
	}
	built := t.hasDLLs("bin") || t.programDepth() == 0
	if source != "" && !built {
		sign(source, "a source tree that has to be compiled first", "source-tree")
	}
	for _, p := range t.webConfigs()[:min(1, len(t.webConfigs()))] {
		sections(t.readXML(p, webConfigUnknown), func(section string, e *element) {
			if section == "system.webServer/httpPlatform" || section == "system.webServer/iisnode" {
				facts = append(facts, Fact{Key: "sign", Value: section + " in " + p, source: "other-stack", Evidence: line(p, e, section)})
			}
			if section == "system.webServer/handlers/add" && (strings.EqualFold(e.attr("modules"), "iisnode") || strings.EqualFold(e.attr("modules"), "FastCgiModule")) {
				facts = append(facts, Fact{Key: "sign", Value: "handler through " + clean(e.attr("modules")), source: "other-stack", Evidence: line(p, e, "handler "+e.attr("name"))})
			}
		})
	}
	return facts
}
