package detect

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// nativeProject is one of C++: its configuration type says what it becomes.
func (t *Tree) nativeProject(x *project) {
	value, at := x.property("ConfigurationType")
	if at == nil {
		return
	}
	x.evidence = line(x.path, at, "ConfigurationType "+value)
	if value != "Application" {
		return
	}
	x.becomes, x.arch = KindNativeConsole, X64
	var platforms []string
	for _, e := range x.items("ProjectConfiguration") {
		_, platform, _ := strings.Cut(e.attr("Include"), "|")
		platforms = append(platforms, platform)
	}
	if len(platforms) > 0 && !slices.Contains(platforms, "x64") && slices.Contains(platforms, "Win32") {
		x.arch = X86
	}
	for _, group := range childrenOf(x.root, "ItemDefinitionGroup") {
		if e := group.child("Link", "SubSystem"); e != nil && e.text == "Windows" {
			x.becomes = KindNativeDesktop
			x.evidence = append(x.evidence, line(x.path, e, "SubSystem Windows")...)
		}
	}
	if file, number := t.codeHolds(path.Dir(x.path), nativeServiceCode(), ".cpp", ".cc", ".cxx", ".c", ".h", ".hpp"); file != "" {
		x.becomes = KindNativeService
		x.evidence = append(x.evidence, Evidence{Path: file, Line: number, Detail: "a Windows service in its code"})
	}
}

// nativeServiceCode is how a service of C++ starts: by the API, or by ATL's module.
var nativeServiceCode = pattern(`\bStartServiceCtrlDispatcher[AW]?\s*\(|\bCAtlServiceModuleT\b`)

// otherProjects are trees that other tools build: Maven, Gradle and Go.
func (t *Tree) otherProjects() []*project {
	found := t.mavenProjects()
	found = append(found, t.gradleProjects()...)
	found = append(found, t.jsonProjects()...)
	if p := t.find("Cargo.toml"); p != "" {
		if main := t.find("src/main.rs"); main != "" {
			found = append(found, &project{path: p, becomes: KindNativeConsole, arch: X64,
				evidence: []Evidence{{Path: main, Line: 1, Detail: "the program of a package of Rust"}}})
		}
	}
	if x := t.pythonPackage(); x != nil {
		found = append(found, x)
	}
	if x := t.frontEnd(); x != nil {
		found = append(found, x)
	} else if x := t.nodeProject(); x != nil {
		found = append(found, x)
	}
	if p := t.find("go.mod"); p != "" || t.find("Gopkg.toml") != "" || t.find("glide.yaml") != "" || t.hasDir("vendor/github.com") { // before Go 1.11
		mains := t.goMains()
		for _, main := range mains {
			x := &project{path: p, becomes: KindNativeConsole, arch: X64, evidence: []Evidence{{Path: main, Line: 1, Detail: "package main of a module of Go"}}}
			if p == "" {
				x.path = main
			}
			if path.Dir(main) != "." {
				x.path, x.name = main, path.Base(path.Dir(main))
			}
			found = append(found, x)
		}
	}
	return found
}

// mavenProjects are the project of the folder or, where it only lists them, its modules
// (maven.apache.org/pom.html, "Aggregation").
func (t *Tree) mavenProjects() []*project {
	var found []*project
	todo := []string{"pom.xml"}
	for seen := map[string]bool{}; len(todo) > 0; todo = todo[1:] {
		p := t.find(todo[0])
		if p == "" || seen[p] {
			continue
		}
		if len(seen) == maxProjects {
			t.problem(p, fmt.Sprintf("more than %d projects: this one and later ones were not looked at", maxProjects))
			break
		}
		seen[p] = true
		root := t.readXML(p, projectUnknown)
		if root == nil || root.name != "project" {
			continue
		}
		x := &project{path: p, root: root, evidence: line(p, root, "a project of Maven")}
		if id := root.child("artifactId"); id != nil {
			x.name = id.text
		}
		x.runs = mavenJava(root)
		packaging := root.child("packaging")
		if root.child("modules") == nil && t.builtJava() && !t.anyCode(path.Dir(p)) {
			continue // it was copied along with what was built of it
		}
		switch {
		case packaging == nil || packaging.text == "jar":
			if x.becomes = KindJava; len(seen) > 1 { // a module of others, which may be a library of theirs
				x.becomes = mavenProgram(x)
			}
		case packaging.text == "war":
			x.becomes, x.evidence = KindTomcat, line(p, packaging, "packaging war")
		case packaging.text == "ear":
			x.becomes, x.evidence = KindJBoss, line(p, packaging, "packaging ear")
		}
		for _, m := range childrenOf(root.child("modules"), "module") {
			if rel, ok := relativeTo(path.Dir(p), m.text); ok {
				if !strings.HasSuffix(strings.ToLower(rel), ".xml") {
					rel = path.Join(rel, "pom.xml")
				}
				todo = append(todo, rel)
			}
		}
		found = append(found, x)
	}
	return found
}

