package detect

import (
	"path"
	"slices"
	"strings"
)

// platformPort is the variable by which HttpPlatformHandler tells a program where to
// listen; platformListen is where an image has it do so
// (learn.microsoft.com/iis/extensions/httpplatformhandler/httpplatformhandler-configuration-reference).
const (
	platformPort   = "HTTP_PLATFORM_PORT"
	platformListen = "8000"
)

// platformText is a text of httpPlatform with the port in place of the variable.
func platformText(s string) string {
	return strings.ReplaceAll(s, "%"+platformPort+"%", platformListen)
}

// platformEnv are the variables that HttpPlatformHandler gives to a program, but for
// secrets, those that refer to others, and paths of the server.
func platformEnv(e *element) map[string]string {
	env := map[string]string{platformPort: platformListen}
	for _, v := range childrenOf(e.child("environmentVariables"), "environmentVariable") {
		name, value := v.attr("name"), platformText(v.attr("value"))
		if envName().MatchString(name) && !isSecret(name, value) && !hasSecret(value) && !strings.Contains(value, "%") && !driveAt(value) {
			env[name] = value
		}
	}
	return env
}

// driveAt says whether a text begins with a path on a drive.
func driveAt(s string) bool { return len(s) > 2 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') }

// pythonInIIS is what a web.config starts by HttpPlatformHandler or FastCGI.
func (t *Tree) pythonInIIS() *pythonEntry {
	configs := t.webConfigs()
	if len(configs) == 0 || strings.Contains(configs[0], "/") {
		return nil
	}
	isPython := func(s string) bool {
		base := programName(s)
		return base == "python" || base == "pythonw"
	}
	var found *pythonEntry
	settings := map[string]string{}
	var fast []Evidence
	version := ""
	sections(t.readXML(configs[0], webConfigUnknown), func(section string, e *element) {
		switch {
		case section == "system.webServer/httpPlatform" && isPython(e.attr("processPath")) && found == nil:
			found = t.pythonPlatform(e, line(configs[0], e, "processPath="+e.attr("processPath")))
		case section == "system.webServer/handlers/add" && strings.EqualFold(e.attr("modules"), "FastCgiModule"):
			exe, _, _ := strings.Cut(e.attr("scriptProcessor"), "|")
			if isPython(exe) {
				fast, version = line(configs[0], e, "FastCGI with "+e.attr("scriptProcessor")), versionInPath(exe)
			}
		case section == "appSettings/add":
			settings[strings.ToUpper(e.attr("key"))] = e.attr("value")
		case section == "system.webServer/fastCgi/application/environmentVariables/environmentVariable":
			settings[strings.ToUpper(e.attr("name"))] = e.attr("value")
		}
	})
	if found == nil && fast != nil {
		found = t.wsgiHandler(settings)
		found.evidence = append(fast, found.evidence...)
		found.version = version
		if found.path == "" {
			found.path = configs[0]
		}
	}
	if found != nil && hasSecret(strings.Join(found.args, " ")) {
		found.args = nil
	}
	return found
}

// pythonPlatform is what HttpPlatformHandler starts with python: a script of the folder,
// or a module that python knows by itself.
func (t *Tree) pythonPlatform(platform *element, ev []Evidence) *pythonEntry {
	words := commandLine(platformText(platform.attr("arguments")))
	e := &pythonEntry{args: words, evidence: ev, env: platformEnv(platform), version: versionInPath(platform.attr("processPath"))}
	if strings.Contains(platform.attr("arguments"), platformPort) {
		e.port = platformListen
	}
	for i, w := range words {
		p := t.commandFile(".", w)
		if p == "" {
			p = t.serverFile(".", w)
		}
		if p != "" && path.Ext(strings.ToLower(p)) == ".py" {
			e.path, words[i] = p, windowsRelative(p)
			return e
		}
	}
	if i := slices.Index(words, "-m"); i >= 0 && i+1 < len(words) && !hasSecret(platform.attr("arguments")) {
		e.path = ev[0].Path
		return e
	}
	return nil
}

// wsgiHandler is the application that wfastcgi serves, by the variables that it reads
// (pypi.org/project/wfastcgi). Visual Studio puts a proxy for a virtual environment in
// front, and names what that passes requests on to.
func (t *Tree) wsgiHandler(settings map[string]string) *pythonEntry {
	handler := settings["WSGI_HANDLER"]
	if strings.HasPrefix(handler, "ptvs_virtualenv_proxy.") {
		handler = settings["WSGI_ALT_VIRTUALENV_HANDLER"]
	}
	module := strings.TrimSuffix(handler, "()")
	i := strings.LastIndexByte(module, '.')
	if i <= 0 || !wsgiName().MatchString(module) {
		return &pythonEntry{open: true}
	}
	e := &pythonEntry{path: t.find(strings.ReplaceAll(module[:i], ".", "/") + ".py")}
	e.open = e.path == "" // it may lie deeper
	if name := settings["DJANGO_SETTINGS_MODULE"]; wsgiName().MatchString("x." + name) {
		e.env = map[string]string{"DJANGO_SETTINGS_MODULE": name}
	}
	e.args, e.missing = t.wsgiServer(".", module[:i]+":"+module[i+1:], false)
	if module != handler {
		e.args = called(e.args)
	}
	return e
}

var wsgiName = pattern(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$`)

// versionInPath is the version that the folder of an interpreter speaks of: 3.9 of
// C:\Python39, 3.6 of D:\home\python364x64 of Azure.
func versionInPath(exe string) string {
	if m := azurePython().FindStringSubmatch(exe); m != nil {
		return m[1] + "." + m[2]
	}
	if m := pythonFolder().FindStringSubmatch(exe); m != nil {
		return m[1] + "." + m[2]
	}
	return ""
}

var (
	azurePython  = pattern(`(?i)[\\/]python([23])(\d)\d{1,2}x(?:64|86)[\\/]`)
	pythonFolder = pattern(`(?i)[\\/]python([23])([0-9]|1[0-9])(?:-32|-64|_x64|_x86)?[\\/]`)
)
