package dockerfile

import (
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func catalog(t testing.TB) Catalog {
	t.Helper()
	c, err := LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func plan(t testing.TB, rep detect.Report, opt Options) Plan {
	t.Helper()
	p, err := New(rep, catalog(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func aspnet(version string) detect.Report {
	return detect.Report{App: detect.App{Name: "shop", Kind: detect.KindASPNET, Framework: detect.Framework{Name: detect.NETFramework, Version: version}, Architecture: detect.AnyCPU},
		Needs: detect.Needs{IIS: &detect.IIS{}}}
}

func static() detect.Report {
	return detect.Report{App: detect.App{Name: "site", Kind: detect.KindStatic}, Needs: detect.Needs{IIS: &detect.IIS{}}}
}

func netfx(version string) detect.Report {
	return detect.Report{App: detect.App{Name: "job", Kind: detect.KindNetFXConsole, Framework: detect.Framework{Name: detect.NETFramework, Version: version},
		Architecture: detect.AnyCPU, Program: &detect.Program{Path: "job.exe", Form: detect.FormNetFX}}}
}

func netfxService(name string) detect.Report {
	r := netfx("4.7.2")
	r.App.Kind = detect.KindNetFXService
	r.App.Program.Service = &detect.Service{Name: name}
	return r
}

func dotnet(version string, kind detect.Kind) detect.Report {
	fw := "Microsoft.NETCore.App"
	if kind == detect.KindASPNETCore {
		fw = "Microsoft.AspNetCore.App"
	}
	return detect.Report{App: detect.App{Name: "api", Kind: kind, Framework: detect.Framework{Name: detect.NETCoreApp, Version: version}, Architecture: detect.AnyCPU,
		Program: &detect.Program{Path: "api.dll", Form: detect.FormFrameworkDependent}},
		Needs: detect.Needs{SharedFrameworks: []detect.SharedFramework{{Name: fw, Version: version + ".0"}}}}
}

func selfContained() detect.Report {
	r := dotnet("8.0", detect.KindASPNETCore)
	r.App.Program = &detect.Program{Path: "api.exe", Form: detect.FormSelfContained, SelfContained: true}
	r.App.Architecture = detect.X64
	r.Needs.SharedFrameworks = nil
	return r
}

func native() detect.Report {
	return detect.Report{App: detect.App{Name: "tool", Kind: detect.KindNativeConsole, Architecture: detect.X64, Program: &detect.Program{Path: "bin/tool.exe", Form: detect.FormNative, Arguments: []string{"--port", "8080"}}, Ports: []int{8080}}}
}

func with(r detect.Report, change func(*detect.Report)) detect.Report {
	change(&r)
	return r
}

func needs(ids ...string) []detect.Need {
	var out []detect.Need
	for _, id := range ids {
		out = append(out, detect.Need{ID: id, Why: "asked for"})
	}
	return out
}

// reports has one report for each way that a plan can go.
func reports() map[string]detect.Report {
	return map[string]detect.Report{
		"aspnet":        aspnet("4.7.2"),
		"aspnet-writes": with(aspnet("4.8"), func(r *detect.Report) { r.Needs.Writes = []detect.Write{{Path: "App_Data"}, {Path: "my files 100%"}} }),
		"aspnet-unlock": with(aspnet("4.8"), func(r *detect.Report) {
			r.Needs.IIS.Unlock = needs("system.webServer/security/authentication/anonymousAuthentication", "system.webServer/handlers")
			r.Needs.IIS.AppPool = detect.AppPool{Enable32Bit: true, Classic: true}
		}),
		"aspnet-windows-auth": with(aspnet("4.8"), func(r *detect.Report) {
			r.Needs.IIS.Features = needs("windows-authentication")
			r.Needs.IIS.Modules = needs("url-rewrite")
		}),
		"aspnet-websockets": with(aspnet("4.8"), func(r *detect.Report) { r.Needs.IIS.Features = needs("websockets") }),
		"aspnet-clr2":       aspnet("3.5"),
		"wcf": with(aspnet("4.8"), func(r *detect.Report) {
			r.App.Kind = detect.KindWCF
			r.Needs.IIS.Features = needs("wcf-http", "wcf-tcp")
		}),
		"static":         static(),
		"netfx-console":  netfx("4.7.2"),
		"netfx-clr2":     netfx("2.0"),
		"netfx-service":  netfxService("Order Service"),
		"aspnet-core":    dotnet("10.0", detect.KindASPNETCore),
		"aspnet-core-8":  with(dotnet("8.0", detect.KindASPNETCore), func(r *detect.Report) { r.Needs.Writes = []detect.Write{{Path: "data"}} }),
		"dotnet-console": dotnet("10.0", detect.KindDotNetConsole),
		"dotnet-11":      dotnet("11.0", detect.KindDotNetConsole),
		"dotnet-drawing": with(dotnet("10.0", detect.KindDotNetConsole), func(r *detect.Report) {
			r.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServerCore, Why: "System.Drawing.Common needs gdiplus.dll"}}
		}),
		"self-contained": selfContained(),
		"native":         native(),
		"native-x86":     with(native(), func(r *detect.Report) { r.App.Architecture = detect.X86 }),
	}
}
