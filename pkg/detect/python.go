package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// pythonScripts are names that a program in Python has.
var pythonScripts = []string{"app.py", "main.py", "server.py", "run.py", "wsgi.py", "asgi.py", "application.py"}

// pythonProjects are files that name what a program in Python needs.
var pythonProjects = []string{"requirements.txt", "pyproject.toml", "Pipfile", "poetry.lock", "uv.lock", "setup.py", "setup.cfg", "environment.yml"}

var (
	pythonImport   = pattern(`(?m)^\s*(?:import|from)\s+([A-Za-z_]\w*)`)
	pythonMain     = pattern(`(?m)^if\s+__name__\s*==\s*["']__main__["']`)
	djangoSettings = pattern(`["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([A-Za-z_][\w.]*)["']`)
	pythonDLL      = pattern(`^python(\d)(\d{1,2})\.dll$`)
	pythonPort     = pattern(`\bport\s*=\s*(?:int\()?(?:os\.(?:environ\.get|getenv)\([^,()]*,\s*)?["']?(\d{2,5})\b`)
)

// pythonEntry is what python starts.
type pythonEntry struct {
	path     string // of the script that it is known by
	args     []string
	evidence []Evidence
	missing  string            // the server that it lacks
	home     string            // the folder from which its modules are named, where that is not the root
	env      map[string]string // what it is given
	version  string            // of Python, by the path of an interpreter on the server
	port     string            // on which the command has it listen, where the arguments do not tell
	open     bool              // what starts is not said, only that Python does
}

// detectPython finds applications that Python runs.
func detectPython(t *Tree) []Fact {
	e := t.pythonEntry()
	if e == nil {
		return nil
	}
	t.pythonPath(e)
	p := &Program{Path: e.path, Form: FormScript, Arguments: e.args, Env: e.env}
	rt := t.pythonRuntime(e)
	facts := stackFacts(KindPython, "stack", p, rt, e.evidence)
	if unix := t.unixServer(e, p.Path); unix != nil {
		facts = append(facts, unix...)
	} else if e.missing != "" {
		facts = append(facts, Fact{Key: "wsgi-server", Value: e.missing, about: p.Path, Evidence: e.evidence[:1]})
	}
	facts = append(facts, t.pythonFlavor(e)...)
	text := t.head(e.path, pageBytes)
	if m := pythonPort().FindSubmatchIndex(text); m != nil && portOf(string(text[m[2]:m[3]])) != "" {
		facts = append(facts, Fact{Key: "port", Value: string(text[m[2]:m[3]]), source: "server", about: p.Path,
			Evidence: []Evidence{{Path: e.path, Line: lineAt(text, int64(m[2])), Detail: clean(string(text[m[0]:m[1]]))}}})
	}
	if number := cmp.Or(serverPortOf(e.args), e.port); number != "" {
		facts = append(facts, Fact{Key: "port", Value: number, source: "arguments", about: p.Path, Evidence: e.evidence[:1]})
	}
	if f, l := t.firstRequirement(e.home); f != "" && !t.hasPackages() {
		install := "python -m pip install --target . -r " + clean(windowsRelative(f))
		if path.Base(f) != "requirements.txt" {
			install = "python -m pip install --target . ."
		}
		facts = append(facts, Fact{Key: "packages-missing", Value: "none of them", about: p.Path, item: map[string]string{"install": install},
			Evidence: []Evidence{{Path: f, Line: l, Detail: "names a package, and the folder has none"}}})
	}
	if v := t.find("pyvenv.cfg"); v != "" || t.venv() != "" {
		if v == "" {
			v = t.venv()
		}
		facts = append(facts, Fact{Key: "python-venv", Value: path.Dir(v), about: p.Path, Evidence: []Evidence{{Path: v, Line: 1, Detail: "a virtual environment, whose interpreter lies elsewhere"}}})
	}
	return facts
}

// unixServer is a server that an application names and that does not run on Windows:
// uWSGI, which cannot even be installed there, and gunicorn where nothing else is named.
func (t *Tree) unixServer(e *pythonEntry, program string) []Fact {
	for _, row := range []struct{ pkg, title string }{{"uwsgi", "uWSGI"}, {"gunicorn", "gunicorn"}} {
		f, l := t.requires(e.home, row.pkg)
		if f == "" || row.pkg == "gunicorn" && e.missing == "" {
			continue
		}
		return []Fact{{Key: "unix-server", Value: row.title, about: program, item: map[string]string{"server": cmp.Or(e.missing, "waitress")},
			Evidence: []Evidence{{Path: f, Line: l, Detail: "names " + row.title}}}}
	}
	return nil
}

