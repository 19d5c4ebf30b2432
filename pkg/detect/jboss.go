package detect

import (
	"fmt"
	"path"
	"strings"
)

// jbossHome is the folder of a JBoss, WildFly or EAP: with its module loader or,
// up to JBoss AS 6, its old starter.
func (t *Tree) jbossHome() string {
	for _, paths := range [][]string{
		{"jboss-modules.jar", "standalone/configuration/standalone.xml"}, {"jboss-modules.jar", "bin/standalone.bat"},
		{"jboss-modules.jar", "domain/configuration/host.xml"}, {"bin/run.jar", "bin/run.bat"},
		{"bin/run.bat", "server/default/conf/jboss-service.xml"},
	} {
		if home := t.homeOf(paths...); home != "" {
			return home
		}
	}
	return ""
}

func jboss(t *Tree) []Fact {
	home := t.jbossHome()
	if home == "" {
		return nil
	}
	start := t.find(path.Join(home, "jboss-modules.jar"))
	old := start == ""
	if old {
		start = t.find(path.Join(home, "bin/run.jar"))
		if !t.hasDir(path.Join(home, "server")) {
			return nil
		}
	}
	ev := []Evidence{{Path: start, Length: 4, Detail: "the archive that starts JBoss"}}
	p := &Program{Path: start, Form: FormScript, Home: home}
	var facts []Fact
	if start == "" { // its archives were left out, as version control does
		start = t.find(path.Join(home, "server/default/conf/jboss-service.xml"))
		p.Path = start
		ev = []Evidence{{Path: start, Line: 1, Detail: "the services of a JBoss before 7"}}
		facts = append(facts, Fact{Key: "server-missing", Value: "JBoss", about: start, item: serverHome, Evidence: ev})
	}
	if txt := t.find(path.Join(home, "version.txt")); txt != "" {
		text := t.head(txt, headBytes)
		if m := jbossVersion().FindSubmatchIndex(text); m != nil {
			v := Evidence{Path: txt, Line: lineAt(text, int64(m[0])), Detail: clean(string(text[m[0]:m[1]]))}
			ev = append(ev, v)
			facts = append(facts, Fact{Key: "server-version", Value: clean(string(text[m[0]:m[1]])), about: p.Path, Evidence: []Evidence{v}})
		}
	}
	need, where := t.jbossLevel(home, start)
	ev = append(ev, where...)
	facts = append(facts, stackFacts(KindJBoss, "server", p, javaRuntime(t.javaHomes(), need, ev...), ev)...)
	if t.hasDir(path.Join(home, "standalone")) {
		facts = append(facts, serverWrites(p, "JBoss", ev[:1], "standalone")...)
	}
	if old {
		facts = append(facts, Fact{Key: "server-old", Value: "JBoss before 7", about: p.Path, Evidence: ev})
	}
	if conf := t.find(path.Join(home, "standalone/configuration/standalone.xml")); conf != "" {
		root := t.readXML(conf, serverUnknown)
		facts = append(facts, of(p.Path, t.serverSettings(conf, root))...)
		for _, group := range childrenOf(root, "socket-binding-group") {
			for _, b := range group.children {
				m := jbossPort().FindStringSubmatch(b.attr("port"))
				if b.name == "socket-binding" && (b.attr("name") == "http" || b.attr("name") == "https") && m != nil {
					facts = append(facts, Fact{Key: "port", Value: m[1], source: "server", about: p.Path, Evidence: line(conf, b, "socket-binding "+b.attr("name")+" port="+b.attr("port"))})
				}
			}
		}
	}
	return facts
}

// jbossLevel is the lowest Java that reads the archive that starts, the server that it
// loads and what is deployed: the loader of modules is older than those.
func (t *Tree) jbossLevel(home, start string) (need classLevel, ev []Evidence) {
	seen := 0
	look := func(p string, prefix string) {
		if seen++; seen > maxJars {
			return
		}
		t.withJar(p, "which Java it needs is unknown", func(j *jar) error {
			l := j.level(prefix)
			if l.java > need.java {
				need = l
				ev = []Evidence{j.evidence(l.where, fmt.Sprintf("%s: compiled for Java %d", l.where, l.java))}
			}
			return l.err
		})
	}
	if path.Ext(strings.ToLower(start)) == ".jar" {
		look(start, "")
	}
	server := strings.ToLower(path.Join(home, "modules/system/layers/base/org/jboss/as/server/main"))
	for f := range t.withExt(".jar") {
		if f.dir.key == server {
			look(f.path(), "")
		}
	}
	for f := range t.withExt(".war") {
		if inFolder(f.path(), path.Join(home, "standalone/deployments")) {
			look(f.path(), "WEB-INF/classes/")
		}
	}
	return need, ev
}

var (
	jbossVersion = pattern(`(?m)^.*(?:JBoss|WildFly)[^\r\n]{0,80}?Version \d[\w. -]{0,30}`)
	jbossPort    = pattern(`^(?:\$\{[\w.]+:)?(\d{2,5})\}?$`)
)
