package detect_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// jarOf packs a Java archive: "name", "content" pairs; a content that starts with
// "class:" is a class for that Java.
func jarOf(t testing.TB, pairs ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i]) // deflated, as real ones are
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(pairs[i+1])
		if java, ok := strings.CutPrefix(pairs[i+1], "class:"); ok {
			version := 0
			fmt.Sscan(java, &version)
			data = fixtures.Class(strings.TrimSuffix(pairs[i], ".class"), version)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func runnable(t testing.TB, main, java string) string {
	return jarOf(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: "+main+"\r\n\r\n", strings.ReplaceAll(main, ".", "/")+".class", "class:"+java)
}

func command(r detect.Report) string {
	if r.App.Program == nil {
		return ""
	}
	return r.App.Program.Path + " < " + strings.Join(r.App.Program.Arguments, " ")
}

func runsOn(r detect.Report) string {
	if rt := r.Needs.Runtime; rt != nil {
		return strings.TrimSpace(rt.Name + " " + rt.Version)
	}
	return ""
}

func TestNodeStartsWhatTheFolderSays(t *testing.T) {
	const server = `require("http").createServer().listen(4000)`
	for name, c := range map[string]struct {
		files   []string
		command string // "" for no application of Node.js
		runtime string
	}{
		"start script":             {[]string{"package.json", `{"scripts":{"start":"node srv/x.js --port 3"}}`, "srv/x.js", ""}, `srv/x.js < srv\x.js --port 3`, "nodejs"},
		"without the ending":       {[]string{"package.json", `{"scripts":{"start":"node ."}}`, "index.js", ""}, `index.js < index.js`, "nodejs"},
		"through another script":   {[]string{"package.json", `{"scripts":{"start":"npm run go","go":"cross-env A=1 node a.js"}}`, "a.js", ""}, `a.js < a.js`, "nodejs"},
		"after a build":            {[]string{"package.json", `{"scripts":{"start":"tsc && node dist/a.js"}}`, "dist/a.js", ""}, `dist/a.js < dist\a.js`, "nodejs"},
		"a script of itself":       {[]string{"package.json", `{"scripts":{"start":"npm start"}}`}, "", ""},
		"a program of a package":   {[]string{"package.json", `{"scripts":{"start":"next start -p 80"}}`, "node_modules/next/package.json", `{"bin":{"next":"./dist/bin/next"}}`, "node_modules/next/dist/bin/next", "x"}, `node_modules/next/dist/bin/next < node_modules\next\dist\bin\next start -p 80`, "nodejs"},
		"a build tool":             {[]string{"package.json", `{"scripts":{"start":"vite"}}`, "node_modules/vite/package.json", `{"bin":"v.js"}`, "node_modules/vite/v.js", "x"}, "", ""},
		"a script that is gone":    {[]string{"package.json", `{"scripts":{"start":"node gone.js"}}`}, "", ""},
		"out of the folder":        {[]string{"package.json", `{"scripts":{"start":"node ../a.js"}}`, "a.js", ""}, "", ""},
		"main that serves":         {[]string{"package.json", `{"main":"lib/s.js"}`, "lib/s.js", server}, `lib/s.js < lib\s.js`, "nodejs"},
		"main of a library":        {[]string{"package.json", `{"main":"lib/s.js"}`, "lib/s.js", "module.exports = 1"}, "", ""},
		"server by its name":       {[]string{"server.js", server}, "server.js < server.js", "nodejs"},
		"engines":                  {[]string{"package.json", `{"scripts":{"start":"node a"},"engines":{"node":">=20 <23"}}`, "a.js", ""}, "a.js < a.js", "nodejs >=20 <23"},
		".nvmrc":                   {[]string{"server.js", server, ".nvmrc", "v22.3\n"}, "server.js < server.js", "nodejs 22.3"},
		"iisnode":                  {[]string{"web.config", `<configuration><system.webServer><handlers><add path="x/s.js" modules="iisnode"/></handlers></system.webServer></configuration>`, "x/s.js", ""}, `x/s.js < x\s.js`, "nodejs"},
		"HttpPlatformHandler":      {[]string{"web.config", `<configuration><system.webServer><httpPlatform processPath="C:\nodejs\node.exe" arguments="--max-old-space-size=99 .\s.js a"/></system.webServer></configuration>`, "s.js", ""}, `s.js < s.js a`, "nodejs"},
		"a secret on the line":     {[]string{"package.json", `{"scripts":{"start":"node a.js --password=hunter2x"}}`, "a.js", ""}, "", ""},
		"pipes are no command":     {[]string{"package.json", `{"scripts":{"start":"node a.js | pino-pretty"}}`, "a.js", ""}, "", ""},
		"a page's own scripts":     {[]string{"index.html", "<html>", "app.js", "window.x = 1"}, "", ""},
		"an entry of another site": {[]string{"sub/server.js", server}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			if is := r.App.Kind == detect.KindNode; is != (c.command != "") || is && (command(r) != c.command || runsOn(r) != c.runtime) {
				t.Errorf("got %s %q %q, want %q %q", r.App.Kind, command(r), runsOn(r), c.command, c.runtime)
			}
		})
	}
}

func TestPythonStartsWhatTheFolderSays(t *testing.T) {
	const manage = `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.prod")`
	for name, c := range map[string]struct {
		files   []string
		command string
		runtime string
	}{
		"script with requirements":   {[]string{"main.py", "print(1)", "requirements.txt", "requests"}, "main.py < main.py", "python"},
		"flask object":               {[]string{"app.py", "from flask import Flask\napp = Flask(__name__)\n", "requirements.txt", "flask"}, "app.py < -m waitress --listen=*:8000 app:app", "python"},
		"flask that runs itself":     {[]string{"app.py", "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(port=5001)\n"}, "app.py < app.py", "python"},
		"fastapi object":             {[]string{"main.py", "from fastapi import FastAPI\napi = FastAPI()\n", "requirements.txt", "fastapi\nuvicorn[standard]\n"}, "main.py < -m uvicorn main:api --host 0.0.0.0 --port 8000", "python"},
		"django":                     {[]string{"manage.py", manage, "shop/wsgi.py", "", "requirements.txt", "django\nwaitress"}, "manage.py < -m waitress --listen=*:8000 shop.wsgi:application", "python"},
		"django by asgi":             {[]string{"manage.py", manage, "shop/asgi.py", "", "requirements.txt", "django\nuvicorn"}, "manage.py < -m uvicorn shop.asgi:application --host 0.0.0.0 --port 8000", "python"},
		"another manage.py":          {[]string{"manage.py", "print(1)"}, "", ""},
		"one script that is a main":  {[]string{"sync.py", "if __name__ == \"__main__\":\n  go()\n", "requirements.txt", "x"}, "sync.py < sync.py", "python"},
		"two scripts":                {[]string{"a.py", "if __name__ == '__main__':\n x\n", "b.py", "if __name__ == '__main__':\n x\n", "requirements.txt", "x"}, "", ""},
		"a script alone":             {[]string{"tool.py", "print(1)"}, "", ""},
		"a library":                  {[]string{"setup.py", "setup()", "pkg/__init__.py", ""}, "", ""},
		"wfastcgi":                   {[]string{"web.config", `<configuration><appSettings><add key="WSGI_HANDLER" value="shop.wsgi.application"/></appSettings><system.webServer><handlers><add name="P" modules="FastCgiModule" scriptProcessor="C:\Python39\python.exe|C:\Python39\wfastcgi.py"/></handlers></system.webServer></configuration>`, "shop/wsgi.py", ""}, "shop/wsgi.py < -m waitress --listen=*:8000 shop.wsgi:application", "python 3.9"},
		"HttpPlatformHandler":        {[]string{"web.config", `<configuration><system.webServer><httpPlatform processPath="C:\py\python.exe" arguments="run.py --port %HTTP_PLATFORM_PORT%"/></system.webServer></configuration>`, "run.py", ""}, "run.py < run.py --port 8000", "python"},
		"HttpPlatform on a drive":    {[]string{"web.config", `<configuration><system.webServer><httpPlatform processPath="D:\home\Python364x64\python.exe" arguments="D:\home\site\wwwroot\run.py"/></system.webServer></configuration>`, "run.py", ""}, "run.py < run.py", "python 3.6"},
		"wfastcgi without a handler": {[]string{"web.config", `<configuration><system.webServer><handlers><add name="P" modules="FastCgiModule" scriptProcessor="C:\Python310\python.exe|C:\wfastcgi.py"/></handlers></system.webServer></configuration>`, "manage.py", manage, "shop/wsgi.py", ""}, "manage.py < -m waitress --listen=*:8000 shop.wsgi:application", "python 3.10"},
		"wfastcgi behind a proxy":    {[]string{"web.config", `<configuration><appSettings><add key="WSGI_ALT_VIRTUALENV_HANDLER" value="site1.make()"/><add key="WSGI_HANDLER" value="ptvs_virtualenv_proxy.get_venv_handler()"/></appSettings><system.webServer><handlers><add name="P" modules="FastCgiModule" scriptProcessor="D:\Python34\python.exe|D:\Python34\Scripts\wfastcgi.py"/></handlers></system.webServer></configuration>`, "site1.py", ""}, "site1.py < -m waitress --call --listen=*:8000 site1:make", "python 3.4"},
		"wfastcgi that names Django": {[]string{"web.config", `<configuration><appSettings><add key="WSGI_HANDLER" value="django.core.wsgi.get_wsgi_application()"/></appSettings><system.webServer><handlers><add name="P" modules="FastCgiModule" scriptProcessor="C:\py\python.exe|C:\wfastcgi.py"/></handlers></system.webServer></configuration>`, "src/manage.py", manage}, "src/manage.py < -m waitress --listen=*:8000 shop.wsgi:application", "python"},
		"wfastcgi and nothing else":  {[]string{"web.config", `<configuration><system.webServer><handlers><add name="P" modules="FastCgiModule" scriptProcessor="C:\py\python.exe|C:\wfastcgi.py"/></handlers></system.webServer></configuration>`}, "web.config < ", "python"},
		"django one folder below":    {[]string{"requirements.txt", "django", "src/manage.py", manage}, "src/manage.py < -m waitress --listen=*:8000 shop.wsgi:application", "python"},
		"django before 1.4":          {[]string{"requirements.txt", "django", "src/manage.py", "import settings\nif __name__ == '__main__':\n    execute_manager(settings)\n", "src/settings.py", ""}, "src/manage.py < -m waitress --call --listen=*:8000 django.core.handlers.wsgi:WSGIHandler", "python"},
		"two projects of django":     {[]string{"requirements.txt", "django", "a/manage.py", manage, "b/manage.py", manage}, "", ""},
		"django among the tests":     {[]string{"requirements.txt", "pytest", "tests/manage.py", manage, "venv/lib/x/manage.py", manage}, "", ""},
		"flask one folder below":     {[]string{"requirements.txt", "flask", "web/app.py", "from flask import Flask\napp = Flask(__name__)\n"}, "web/app.py < -m waitress --listen=*:8000 app:app", "python"},
		"fastapi in a package":       {[]string{"requirements.txt", "fastapi\nuvicorn", "app/__init__.py", "", "app/main.py", "from fastapi import FastAPI\napp = FastAPI()\n"}, "app/main.py < -m uvicorn app.main:app --host 0.0.0.0 --port 8000", "python"},
		"flask in two folders":       {[]string{"requirements.txt", "flask", "a/app.py", "from flask import Flask\napp = Flask(__name__)\n", "b/app.py", "from flask import Flask\napp = Flask(__name__)\n"}, "", ""},
		"a script below":             {[]string{"requirements.txt", "requests", "jobs/main.py", "import requests\n"}, "", ""},
		"a solution of Python":       {[]string{"Web.sln", "Project(\"{888888A0-9F3D-457C-B088-3A5042F75D52}\") = \"Web\", \"Web.pyproj\", \"{F476A789-794F-4412-B609-3382347F749D}\"\r\n", "Web.pyproj", "<Project/>", "requirements.txt", "flask", "app.py", "from flask import Flask\napp = Flask(__name__)\n"}, "app.py < -m waitress --listen=*:8000 app:app", "python"},
		"a solution with C#":         {[]string{"Web.sln", "Project(\"{888888A0-9F3D-457C-B088-3A5042F75D52}\") = \"Web\", \"Web.pyproj\", \"{F476A789-794F-4412-B609-3382347F749D}\"\r\nProject(\"{FAE04EC0-301F-11D3-BF4B-00C04F79EFBC}\") = \"Lib\", \"Lib.csproj\", \"{F476A789-794F-4412-B609-3382347F749E}\"\r\n", "requirements.txt", "flask", "app.py", "from flask import Flask\napp = Flask(__name__)\n"}, "", ""},

		"version by a compiled file":  {[]string{"main.py", "", "requirements.txt", "", "lib/_x.cp311-win_amd64.pyd", "x"}, "main.py < main.py", "python 3.11"},
		"version of the environment":  {[]string{"main.py", "", "requirements.txt", "", "venv/pyvenv.cfg", "home = C:\\Py\nversion = 3.9.13\n"}, "main.py < main.py", "python 3.9"},
		"version asked for":           {[]string{"main.py", "", "pyproject.toml", "[project]\nrequires-python = \">=3.10,<4\"\n"}, "main.py < main.py", "python >=3.10,<4"},
		"Procfile of gunicorn":        {[]string{"Procfile", "worker: x\nweb: gunicorn -w 4 shop.app:make() --log-file -\n", "shop/app.py", ""}, "shop/app.py < -m waitress --call --listen=*:8000 shop.app:make", "python"},
		"Procfile of a bare module":   {[]string{"Procfile", "web: gunicorn shop.wsgi --log-file -\n", "shop/wsgi.py", ""}, "shop/wsgi.py < -m waitress --listen=*:8000 shop.wsgi:application", "python"},
		"Procfile of a script":        {[]string{"Procfile", "web: python serve.py --port $PORT\n", "serve.py", ""}, "serve.py < serve.py --port 8000", "python"},
		"Procfile of something else":  {[]string{"Procfile", "web: bundle exec rails\n", "serve.py", ""}, "", ""},
		"requirement like the server": {[]string{"app.py", "app = Flask(__name__)", "requirements.txt", "waitress-helper\n"}, "app.py < -m waitress --listen=*:8000 app:app", "python"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			if is := r.App.Kind == detect.KindPython; is != (c.command != "") || is && (command(r) != c.command || runsOn(r) != c.runtime) {
				t.Errorf("got %s %q %q, want %q %q", r.App.Kind, command(r), runsOn(r), c.command, c.runtime)
			}
		})
	}
}

