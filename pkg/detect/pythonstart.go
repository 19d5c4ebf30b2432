package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// procfile is what a Procfile serves: web: gunicorn MODULE:APP, or a script. Servers that
// do not run on Windows are replaced by those that do.
func (t *Tree) procfile() *pythonEntry {
	p := t.find("Procfile")
	if p == "" {
		return nil
	}
	number := 0
	for l := range strings.Lines(string(t.head(p, headBytes))) {
		number++
		command, ok := strings.CutPrefix(strings.TrimSpace(l), "web:")
		if !ok || hasSecret(command) {
			continue
		}
		words := commandLine(strings.ReplaceAll(strings.ReplaceAll(command, "${PORT}", "8000"), "$PORT", "8000"))
		if strings.Contains(strings.Join(words, " "), "$") {
			return nil // nothing replaces variables there
		}
		where := []Evidence{{Path: p, Line: number, Detail: mask("web: " + strings.TrimSpace(command))}}
		if len(words) == 0 {
			return nil
		}
		switch programName(words[0]) {
		case "python", "python3":
			if len(words) > 1 {
				if file := t.commandFile(".", words[1]); path.Ext(strings.ToLower(file)) == ".py" {
					return &pythonEntry{path: file, args: append([]string{windowsRelative(file)}, words[2:]...), evidence: where}
				}
			}
		case "gunicorn", "uvicorn", "waitress-serve", "hypercorn", "daphne":
			for _, w := range words[1:] {
				if !strings.Contains(w, ":") && wsgiModule().MatchString(w+":application") && t.find(strings.ReplaceAll(w, ".", "/")+".py") != "" {
					w += ":application" // as gunicorn takes it
				}
				if !wsgiModule().MatchString(w) {
					continue
				}
				module, _, _ := strings.Cut(w, ":")
				file := t.find(strings.ReplaceAll(module, ".", "/") + ".py")
				if file == "" {
					file = t.find(strings.ReplaceAll(module, ".", "/") + "/__init__.py")
				}
				if file == "" {
					continue
				}
				e := &pythonEntry{path: file, evidence: where}
				async := words[0] == "uvicorn" || words[0] == "hypercorn" || words[0] == "daphne" || strings.Contains(command, "UvicornWorker")
				e.args, e.missing = t.wsgiServer(".", strings.TrimSuffix(w, "()"), async)
				if strings.HasSuffix(w, "()") {
					e.args = called(e.args)
				}
				return e
			}
		}
		return nil
	}
	return nil
}

