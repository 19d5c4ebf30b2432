package dockerfile

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// runtimeNames are runtimes as people call them.
var runtimeNames = map[string]string{
	detect.RuntimeNode: "Node.js", detect.RuntimePython: "Python", detect.RuntimeJava: "Java", detect.RuntimePHP: "PHP",
}

var serverNames = map[detect.Kind]string{detect.KindHTTPD: "Apache httpd", detect.KindNginx: "nginx", detect.KindRedis: "Redis"}

// runtime is wants for what a runtime runs: an image that has it, or plain Windows
// where the folder brings it or no image has it.
func (w *want) runtime(rep detect.Report) {
	rt := rep.Needs.Runtime
	w.roles, w.what, w.version = []string{roleOS}, "plain Windows", ""
	if rt == nil || rt.Path != "" {
		return
	}
	switch rt.Name {
	case detect.RuntimeJava:
		w.roles, w.version = []string{roleJava}, rt.Version
		w.what = strings.TrimSpace("Java " + rt.Version)
	case detect.RuntimePython:
		w.roles = []string{rolePython}
		w.version, w.exact, w.newest = pythonVersion(rt.Version)
		w.what = strings.TrimSpace("Python " + rt.Version)
		w.ways = []string{"bring Python in the folder (the embeddable package of python.org with the packages in it)", "move to a version that has an image", "name an image with --base"}
	}
}

// pythonVersion reads what says which Python is meant: "3.11" is that one, since
// packages with native code are made for one version; ">=3.10" is a bound.
func pythonVersion(s string) (version string, exact, newest bool) {
	s = strings.TrimSpace(s)
	bound := strings.TrimLeft(s, "<>=~^! ")
	if i := strings.IndexFunc(bound, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); i >= 0 {
		bound = bound[:i]
	}
	parts := strings.Split(bound, ".")
	if len(parts) < 2 {
		return "", false, true
	}
	version = parts[0] + "." + parts[1]
	switch {
	case strings.HasPrefix(s, ">") || strings.HasPrefix(s, "^"):
		return version, false, true
	case strings.HasPrefix(s, "<"):
		return "", false, false
	}
	return version, true, false
}

// scriptCommand is the command line of an app that a runtime runs.
func (p *planner) scriptCommand() ([]string, error) {
	app, prog, rt := p.rep.App, p.rep.App.Program, p.rep.Needs.Runtime
	if len(p.opt.Entrypoint) > 0 {
		return p.opt.Entrypoint, nil // which set puts in its place
	}
	exe, err := p.runtimeProgram(rt)
	if err != nil {
		return nil, err
	}
	home := ""
	if prog.Home != "" {
		if home, err = windowsPath(appDir, prog.Home); err != nil {
			return nil, &AppNameError{err}
		}
	}
	modern := true // Java 9 or newer
	if major, err := strconv.Atoi(p.javaVersion()); err == nil {
		modern = major > 8
	}
	switch app.Kind {
	case detect.KindTomcat:
		if prog.Home == "" || !strings.HasSuffix(strings.ToLower(prog.Path), "/catalina.jar") && !strings.EqualFold(prog.Path, "catalina.jar") {
			return nil, p.noRuntime("Apache Tomcat", "give winpack the folder of a Tomcat with the application in its webapps", "name an image that has Tomcat with --base, and the command that starts it as entrypoint in winpack.toml")
		}
		return slices.Concat([]string{exe}, tomcatOptions(home, modern)), nil
	case detect.KindJBoss:
		if path.Ext(strings.ToLower(prog.Path)) != ".jar" {
			return nil, p.noRuntime("JBoss", "give winpack the folder of the server with all its archives")
		}
		if !strings.EqualFold(path.Base(prog.Path), "jboss-modules.jar") {
			return []string{exe, "-jar", home + `\bin\run.jar`, "-b", "0.0.0.0"}, nil
		}
		return slices.Concat([]string{exe}, jbossOptions(home, modern)), nil
	}
	if len(prog.Arguments) == 0 {
		return nil, p.noRuntime("a command that starts it", "name it as entrypoint in winpack.toml")
	}
	return append([]string{exe}, prog.Arguments...), nil
}

// runtimeProgram is the program that runs the app in the image.
func (p *planner) runtimeProgram(rt *detect.Runtime) (string, error) {
	if rt != nil && rt.Path != "" {
		exe, err := windowsPath(appDir, rt.Path)
		if err != nil {
			return "", &AppNameError{err}
		}
		return exe, nil
	}
	runs := ""
	for i, row := range p.rows {
		if row == nil || row.Runs == "" || i > 0 && row.Runs != runs {
			runs = ""
			break
		}
		runs = row.Runs
	}
	if runs != "" {
		return runs, nil
	}
	name, version := "", ""
	if rt != nil {
		name, version = cmp.Or(runtimeNames[rt.Name], rt.Name), rt.Version
	}
	ways := []string{}
	switch {
	case rt == nil:
	case slices.Contains(p.rows, nil): // the given base may have it, and nobody knows where
		ways = append(ways, `where the given base has it, name it as entrypoint in winpack.toml, like entrypoint = ["C:\\nodejs\\node.exe", "server.js"]`)
	case rt.Name == detect.RuntimeNode:
		ways = append(ways, "put node.exe of the zip for Windows x64 from nodejs.org into the folder: it is enough, and winpack starts the app with it")
	default:
		ways = append(ways, "bring it in the folder")
	}
	if !slices.Contains(p.rows, nil) {
		ways = append(ways, "name an image that has it with --base, and the command as entrypoint in winpack.toml")
	}
	return "", p.noRuntime(strings.TrimSpace(name+" "+printable(version)), ways...)
}