func TestJavaStartsWhatTheFolderSays(t *testing.T) {
	app := runnable(t, "com.x.Main", "17")
	library := jarOf(t, "org/lib/Util.class", "class:8")
	boot := jarOf(t, "META-INF/MANIFEST.MF", "Main-Class: org.springframework.boot.loader.JarLauncher\nStart-Class: com.x.A\n", "BOOT-INF/classes/com/x/A.class", "class:11", "BOOT-INF/lib/spring-web-6.jar", "x")
	war := jarOf(t, "WEB-INF/web.xml", "<web-app/>", "WEB-INF/classes/com/x/S.class", "class:8")
	for name, c := range map[string]struct {
		files   []string
		kind    detect.Kind
		command string
		runtime string
	}{
		"a jar with its libraries": {[]string{"app.jar", app, "lib/util.jar", library}, detect.KindJava, "app.jar < -jar app.jar", "java 17"},
		"a library that runs too":  {[]string{"app.jar", app, "lib/h2.jar", runnable(t, "org.h2.tools.Console", "8")}, detect.KindJava, "app.jar < -jar app.jar", "java 17"},
		"only libraries":           {[]string{"util.jar", library}, detect.KindUnknown, "", ""},
		"two programs":             {[]string{"a.jar", app, "b.jar", app}, detect.KindUnknown, "", ""},
		"two, one of them started": {[]string{"a.jar", app, "b.jar", app, "start.bat", "@rem x\r\n@\"%JAVA_HOME%\\bin\\java\" -Xmx1g -jar %~dp0b.jar %*\r\n"}, detect.KindJava, "b.jar < -Xmx1g -jar b.jar", "java 17"},
		"a class path":             {[]string{"lib/main.jar", library, "bin/run.cmd", "java -cp ..\\lib\\* com.x.Main start\r\n"}, detect.KindJava, `lib/main.jar < -cp lib\* com.x.Main start`, "java"},
		"a class path out of it":   {[]string{"main.jar", library, "bin/run.cmd", "java -cp ..\\..\\lib\\* com.x.Main start\r\n"}, detect.KindUnknown, "", ""},
		"a class path of the root": {[]string{"lib/main.jar", library, "run.cmd", "java -cp lib\\*;conf com.x.Main start >> log.txt\r\n"}, detect.KindJava, `lib/main.jar < -cp lib\*;conf com.x.Main start`, "java"},
		"Spring Boot":              {[]string{"a.jar", boot}, detect.KindJava, "a.jar < -jar a.jar", "java 11"},
		"a web archive":            {[]string{"a.war", war}, detect.KindTomcat, "a.war < ", "java 8"},
		"an unpacked one":          {[]string{"WEB-INF/web.xml", "<web-app/>", "WEB-INF/lib/x.jar", library, "index.jsp", "x"}, detect.KindTomcat, "WEB-INF/web.xml < ", "java"},
		"a web archive that runs":  {[]string{"a.war", jarOf(t, "META-INF/MANIFEST.MF", "Main-Class: org.springframework.boot.loader.WarLauncher\nStart-Class: com.x.A\n", "WEB-INF/classes/com/x/A.class", "class:17")}, detect.KindJava, "a.war < -jar a.war", "java 17"},
		"a zip that is none":       {[]string{"a.jar", "nothing"}, detect.KindUnknown, "", ""},
		"one deeper":               {[]string{"dist/a.jar", app}, detect.KindJava, `dist/a.jar < -jar dist\a.jar`, "java 17"},
		"a multi-release archive":  {[]string{"a.jar", jarOf(t, "META-INF/MANIFEST.MF", "Main-Class: m.M\nMulti-Release: true\n", "m/M.class", "class:8", "META-INF/versions/21/m/M.class", "class:21")}, detect.KindJava, "a.jar < -jar a.jar", "java 8"},
		"long manifest lines":      {[]string{"a.jar", jarOf(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: com.example.a.very.long.name.that.goes.over.seventy.t\r\n wo.Main\r\n", "com/example/a/very/long/name/that/goes/over/seventy/two/Main.class", "class:8")}, detect.KindJava, "a.jar < -jar a.jar", "java 8"},
		"a wrapper of a build":     {[]string{"gradlew.bat", "java -jar gradle\\wrapper\\gradle-wrapper.jar", "gradle/wrapper/gradle-wrapper.jar", library}, detect.KindUnknown, "", ""},
		"a server and a program":   {[]string{"server.js", `require("http")`, "a.jar", app}, detect.KindUnknown, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			if r.App.Kind != c.kind || command(r) != c.command || runsOn(r) != c.runtime {
				t.Errorf("got %s %q %q, want %s %q %q\n%v", r.App.Kind, command(r), runsOn(r), c.kind, c.command, c.runtime, r.Problems)
			}
			if c.kind == detect.KindUnknown && !slices.ContainsFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1002" || f.Rule == "WP1003" }) {
				t.Error("unknown, and nothing says what was seen")
			}
		})
	}
}

func TestPackagesThatAreNotInTheFolderAreTold(t *testing.T) {
	const server = `require("http")`
	for name, c := range map[string]struct {
		files []string
		told  bool
	}{
		"node without them":       {[]string{"server.js", server, "package.json", `{"dependencies":{"express":"4"}}`}, true},
		"node with them":          {[]string{"server.js", server, "package.json", `{"dependencies":{"express":"4"}}`, "node_modules/express/index.js", ""}, false},
		"node that needs none":    {[]string{"server.js", server, "package.json", `{"devDependencies":{"x":"4"}}`}, false},
		"python without them":     {[]string{"main.py", "", "requirements.txt", "# what it needs\n-i https://x\nflask\n"}, true},
		"python with them":        {[]string{"main.py", "", "requirements.txt", "flask\n", "Flask-3.dist-info/METADATA", ""}, false},
		"python in site-packages": {[]string{"main.py", "", "requirements.txt", "flask\n", "Lib/site-packages/flask/__init__.py", ""}, false},
		"python that needs none":  {[]string{"main.py", "", "requirements.txt", "# none\n"}, false},
		"php without them":        {[]string{"index.php", "<?php", "composer.json", `{"require":{"php":"^8.2","laravel/framework":"11"}}`}, true},
		"php with them":           {[]string{"index.php", "<?php", "composer.json", `{"require":{"laravel/framework":"11"}}`, "vendor/autoload.php", "<?php"}, false},
		"php in another folder":   {[]string{"index.php", "<?php", "composer.json", `{"config":{"vendor-dir":"lib/vendor"},"require":{"a/b":"1"}}`, "lib/vendor/autoload.php", "<?php"}, false},
		"php that needs none":     {[]string{"index.php", "<?php", "composer.json", `{"require":{"php":"^8.2","ext-mbstring":"*"}}`}, false},
		"python by its project":   {[]string{"main.py", "", "pyproject.toml", "[project]\ndependencies = [\n  \"flask\"]\n"}, true},
	} {
		if r := look(t, files(c.files...)); slices.Contains(rules(r), "WP1501") != c.told {
			t.Errorf("%s: %s %v, want told %t", name, r.App.Kind, rules(r), c.told)
		}
	}
}

func TestNativePackagesOfNodeAreLookedAt(t *testing.T) {
	m := with(t, files("server.js", `require("http")`, "node_modules/a/build/Release/a.node", "\x7fELF", "node_modules/b/prebuilds/linux-x64/b.node", "\x7fELF"), "node_modules/c/c.node", "native-console/sum.exe")
	r := look(t, m)
	var foreign []string
	for _, f := range r.Facts {
		if f.Key == "addon-foreign" {
			foreign = append(foreign, f.Value)
		}
	}
	core := slices.ContainsFunc(r.Needs.Families, func(n detect.FamilyNeed) bool { return n.Family == detect.FamilyServerCore })
	if !slices.Equal(foreign, []string{"node_modules/a/build/Release/a.node"}) || !core || !slices.Contains(rules(r), "WP1502") {
		t.Errorf("foreign %v, Server Core %t, %v", foreign, core, rules(r))
	}
}

func TestJavaThatDrawsIsNotForNanoServer(t *testing.T) {
	drawing := string(fixtures.Class("m/M", 8)) + "java/awt/Font"
	for name, c := range map[string]struct {
		files []string
		draws bool
	}{
		"its own classes":     {[]string{"a.jar", jarOf(t, "META-INF/MANIFEST.MF", "Main-Class: m.M\n", "m/M.class", drawing)}, true},
		"a library in it":     {[]string{"a.jar", jarOf(t, "META-INF/MANIFEST.MF", "Main-Class: m.M\n", "m/M.class", "class:8", "BOOT-INF/lib/jasperreports-7.jar", "x")}, true},
		"a library beside it": {[]string{"a.jar", runnable(t, "m.M", "8"), "lib/jfreechart-1.5.jar", "x"}, true},
		"neither":             {[]string{"a.jar", runnable(t, "m.M", "8"), "lib/jackson-2.jar", jarOf(t, "a", "b")}, false},
	} {
		r := look(t, files(c.files...))
		core := slices.ContainsFunc(r.Needs.Families, func(n detect.FamilyNeed) bool { return n.Family == detect.FamilyServerCore })
		if r.App.Kind != detect.KindJava || core != c.draws || slices.Contains(rules(r), "WP1511") != c.draws {
			t.Errorf("%s: %s, Server Core %t, %v", name, r.App.Kind, core, rules(r))
		}
	}
}

func TestRuntimeOfTheFolderIsTheOneThatRuns(t *testing.T) {
	m := with(t, files("server.js", `require("http")`, "package.json", `{"engines":{"node":"18"}}`), "node.exe", "native-console/sum.exe")
	r := look(t, m)
	if rt := r.Needs.Runtime; r.App.Kind != detect.KindNode || rt == nil || rt.Path != "node.exe" || r.App.Architecture != detect.X64 || r.App.Program.Path != "server.js" {
		t.Errorf("got %+v %+v", r.App, r.Needs.Runtime)
	}
	if slices.Contains(rules(r), "WP1509") {
		t.Error("what package.json asks for has ended, and is not what runs")
	}
	m = with(t, files("app.jar", runnable(t, "m.M", "8"), "jre/release", "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"1.8.0_372\"\n"), "jre/bin/java.exe", "native-console/sum.exe", "jre/bin/keytool.exe", "native-console/sum.exe")
	m["jre/lib/rt.jar"] = &fstest.MapFile{Data: []byte(runnable(t, "sun.X", "8"))}
	r = look(t, m)
	if rt := r.Needs.Runtime; r.App.Kind != detect.KindJava || rt == nil || rt.Path != "jre/bin/java.exe" || rt.Version != "8" || r.App.Program.Path != "app.jar" {
		t.Errorf("got %+v %+v", r.App, r.Needs.Runtime)
	}
	r = look(t, files("server.js", `require("http")`, ".nvmrc", "18"))
	if !slices.Contains(rules(r), "WP1509") || !slices.Contains(rules(r), "WP1510") {
		t.Errorf("Node.js 18 has ended, and hears of no stop: %v", rules(r))
	}
}

func TestServersWinOverWhatLiesBesideThem(t *testing.T) {
	const serverXML = `<Server><Service name="Catalina"><Connector port="8081"/><Connector port="${x}"/></Service></Server>`
	for name, c := range map[string]struct {
		m    fstest.MapFS
		kind detect.Kind
	}{
		"tomcat with a wrapper of .NET":  {with(t, files("conf/server.xml", serverXML, "lib/catalina.jar", jarOf(t, "a", "b")), "service.exe", "netfx-service/Spooler.exe"), detect.KindTomcat},
		"tomcat with a start script":     {files("conf/server.xml", serverXML, "lib/catalina.jar", jarOf(t, "a", "b"), "webapps/x/index.php", "<?php"), detect.KindTomcat},
		"httpd with pages of PHP":        {with(t, files("conf/httpd.conf", "Listen 80\nLoadModule php_module \"c:/php/php8apache2_4.dll\"\n", "htdocs/index.php", "<?php"), "bin/httpd.exe", "native-console/sum.exe", "bin/ab.exe", "native-console/sum.exe"), detect.KindHTTPD},
		"nginx in front of a node":       {with(t, files("conf/nginx.conf", "http {\n listen 80;\n}", "html/index.html", "<html>"), "nginx.exe", "native-console/sum.exe"), detect.KindNginx},
		"ASP.NET site with a php folder": {files("a.aspx", page, "old/index.php", "<?php"), detect.KindASPNET},
		"ASP.NET site with asp pages":    {files("a.aspx", page, "old.asp", "<% x %>"), detect.KindASPNET},
		"PHP with a front end's package": {files("index.php", "<?php", "package.json", `{"scripts":{"start":"vite","build":"vite build"},"devDependencies":{"vite":"5"}}`), detect.KindPHP},
		"PHP and a server in Node":       {files("index.php", "<?php", "server.js", `require("http")`), detect.KindUnknown},
		"PHP of packages only":           {files("vendor/x/index.php", "<?php", "node_modules/y/z.php", "<?php"), detect.KindUnknown},
		"source of a project with node":  {files("Shop.sln", "x", "server.js", `require("http")`), detect.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if r := look(t, c.m); r.App.Kind != c.kind {
				t.Errorf("got %s, want %s: %v", r.App.Kind, c.kind, r.Facts)
			}
		})
	}
	r := look(t, files("conf/server.xml", serverXML))
	if r.App.Kind != detect.KindTomcat || !slices.Contains(rules(r), "WP1506") || !slices.Equal(r.App.Ports, []int{8081}) {
		t.Errorf("a CATALINA_BASE: %s %v %v", r.App.Kind, rules(r), r.App.Ports)
	}
}

