package detect

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const serverUnknown = "which ports it listens on and what it needs is unknown"

// detectServers finds servers of other makers with what they serve.
func detectServers(t *Tree) []Fact {
	var facts []Fact
	for _, find := range []func(*Tree) []Fact{tomcat, jboss, httpd, nginx, redis} {
		facts = append(facts, find(t)...)
	}
	return facts
}

// servletServer says whether the folder holds a server that runs Java applications.
func (t *Tree) servletServer() bool { return t.tomcatHome() != "" || t.jbossHome() != "" }

// homeOf is the folder nearest to the root below which all of the paths are.
func (t *Tree) homeOf(paths ...string) string {
	best := ""
	for _, d := range t.dirs {
		if best != "" && t.depth(d.path) >= t.depth(best) || t.depth(d.path) > 3 {
			continue
		}
		if !slices.ContainsFunc(paths, func(p string) bool { return t.find(path.Join(d.path, p)) == "" }) {
			best = d.path
		}
	}
	return best
}

// tomcatHome is the folder with the configuration of a Tomcat.
func (t *Tree) tomcatHome() string {
	home := t.homeOf("conf/server.xml")
	if home == "" {
		return ""
	}
	if root := t.readXML(t.find(path.Join(home, "conf/server.xml")), serverUnknown); root == nil || root.name != "Server" || root.child("Service") == nil {
		return ""
	}
	return home
}

// tomcatJava is the lowest Java of a version (tomcat.apache.org/whichversion.html).
var tomcatJava = []struct {
	tomcat string
	java   int
}{{"11.", 17}, {"10.1.", 11}, {"10.0.", 8}, {"9.", 8}, {"8.5.", 7}, {"8.0.", 7}, {"7.", 6}, {"6.", 5}, {"5.5.", 5}}

func tomcat(t *Tree) []Fact {
	home := t.tomcatHome()
	if home == "" {
		return nil
	}
	conf := t.find(path.Join(home, "conf/server.xml"))
	root := t.readXML(conf, serverUnknown)
	ev := line(conf, root.child("Service"), "Service in the server.xml of Tomcat")
	p := &Program{Path: conf, Form: FormScript, Home: home}
	need := classLevel{}
	version := ""
	var facts []Fact
	for _, name := range []string{"lib/catalina.jar", "server/lib/catalina.jar"} {
		lib := t.find(path.Join(home, name))
		if lib == "" {
			continue
		}
		p.Path = lib
		t.withJar(lib, "which version of Tomcat it is is unknown", func(j *jar) error {
			const info = "org/apache/catalina/util/ServerInfo.properties"
			data, err := j.read(info)
			if m := serverNumber().FindSubmatch(data); m != nil {
				version = string(m[1])
				ev = append(ev, j.evidence(info, "ServerInfo.properties: Tomcat "+version))
			}
			return err
		})
		break
	}
	for _, row := range tomcatJava {
		if strings.HasPrefix(version, row.tomcat) {
			need.java = row.java
			break
		}
	}
	if p.Path == conf {
		facts = append(facts, Fact{Key: "server-missing", Value: "Tomcat", about: p.Path, item: catalinaBase, Evidence: ev})
	}
	level, where, lists, draws := t.webappLevel(home)
	if level.java > need.java {
		need = level
		ev = append(ev, where)
	}
	if version != "" {
		facts = append(facts, Fact{Key: "server-version", Value: "Tomcat " + version, about: p.Path, Evidence: ev[1:2]})
	}
	facts = append(facts, stackFacts(KindTomcat, "server", p, javaRuntime(t.javaHomes(), need, slices.Concat(ev, lists)...), ev)...)
	facts = append(facts, serverWrites(p, "Tomcat", ev[:1], "logs", "temp", "work", "webapps", "conf/Catalina")...)
	facts = append(facts, of(p.Path, t.tomcatSettings(home))...)
	facts = append(facts, of(p.Path, draws)...)
	for _, service := range root.children {
		for _, c := range service.children {
			if service.name != "Service" || c.name != "Connector" || strings.Contains(strings.ToUpper(c.attr("protocol")), "AJP") {
				continue
			}
			if n, err := strconv.Atoi(c.attr("port")); err == nil && n > 0 && n < 65536 {
				facts = append(facts, Fact{Key: "port", Value: strconv.Itoa(n), source: "server", about: p.Path, Evidence: line(conf, c, "Connector port="+c.attr("port"))})
			}
		}
	}
	return facts
}

var serverNumber = pattern(`(?m)^server\.number\s*=\s*(\d{1,3}(?:\.\d{1,3}){1,3})`)

// maxLists bounds the archives whose lists of files are evidence for what is in none.
const maxLists = 2

