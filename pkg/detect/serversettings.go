package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// What a folder lacks that has the configuration of a server without the server.
var (
	catalinaBase = map[string]string{"why": "it is a CATALINA_BASE", "home": "the server (CATALINA_HOME)"}
	serverHome   = map[string]string{"why": "its archives are missing", "home": "the server with all its files"}
)

// serverPaths are attributes of a server's configuration that name files or folders.
var serverPaths = []string{"docbase", "appbase", "workdir", "directory", "keystorefile", "truststorefile", "certificatekeystorefile", "certificatefile", "certificatekeyfile", "path"}

// maxServerFiles bounds the files of configuration of one server.
const maxServerFiles = 32

// tomcatSettings are what the configuration of a Tomcat ties to its machine: that of the
// server, and that of each application (tomcat.apache.org/tomcat-9.0-doc/config/context.html).
func (t *Tree) tomcatSettings(home string) []Fact {
	var facts []Fact
	seen := 0
	for f := range t.withExt(".xml") {
		in, ok := within(strings.ToLower(f.path()), strings.ToLower(home))
		if !ok {
			continue
		}
		dir := path.Dir(in)
		deployed := dir == "conf/catalina/localhost"
		if !deployed && !slices.Contains([]string{"conf/server.xml", "conf/context.xml", "conf/tomcat-users.xml"}, in) &&
			(f.base != "context.xml" || !strings.HasPrefix(in, "webapps/") || !strings.HasSuffix(dir, "/meta-inf")) {
			continue
		}
		if seen++; seen > maxServerFiles {
			break
		}
		facts = append(facts, t.serverSettings(f.path(), t.readXML(f.path(), serverUnknown))...)
	}
	return facts
}

// serverSettings looks through one file of a server's configuration for secrets,
// databases on the machine itself, and paths of it.
func (t *Tree) serverSettings(p string, e *element) []Fact {
	if e == nil {
		return nil
	}
	var facts []Fact
	add := func(key, value, detail string) {
		facts = append(facts, Fact{Key: key, Value: value, Evidence: line(p, e, detail)})
	}
	about := maskName(cmp.Or(e.attr("username"), e.attr("name"), e.attr("alias"), e.name))
	for _, a := range e.attrs {
		name, value := strings.ToLower(a.Name.Local), a.Value
		switch {
		case serverSecret(value) && (name == "password" || strings.HasSuffix(name, "password") || strings.HasSuffix(name, "pass") || name == "clear-text"):
			add("secret", e.name+" "+about+" @"+clean(a.Name.Local), "a value stands in clear text (not shown)")
		case localURL().MatchString(value) && e.name != "Connector":
			add("local-server", e.name+" "+about+": "+maskValue(localURL().FindString(value)), e.name+" @"+a.Name.Local)
		case slices.Contains(serverPaths, name) && drivePath().MatchString(value):
			add("absolute-path", pathValue(value), e.name+" "+a.Name.Local+"="+value)
		}
	}
	switch {
	case e.name == "password" && serverSecret(e.text):
		add("secret", "a data source's password", "a value stands in clear text (not shown)")
	case e.name == "connection-url" && localURL().MatchString(e.text):
		add("local-server", "connection-url: "+maskValue(localURL().FindString(e.text)), "connection-url")
	}
	for _, c := range e.children {
		facts = append(facts, t.serverSettings(p, c)...)
	}
	return facts
}

// serverSecret says whether a value is a password, and none that servers come with: those
// of WildFly's example and of the key store that it makes itself, and that of Java's own.
func serverSecret(value string) bool {
	return isSecret("password", value) && !strings.HasPrefix(value, "${") && !slices.Contains([]string{"sa", "password", "changeit"}, value)
}

// webappDraws says whether an application of a servlet container has a library that
// draws, where it lies unpacked below a folder.
func (t *Tree) webappDraws(dir string) []Fact {
	for f := range t.withExt(".jar") {
		if inFolder(f.path(), dir) && drawingLibrary(f.base) && strings.HasSuffix("/"+f.dir.key, "/web-inf/lib") {
			return desktopFact(f.base, Evidence{Path: f.path(), Line: 1, Detail: "a library that draws"})
		}
	}
	return nil
}