// firstRequirement is the first package that requirements.txt names, or dependencies in
// pyproject.toml.
func (t *Tree) firstRequirement(home string) (file string, line int) {
	if p := t.projectFile(home, "requirements.txt"); p != "" {
		number := 0
		for l := range strings.Lines(string(t.head(p, 256<<10))) {
			number++
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "-") {
				return p, number
			}
		}
	}
	if p := t.projectFile(home, "pyproject.toml"); p != "" {
		text := t.head(p, 64<<10)
		if m := pythonNeeds().FindIndex(text); m != nil {
			return p, lineAt(text, int64(m[0]))
		}
	}
	return "", 0
}

var pythonNeeds = pattern(`(?m)^\s*dependencies\s*=\s*\[\s*["']`)

// hasPackages says whether packages of Python are in the folder: they bring a folder
// NAME.dist-info or NAME.egg-info, or lie in site-packages.
func (t *Tree) hasPackages() bool {
	return slices.ContainsFunc(t.dirs, func(d *dir) bool {
		base := path.Base(d.key)
		return base == "site-packages" || strings.HasSuffix(base, ".dist-info") || strings.HasSuffix(base, ".egg-info")
	})
}

// venv is the pyvenv.cfg of a virtual environment in the folder.
func (t *Tree) venv() string {
	for _, d := range t.dirs {
		if t.depth(d.path) == 1 {
			if p := t.find(path.Join(d.path, "pyvenv.cfg")); p != "" {
				return p
			}
		}
	}
	return ""
}

func (t *Tree) pythonRuntime(e *pythonEntry) *Runtime {
	for _, b := range t.binaries {
		if b.base != "python.exe" || !b.native() || t.find(path.Join(path.Dir(b.dir), "pyvenv.cfg")) != "" { // a launcher
			continue
		}
		for _, d := range t.dirs {
			if d.path != b.dir {
				continue
			}
			for _, f := range d.files {
				if m := pythonDLL().FindStringSubmatch(f.key); m != nil {
					dll := t.byName[strings.ToLower(d.in(f.name))]
					if dll == nil {
						continue
					}
					return &Runtime{Name: RuntimePython, Path: b.path, Version: m[1] + "." + m[2],
						Evidence: []Evidence{at(b.path, b.sub, "the folder brings Python"), at(dll.path, dll.sub, "python"+m[1]+m[2]+".dll")}}
				}
			}
		}
	}
	rt := &Runtime{Name: RuntimePython, Evidence: e.evidence}
	rt.Version, rt.Evidence = t.pythonVersion(e)
	return rt
}

var (
	pyvenvVersion = pattern(`(?m)^version(?:_info)?\s*=\s*(\d)\.(\d{1,2})`)
	requiresPy    = pattern(`(?m)^\s*requires-python\s*=\s*["']([^"'\r\n]{1,40})["']`)
	pyTag         = pattern(`\.cp(\d)(\d{1,2})-win`)
	pycTag        = pattern(`\.cpython-(\d)(\d{1,2})(?:\.opt-\d)?\.pyc$`)
	runtimeTxt    = pattern(`^\s*(?:python-)?(\d)\.(\d{1,2})`)
)

// pythonVersion is what says for which Python the application was installed or asks.
func (t *Tree) pythonVersion(e *pythonEntry) (string, []Evidence) {
	for _, p := range []string{t.find("pyvenv.cfg"), t.venv()} {
		if p == "" {
			continue
		}
		text := t.head(p, headBytes)
		if m := pyvenvVersion().FindSubmatchIndex(text); m != nil {
			return string(text[m[2]:m[3]]) + "." + string(text[m[4]:m[5]]), []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: clean(string(text[m[0]:m[1]]))}}
		}
	}
	for f := range t.withExt(".pyd", ".pyc") {
		for _, re := range []func(string) []string{pyTag().FindStringSubmatch, pycTag().FindStringSubmatch} {
			if m := re(f.base); m != nil {
				return m[1] + "." + m[2], []Evidence{{Path: f.path(), Line: 1, Detail: "its name says for which Python it was made"}}
			}
		}
	}
	if p := t.projectFile(e.home, "pyproject.toml"); p != "" {
		text := t.head(p, 64<<10)
		if m := requiresPy().FindSubmatchIndex(text); m != nil {
			return clean(string(text[m[2]:m[3]])), []Evidence{{Path: p, Line: lineAt(text, int64(m[2])), Detail: clean(string(text[m[0]:m[1]]))}}
		}
	}
	for _, name := range []string{"runtime.txt", ".python-version"} {
		if p := t.projectFile(e.home, name); p != "" {
			if m := runtimeTxt().FindSubmatch(t.head(p, 64)); m != nil {
				return string(m[1]) + "." + string(m[2]), []Evidence{{Path: p, Line: 1, Detail: "asks for Python " + string(m[1]) + "." + string(m[2])}}
			}
		}
	}
	return e.version, e.evidence // of the interpreter that the server had, or nothing
}

