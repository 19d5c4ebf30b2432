package detect

import (
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
}

// otherProjects are trees that other tools build: Maven, Gradle and Go.
func (t *Tree) otherProjects() []*project {
	var found []*project
	if p := t.find("pom.xml"); p != "" {
		if root := t.readXML(p, projectUnknown); root != nil && root.name == "project" {
			x := &project{path: p, root: root, becomes: KindJava, evidence: line(p, root, "a project of Maven")}
			packaging := root.child("packaging")
			switch {
			case packaging != nil && packaging.text == "war":
				x.becomes, x.evidence = KindTomcat, line(p, packaging, "packaging war")
			case packaging != nil && packaging.text != "jar":
				x.becomes = "" // pom: its modules are
			}
			found = append(found, x)
		}
	}
	for _, name := range []string{"build.gradle", "build.gradle.kts"} {
		if p := t.find(name); p != "" && t.hasDir("src/main") {
			x := &project{path: p, becomes: KindJava, evidence: []Evidence{{Path: p, Line: 1, Detail: "a project of Gradle"}}}
			text := string(t.head(p, 64<<10))
			if i := gradleWar().FindStringIndex(text); i != nil && !strings.Contains(text, "org.springframework.boot") {
				x.becomes, x.evidence[0].Line = KindTomcat, lineAt([]byte(text), int64(i[0]))
			}
			found = append(found, x)
			break
		}
	}
	if p := t.find("go.mod"); p != "" {
		if main := t.goMain(); main != "" {
			found = append(found, &project{path: p, becomes: KindNativeConsole, arch: X64,
				evidence: []Evidence{{Path: main, Line: 1, Detail: "package main of a module of Go"}}})
		}
	}
	return found
}

// goMain is a file of package main, that of the root first; empty where there are none
// or those of several programs.
func (t *Tree) goMain() string {
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
		return p
	}
	if len(dirs) == 1 {
		for _, p := range dirs {
			return p
		}
	}
	return ""
}

// projectDepth is the depth of the highest project or solution.
func (t *Tree) projectDepth() int {
	best := maxDepth
	for f := range t.withExt(sourceExts...) {
		best = min(best, t.depth(f.dir.path))
	}
	return best
}

var (
	gradleWar = pattern(`(?m)(id\s*\(?\s*["']war["']|apply plugin:\s*["']war["']|^\s*war\s*$)`)
	goPackage = pattern(`(?m)^package\s+main\b`)
)