func TestWrappersOfServicesRunWhatTheyName(t *testing.T) {
	winsw := func(executable, arguments string) string {
		return "<service>\n <id>orders</id>\n <executable>" + executable + "</executable>\n <arguments>" + arguments + "</arguments>\n</service>"
	}
	for name, c := range map[string]struct {
		m       fstest.MapFS
		kind    detect.Kind
		command string
		service string
	}{
		"WinSW and a native program": {with(t, files("orders.xml", winsw(`%BASE%\\bin\\sum.exe`, "1 2")), "orders.exe", "netfx-service/Spooler.exe", "bin/sum.exe", "native-console/sum.exe"),
			detect.KindNativeService, "bin/sum.exe < 1 2", "orders"},
		"WinSW and .NET Framework": {with(t, files("orders.xml", winsw("Import.exe", "")), "orders.exe", "netfx-service/Spooler.exe", "Import.exe", "netfx-console/Import.exe"), detect.KindNetFXService, "Import.exe < ", "orders"},
		"WinSW and Java":           {with(t, files("svc.xml", winsw("java", `-Xmx1g -jar "%BASE%\\app.jar" --x`), "app.jar", runnable(t, "m.M", "17")), "svc.exe", "netfx-service/Spooler.exe"), detect.KindJava, "app.jar < -Xmx1g -jar app.jar --x", ""},
		"WinSW and Node.js":        {with(t, files("svc.xml", winsw("node.exe", `server\\main.js`), "server/main.js", ""), "svc.exe", "netfx-service/Spooler.exe"), detect.KindNode, `server/main.js < server\main.js`, ""},
		"WinSW and Python":         {with(t, files("svc.xml", winsw(`C:\\Python311\\python.exe`, `-u job.py now`), "job.py", ""), "svc.exe", "netfx-service/Spooler.exe"), detect.KindPython, "job.py < job.py now", ""},
		"WinSW and what is gone":   {with(t, files("svc.xml", winsw("gone.exe", "")), "svc.exe", "netfx-service/Spooler.exe"), detect.KindUnknown, "", ""},
		"documentation beside":     {with(t, files("Spooler.xml", "<doc><service/></doc>"), "Spooler.exe", "netfx-service/Spooler.exe"), detect.KindNetFXService, "Spooler.exe < ", "LabelSpooler"},
		"NSSM and its script":      {with(t, files("install.bat", "nssm install Sums \"%~dp0sum.exe\" 1 2\r\n"), "nssm.exe", "native-desktop/hello.exe", "sum.exe", "native-console/sum.exe"), detect.KindNativeService, "sum.exe < 1 2", "Sums"},
		"NSSM without a script":    {with(t, files("a.txt", ""), "nssm.exe", "native-desktop/hello.exe", "sum.exe", "native-console/sum.exe"), detect.KindNativeConsole, "sum.exe < ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, c.m)
			service := ""
			if p := r.App.Program; p != nil && p.Service != nil {
				service = p.Service.Name
			}
			if r.App.Kind != c.kind || command(r) != c.command || service != c.service {
				t.Errorf("got %s %q %q, want %s %q %q\n%v", r.App.Kind, command(r), service, c.kind, c.command, c.service, r.Facts)
			}
		})
	}
}

