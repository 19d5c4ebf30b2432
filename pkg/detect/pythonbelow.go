package detect

import (
	"path"
	"slices"
	"strings"
)

// maxPythonFolders bounds the folders in which a project of Python is looked for.
const maxPythonFolders = 200

// pythonRoots are names of files by which the root of a folder says that Python runs what
// lies below it.
var pythonRoots = append([]string{"Procfile", "wfastcgi.py", "ptvs_virtualenv_proxy.py", "runtime.txt"}, pythonProjects...)

// pythonBelow is an application below the root, where the root only says what it needs or
// how it is hosted: a project of Django, or the one script there that serves the web.
// Where the root says nothing, the folder of the project is the application. hosted is
// what its web.config says.
func (t *Tree) pythonBelow(hosted *pythonEntry) *pythonEntry {
	if hosted == nil && !slices.ContainsFunc(pythonRoots, func(n string) bool { return t.find(n) != "" }) {
		return nil
	}
	var projects, scripts []*pythonEntry
	seen := 0
	for _, d := range t.dirs[1:] {
		depth := t.depth(d.path)
		if depth > 2 || t.pythonAside(d) {
			continue
		}
		if seen++; seen > maxPythonFolders {
			break
		}
		if p := t.find(path.Join(d.path, "manage.py")); p != "" {
			if e := t.django(p); e != nil {
				projects = append(projects, e)
				continue
			}
		}
		if depth > 1 {
			continue
		}
		if e := t.webScript(d.path); e != nil {
			scripts = append(scripts, e)
		}
	}
	for _, found := range [][]*pythonEntry{projects, scripts} {
		if len(found) == 1 {
			return found[0]
		}
	}
	return nil
}

// pythonAside says whether a folder holds what goes with a project: tests, packages, an
// environment, the library of an interpreter.
func (t *Tree) pythonAside(d *dir) bool {
	return slices.ContainsFunc(strings.Split(d.key, "/"), func(n string) bool {
		return slices.Contains(notApps, n) || slices.Contains([]string{"site-packages", "env", "venv", ".venv", "static", "templates", "migrations", "lib", "frontend", "client"}, n)
	}) || t.find(path.Join(d.path, "pyvenv.cfg")) != "" || strings.Contains("/"+d.key+"/", "/lib/")
}

// webScript is the script of a folder that makes or serves an application for the web.
func (t *Tree) webScript(home string) *pythonEntry {
	for _, n := range pythonScripts {
		p := t.find(path.Join(home, n))
		if p == "" {
			continue
		}
		text := t.head(p, pageBytes)
		for _, m := range pythonImport().FindAllSubmatchIndex(text, 200) {
			name := string(text[m[2]:m[3]])
			if !slices.Contains(webModules, name) || wsgiApp().FindIndex(text) == nil && runs().FindIndex(text) == nil {
				continue
			}
			e := &pythonEntry{path: p, home: home, args: []string{windowsRelative(p)}, evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[2])), Detail: "imports " + name}}}
			if t.find(path.Join(home, "__init__.py")) != "" || pythonRelative().Match(text) {
				e.home = "." // a package, which is named from above
			}
			return t.served(e)
		}
	}
	return nil
}

// pythonRelative is an import of what lies in the same package.
var pythonRelative = pattern(`(?m)^\s*from\s+\.[\w.]*\s+import\b`)

// pythonPath tells Python where the modules of an application below the root lie, and
// packages that the folder brings in one of its own.
func (t *Tree) pythonPath(e *pythonEntry) {
	var dirs []string
	if e.home != "" && e.home != "." {
		dirs = append(dirs, windowsRelative(e.home))
	}
	if t.hasDir("site-packages") {
		dirs = append(dirs, "site-packages")
	}
	if len(dirs) == 0 || e.env["PYTHONPATH"] != "" {
		return
	}
	if e.env == nil {
		e.env = map[string]string{}
	}
	e.env["PYTHONPATH"] = strings.Join(dirs, ";")
}
