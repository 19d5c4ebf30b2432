package detect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func TestPortsOfKestrel(t *testing.T) {
	aspNetCore := func(arguments, variables string) string {
		return `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments=".\Orders.dll ` + arguments + `"><environmentVariables>` + variables + `</environmentVariables></aspNetCore></system.webServer></configuration>`
	}
	for name, c := range map[string]struct {
		files    []string
		ports    []int
		loopback string
	}{
		"endpoints come before URLs": {[]string{"appsettings.json", `{"Kestrel":{"Endpoints":{"A":{"Url":"http://*:5001"},"B":{"Url":"https://+:5443/"}}}, "Urls":"http://localhost:5002;http://[::]:5003"}`}, []int{5001, 5443}, ""},
		"URLs":                       {[]string{"appsettings.json", `{"Urls":"http://0.0.0.0:5002;http://[::]:5003"}`}, []int{5002, 5003}, ""},
		"one URL of two is local":    {[]string{"appsettings.json", `{"Urls":"http://localhost:5002;http://*:5003"}`}, []int{5003}, "localhost on port 5002"},
		"another environment":        {[]string{"appsettings.Development.json", `{"Urls":"http://*:5002"}`}, nil, ""},
		"the environment's own file": {[]string{"appsettings.json", `{"Urls":"http://*:5002"}`, "appsettings.Production.json", `{"Urls":"http://*:5003"}`}, []int{5003}, ""},
		"an environment that web.config names": {[]string{"appsettings.json", `{"Urls":"http://*:5002"}`, "appsettings.Staging.json", `{"Urls":"http://*:5004"}`,
			"web.config", aspNetCore("", `<environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Staging"/>`)}, []int{5004}, ""},
		"one endpoint of the environment":  {[]string{"appsettings.json", `{"Kestrel":{"Endpoints":{"A":{"Url":"http://localhost:1"},"B":{"Url":"http://*:2"}}}}`, "appsettings.Production.json", `{"Kestrel":{"Endpoints":{"A":{"Url":"http://*:3"}}}}`}, []int{2, 3}, ""},
		"localhost":                        {[]string{"appsettings.json", `{"Urls":"http://localhost:5002"}`}, []int{5002}, "localhost on port 5002"},
		"127.0.0.1":                        {[]string{"appsettings.json", `{"Kestrel":{"Endpoints":{"A":{"Url":"http://127.0.0.1:7"}}}}`}, []int{7}, "127.0.0.1 on port 7"},
		"IPv6":                             {[]string{"appsettings.json", `{"Urls":"http://[::1]:7"}`}, []int{7}, "::1 on port 7"},
		"arguments":                        {[]string{"web.config", aspNetCore("--urls http://localhost:6000", ""), "appsettings.json", `{"Urls":"http://*:1"}`}, []int{6000}, "localhost on port 6000"},
		"arguments in one":                 {[]string{"web.config", aspNetCore("--urls=http://*:6000", "")}, []int{6000}, ""},
		"a variable that never gets there": {[]string{"web.config", aspNetCore("", `<environmentVariable name="ASPNETCORE_URLS" value="http://localhost:9000"/>`)}, nil, ""},
		"ports alone":                      {[]string{"appsettings.json", `{"http_ports":"81;82"}`}, []int{81, 82}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, with(t, files(c.files...), "Orders.exe", "aspnet-core/Orders.exe", "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json"))
			if !slices.Equal(r.App.Ports, c.ports) {
				t.Errorf("ports %v, want %v; facts %v", r.App.Ports, c.ports, r.Facts)
			}
			i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1313" })
			if (i >= 0) != (c.loopback != "") || i >= 0 && !strings.Contains(r.Findings[i].Message, c.loopback) {
				t.Errorf("findings %v, want one on %q", r.Findings, c.loopback)
			}
		})
	}
}

func TestVariablesOfWebConfigGoAlongWithoutSecrets(t *testing.T) {
	r := look(t, with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath=".\Orders.exe"><environmentVariables>
		<environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Staging"/>
		<environmentVariable name="Feature__Level" value="a &quot;b&quot; $c"/>
		<environmentVariable name="Db__Password" value="PLANTED"/>
		<environmentVariable name="ConnectionStrings__Db" value="Server=s;Pwd=PLANTED"/>
		<environmentVariable name="TOOL" value="x --token PLANTED"/>
		<environmentVariable name="ASPNETCORE_URLS" value="http://localhost:9000"/>
		<environmentVariable name="App__Auth" value="PLANTED"/>
		<environmentVariable name="a b" value="1"/>
		<environmentVariable name="LINES" value="a&#10;b"/>
		</environmentVariables></aspNetCore></system.webServer></configuration>`),
		"Orders.exe", "aspnet-core/Orders.exe", "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json"))
	if want := map[string]string{"ASPNETCORE_ENVIRONMENT": "Staging", "Feature__Level": `a "b" $c`}; r.App.Program == nil || !maps.Equal(r.App.Program.Env, want) {
		t.Errorf("got %+v, want %v", r.App.Program, want)
	}
	dropped := 0
	for _, f := range r.Facts {
		if f.Key == "environment-dropped" && f.OverruledBy == "" {
			dropped++
		}
	}
	if dropped != 7 {
		t.Errorf("%d variables are named as left out, want 7: %v", dropped, r.Facts)
	}
	if strings.Contains(string(marshal(t, r)), "PLANTED") {
		t.Error("a secret was printed")
	}
}

func TestASPNETCoreOnNETFramework(t *testing.T) {
	m := csharp(t,
		[3]string{"Microsoft.AspNetCore.Hosting.dll", `namespace Microsoft.AspNetCore.Hosting { public class WebHostBuilder { public void Run() { } } }`, "-target:library"},
		[3]string{"Web.exe", `[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v4.6.1")]
			static class P { static void Main() { new Microsoft.AspNetCore.Hosting.WebHostBuilder().Run(); } }`, "-r:Microsoft.AspNetCore.Hosting.dll"})
	maps.Copy(m, files("web.config", `<configuration><system.webServer><aspNetCore processPath=".\Web.exe"/></system.webServer></configuration>`))
	r := look(t, m)
	if r.App.Kind != detect.KindASPNETCore || r.App.Framework != (detect.Framework{Name: detect.NETFramework, Version: "4.6.1"}) || r.App.Program == nil || r.App.Program.Path != "Web.exe" {
		t.Errorf("got %s %v %+v", r.App.Kind, r.App.Framework, r.App.Program)
	}
	if !slices.Contains(rules(r), "WP1101") || slices.Contains(rules(r), "WP1102") {
		t.Errorf("its framework is that of .NET Framework: %v", rules(r))
	}
	if len(r.Needs.Families) == 0 || r.Needs.Families[0].Family != detect.FamilyServerCore {
		t.Errorf("got families %v", r.Needs.Families)
	}
}