func TestSourceSaysWhatItBecomes(t *testing.T) {
	sdk := func(sdk, properties, items string) string {
		return `<Project Sdk="Microsoft.NET.Sdk` + sdk + `"><PropertyGroup>` + properties + `</PropertyGroup><ItemGroup>` + items + `</ItemGroup></Project>`
	}
	legacy := func(properties, reference string) string {
		return `<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003"><PropertyGroup>` + properties + `</PropertyGroup><ItemGroup><Reference Include="` + reference + `, Version=4.0.0.0" /></ItemGroup></Project>`
	}
	const net10, exe, web = "<TargetFramework>net10.0</TargetFramework>", "<OutputType>Exe</OutputType>", "<ProjectTypeGuids>{349C5851-65DF-11DA-9384-00065B846F21};{x}</ProjectTypeGuids>"
	for name, c := range map[string]struct {
		files []string
		want  string // becomes, framework, version, architecture; "" for unknown
	}{
		"web":                       {[]string{"a.csproj", sdk(".Web", net10, "")}, "aspnet-core .NETCoreApp 10.0 anycpu"},
		"console":                   {[]string{"a.csproj", sdk("", net10+exe, "")}, "dotnet-console .NETCoreApp 10.0 anycpu"},
		"worker":                    {[]string{"a.csproj", sdk(".Worker", net10, "")}, "dotnet-console .NETCoreApp 10.0 anycpu"},
		"service":                   {[]string{"a.csproj", sdk(".Worker", net10, `<PackageReference Include="Microsoft.Extensions.Hosting.WindowsServices" />`)}, "dotnet-service .NETCoreApp 10.0 anycpu"},
		"desktop":                   {[]string{"a.csproj", sdk("", "<TargetFramework>net8.0-windows</TargetFramework><OutputType>WinExe</OutputType><UseWPF>true</UseWPF>", "")}, "dotnet-desktop .NETCoreApp 8.0 anycpu"},
		"32 bits":                   {[]string{"a.csproj", sdk("", net10+exe+"<RuntimeIdentifier>win-x86</RuntimeIdentifier>", "")}, "dotnet-console .NETCoreApp 10.0 x86"},
		"several targets":           {[]string{"a.csproj", sdk("", "<TargetFrameworks>net48;net8.0;netstandard2.0</TargetFrameworks>"+exe, "")}, "dotnet-console .NETCoreApp 8.0 anycpu"},
		"for .NET Framework":        {[]string{"a.csproj", sdk("", "<TargetFramework>net472</TargetFramework>"+exe, "")}, "netfx-console .NETFramework 4.7.2 anycpu"},
		"target above":              {[]string{"Directory.Build.props", `<Project><PropertyGroup>` + net10 + `</PropertyGroup></Project>`, "src/a/a.csproj", sdk("", exe, "")}, "dotnet-console .NETCoreApp 10.0 anycpu"},
		"target nowhere":            {[]string{"a.csproj", sdk(".Web", "", "")}, "aspnet-core   anycpu"},
		"old web application":       {[]string{"a.csproj", legacy("<TargetFrameworkVersion>v4.5</TargetFrameworkVersion><OutputType>Library</OutputType>"+web, "System.Web"), "a.aspx", page}, "aspnet .NETFramework 4.5 anycpu"},
		"old WCF":                   {[]string{"a.csproj", legacy("<TargetFrameworkVersion>v4.5</TargetFrameworkVersion>"+web, "System.ServiceModel"), "a.svc", "<%@ ServiceHost %>"}, "wcf .NETFramework 4.5 anycpu"},
		"old service":               {[]string{"a.csproj", legacy("<TargetFrameworkVersion>v4.8</TargetFrameworkVersion><OutputType>WinExe</OutputType>", "System.ServiceProcess"), "s.cs", "class S : ServiceBase {}"}, "netfx-service .NETFramework 4.8 anycpu"},
		"controls services":         {[]string{"a.csproj", legacy("<TargetFrameworkVersion>v4.8</TargetFrameworkVersion>"+exe, "System.ServiceProcess"), "s.cs", "new ServiceController()"}, "netfx-console .NETFramework 4.8 anycpu"},
		"old desktop":               {[]string{"a.vbproj", legacy("<TargetFrameworkVersion>v4.0</TargetFrameworkVersion><OutputType>WinExe</OutputType><PlatformTarget>x86</PlatformTarget>", "System.Windows.Forms")}, "netfx-desktop .NETFramework 4.0 x86"},
		"C++":                       {[]string{"a.vcxproj", `<Project><ItemGroup><ProjectConfiguration Include="Release|x64"/></ItemGroup><PropertyGroup><ConfigurationType>Application</ConfigurationType></PropertyGroup></Project>`}, "native-console   x64"},
		"C++ for windows":           {[]string{"a.vcxproj", `<Project><ItemGroup><ProjectConfiguration Include="Release|Win32"/></ItemGroup><PropertyGroup><ConfigurationType>Application</ConfigurationType></PropertyGroup><ItemDefinitionGroup><Link><SubSystem>Windows</SubSystem></Link></ItemDefinitionGroup></Project>`}, "native-desktop   x86"},
		"with tests and libraries":  {[]string{"a/a.csproj", sdk(".Web", net10, ""), "b/b.csproj", sdk("", net10, ""), "c/c.csproj", sdk("", net10+exe, `<PackageReference Include="xunit" />`)}, "aspnet-core .NETCoreApp 10.0 anycpu"},
		"only a library":            {[]string{"a.csproj", sdk("", net10, "")}, ""},
		"a solution without a tree": {[]string{"a.sln", "x"}, ""},
		"no project":                {[]string{"a.csproj", "<html/>"}, ""},
		"Maven":                     {[]string{"pom.xml", `<project><artifactId>a</artifactId></project>`, "src/main/java/A.java", ""}, "java   "},
		"Maven for a server":        {[]string{"pom.xml", `<project><packaging>war</packaging></project>`}, "tomcat   "},
		"Maven of modules":          {[]string{"pom.xml", `<project><packaging>pom</packaging></project>`}, ""},
		"Gradle":                    {[]string{"build.gradle", "plugins {\n id 'war'\n}", "src/main/java/A.java", ""}, "tomcat   "},
		"Go":                        {[]string{"go.mod", "module x", "cmd/a/main.go", "package main", "lib/l.go", "package lib"}, "native-console   x64"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			got := ""
			if r.App.Kind == detect.KindSource {
				got = fmt.Sprintf("%s %s %s %s", r.App.Becomes, r.App.Framework.Name, r.App.Framework.Version, r.App.Architecture)
			}
			if got != c.want || r.App.Kind != detect.KindSource && r.App.Kind != detect.KindUnknown {
				t.Errorf("got %s %q, want %q\n%v", r.App.Kind, got, c.want, r.Facts)
			}
			if (c.want == "") != !slices.Contains(rules(r), "WP1009") {
				t.Errorf("findings %v", rules(r))
			}
		})
	}
	// What was built to below the project, and tools of the build, are no application.
	m := with(t, files("a.csproj", sdk("", net10+exe, "")), "packages/x/tools/tool.exe", "netfx-console/Import.exe", "bin/Debug/app.exe", "native-console/sum.exe")
	if r := look(t, m); r.App.Kind != detect.KindSource || r.App.Program != nil {
		t.Errorf("with programs below: %s %+v", r.App.Kind, r.App.Program)
	}
	if r := look(t, with(t, files("a.csproj", sdk("", net10+exe, "")), "app.exe", "native-console/sum.exe")); r.App.Kind != detect.KindNativeConsole {
		t.Errorf("beside its program: %s", r.App.Kind)
	}
}

