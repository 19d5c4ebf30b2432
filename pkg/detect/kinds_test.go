package detect_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// with adds built files of fixtures to a folder: "dst", "case/file".
func with(t testing.TB, m fstest.MapFS, pairs ...string) fstest.MapFS {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		name, file, _ := strings.Cut(pairs[i+1], "/")
		data, err := os.ReadFile(filepath.Join(fixtures.App(t, name), filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		m[pairs[i]] = &fstest.MapFile{Data: data}
	}
	return m
}

func rules(r detect.Report) []string {
	var ids []string
	for _, f := range r.Findings {
		if !slices.Contains(ids, f.Rule) {
			ids = append(ids, f.Rule)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestKindOfWebFolders(t *testing.T) {
	const html = "<!DOCTYPE html><html></html>"
	for name, c := range map[string]struct {
		files []string
		want  detect.Kind
	}{
		"files only":                        {[]string{"index.html", html, "a.css", "b{}"}, detect.KindStatic},
		"files with a web.config for types": {[]string{"index.html", html, "web.config", `<configuration><system.webServer><staticContent><mimeMap fileExtension=".x" mimeType="a/b"/></staticContent></system.webServer></configuration>`}, detect.KindStatic},
		"an index without <html>":           {[]string{"index.html", "<h1>hi</h1>"}, detect.KindStatic},
		"an index that is no HTML":          {[]string{"index.html", "hello"}, detect.KindUnknown},
		"no page":                           {[]string{"a.css", "b{}"}, detect.KindUnknown},
		"php beside files":                  {[]string{"index.html", html, "api/index.php", "<?php"}, detect.KindPHP},
		"node beside files":                 {[]string{"index.html", html, "package.json", "{}", "server.js", "x"}, detect.KindUnknown},
		"scripts of a page":                 {[]string{"index.html", html, "app.js", "import {createApp} from 'vue'; document.body", "index.js", "window.x = require('./y')"}, detect.KindStatic},
		"a server that serves a page":       {[]string{"index.html", html, "app.js", "const e = require('express')\ne().listen(80)"}, detect.KindNode},
		"a server module":                   {[]string{"index.html", html, "server.mjs", `import http from "node:http"`}, detect.KindNode},
		"an installer that a page offers":   {[]string{"index.html", html + `<a href=Get%20It.msi>x</a>`, "Get It.msi", "x"}, detect.KindStatic},
		"an installer with a page":          {[]string{"index.html", html, "Get It.msi", "x"}, detect.KindUnknown},
		"scripts without a page":            {[]string{"app.js", "document.title"}, detect.KindUnknown},
		"httpPlatform":                      {[]string{"index.html", html, "web.config", `<configuration><system.webServer><httpPlatform processPath="java"/></system.webServer></configuration>`}, detect.KindUnknown},
		"classic ASP":                       {[]string{"default.asp", `<%@ Language="VBScript" %>`}, detect.KindClassicASP},
		"an .aspx that is none":             {[]string{"a.aspx", "just text"}, detect.KindUnknown},
		"a page without code":               {[]string{"a.aspx", page}, detect.KindASPNET},
		"source of a web project":           {[]string{"Shop.csproj", "<Project/>", "Default.aspx", `<%@ Page CodeBehind="Default.aspx.cs" Inherits="X" %>`, "Default.aspx.cs", "class X{}"}, detect.KindUnknown},
		"a service file":                    {[]string{"Q.svc", `<%@ ServiceHost Service="Q" %>`}, detect.KindWCF},
		"a service without a file":          {[]string{"web.config", `<configuration><system.serviceModel><serviceHostingEnvironment><serviceActivations><add relativeAddress="a.svc" service="Q"/></serviceActivations></serviceHostingEnvironment></system.serviceModel></configuration>`}, detect.KindWCF},
		"services beside pages":             {[]string{"Q.svc", `<%@ ServiceHost Service="Q" %>`, "a.aspx", page}, detect.KindASPNET},
		"a site below the folder":           {[]string{"site/a.aspx", page, "site/web.config", "<configuration/>"}, detect.KindASPNET},
		"a site of files below the folder":  {[]string{"wwwroot/index.html", html, "readme.txt", "x"}, detect.KindStatic},
		"documentation below the folder":    {[]string{"docs/index.html", html, "readme.txt", "x"}, detect.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			if r.App.Kind != c.want {
				t.Errorf("got %s, want %s; facts %v", r.App.Kind, c.want, r.Facts)
			}
			if c.want == detect.KindUnknown && len(r.Facts) == 0 && name != "no page" {
				t.Error("unknown without the signs that were seen")
			}
		})
	}
}

// Who gets "unknown" has to learn from the finding what was seen, and what to do.
func TestUnknownNamesItsSignsAndWhatHelps(t *testing.T) {
	const html = "<!DOCTYPE html><html></html>"
	for name, c := range map[string]struct {
		files        []string
		seen, remedy string
	}{
		"PHP":                    {[]string{"index.html", html, "api/index.php", "no code"}, "PHP: api/index.php", "winpack makes no images of it yet"},
		"classic ASP":            {[]string{"default.asp", "no code"}, "classic ASP: default.asp", "winpack makes no images of it yet"},
		"Node.js":                {[]string{"package.json", `{"main": "x.js"}`}, "a Node.js package: package.json", "winpack makes no images of it yet"},
		"a broken package":       {[]string{"package.json", `{"main`}, "a Node.js package: package.json", "winpack makes no images of it yet"},
		"an installer":           {[]string{"Setup.msi", "x"}, "an installer: Setup.msi", "Install it on a Windows machine"},
		"a project":              {[]string{"Shop.csproj", "<Project/>", "Program.cs", "class P {}"}, "a source tree that has to be compiled first: Shop.csproj", "Build it first"},
		"code without a project": {[]string{"svc/Service.cs", "class S {}", "readme.txt", "x"}, "source code: svc/Service.cs", "Build it first"},
		"a page of a project":    {[]string{"web.config", "<configuration/>", "a.aspx", `<%@ Page CodeBehind="a.aspx.cs" Inherits="X" %>`, "a.aspx.cs", "class X{}"}, "uncompiled a.aspx", "Build it first"},
		"a site below":           {[]string{"docs/index.html", html, "readme.txt", "x"}, "a site below the folder: docs", "Give winpack the folder docs"},
		"an ASP.NET site":        {[]string{"samples/a.aspx", page, "samples/web.config", "<configuration/>"}, "a site below the folder: samples", "Give winpack the folder samples"},
		"no HTML":                {[]string{"index.html", "hello"}, "index.html shows no HTML", "Look at that page"},
		"only scripts":           {[]string{"lib/readme.txt", "x", "deploy.cmd", "@echo off"}, "scripts: deploy.cmd", "name it as entrypoint"},
		"a site without bin":     {[]string{"Global.asax", "<%@ Application %>", "Views/Home/Index.cshtml", "@{}"}, "an ASP.NET site without its assembly in bin", "Give winpack the published site"},
		"a lonely web.config":    {[]string{"web.config", `<configuration><system.web><compilation targetFramework="4.8"/></system.web></configuration>`}, "a web.config of ASP.NET without a page", "Give winpack the published site"},
		"a page that is none":    {[]string{"a.aspx", "just text"}, "a.aspx has no directive", "Look at the file"},
		"a program without it":   {[]string{"App.runtimeconfig.json", "{}"}, "App.runtimeconfig.json has no App.dll beside it", "Copy all files"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files(c.files...))
			i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1003" })
			if r.App.Kind != detect.KindUnknown || i < 0 {
				t.Fatalf("got %s %v", r.App.Kind, r.Findings)
			}
			if f := r.Findings[i]; !strings.Contains(f.Message, c.seen) || !strings.Contains(f.Remedy, c.remedy) || len(f.Evidence) == 0 {
				t.Errorf("got %+v, want %q and %q", f, c.seen, c.remedy)
			}
		})
	}
	many := files("index.php", "no code", "a.jar", "x", "conf/nginx.conf", "x", "host.json", "{}", "x.py", "x", "Setup.msi", "x")
	findings := 0
	for _, f := range look(t, many).Findings {
		if f.Rule == "WP1003" {
			findings++
		}
	}
	if findings != 2 {
		t.Errorf("%d findings for signs with two remedies", findings)
	}
}

func TestPackageOfNPMIsNoAppOfNodeByItsNameAlone(t *testing.T) {
	const carrier = `{"name": "@x/win32-x64", "version": "1.0.0", "os": ["win32"], "cpu": ["x64"], "license": "MIT"}` // as those of npm that carry a program
	for name, c := range map[string]struct {
		json string
		more []string
		kind detect.Kind
	}{
		"carries a program": {carrier, nil, detect.KindNativeConsole},
		"empty":             {"{}", nil, detect.KindNativeConsole},
		"starts a script":   {`{"scripts": {"start": "node x"}}`, nil, detect.KindUnknown},
		"runs a script":     {`{"bin": {"x": "x.js"}}`, nil, detect.KindUnknown},
		"has a main":        {`{"main": "x.js"}`, nil, detect.KindUnknown},
		"needs packages":    {`{"dependencies": {"express": "4"}}`, nil, detect.KindUnknown},
		"only builds":       {`{"scripts": {"build": "x"}, "devDependencies": {"x": "1"}, "dependencies": {}}`, nil, detect.KindNativeConsole},
		"beside its server": {carrier, []string{"server.js", "x"}, detect.KindUnknown},
		"with its packages": {carrier, []string{"node_modules/x/y.js", "x"}, detect.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, with(t, files(append(c.more, "package.json", c.json)...), "esbuild.exe", "native-console/sum.exe"))
			if r.App.Kind != c.kind {
				t.Errorf("got %s, want %s: %v", r.App.Kind, c.kind, r.Findings)
			}
		})
	}
}