// webappLevel is the newest class of the applications of a Tomcat. lists are where
// classes were looked for.
func (t *Tree) webappLevel(home string) (level classLevel, where Evidence, lists []Evidence, draws []Fact) {
	apps := path.Join(home, "webapps")
	seen := 0
	for f := range t.withExt(".war", ".class") {
		p := f.path()
		if !inFolder(p, apps) || seen == maxClasses {
			continue
		}
		before := level.java
		if f.ext() == ".class" {
			if !strings.Contains(strings.ToLower(p), "/web-inf/classes/") {
				continue
			}
			seen++
			if level.take(p, t.start(p, maxClass)); level.java > before {
				where = classEvidence(t, p, fmt.Sprintf("compiled for Java %d", level.java))
			}
			if level.desktop == p && draws == nil && !tomcatOwn(p, apps) {
				draws = desktopFact(strings.TrimSuffix(level.uses, "/"), classEvidence(t, p, "names "+level.uses))
			}
			level.desktop = ""
			continue
		}
		t.withJar(p, "which Java it needs is unknown", func(j *jar) error {
			l := j.level("WEB-INF/classes/")
			if len(lists) < maxLists {
				lists = append(lists, at(p, j.list, "list of files, by which its classes were found"))
			}
			if draws == nil {
				draws = (&javaApp{level: l}).drawing(j)
			}
			if l.java > level.java {
				level = l
				where = j.evidence(l.where, fmt.Sprintf("%s: compiled for Java %d", l.where, l.java))
			}
			return l.err
		})
	}
	if draws == nil {
		draws = t.webappDraws(apps)
	}
	return level, where, lists, draws
}

// tomcatOwn says whether a file is of an application that Tomcat comes with.
func tomcatOwn(p, apps string) bool {
	return slices.ContainsFunc([]string{"examples", "docs", "manager", "host-manager"}, func(n string) bool { return inFolder(p, path.Join(apps, n)) })
}

func childrenOf(e *element, name string) []*element {
	var found []*element
	if e != nil {
		for _, c := range e.children {
			if c.name == name {
				found = append(found, c)
			}
		}
	}
	return found
}

// nativeServer is a program of that name with its configuration beside or above it.
func (t *Tree) nativeServer(exe string, configs ...string) (*image, string) {
	var best *image
	conf := ""
	for _, b := range t.binaries {
		if b.base != exe || b.isDLL || !b.native() || b.broken || best != nil && t.depth(b.dir) >= t.depth(best.dir) {
			continue
		}
		for _, c := range configs {
			if p := t.find(path.Join(b.dir, c)); p != "" {
				best, conf = b, p
				break
			}
		}
	}
	return best, conf
}

// lines calls f with each line of a text file that is no comment, its words in f.
func (t *Tree) lines(p string, f func(number int, words []string)) {
	data, ok := t.read(p, serverUnknown)
	if !ok {
		return
	}
	number := 0
	for l := range bytes.Lines(data) {
		number++
		if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' {
			f(number, strings.Fields(string(l)))
		}
	}
}

// portOf is the port of an address like 80, *:80 or [::]:80; empty where it is none.
func portOf(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[i+1:]
	}
	if n, err := strconv.Atoi(strings.TrimRight(address, ";")); err == nil && n > 0 && n < 65536 {
		return strconv.Itoa(n)
	}
	return ""
}

// serverWrites are the folders below its own that a server writes to.
func serverWrites(p *Program, server string, ev []Evidence, dirs ...string) []Fact {
	var facts []Fact
	for _, dir := range dirs {
		f := writeFact(path.Join(p.Home, dir), server+" writes there", ev)
		f.about = p.Path
		facts = append(facts, f)
	}
	return facts
}

// serverProgram are the facts of a native server.
func (t *Tree) serverProgram(kind Kind, p *Program, b *image, ev []Evidence) []Fact {
	facts := stackFacts(kind, "server", p, nil, ev)
	if v, place := t.fileVersion(b); v != "" {
		facts = append(facts, Fact{Key: "server-version", Value: string(kind) + " " + v, about: p.Path, Evidence: []Evidence{at(b.path, place, "version resource "+v)}})
	}
	return facts
}

func nginx(t *Tree) []Fact {
	b, conf := t.nativeServer("nginx.exe", "conf/nginx.conf")
	if b == nil {
		return nil
	}
	p := &Program{Path: b.path, Form: FormNative, Home: b.dir}
	ev := []Evidence{at(b.path, b.sub, "nginx.exe, a native program"), {Path: conf, Line: 1, Detail: "the configuration of nginx"}}
	facts := t.serverProgram(KindNginx, p, b, ev)
	facts = append(facts, serverWrites(p, "nginx", ev[:1], "logs", "temp")...)
	t.lines(conf, func(number int, words []string) {
		if words[0] == "listen" && len(words) > 1 && portOf(words[1]) != "" {
			facts = append(facts, Fact{Key: "port", Value: portOf(words[1]), source: "server", about: p.Path,
				Evidence: []Evidence{{Path: conf, Line: number, Detail: "listen " + clean(words[1])}}})
		}
	})
	return facts
}
