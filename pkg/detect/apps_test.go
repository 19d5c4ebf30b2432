package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// appList is "name kind source" of each app.
func appList(r detect.Report) []string {
	var all []string
	for _, a := range r.Apps {
		kind := string(a.App.Kind)
		if a.App.Becomes != "" {
			kind += ">" + string(a.App.Becomes)
		}
		var from []string
		for _, m := range a.Source {
			from = append(from, m.At+"="+m.From)
		}
		text := a.App.Name + " " + kind + " " + strings.Join(from, ",")
		if p := a.App.Program; p != nil {
			text += " " + p.Path
		}
		all = append(all, text)
	}
	return all
}

func TestFolderWithSeveralApps(t *testing.T) {
	sdk := func(sdk, items string) string {
		return `<Project Sdk="Microsoft.NET.Sdk` + sdk + `"><PropertyGroup><TargetFramework>net10.0</TargetFramework><OutputType>Exe</OutputType></PropertyGroup><ItemGroup>` + items + `</ItemGroup></Project>`
	}
	core := []string{"Orders.exe", "Orders.dll", "Orders.runtimeconfig.json"}
	at := func(m fstest.MapFS, dir, kase string, names ...string) fstest.MapFS {
		var pairs []string
		for _, n := range names {
			pairs = append(pairs, strings.TrimPrefix(dir+"/"+n, "./"), kase+"/"+n)
		}
		return with(t, m, pairs...)
	}
	for name, c := range map[string]struct {
		m    fstest.MapFS
		want []string
	}{
		"a site and a service": {with(t, files("Web/web.config", "<configuration/>", "Web/a.aspx", page), "Service/Spooler.exe", "netfx-service/Spooler.exe"),
			[]string{"Service netfx-service .=Service Spooler.exe", "Web aspnet .=Web"}},
		"a web application and a tool in folders": {with(t, at(fstest.MapFS{}, "api", "aspnet-core", core...), "job/Import.exe", "netfx-console/Import.exe"),
			[]string{"api aspnet-core .=api Orders.exe", "job netfx-console .=job Import.exe"}},
		"a web application and a service published together": {at(at(fstest.MapFS{}, ".", "aspnet-core", core...), ".", "dotnet-worker-service", "Mailer.exe", "Mailer.dll", "Mailer.runtimeconfig.json"),
			[]string{"Mailer dotnet-service  Mailer.exe", "Orders aspnet-core  Orders.exe"}},
		"two services in one folder": {with(t, fstest.MapFS{}, "A.exe", "netfx-service/Spooler.exe", "B.exe", "netfx-service-interactive/Gateway.exe"),
			[]string{"A netfx-service  A.exe", "B netfx-service  B.exe"}},
		"outputs of a solution": {with(t, at(fstest.MapFS{}, "Shop.Api/bin/Release/net10.0/publish", "aspnet-core", core...), "Shop.Import/bin/Release/net48/Import.exe", "netfx-console/Import.exe"),
			[]string{"Shop.Api aspnet-core .=Shop.Api/bin/Release/net10.0/publish Orders.exe", "Shop.Import netfx-console .=Shop.Import/bin/Release/net48 Import.exe"}},
		"sites of a web root": {files("inetpub/wwwroot/blog/index.php", "<?php echo 1;", "inetpub/wwwroot/shop/default.asp", `<% Response.Write 1 %>`),
			[]string{"blog php .=inetpub/wwwroot/blog", "shop classic-asp .=inetpub/wwwroot/shop"}},
		"applications below a web.config of their own": {with(t, files("web.config", "<configuration/>", "iisstart.htm", "<html>", "shop/web.config", "<configuration/>", "shop/a.aspx", page, "intra/web.config", "<configuration/>", "intra/a.aspx", page), "shop/bin/Shop.dll", "demo/bin/Shop.dll", "intra/bin/Shop.dll", "demo/bin/Shop.dll"),
			[]string{"intra aspnet .=intra", "shop aspnet .=shop"}},
		"projects that can be deployed": {files("Shop.sln", "x", "a/Shop.Web.csproj", sdk(".Web", ""), "b/Shop.Worker.csproj", sdk(".Worker", `<PackageReference Include="Microsoft.Extensions.Hosting.WindowsServices" />`), "t/Shop.Tests.csproj", sdk("", `<PackageReference Include="xunit" />`)),
			[]string{"Shop.Web source>aspnet-core ", "Shop.Worker source>dotnet-service "}},
		"programs of a Go module": {files("go.mod", "module x", "cmd/api/main.go", "package main", "cmd/job/main.go", "package main", "lib/l.go", "package lib"),
			[]string{"api source>native-console ", "job source>native-console "}},
		"projects of .NET Core 1": {files("All.sln", "x", "api/project.json", `{"buildOptions":{"emitEntryPoint":true},"dependencies":{"Microsoft.AspNetCore.Server.Kestrel":"1.0.0"},"frameworks":{"netcoreapp1.0":{}}}`,
			"jobs/project.json", `{"buildOptions":{"emitEntryPoint":true},"dependencies":{"Topshelf":"4.0.0"},"frameworks":{"net46":{}}}`, "lib/project.json", `{"frameworks":{"netstandard1.6":{}}}`),
			[]string{"api source>aspnet-core ", "jobs source>netfx-service "}},
		"Visual Basic 6 beside .NET": {files("Api/Api.csproj", sdk(".Web", ""), "Kasse/Kasse.vbp", "Type=Exe\r\nForm=Main.frm\r\nName=\"Kasse\"\r\n", "Kasse/Main.frm", "VERSION 5.00"),
			[]string{"Api source>aspnet-core ", "Kasse source>native-desktop "}},
		"modules of Maven": {files("pom.xml", "<project><artifactId>all</artifactId><packaging>pom</packaging><modules><module>core</module><module>web</module><module>batch</module></modules></project>",
			"core/pom.xml", "<project><artifactId>core</artifactId></project>", "web/pom.xml", "<project><artifactId>shop-web</artifactId><packaging>war</packaging></project>",
			"batch/pom.xml", "<project><artifactId>batch</artifactId><build><plugins><plugin><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build></project>"),
			[]string{"batch source>java ", "shop-web source>tomcat "}},
		"projects of Gradle": {files("settings.gradle", "rootProject.name = 'x'\ninclude 'core',\n  'web'\ninclude(\":jobs:nightly\")\n", "core/build.gradle", "plugins { id 'java-library' }", "web/build.gradle", "plugins { id 'war' }", "jobs/nightly/build.gradle.kts", "plugins {\n application\n}"),
			[]string{"nightly source>java ", "web source>tomcat "}},
		"two apps of one name": {with(t, files("x/web/web.config", "<configuration/>", "x/web/a.aspx", page, "y/web/a.aspx", page, "y/web/web.config", "<configuration/>")),
			[]string{"x-web aspnet .=x/web", "y-web aspnet .=y/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, c.m)
			if got := appList(r); !slices.Equal(got, c.want) {
				t.Fatalf("got\n%q\nwant\n%q\n%s %v", got, c.want, r.App.Kind, r.Findings)
			}
			for _, a := range r.Apps {
				for _, f := range a.Facts {
					for _, e := range f.Evidence {
						if _, err := c.m.Stat(e.Path); err != nil {
							t.Errorf("%s: evidence of %s is at %q, which is no path of the folder", a.App.Name, f.Key, e.Path)
						}
					}
				}
			}
			if again := look(t, c.m); fmt.Sprint(again) == "" || string(marshal(t, again)) != string(marshal(t, r)) {
				t.Error("two runs differ")
			}
		})
	}
	// What a project's folder holds is of no weight for the others.
	r := look(t, files("a/A.csproj", sdk(".Web", ""), "a/appsettings.json", `{"ConnectionStrings":{"x":"Server=.;Password=hunter2"}}`, "b/B.csproj", sdk(".Web", "")))
	if len(r.Apps) != 2 || !slices.Contains(rules(r.Apps[0]), "WP1301") || slices.Contains(rules(r.Apps[1]), "WP1301") {
		t.Errorf("got %q", appList(r))
	}
	for name, c := range map[string]struct {
		m    fstest.MapFS
		kind detect.Kind
	}{
		"a program with tools below":       {with(t, fstest.MapFS{}, "app.exe", "native-console/sum.exe", "a/b.exe", "native-console/sum.exe", "c/d.exe", "native-web/web.exe"), detect.KindNativeConsole},
		"a site with a program below":      {with(t, files("web.config", "<configuration/>", "a.aspx", page), "svc/Spooler.exe", "netfx-service/Spooler.exe"), detect.KindASPNET},
		"one program for two processors":   {with(t, fstest.MapFS{}, "x64/sum.exe", "native-console/sum.exe", "x86/sum.exe", "native-console-x86/sum.exe"), detect.KindUnknown},
		"a program in bin and tools":       {with(t, fstest.MapFS{}, "bin/sum.exe", "native-console/sum.exe", "tools/web.exe", "native-web/web.exe"), detect.KindNativeConsole},
		"a runtime beside its application": {with(t, files("app/server.js", "require('http').createServer().listen(80)", "app/package.json", `{"scripts":{"start":"node server.js"}}`), "node/node.exe", "native-console/sum.exe"), detect.KindUnknown},
		"a folder around the app":          {with(t, files("drop/readme.txt", "x"), "drop/Spooler.exe", "netfx-service/Spooler.exe"), detect.KindNetFXService},
		"modules of Maven with one program": {files("pom.xml", "<project><packaging>pom</packaging><modules><module>core</module><module>web</module></modules></project>",
			"core/pom.xml", "<project><artifactId>core</artifactId></project>", "web/pom.xml", "<project><packaging>war</packaging></project>"), detect.KindSource},
		"a project with tools and samples": {files("Shop.sln", "x", "src/Shop/Shop.csproj", sdk(".Web", ""), "tools/Seed/Seed.csproj", sdk("", ""), "samples/Client/Client.csproj", sdk("", "")), detect.KindSource},
		"libraries of a source tree":       {files("src/A.java", "class A {}", "build.xml", "<project/>", "deps/a/a.jar", runnable(t, "a.A", "8"), "deps/b/b.jar", runnable(t, "b.B", "8")), detect.KindUnknown},
		"libraries beside each other":      {files("lib/a.jar", runnable(t, "a.A", "8"), "more/lib/b.jar", runnable(t, "b.B", "8")), detect.KindUnknown},
		"a host for development":           {files("Shop.sln", "x", "a/Shop.csproj", sdk(".Web", ""), "b/Shop.AppHost.csproj", `<Project Sdk="Microsoft.NET.Sdk"><Sdk Name="Aspire.AppHost.Sdk" Version="9.0.0" /><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework></PropertyGroup></Project>`), detect.KindSource},
		"another stack with programs":      {files("app.rb", "puts 1", "a/web.config", "<configuration/>", "a/a.aspx", page), detect.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if r := look(t, c.m); len(r.Apps) > 0 || r.App.Kind != c.kind {
				t.Errorf("got %s %q, want %s", r.App.Kind, appList(r), c.kind)
			}
		})
	}
}