var wsgiModule = pattern(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\(\))?$`)

// webModules are packages that an application for the web is made with.
var webModules = []string{"flask", "fastapi", "django", "bottle", "tornado", "aiohttp", "cherrypy", "pyramid", "sanic", "starlette", "falcon", "waitress", "uvicorn"}

// flask is a script at the root, without a file that names what it needs, that imports
// what serves the web.
func (t *Tree) flask() *pythonEntry {
	for _, n := range pythonScripts {
		p := t.find(n)
		if p == "" {
			continue
		}
		text := t.head(p, pageBytes)
		for _, m := range pythonImport().FindAllSubmatchIndex(text, 200) {
			if name := string(text[m[2]:m[3]]); slices.Contains(webModules, name) {
				return t.served(&pythonEntry{path: p, args: []string{windowsRelative(p)},
					evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[2])), Detail: "imports " + name}}})
			}
		}
	}
	return nil
}

// served starts a script that only makes an application, as those for WSGI and ASGI
// do, by the server that the application names.
func (t *Tree) served(e *pythonEntry) *pythonEntry {
	text := t.head(e.path, pageBytes)
	m := wsgiApp().FindSubmatch(text)
	if m == nil || runs().Match(text) {
		return e
	}
	script, _ := within(e.path, cmp.Or(e.home, "."))
	module := strings.ReplaceAll(strings.TrimSuffix(script, path.Ext(script)), "/", ".") + ":" + string(m[1])
	async := slices.Contains([]string{"FastAPI", "Starlette", "get_asgi_application"}, string(m[2]))
	e.args, e.missing = t.wsgiServer(e.home, module, async)
	return e
}

// called makes the command of a server one for a function that makes the application.
func called(args []string) []string {
	if len(args) > 1 && args[1] == "waitress" {
		return slices.Insert(args, 2, "--call")
	}
	return args
}

// wsgiServer is the command that serves a module, by what the application names; where
// it names none that runs on Windows, missing says which would. home is its folder.
func (t *Tree) wsgiServer(home, module string, async bool) (args []string, missing string) {
	if f, _ := t.requires(home, "uvicorn"); f != "" && async {
		return []string{"-m", "uvicorn", module, "--host", "0.0.0.0", "--port", "8000"}, ""
	}
	if f, _ := t.requires(home, "hypercorn"); f != "" {
		return []string{"-m", "hypercorn", module, "--bind", "0.0.0.0:8000"}, ""
	}
	if async {
		return []string{"-m", "uvicorn", module, "--host", "0.0.0.0", "--port", "8000"}, "uvicorn"
	}
	if f, _ := t.requires(home, "waitress"); f != "" {
		missing = ""
	} else {
		missing = "waitress"
	}
	return []string{"-m", "waitress", "--listen=*:8000", module}, missing
}

// django is a project of Django, by its manage.py.
func (t *Tree) django(p string) *pythonEntry {
	text := t.head(p, pageBytes)
	home := path.Dir(p)
	m := djangoSettings().FindSubmatchIndex(text)
	if m == nil {
		return t.oldDjango(p, text)
	}
	settings := string(text[m[2]:m[3]])
	pkg, _, _ := strings.Cut(settings, ".")
	e := &pythonEntry{path: p, home: home, evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: "DJANGO_SETTINGS_MODULE " + settings}}}
	async := false
	if f, _ := t.requires(home, "uvicorn", "daphne", "hypercorn"); f != "" {
		async = t.find(path.Join(home, pkg, "asgi.py")) != ""
	}
	module := pkg + ".wsgi:application"
	if async {
		module = pkg + ".asgi:application"
	}
	e.args, e.missing = t.wsgiServer(home, module, async)
	return e
}

// oldDjango is a project of Django before 1.4, whose manage.py imports the settings and
// which has no module for WSGI (docs.djangoproject.com/en/1.4/releases/1.4).
func (t *Tree) oldDjango(p string, text []byte) *pythonEntry {
	m := djangoManager().FindIndex(text)
	home := path.Dir(p)
	if m == nil || t.find(path.Join(home, "settings.py")) == "" {
		return nil
	}
	e := &pythonEntry{path: p, home: home, env: map[string]string{"DJANGO_SETTINGS_MODULE": "settings"},
		evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: clean(string(text[m[0]:m[1]]))}}}
	e.args, e.missing = t.wsgiServer(home, "django.core.handlers.wsgi:WSGIHandler", false)
	e.args = called(e.args)
	return e
}

var djangoManager = pattern(`(?m)^\s*execute_manager\(settings\)`)

// flaskScript is a manage.py of Flask-Script, whose command runserver serves the
// application (flask-script.readthedocs.io, "Default commands").
func (t *Tree) flaskScript(p string) *pythonEntry {
	text := t.head(p, pageBytes)
	for _, m := range pythonImport().FindAllSubmatchIndex(text, 200) {
		if string(text[m[2]:m[3]]) == "flask_script" {
			return &pythonEntry{path: p, args: []string{windowsRelative(p), "runserver", "-h", "0.0.0.0", "-p", flaskPort},
				evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[2])), Detail: "imports flask_script"}}}
		}
	}
	return nil
}

// flaskPort is the one on which Flask's own server listens by default.
const flaskPort = "5000"

var (
	wsgiApp = pattern(`(?m)^(app|application|api)\s*=\s*(Flask|FastAPI|Starlette|Bottle|Sanic|get_wsgi_application|get_asgi_application|create_app|falcon\.App)\b`)
	runs    = pattern(`(?m)^\s*(?:\w+\.)*(?:run|serve|run_app|run_simple|run_forever|start)\(`)
)

// serverPortOf is the port of a command that serves a module: --port 8000, --listen=*:8000,
// --bind 0.0.0.0:8000. Empty where it is none of those.
func serverPortOf(args []string) string {
	if i := slices.Index(args, "runserver"); i >= 0 && len(args) > i+4 && args[i+3] == "-p" {
		return portOf(args[i+4])
	}
	if len(args) < 2 || args[0] != "-m" || !slices.Contains([]string{"uvicorn", "waitress", "hypercorn"}, args[1]) {
		return ""
	}
	for i, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !slices.Contains([]string{"--port", "--listen", "--bind"}, key) {
			continue
		}
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		return portOf(value)
	}
	return ""
}