// builtJava says whether the root holds what projects of Java are built to.
func (t *Tree) builtJava() bool {
	if t.hasDir("WEB-INF") {
		return true
	}
	for f := range t.withExt(".jar", ".war") {
		return f.top() // those of the root come first
	}
	return false
}

// anyCode says whether a folder holds code for the virtual machine of Java, or pages.
func (t *Tree) anyCode(dir string) bool {
	for f := range t.withExt(".java", ".kt", ".scala", ".groovy", ".clj", ".jsp", ".html", ".xhtml") {
		if inFolder(f.path(), path.Join(dir, "src")) || slices.Contains([]string{".java", ".kt", ".scala", ".groovy", ".clj"}, f.ext()) && inFolder(f.path(), dir) {
			return true
		}
	}
	return false
}

// mavenPrograms are plugins that make an archive which starts by itself.
var mavenPrograms = []string{"spring-boot-maven-plugin", "quarkus-maven-plugin", "micronaut-maven-plugin", "maven-shade-plugin", "maven-assembly-plugin", "onejar-maven-plugin", "appassembler-maven-plugin", "liberty-maven-plugin"}

// mavenProgram says what a module that makes a .jar becomes: a program where a plugin
// makes it one, or its manifest names a class that starts.
func mavenProgram(x *project) Kind {
	for _, plugin := range childrenOf(x.root.child("build", "plugins"), "plugin") {
		id := plugin.child("artifactId")
		if id == nil {
			continue
		}
		if slices.Contains(mavenPrograms, id.text) {
			x.evidence = line(x.path, id, "plugin "+id.text)
			return KindJava
		}
		if main := plugin.child("configuration", "archive", "manifest", "mainClass"); main != nil {
			x.evidence = line(x.path, main, "mainClass of "+id.text)
			return KindJava
		}
	}
	return ""
}

// gradleProjects are the project of the folder, or those that its settings include.
func (t *Tree) gradleProjects() []*project {
	read := func(dir string, module bool) *project {
		for _, name := range []string{"build.gradle", "build.gradle.kts"} {
			p := t.find(path.Join(dir, name))
			if p == "" || !module && !t.hasDir(path.Join(dir, "src/main")) {
				continue
			}
			x := &project{path: p, becomes: KindJava, evidence: []Evidence{{Path: p, Line: 1, Detail: "a project of Gradle"}}}
			if module {
				x.name = path.Base(dir)
			}
			text := t.head(p, 64<<10)
			x.runs = gradleJava(text)
			switch {
			case gradleWar().Match(text) && !strings.Contains(string(text), "org.springframework.boot"):
				x.becomes = KindTomcat
				x.evidence = []Evidence{{Path: p, Line: lineAt(text, int64(gradleWar().FindIndex(text)[0])), Detail: "the plugin war"}}
			case gradleProgram().Match(text):
				x.evidence = []Evidence{{Path: p, Line: lineAt(text, int64(gradleProgram().FindIndex(text)[0])), Detail: "a plugin that makes a program"}}
			case module:
				x.becomes = "" // a library of the others
			}
			return x
		}
		return nil
	}
	var found []*project
	if x := read(".", false); x != nil {
		found = append(found, x)
	}
	for _, name := range []string{"settings.gradle", "settings.gradle.kts"} {
		p := t.find(name)
		if p == "" {
			continue
		}
		for _, include := range gradleInclude().FindAll(t.head(p, 64<<10), maxProjects) {
			for _, m := range quotedWord().FindAllStringSubmatch(string(include), maxProjects) {
				if dir, ok := relativeTo(".", strings.ReplaceAll(strings.TrimPrefix(m[1], ":"), ":", "/")); ok {
					if x := read(dir, true); x != nil {
						found = append(found, x)
					}
				}
			}
		}
	}
	return found
}

// goMains are files of package main, one of each folder; that of the root alone where it
// has one.
func (t *Tree) goMains() []string {
	dirs := map[string]string{}
	seen := 0
	for f := range t.withExt(".go") {
		p := f.path()
		if strings.HasSuffix(f.base, "_test.go") || strings.Contains("/"+p, "/vendor/") || dirs[f.dir.path] != "" {
			continue
		}
		if seen++; seen > maxSources {
			break
		}
		if goPackage().Match(t.head(p, headBytes)) {
			dirs[f.dir.path] = p
		}
	}
	if p := dirs["."]; p != "" {
		return []string{p}
	}
	return slices.Sorted(maps.Values(dirs))
}

