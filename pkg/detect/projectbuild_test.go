package detect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func TestSourceSaysWhatRunsItAndHowItIsBuilt(t *testing.T) {
	pom := func(more string) []string {
		return []string{"pom.xml", "<project><artifactId>shop</artifactId>" + more + "</project>", "src/main/java/A.java", "class A {}"}
	}
	for name, c := range map[string]struct {
		files   []string
		becomes detect.Kind
		runtime string
		build   string
	}{
		"Maven":               {pom("<properties><java.version>17</java.version></properties>"), detect.KindJava, "java 17", "mvn package"},
		"Maven by a plugin":   {pom("<packaging>war</packaging><build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId><configuration><source>1.8</source></configuration></plugin></plugins></build>"), detect.KindTomcat, "java 8", "mvn package"},
		"Maven by a name":     {pom("<properties><java.version>${jdk}</java.version></properties>"), detect.KindJava, "java", "mvn package"},
		"Gradle":              {[]string{"build.gradle", "plugins { id 'java' }\njava { toolchain { languageVersion = JavaLanguageVersion.of(21) } }\n", "src/main/java/A.java", ""}, detect.KindJava, "java 21", "gradlew build"},
		"Gradle of old":       {[]string{"build.gradle", "apply plugin: 'war'\nsourceCompatibility = 1.8\n", "src/main/java/A.java", ""}, detect.KindTomcat, "java 8", "gradlew build"},
		"a front end":         {[]string{"package.json", `{"scripts":{"build":"vite build"}}`, "index.html", "<html></html>", "src/main.ts", ""}, detect.KindStatic, "", "npm run build"},
		"a web project":       {[]string{"Shop.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup></Project>`}, detect.KindASPNETCore, "", "dotnet publish"},
		"a package of Python": {[]string{"pyproject.toml", "[project]\nname = 'x'\n[project.scripts]\nx = 'x:main'\n", "x/__init__.py", ""}, detect.KindPython, "python", "pip install"},
	} {
		r := look(t, files(c.files...))
		i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1009" })
		if r.App.Kind != detect.KindSource || r.App.Becomes != c.becomes || runsOn(r) != c.runtime || i < 0 || !strings.Contains(r.Findings[i].Remedy, c.build) {
			t.Errorf("%s: %s %s %q %v", name, r.App.Kind, r.App.Becomes, runsOn(r), r.Findings)
		}
	}
}

// A pom.xml that was copied along with what was built is no project.
func TestProjectOfMavenHasCode(t *testing.T) {
	pom := "<project><artifactId>shop</artifactId></project>"
	for name, c := range map[string]struct {
		files []string
		kind  detect.Kind
	}{
		"beside a program":       {[]string{"pom.xml", pom, "shop.jar", runnable(t, "m.M", "17")}, detect.KindJava},
		"with code":              {[]string{"pom.xml", pom, "src/main/java/A.java", "class A {}"}, detect.KindSource},
		"with pages only":        {[]string{"pom.xml", strings.Replace(pom, "</project>", "<packaging>war</packaging></project>", 1), "src/main/webapp/index.jsp", ""}, detect.KindSource},
		"code in another folder": {[]string{"pom.xml", pom, "java/A.java", "class A {}"}, detect.KindSource},
	} {
		if r := look(t, files(c.files...)); r.App.Kind != c.kind {
			t.Errorf("%s: %s, want %s", name, r.App.Kind, c.kind)
		}
	}
}
