package detect

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is looked at for Java.
const (
	maxJars    = 64
	maxScripts = 24
)

const javaUnknown = "which Java it needs and what it starts is unknown"

// javaHome is a Java runtime that the folder brings.
type javaHome struct {
	dir     string // "jre"
	runtime *Runtime
}

// javaHomes finds the runtimes of the folder: bin/java.exe.
func (t *Tree) javaHomes() []javaHome {
	var homes []javaHome
	for _, b := range t.binaries {
		if b.base != "java.exe" || !b.native() || !strings.EqualFold(path.Base(b.dir), "bin") {
			continue
		}
		h := javaHome{dir: path.Dir(b.dir)}
		h.runtime = &Runtime{Name: RuntimeJava, Path: b.path, Evidence: []Evidence{at(b.path, b.sub, "the folder brings a Java runtime")}}
		if p := t.find(path.Join(h.dir, "release")); p != "" {
			text := t.head(p, headBytes)
			if m := releaseVersion().FindSubmatchIndex(text); m != nil {
				h.runtime.Version = javaMajor(string(text[m[2]:m[3]]))
				h.runtime.Evidence = append(h.runtime.Evidence, Evidence{Path: p, Line: lineAt(text, int64(m[2])), Detail: "JAVA_VERSION " + clean(string(text[m[2]:m[3]]))})
			}
		}
		if h.runtime.Version == "" {
			if v, place := t.fileVersion(b); v != "" {
				h.runtime.Version = javaMajor(v)
				h.runtime.Evidence = append(h.runtime.Evidence, at(b.path, place, "version resource "+v))
			}
		}
		homes = append(homes, h)
	}
	slices.SortStableFunc(homes, func(a, b javaHome) int { return t.depth(a.dir) - t.depth(b.dir) })
	return homes
}

var releaseVersion = pattern(`(?m)^JAVA_VERSION\s*=\s*"?([0-9][0-9._]{0,20})`)

// javaMajor is "8" of "1.8.0_372" and "17" of "17.0.12".
func javaMajor(v string) string {
	v = strings.TrimPrefix(v, "1.")
	major, _, _ := strings.Cut(v, ".")
	major, _, _ = strings.Cut(major, "_")
	if n, err := strconv.Atoi(major); err != nil || n < 1 || n > 199 {
		return ""
	}
	return major
}

// javaRuntime is what the program runs on: the runtime of the folder, else the lowest
// Java that reads the classes.
func javaRuntime(homes []javaHome, need classLevel, ev ...Evidence) *Runtime {
	if len(homes) > 0 {
		rt := *homes[0].runtime
		rt.Evidence = slices.Concat(rt.Evidence, ev)
		return &rt
	}
	rt := &Runtime{Name: RuntimeJava, Evidence: ev}
	if need.java > 0 {
		rt.Version = strconv.Itoa(need.java)
	}
	return rt
}

// javaApp is a Java program of the folder.
type javaApp struct {
	path     string
	level    classLevel
	evidence []Evidence
	library  bool // lies in a folder of libraries
	flavor   string
	looked   bool   // the archive was read
	ports    []Fact // that it names, of no program yet
	draws    []Fact
}

// detectJava finds programs in Java archives, and web archives that need a server.
func detectJava(t *Tree) []Fact {
	homes := t.javaHomes()
	if t.servletServer() {
		return nil // its archives are its own and its applications
	}
	var apps []javaApp
	var facts []Fact
	wars := 0
	seen := 0
	for f := range t.withExt(".jar", ".war") {
		p := f.path()
		if inFolder(p, "WEB-INF") || slices.ContainsFunc(homes, func(h javaHome) bool { return inFolder(p, h.dir) && h.dir != "." }) {
			continue // of a web application that is unpacked, of a runtime
		}
		if seen++; seen > maxJars {
			break
		}
		t.withJar(p, javaUnknown, func(j *jar) error {
			app, servlet, err := t.readArchive(j, f)
			switch {
			case servlet != nil:
				wars++
				facts = append(facts, servlet...)
			case app != nil:
				apps = append(apps, *app)
			}
			return err
		})
	}
	if exploded := t.explodedWar(); exploded != nil && (len(apps) == 0 || len(nearest(t, apps)) == 0 && t.find("WEB-INF/web.xml") != "") {
		return append(facts, exploded...)
	}
	started, how := t.startedJava()
	chosen := nearest(t, apps)
	if started != nil {
		if i := slices.IndexFunc(apps, func(a javaApp) bool { return a.path == started.Path }); i >= 0 {
			chosen = []javaApp{apps[i]}
			chosen[0].evidence = append(how, chosen[0].evidence...)
		} else if started.Path != "" {
			chosen = []javaApp{{path: started.Path, evidence: how}}
		}
	}
	for _, a := range chosen {
		if !a.looked { // it says itself nothing of a start
			t.withJar(a.path, javaUnknown, func(j *jar) error {
				attrs, err := j.manifest()
				return errors.Join(err, a.look(j, attrs))
			})
		}
		p := &Program{Path: a.path, Form: FormScript, Arguments: []string{"-jar", windowsRelative(a.path)}}
		if started != nil && started.Path == a.path {
			p.Arguments = started.Arguments
		}
		facts = append(facts, stackFacts(KindJava, "stack", p, javaRuntime(homes, a.level, a.evidence...), a.evidence)...)
		facts = append(facts, of(p.Path, a.ports)...)
		if a.flavor != "" {
			facts = append(facts, stackFlavor(a.flavor, p.Path, a.evidence[len(a.evidence)-1]))
		}
		facts = append(facts, of(p.Path, t.javaDesktop(a))...)
	}
	return facts
}