// Each rule of runtimes has a folder that fires it, and one beside it that does not.
func TestRulesOfRuntimesFireWhereTheyShould(t *testing.T) {
	const django = `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "a.settings")`
	for rule, c := range map[string]struct{ fires, not []string }{
		"WP1503": {[]string{"main.py", "", "requirements.txt", "", "env/pyvenv.cfg", "home = C:\\Py\n"}, []string{"main.py", "", "requirements.txt", ""}},
		"WP1504": {[]string{"manage.py", django, "requirements.txt", "gunicorn==20\n"}, []string{"manage.py", django, "requirements.txt", "gunicorn==20\nwaitress==3\n"}},
		"WP1505": {[]string{"manage.py", django, "requirements.txt", "django\n"}, []string{"manage.py", django, "requirements.txt", "django\nwaitress>=2\n"}},
		"WP1507": {[]string{"bin/run.jar", jarOf(t, "a/B.class", "class:5"), "bin/run.bat", "", "server/default/deploy/x.txt", ""}, []string{"jboss-modules.jar", jarOf(t, "a/B.class", "class:8"), "bin/standalone.bat", ""}},
		"WP1509": {[]string{"main.py", "", "requirements.txt", "", ".python-version", "3.8"}, []string{"main.py", "", "requirements.txt", "", ".python-version", "3.13"}},
		"WP1010": {[]string{"a.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"/>`}, []string{"a.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup></Project>`}},
	} {
		if r := look(t, files(c.fires...)); !slices.Contains(rules(r), rule) {
			t.Errorf("%s: %s %v", rule, r.App.Kind, rules(r))
		}
		if r := look(t, files(c.not...)); slices.Contains(rules(r), rule) || r.App.Kind == detect.KindUnknown {
			t.Errorf("near miss of %s: %s %v", rule, r.App.Kind, rules(r))
		}
	}
}

// Redis and httpd can run as a service, and stay in the foreground where none is asked for.
func TestServersNeedNoServiceManager(t *testing.T) {
	m := with(t, files("redis.windows.conf", "port 6379\n"), "redis-server.exe", "native-service/clock.exe")
	if r := look(t, m); r.App.Kind != detect.KindRedis || slices.Contains(rules(r), "WP1108") {
		t.Errorf("got %s %v", r.App.Kind, rules(r))
	}
}
