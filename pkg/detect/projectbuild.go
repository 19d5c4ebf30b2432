package detect

import (
	"path"
	"strings"
)

// runtimeOf is what runs the kinds that Windows cannot start by itself.
var runtimeOf = map[Kind]string{KindJava: RuntimeJava, KindTomcat: RuntimeJava, KindJBoss: RuntimeJava, KindPython: RuntimePython, KindNode: RuntimeNode}

// build is the command that builds a project, and where its result lies.
func (x *project) build() string {
	name := strings.ToLower(path.Base(x.path))
	switch {
	case name == "pom.xml":
		return "mvn package, which fills target"
	case strings.HasPrefix(name, "build.gradle"):
		return "gradlew build, which fills build\\libs"
	case name == "build.xml":
		return "ant"
	case name == "package.json" && x.becomes == KindStatic:
		return "npm ci and npm run build, which fill dist or build: until then there is nothing that a web server could hand out"
	case name == "package.json":
		return "npm ci and npm run build"
	case name == "pyproject.toml":
		return "python -m pip install --target app ."
	case name == "cargo.toml":
		return "cargo build --release, which fills target\\release"
	case path.Ext(name) == ".go", name == "go.mod":
		return "go build"
	case path.Ext(name) == ".vcxproj":
		return "msbuild /p:Configuration=Release"
	case path.Ext(name) == ".vbp", path.Ext(name) == ".dpr", path.Ext(name) == ".dproj":
		return "with the compiler that it was written for"
	case x.framework.Name == NETFramework && (x.becomes == KindASPNET || x.becomes == KindWCF):
		return "msbuild /p:DeployOnBuild=true"
	case x.framework.Name == NETFramework:
		return "msbuild /p:Configuration=Release, which fills bin\\Release"
	case strings.HasSuffix(name, "proj"):
		return "dotnet publish -c Release"
	}
	return "with the tools that it was written for"
}

// javaProperties are properties of Maven that say for which Java a project is compiled.
var javaProperties = []string{"maven.compiler.release", "maven.compiler.target", "java.version", "maven.compiler.source", "jdk.version"}

// mavenJava is the Java that a project of Maven is compiled for.
func mavenJava(root *element) string {
	for _, name := range javaProperties {
		if e := root.child("properties", name); e != nil && plainVersion().MatchString(e.text) {
			return javaMajor(e.text)
		}
	}
	for _, plugin := range childrenOf(root.child("build", "plugins"), "plugin") {
		if id := plugin.child("artifactId"); id == nil || id.text != "maven-compiler-plugin" {
			continue
		}
		for _, name := range []string{"release", "target", "source"} {
			if e := plugin.child("configuration", name); e != nil && plainVersion().MatchString(e.text) {
				return javaMajor(e.text)
			}
		}
	}
	return ""
}

// gradleJava is the Java that a project of Gradle is compiled for.
func gradleJava(text []byte) string {
	if m := gradleVersion().FindSubmatch(text); m != nil {
		return javaMajor(strings.ReplaceAll(string(m[1]), "_", "."))
	}
	return ""
}

var gradleVersion = pattern(`(?:languageVersion\s*(?:=|\.set\()\s*JavaLanguageVersion\.of\(|(?:source|target)Compatibility\s*=?\s*(?:JavaVersion\.VERSION_|["'])?)(\d[\d._]{0,4})`)