// windowsRelative is a path of the folder as a command line of Windows has it.
func windowsRelative(p string) string { return strings.ReplaceAll(p, "/", `\`) }

// nearest are the programs in the folder nearest to the root, libraries left out
// where there are others.
func nearest(t *Tree, apps []javaApp) []javaApp {
	best := noDepth
	for _, a := range apps {
		if !a.library {
			best = min(best, t.depth(path.Dir(a.path)))
		}
	}
	return slices.DeleteFunc(slices.Clone(apps), func(a javaApp) bool { return a.library || t.depth(path.Dir(a.path)) > best })
}

// libraryDirs are folders that hold what a program uses, whatever it could start.
var libraryDirs = []string{"lib", "libs", "libext", "ext", "dependency", "dependencies", "plugins", "modules", "dropins", "classpath"}

// readArchive says what an archive is: a program, a web application that needs a
// server, or a library (nil and nil).
func (t *Tree) readArchive(j *jar, f file) (*javaApp, []Fact, error) {
	attrs, err := j.manifest()
	if err != nil {
		return nil, nil, err
	}
	main := attrs["main-class"]
	boot := strings.HasPrefix(main, "org.springframework.boot.loader.")
	if f.ext() == ".war" && !boot {
		if !j.has("WEB-INF/") {
			return nil, nil, nil
		}
		facts, err := servletFacts(j)
		return nil, facts, err
	}
	if main == "" {
		return nil, nil, nil
	}
	app := &javaApp{path: j.path, evidence: []Evidence{j.evidence("META-INF/MANIFEST.MF", "META-INF/MANIFEST.MF: Main-Class "+main)}}
	for _, part := range strings.Split(strings.ToLower(f.dir.path), "/") {
		app.library = app.library || slices.Contains(libraryDirs, part)
	}
	prefixes := []string{""}
	if boot {
		app.flavor = "spring-boot"
		if start := attrs["start-class"]; start != "" {
			app.evidence[0].Detail = clean("META-INF/MANIFEST.MF: Start-Class " + start + ", which " + main + " of Spring Boot starts")
		}
		prefixes = []string{"BOOT-INF/classes/", "WEB-INF/classes/", "org/springframework/boot/loader/"}
	} else if i := strings.LastIndexByte(main, '.'); i > 0 && j.names[strings.ReplaceAll(main, ".", "/")+".class"] != nil {
		// Of a fat jar the program's own classes come first, and then its libraries.
		top, _, _ := strings.Cut(main, ".")
		if second := strings.SplitN(main, ".", 3); len(second) == 3 {
			top += "/" + second[1]
		}
		prefixes = []string{top + "/"}
	}
	if strings.HasPrefix(main, "io.quarkus.bootstrap.runner.") {
		app.flavor = "quarkus"
	}
	app.level = j.level(prefixes...)
	if app.level.where != "" {
		app.evidence = append(app.evidence, j.evidence(app.level.where, fmt.Sprintf("%s: compiled for Java %d", app.level.where, app.level.java)))
	}
	if err := app.look(j, attrs); err != nil {
		return app, nil, err
	}
	return app, nil, app.level.err
}

// servletFacts are those of a web application: it needs a servlet container.
func servletFacts(j *jar) ([]Fact, error) {
	name := "WEB-INF/web.xml"
	detail := "WEB-INF/web.xml: a web application for a servlet container"
	if j.names[name] == nil {
		for _, f := range j.files {
			if strings.HasPrefix(f.Name, "WEB-INF/") && !strings.HasSuffix(f.Name, "/") {
				name, detail = f.Name, f.Name+": a web application for a servlet container"
				break
			}
		}
	}
	level := j.level("WEB-INF/classes/")
	ev := []Evidence{j.evidence(name, detail)}
	if level.where != "" {
		ev = append(ev, j.evidence(level.where, fmt.Sprintf("%s: compiled for Java %d", level.where, level.java)))
	}
	p := &Program{Path: j.path, Form: FormScript}
	facts := stackFacts(KindTomcat, "stack", p, javaRuntime(nil, level, ev...), ev)
	return append(facts, of(p.Path, (&javaApp{level: level}).drawing(j))...), level.err
}

// explodedWar is a web application that was unpacked: WEB-INF at the root.
func (t *Tree) explodedWar() []Fact {
	if !t.hasDir("WEB-INF") {
		return nil
	}
	ev := []Evidence{}
	if p := t.find("WEB-INF/web.xml"); p != "" {
		ev = append(ev, Evidence{Path: p, Line: 1, Detail: "a web application for a servlet container"})
	}
	var level classLevel
	seen := 0
	for f := range t.withExt(".class", ".jar") {
		p := f.path()
		if !inFolder(p, "WEB-INF") {
			continue
		}
		if len(ev) == 0 {
			ev = append(ev, Evidence{Path: p, Line: 1, Detail: "lies in WEB-INF of a web application"})
		}
		if f.ext() == ".class" && inFolder(p, "WEB-INF/classes") {
			if seen++; seen <= maxClasses {
				level.take(p, t.start(p, maxClass))
			}
		}
	}
	if len(ev) == 0 {
		return nil
	}
	if level.where != "" {
		ev = append(ev, classEvidence(t, level.where, fmt.Sprintf("compiled for Java %d", level.java)))
	}
	facts := stackFacts(KindTomcat, "stack", &Program{Path: ev[0].Path, Form: FormScript}, javaRuntime(t.javaHomes(), level, ev...), ev)
	if level.desktop != "" {
		return append(facts, of(ev[0].Path, desktopFact(strings.TrimSuffix(level.uses, "/"), classEvidence(t, level.desktop, "names "+level.uses)))...)
	}
	return append(facts, of(ev[0].Path, t.webappDraws("."))...)
}

// classEvidence is the place of what was read of a class: of the names in it, all.
func classEvidence(t *Tree, p, detail string) Evidence {
	return Evidence{Path: p, Length: int64(len(t.start(p, maxClass))), Detail: detail}
}

// look reads of the archive what only its program has: the ports that the configuration
// of Spring Boot names, and libraries that draw.
func (a *javaApp) look(j *jar, attrs map[string]string) error {
	a.looked = true
	a.draws = a.drawing(j)
	for _, name := range []string{"BOOT-INF/classes/application.properties", "BOOT-INF/classes/application.yml", "BOOT-INF/classes/application.yaml", "application.properties"} {
		data, err := j.read(name)
		if err != nil {
			return err
		}
		if m := serverPort().FindSubmatch(data); m != nil {
			a.ports = []Fact{{Key: "port", Value: string(m[1]), source: "server",
				Evidence: []Evidence{j.evidence(name, name+": server.port "+string(m[1]))}}}
			return nil
		}
	}
	if strings.HasPrefix(attrs["main-class"], "org.springframework.boot.loader.") && j.has("BOOT-INF/lib/spring-web") {
		a.ports = []Fact{{Key: "port", Value: "8080", source: "default",
			Evidence: []Evidence{j.evidence("META-INF/MANIFEST.MF", "Spring Boot with a web server listens on 8080 by default")}}}
	}
	return nil
}

// of is facts about a program.
func of(program string, facts []Fact) []Fact {
	for i := range facts {
		facts[i].about = program
	}
	return facts
}

var serverPort = pattern(`(?m)^\s*(?:server\.port\s*[=:]|server:\s*(?:\r?\n\s+[a-z.-]+:[^\r\n]*)*?\r?\n\s+port:)\s*(?:\$\{[A-Za-z_.]+:)?(\d{2,5})\b`)

// drawingLibraries are archives that draw with java.awt, by how their names begin.
var drawingLibraries = []string{"jasperreports-", "jfreechart-", "jfreesvg-", "batik-", "pdfbox-", "openhtmltopdf-", "flying-saucer-", "xchart-", "thumbnailator-", "imgscalr-", "kaptcha", "jcaptcha", "patchca", "easy-captcha", "barcode4j", "barbecue-", "javafx-"}

// desktopFact is that of a program which draws.
func desktopFact(value string, ev Evidence) []Fact {
	return []Fact{{Key: "java-desktop", Value: value, Evidence: []Evidence{ev},
		item: FamilyNeed{Family: FamilyServerCore, Why: "what draws with Java's AWT needs GDI, which Nano Server lacks", Evidence: []Evidence{ev}}}}
}

func drawingLibrary(name string) bool {
	return slices.ContainsFunc(drawingLibraries, func(p string) bool { return strings.HasPrefix(name, p) })
}

// drawing says whether a program draws, in its own classes or by a library in its
// archive that is known to.
func (a *javaApp) drawing(j *jar) []Fact {
	if a.level.desktop != "" {
		return desktopFact(strings.TrimSuffix(a.level.uses, "/"), j.evidence(a.level.desktop, a.level.desktop+" names "+a.level.uses))
	}
	for _, f := range j.files {
		if base := path.Base(f.Name); path.Ext(base) == ".jar" && drawingLibrary(base) {
			return desktopFact(base, j.evidence(f.Name, f.Name+" is a library that draws"))
		}
	}
	return nil
}

// javaDesktop says whether a program draws, or a library beside it does.
func (t *Tree) javaDesktop(a javaApp) []Fact {
	if len(a.draws) > 0 {
		return a.draws
	}
	for f := range t.withExt(".jar") {
		if drawingLibrary(f.base) {
			return desktopFact(f.base, Evidence{Path: f.path(), Line: 1, Detail: "a library that draws"})
		}
	}
	return nil
}