// aspireHost says whether a project starts the others of its tree while they are
// developed (learn.microsoft.com/dotnet/aspire/fundamentals/app-host-overview).
func aspireHost(root *element) bool {
	names := []string{root.attr("Sdk")}
	for _, e := range childrenOf(root, "Sdk") {
		names = append(names, e.attr("Name"))
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(strings.ToLower(n), "aspire.apphost.sdk") })
}

// aside says whether a project lies where a tree keeps its tools, samples and tests.
func (x *project) aside() bool {
	if x.root != nil && x.refersTo("nuke.common", "cake.frosting", "cake.core", "bullseye", "benchmarkdotnet") != nil {
		return true // it builds or measures the others
	}
	return slices.ContainsFunc(strings.Split(strings.ToLower(path.Dir(x.path)), "/"), func(n string) bool {
		return slices.Contains(notApps, n) || n == "benchmarks" || n == "perf" || n == "eng"
	})
}

// scriptSolution says whether a file is a solution that has nothing to compile: projects of
// Python, Node.js and PHP, which Visual Studio only edits.
func (t *Tree) scriptSolution(f file) bool {
	if f.ext() != ".sln" {
		return false
	}
	projects := solutionProject().FindAllSubmatch(t.head(f.path(), 64<<10), maxProjects)
	return len(projects) > 0 && !slices.ContainsFunc(projects, func(m [][]byte) bool {
		return !slices.Contains([]string{".pyproj", ".njsproj", ".phpproj"}, strings.ToLower(path.Ext(string(m[1]))))
	})
}

// projectDepth is the depth of the highest project or solution.
func (t *Tree) projectDepth() int {
	best := noDepth
	for f := range t.withExt(sourceExts...) {
		if t.scriptSolution(f) {
			continue
		}
		best = min(best, t.depth(f.dir.path))
	}
	return best
}

var (
	gradleWar     = pattern(`(?m)(id\s*\(?\s*["']war["']|apply plugin:\s*["']war["']|^\s*war\s*$)`)
	gradleProgram = pattern(`(id\s*\(?\s*["'](application|org\.springframework\.boot|com\.gradleup\.shadow|com\.github\.johnrengelman\.shadow|io\.quarkus|io\.micronaut\.application)["']|apply plugin:\s*["'](application|org\.springframework\.boot)["']|(?m:^\s*application\s*$))`)
	gradleInclude = pattern(`(?m)^\s*include\b(?:[^\n]*,[ \t]*\r?\n)*[^\n]*`)
	quotedWord    = pattern(`["']([^"'\n]+)["']`)
	// solutionProject is a project of a solution: its kind, name and file.
	solutionProject = pattern(`(?m)^Project\("\{[0-9A-Fa-f-]+\}"\) = "[^"\r\n]*", "([^"\r\n]+)"`)
	goPackage       = pattern(`(?m)^package\s+main\b`)
)

// pythonPackage is a package of Python with a command of its own, where no script in it
// says what starts: it has to be installed first.
func (t *Tree) pythonPackage() *project {
	p := t.find("pyproject.toml")
	if p == "" {
		return nil
	}
	text := t.head(p, 64<<10)
	m := pythonCommands().FindIndex(text)
	if m == nil || t.pythonEntry() != nil {
		return nil
	}
	return &project{path: p, becomes: KindPython, evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: "a package of Python with a command of its own"}}}
}

// frontEnd is a package of JavaScript that a tool builds to files for a browser, where
// nothing in it is a server.
func (t *Tree) frontEnd() *project {
	p := t.find("package.json")
	if p == "" {
		return nil
	}
	build := t.readJSON(p, nodeUnknown).get("scripts", "build")
	if build == nil || t.nodeEntry() != nil {
		return nil
	}
	for range t.withExt(".php", ".asp", ".aspx", ".jsp", ".py") { // whose pages it is the front end of
		return nil
	}
	words := commandLine(build.string())
	for i, w := range words {
		if slices.Contains(siteBuilders, w) && slices.Contains(words[i:], "build") {
			return &project{path: p, becomes: KindStatic, evidence: []Evidence{{Path: p, Line: build.line, Detail: mask("build: " + build.string())}}}
		}
	}
	return nil
}

// siteBuilders are tools that build files for a browser by their command build.
var siteBuilders = []string{"vite", "react-scripts", "ng", "vue-cli-service", "parcel", "gatsby", "astro"}

var pythonCommands = pattern(`(?m)^\s*\[(?:project|tool\.poetry)\.scripts\]`)