// projectFile is a file that speaks of a project in a folder: there, or at the root.
func (t *Tree) projectFile(home, name string) string {
	if p := t.find(path.Join(home, name)); p != "" {
		return p
	}
	return t.find(name)
}

// requires finds a package in the files that name what the application needs: those of
// its folder, and of the root.
func (t *Tree) requires(home string, packages ...string) (file string, line int) {
	for _, name := range pythonProjects {
		p := t.projectFile(home, name)
		if p == "" {
			continue
		}
		text := t.head(p, 256<<10)
		number := 0
		for l := range strings.Lines(string(text)) {
			number++
			l = strings.ToLower(strings.TrimLeft(strings.TrimSpace(l), `"'[`))
			for _, want := range packages {
				if rest, ok := strings.CutPrefix(l, want); ok && (rest == "" || !strings.ContainsAny(rest[:1], "abcdefghijklmnopqrstuvwxyz0123456789-_.")) {
					return p, number
				}
			}
		}
	}
	return "", 0
}

// pythonEntry looks where it is said what starts.
func (t *Tree) pythonEntry() *pythonEntry {
	hosted := t.pythonInIIS()
	if hosted != nil && !hosted.open {
		return hosted
	}
	e := t.pythonStart()
	if e == nil {
		e = t.pythonBelow(hosted)
	}
	if hosted == nil || e == nil {
		return cmp.Or(e, hosted)
	}
	e.evidence, e.version = append(hosted.evidence, e.evidence...), hosted.version
	return e
}

// pythonStart looks in the root where it is said what starts.
func (t *Tree) pythonStart() *pythonEntry {
	for _, w := range t.wrappers() {
		if exe := programName(w.words[0]); exe != "python" && exe != "pythonw" || hasSecret(strings.Join(w.words, " ")) {
			continue
		}
		for _, word := range w.words[1:] {
			if p := t.commandFile(w.dir, word); path.Ext(strings.ToLower(p)) == ".py" {
				return &pythonEntry{path: p, args: append([]string{windowsRelative(p)}, w.words[slices.Index(w.words, word)+1:]...), evidence: w.evidence}
			}
		}
	}
	if p := t.find("manage.py"); p != "" {
		if e := t.django(p); e != nil {
			return e
		}
		if e := t.flaskScript(p); e != nil {
			return e
		}
	}
	if e := t.procfile(); e != nil {
		return e
	}
	project := ""
	for _, n := range pythonProjects {
		if project = t.find(n); project != "" {
			break
		}
	}
	if project == "" && t.find("pyvenv.cfg") == "" && t.venv() == "" && t.bundledPython() == "" {
		return t.flask()
	}
	for _, n := range pythonScripts {
		if p := t.find(n); p != "" {
			ev := []Evidence{{Path: p, Line: 1, Detail: "a script of Python that starts an application"}}
			if project != "" {
				ev = append(ev, Evidence{Path: project, Line: 1, Detail: "names what it needs"})
			}
			return t.served(&pythonEntry{path: p, args: []string{windowsRelative(p)}, evidence: ev})
		}
	}
	only := ""
	for f := range t.withExt(".py") {
		if f.top() && f.base != "setup.py" && f.base != "conftest.py" && !strings.HasPrefix(f.base, "test_") && !strings.HasPrefix(f.base, "_") {
			if only != "" {
				return nil
			}
			only = f.path()
		}
	}
	if only == "" {
		return nil
	}
	text := t.head(only, pageBytes)
	if m := pythonMain().FindIndex(text); m != nil {
		return &pythonEntry{path: only, args: []string{windowsRelative(only)}, evidence: []Evidence{{Path: only, Line: lineAt(text, int64(m[0])), Detail: `if __name__ == "__main__"`}}}
	}
	return nil
}

func (t *Tree) bundledPython() string {
	for _, b := range t.binaries {
		if b.base == "python.exe" && b.native() {
			return b.path
		}
	}
	return ""
}