func TestChoiceOfTheProgram(t *testing.T) {
	for name, c := range map[string]struct {
		files   fstest.MapFS
		want    string
		kind    detect.Kind
		finding string
	}{
		"a service among tools":    {with(t, fstest.MapFS{}, "Spooler.exe", "netfx-service/Spooler.exe", "Tool.exe", "netfx-winexe-console/Agent.exe"), "Spooler.exe", detect.KindNetFXService, "WP1108"},
		"two consoles":             {with(t, fstest.MapFS{}, "A.exe", "netfx-winexe-console/Agent.exe", "B.exe", "netfx-winexe-console/Agent.exe"), "", detect.KindUnknown, "WP1002"},
		"the one with a config":    {with(t, files("B.exe.config", "<configuration/>"), "A.exe", "netfx-winexe-console/Agent.exe", "B.exe", "netfx-winexe-console/Agent.exe"), "B.exe", detect.KindNetFXConsole, ""},
		"the higher folder":        {with(t, fstest.MapFS{}, "app.exe", "native-console/sum.exe", "tools/t.exe", "native-console/sum.exe"), "app.exe", detect.KindNativeConsole, ""},
		"a download of a site":     {with(t, files("index.html", "<html>"), "get/setup.exe", "native-console/sum.exe"), "", detect.KindStatic, ""},
		"node with its scripts":    {with(t, files("package.json", "{}", "server.js", "x"), "node.exe", "native-console/sum.exe"), "", detect.KindUnknown, "WP1003"},
		"a tool in a source tree":  {with(t, files("src/Program.cs", "class P {}"), "build/tool/t.exe", "native-console/sum.exe"), "", detect.KindUnknown, "WP1003"},
		"ASP.NET Core as packages": {with(t, fstest.MapFS{}, "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "dotnet-console/Report.runtimeconfig.json"), "Orders.dll", detect.KindASPNETCore, ""},
		"web.config names it": {with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath=".\Orders.exe" arguments="--fast"/></system.webServer></configuration>`),
			"Orders.exe", "aspnet-core/Orders.exe", "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json",
			"Other.exe", "dotnet-console/Report.exe", "Report.dll", "dotnet-console/Report.dll", "Report.runtimeconfig.json", "dotnet-console/Report.runtimeconfig.json"), "Orders.exe", detect.KindASPNETCore, "WP1214"},
		"the crash dumper of the runtime": {with(t, files("coreclr.dll", "MZ"), "createdump.exe", "native-console/sum.exe", "app.exe", "native-console/sum.exe"), "app.exe", detect.KindNativeConsole, ""},
		"a host without its DLL":          {with(t, fstest.MapFS{}, "Report.exe", "dotnet-console/Report.exe"), "", detect.KindUnknown, "WP1003"},
		"a DLL without its host":          {with(t, fstest.MapFS{}, "Report.dll", "dotnet-console/Report.dll", "Report.runtimeconfig.json", "dotnet-console/Report.runtimeconfig.json"), "Report.dll", detect.KindDotNetConsole, ""},
		"no runtimeconfig.json":           {with(t, fstest.MapFS{}, "Report.exe", "dotnet-console/Report.exe", "Report.dll", "dotnet-console/Report.dll"), "Report.exe", detect.KindDotNetConsole, "WP1103"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, c.files)
			got := ""
			if r.App.Program != nil {
				got = r.App.Program.Path
			}
			if got != c.want || r.App.Kind != c.kind {
				t.Errorf("got %q %s, want %q %s", got, r.App.Kind, c.want, c.kind)
			}
			if c.finding != "" && !slices.Contains(rules(r), c.finding) {
				t.Errorf("no %s in %v", c.finding, rules(r))
			}
		})
	}
}

func TestConfigurationOfAnotherFrameworkLosesToTheBytes(t *testing.T) {
	// system.web in web.config, but the program is ASP.NET Core
	core := with(t, files("web.config", `<configuration><system.web><compilation targetFramework="4.8" debug="true"/></system.web></configuration>`),
		"Orders.exe", "aspnet-core/Orders.exe", "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json")
	if r := look(t, core); r.App.Kind != detect.KindASPNETCore || r.App.Framework != (detect.Framework{Name: ".NETCoreApp", Version: "10.0"}) || slices.Contains(rules(r), "WP1211") {
		t.Errorf("got %s %v %v", r.App.Kind, r.App.Framework, rules(r))
	}
	// aspNetCore in web.config, but the assemblies are of .NET Framework
	fx := with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments=".\Gone.dll"/></system.webServer></configuration>`, "Default.aspx", page),
		"bin/Shop.dll", "aspnet-webforms/bin/Shop.dll")
	if r := look(t, fx); r.App.Kind != detect.KindASPNET || r.App.Framework.Version != "4.7.2" {
		t.Errorf("got %s %v", r.App.Kind, r.App.Framework)
	}
	// an exe.config that was copied from a newer project
	exe := with(t, files("Agent.exe.config", `<configuration><startup><supportedRuntime version="v4.0" sku=".NETFramework,Version=v4.8"/></startup></configuration>`), "Agent.exe", "netfx-winexe-console/Agent.exe")
	r := look(t, exe)
	if r.App.Framework.Version != "4.7.2" {
		t.Errorf("got %v", r.App.Framework)
	}
	lost := slices.ContainsFunc(r.Facts, func(f detect.Fact) bool {
		return f.Key == "framework" && f.Value == ".NETFramework 4.8" && strings.Contains(f.OverruledBy, "target-framework-attribute")
	})
	if !lost {
		t.Errorf("the fact that lost is not in the report: %v", r.Facts)
	}
}

func TestSupportedRuntimeOfCLR4CountsBeforeCLR2(t *testing.T) {
	const v2, v4 = `<supportedRuntime version="v2.0.50727"/>`, `<supportedRuntime version="v4.0" sku=".NETFramework,Version=v4.5"/>`
	program := csharp(t, [3]string{"App.exe", "static class P { static void Main() { } }", ""})
	clr2 := strings.ReplaceAll(string(program["App.exe"].Data), "v4.0.30319", "v2.0.50727")
	for name, c := range map[string]struct{ startup, version, find, not, lost string }{
		"CLR 2, then 4": {v2 + v4, "4.5", "WP1101", "WP1111", ".NETFramework 2.0"},
		"CLR 4, then 2": {v4 + v2, "4.5", "WP1101", "WP1111", ".NETFramework 2.0"},
		"CLR 2 alone":   {v2, "2.0", "WP1111", "WP1101", ".NETFramework 4.x"},
		"no sku":        {v2 + `<supportedRuntime version="v4.0"/>`, "", "WP1113", "WP1101", ".NETFramework 2.0"},
		"broken sku":    {`<supportedRuntime version="v4.0" sku=".NETFramework,Version=v4.x"/>`, "", "WP1113", "WP1101", ""},
		"sku of 4.0":    {`<supportedRuntime version="v4.0" sku=".NETFramework,Version=v4.0"/>`, "4.0", "WP1101", "WP1113", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := files("App.exe", clr2, "App.exe.config", "<configuration><startup>"+c.startup+"</startup></configuration>")
			r := look(t, m)
			if r.App.Framework != (detect.Framework{Name: detect.NETFramework, Version: c.version}) || !slices.Contains(rules(r), c.find) || slices.Contains(rules(r), c.not) {
				t.Errorf("got %v %v, want %s %s and not %s", r.App.Framework, rules(r), c.version, c.find, c.not)
			}
			if c.lost != "" && !slices.ContainsFunc(r.Facts, func(f detect.Fact) bool { return f.Key == "framework" && f.Value == c.lost && f.OverruledBy != "" }) {
				t.Errorf("the entry that lost is not in the report: %v", r.Facts)
			}
		})
	}
}

func TestBrokenTargetFrameworkIsNoVersion(t *testing.T) {
	program := csharp(t, [3]string{"App.exe", `[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v4.7.2")] static class P { static void Main() { } }`, ""})
	for _, broken := range []string{"v4.\xff.2", "v4.7.x", "v../.."} {
		data := strings.ReplaceAll(string(program["App.exe"].Data), "v4.7.2", broken)
		r := look(t, files("App.exe", data))
		if r.App.Framework != (detect.Framework{Name: detect.NETFramework}) {
			t.Errorf("%q: got %q", broken, r.App.Framework)
		}
	}
	r := look(t, files("a.aspx", page, "web.config", `<configuration><system.web><compilation targetFramework="4.&#xfffd;.2"/><httpRuntime targetFramework="latest"/></system.web></configuration>`))
	if r.App.Framework.Version != "" {
		t.Errorf("web.config: got %q", r.App.Framework.Version)
	}
}

// Nobody read a target where the assembly names none: no support can have ended.
func TestTargetThatNobodyStatedIsNoVersion(t *testing.T) {
	const plain = "static class P { static void Main() { } }"
	for name, c := range map[string]struct{ source, version, rule string }{
		"none": {plain, "", "WP1113"},
		"4.0":  {`[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v4.0")] ` + plain, "4.0", "WP1101"},
		"4.8":  {`[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v4.8")] ` + plain, "4.8", ""},
	} {
		r := look(t, csharp(t, [3]string{"App.exe", c.source, ""}))
		if r.App.Framework != (detect.Framework{Name: detect.NETFramework, Version: c.version}) {
			t.Errorf("%s: got %v", name, r.App.Framework)
		}
		for _, f := range r.Findings {
			if f.Rule != c.rule || f.Rule == "WP1113" && f.Level != detect.LevelNote {
				t.Errorf("%s: got %v", name, f)
			}
		}
		if c.rule != "" && len(r.Findings) != 1 || len(r.Needs.Families) != 1 || len(r.Needs.Families[0].Evidence) == 0 {
			t.Errorf("%s: findings %v, needs %v", name, r.Findings, r.Needs)
		}
	}
	// Beside a page that is compiled for 3.5, an assembly for CLR 4 still decides.
	library := csharp(t, [3]string{"Shop.dll", "public class P : System.Web.UI.Page { }", "-target:library -r:System.Web.dll"})
	site := files("a.aspx", page, "bin/Shop.dll", string(library["Shop.dll"].Data),
		"web.config", `<configuration><system.web><compilation><assemblies><add assembly="System.Core, Version=3.5.0.0"/></assemblies></compilation></system.web></configuration>`)
	if r := look(t, site); r.App.Framework != (detect.Framework{Name: detect.NETFramework}) || r.Needs.IIS.AppPool.RuntimeVersion != "v4.0" {
		t.Errorf("got %v, %+v", r.App.Framework, r.Needs.IIS)
	}
}

func TestProgramBesideAPage(t *testing.T) {
	const linked = `<!DOCTYPE html><html><a href="./%s?v=1">get it</a></html>`
	const plain = `<!DOCTYPE html><html>setup.exe is here</html>`
	for name, c := range map[string]struct {
		page, program, from string
		kind                detect.Kind
	}{
		"installer that a page links to": {linked, "Setup.exe", "native-desktop/hello.exe", detect.KindStatic},
		"tool that a page links to":      {linked, "tool.exe", "native-console/sum.exe", detect.KindStatic},
		"managed one":                    {linked, "Editor.exe", "netfx-winforms/Editor.exe", detect.KindStatic},
		"installer without a link":       {plain, "setup.exe", "native-desktop/hello.exe", detect.KindUnknown},
		"console program with a page":    {plain, "tool.exe", "native-console/sum.exe", detect.KindNativeConsole},
	} {
		t.Run(name, func(t *testing.T) {
			m := with(t, files("index.html", strings.ReplaceAll(c.page, "%s", strings.ToLower(c.program))), c.program, c.from)
			r := look(t, m)
			if r.App.Kind != c.kind {
				t.Errorf("got %s, want %s", r.App.Kind, c.kind)
			}
			if c.kind == detect.KindStatic && (r.App.Program != nil || slices.Contains(rules(r), "WP1001")) {
				t.Errorf("the download starts: %+v %v", r.App.Program, rules(r))
			}
			if c.kind == detect.KindUnknown {
				signs := 0
				for _, f := range r.Facts {
					if f.Key == "sign" && f.OverruledBy == "" {
						signs++
					}
				}
				if signs != 2 {
					t.Errorf("%d signs, want both: %v", signs, r.Facts)
				}
			}
		})
	}
}