// noRuntime is the error of an app that nothing runs, and a finding that says it.
func (p *planner) noRuntime(what string, ways ...string) error {
	err := &NoRuntimeError{what, ways}
	p.find(RuleNoRuntime, detect.LevelError, "Neither the folder nor the base image has "+what+", which runs the app.", strings.Join(ways, "; or ")+".")
	return err
}

// javaVersion is that of the Java that runs the app.
func (p *planner) javaVersion() string {
	if rt := p.rep.Needs.Runtime; rt != nil && rt.Path != "" {
		return rt.Version
	}
	if len(p.rows) > 0 && p.rows[0] != nil {
		return p.rows[0].Version
	}
	return ""
}

// tomcatOptions start a Tomcat without its scripts, which would put a cmd.exe between
// the container and Java (catalina.bat run, apache/tomcat).
func tomcatOptions(home string, modern bool) []string {
	var out []string
	if modern { // JDK_JAVA_OPTIONS of catalina.bat
		for _, pkg := range []string{"java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.io", "java.base/java.util", "java.base/java.util.concurrent", "java.rmi/sun.rmi.transport"} {
			out = append(out, "--add-opens="+pkg+"=ALL-UNNAMED")
		}
	}
	return append(out,
		`-Djava.util.logging.config.file=`+home+`\conf\logging.properties`, "-Djava.util.logging.manager=org.apache.juli.ClassLoaderLogManager",
		"-Dcatalina.home="+home, "-Dcatalina.base="+home,
		"-cp", home+`\bin\bootstrap.jar;`+home+`\bin\tomcat-juli.jar`, "org.apache.catalina.startup.Bootstrap", "start")
}

// jbossOptions start a WildFly or EAP without its scripts, of which standalone.bat waits
// for a key at its end (standalone.bat and common.bat, wildfly/wildfly-core). By itself
// the server would listen on the loopback address.
func jbossOptions(home string, modern bool) []string {
	var out []string
	if modern {
		for _, pkg := range []string{"java.desktop/sun.awt", "java.naming/com.sun.jndi.ldap", "java.naming/com.sun.jndi.url.ldap", "java.naming/com.sun.jndi.url.ldaps", "jdk.naming.dns/com.sun.jndi.dns"} {
			out = append(out, "--add-exports="+pkg+"=ALL-UNNAMED")
		}
		for _, pkg := range []string{"java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect", "java.base/java.io", "java.base/java.net", "java.base/java.security", "java.base/java.util",
			"java.base/java.util.concurrent", "java.management/javax.management", "java.naming/javax.naming"} {
			out = append(out, "--add-opens="+pkg+"=ALL-UNNAMED")
		}
	}
	return append(out,
		`-Dorg.jboss.boot.log.file=`+home+`\standalone\log\server.log`,
		`-Dlogging.configuration=file:`+strings.ReplaceAll(home, `\`, "/")+`/standalone/configuration/logging.properties`,
		"-Djboss.home.dir="+home, "-jar", home+`\jboss-modules.jar`, "-mp", home+`\modules`, "org.jboss.as.standalone", "-b", "0.0.0.0")
}

// serverArguments are those of a native program: of nginx the ones that keep it in the
// foreground with its own folder (nginx.org/en/docs/windows.html; daemon on frees the
// console).
func (p *planner) serverArguments() []string {
	app, prog := p.rep.App, p.rep.App.Program
	home, err := windowsPath(appDir, cmp.Or(prog.Home, "."))
	if err != nil {
		return prog.Arguments
	}
	switch app.Kind {
	case detect.KindNginx:
		return []string{"-p", home, "-g", "daemon off;"}
	case detect.KindHTTPD:
		return []string{"-d", home}
	}
	return prog.Arguments
}

// explainRuntime gives the reasons for an image by its runtime.
func (p *planner) explainRuntime(c choice) {
	rt := p.rep.Needs.Runtime
	if rt == nil {
		p.why(fmt.Sprintf("%s comes with the folder, and plain Windows runs it", serverNames[p.rep.App.Kind]))
		return
	}
	name := cmp.Or(runtimeNames[rt.Name], rt.Name)
	switch {
	case rt.Path != "":
		p.why(fmt.Sprintf("the folder brings %s (%s): plain Windows is enough", strings.TrimSpace(name+" "+printable(rt.Version)), printable(rt.Path)))
	case c.img.Role == roleOS:
		p.why("no image for Windows has " + name + ": it has to come with the folder, and plain Windows is enough then")
	case rt.Version == "":
		p.why(fmt.Sprintf("%s runs the app, and nothing says which version: the image has %s", name, c.img.Version))
	default:
		p.why(fmt.Sprintf("the app needs %s %s, and the image has %s", name, printable(rt.Version), c.img.Version))
	}
}
