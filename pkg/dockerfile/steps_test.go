package dockerfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func commandsOf(p Plan) string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, s.Commands...)
	}
	return strings.Join(all, "\n")
}

// An image without a module that web.config asks for answers 500 to every
// request: no builder may make it as if nothing were missing.
func TestModuleWithoutInstallerNeedsAPersonAndWindows(t *testing.T) {
	for name, change := range map[string]func(*detect.Report){
		"IIS CORS module":     func(r *detect.Report) { r.Needs.IIS.Modules = needs("cors") },
		"iisnode":             func(r *detect.Report) { r.Needs.IIS.Modules = needs("iisnode") },
		"HttpPlatformHandler": func(r *detect.Report) { r.Needs.IIS.Modules = needs("httpplatformhandler") },
		"ASP.NET Core Module": func(r *detect.Report) { r.Needs.IIS.Modules = needs("ancm") },
		"ISAPI_Rewrite3":      func(r *detect.Report) { r.Facts = []detect.Fact{{Key: "unknown-module", Value: "ISAPI_Rewrite3"}} },
	} {
		rep := with(aspnet("4.8"), change)
		p := plan(t, rep, Options{})
		if !p.Builder.Windows || len(p.Builder.Reasons) != 1 || !strings.Contains(p.Builder.Reasons[0], name) || !strings.Contains(p.Builder.Reasons[0], "--base") {
			t.Errorf("%s: the builder needs are %+v", name, p.Builder)
		}
		text := string(render(t, p).Content["Dockerfile"])
		before, _, ok := strings.Cut(text, editBegin)
		if !ok || !strings.Contains(before, "# TO INSTALL here") || !strings.Contains(before, name) {
			t.Errorf("%s: the Dockerfile does not say where it has to be installed:\n%s", name, text)
		}
		if got := lint(t, []byte(text)); len(got) > 0 {
			t.Errorf("%s: BuildKit warns: %s", name, got)
		}

		// Of its own image the user alone knows what it has.
		p = plan(t, rep, Options{Base: "registry.example.com/with-module:1"})
		if p.Builder.Windows || len(p.Findings) != 1 || p.Findings[0].Rule != RuleBaseTrusted {
			t.Errorf("%s: with an image of the user's the needs are %+v, the findings %+v", name, p.Builder, p.Findings)
		}
		// Of an image of the catalog winpack knows that it has not.
		p = plan(t, rep, Options{Base: reference(t, roleNetFXIIS)})
		if !p.Builder.Windows {
			t.Errorf("%s: an image of the catalog is taken to have it", name)
		}
	}
	lost := with(aspnet("4.8"), func(r *detect.Report) {
		r.Facts = []detect.Fact{{Key: "unknown-module", Value: "x", OverruledBy: "another"}}
	})
	if p := plan(t, lost, Options{}); p.Builder.Windows {
		t.Error("a fact that lost asks for a module")
	}
}

// reference is that of an image of the catalog.
func reference(t *testing.T, role string) string {
	t.Helper()
	for _, img := range catalog(t).Images {
		if img.Role == role && img.Status != statusEOL && img.Tags["ltsc2022"] != "" {
			return img.Repository + ":" + img.Tags["ltsc2022"]
		}
	}
	t.Fatalf("no image for %s", role)
	return ""
}

func TestBaseOfTheUsersTakesWhatItMayHaveOutOfThePlan(t *testing.T) {
	rep := with(aspnet("3.5"), func(r *detect.Report) {
		r.Needs.IIS.Features = needs("windows-authentication")
		r.Needs.IIS.Modules = needs("url-rewrite")
	})
	p := plan(t, rep, Options{Base: "registry.example.com/all-in:1"})
	if p.Builder.Windows || p.has(StepRun) {
		t.Errorf("steps %+v", p.Steps)
	}
	rep.Needs.IIS.Features = needs("no-such-feature")
	if _, err := New(rep, catalog(t), Options{}); !isType[*UsageError](err) {
		t.Errorf("an unknown feature: %v", err)
	}
	plan(t, rep, Options{Base: "registry.example.com/all-in:1"})
	if len(p.Findings) != 4 { // .NET 3.5, ASP.NET 3.5, the feature, the module
		t.Errorf("what the image is taken to have is not said: %+v", p.Findings)
	}
}

func TestInstalledProxyIsSwitchedOn(t *testing.T) {
	p := plan(t, with(aspnet("4.8"), func(r *detect.Report) { r.Needs.IIS.Modules = needs("arr") }), Options{})
	all := commandsOf(p)
	install, enable := strings.Index(all, "requestRouter"), strings.Index(all, "-section:system.webServer/proxy /enabled:True /commit:apphost")
	if install < 0 || enable < install {
		t.Errorf("the proxy is not enabled after it is installed:\n%s", all)
	}
}

// curl.exe is part of Windows from 1803 on: in older images the step would fail.
func TestDownloadUsesWhatTheReleaseHas(t *testing.T) {
	rep := with(aspnet("4.8"), func(r *detect.Report) { r.Needs.IIS.Modules = needs("url-rewrite") })
	for os, want := range map[string]string{"ltsc2016": "Invoke-WebRequest", "ltsc2019": "curl.exe", "ltsc2022": "curl.exe"} {
		p := plan(t, rep, Options{OS: []string{os}})
		all := commandsOf(p)
		if !strings.Contains(all, want) || want != "curl.exe" && strings.Contains(all, "curl.exe") {
			t.Errorf("%s: no %s in\n%s", os, want, all)
		}
		if got := lint(t, render(t, p).Content["Dockerfile"]); len(got) > 0 {
			t.Errorf("%s: BuildKit warns: %s", os, got)
		}
	}
}

// Without a reservation http.sys refuses http://+:PORT/ to ContainerUser.
func TestProgramOfHTTPSysRunsAsAdministrator(t *testing.T) {
	fact := func(key, value, lost string) func(*detect.Report) {
		return func(r *detect.Report) {
			r.Facts = []detect.Fact{{Key: key, Value: value, OverruledBy: lost}}
		}
	}
	dotnet := dotnet("10.0", detect.KindDotNetConsole)
	for name, test := range map[string]struct {
		rep  detect.Report
		user string
	}{
		"HttpListener":         {with(dotnet, fact("assembly-need", "System.Net.HttpListener", "")), userAdmin},
		"HttpSys":              {with(dotnet, fact("assembly-need", "Microsoft.AspNetCore.Server.HttpSys", "")), userAdmin},
		"P/Invoke":             {with(dotnet, fact("import", "httpapi.dll", "")), userAdmin},
		"native":               {with(native(), fact("import", "httpapi.dll", "")), userAdmin},
		"native, at first use": {with(native(), fact("delay-import", "httpapi.dll", "")), userAdmin},
		"another program's":    {with(native(), fact("import", "httpapi.dll", "it speaks of another")), userUnelevated},
		"another library":      {with(native(), fact("import", "winhttp.dll", "")), userUnelevated},
		"no http":              {dotnet, userUnelevated},
	} {
		p := plan(t, test.rep, Options{})
		if p.Config.User != test.user {
			t.Errorf("%s runs as %s, want %s", name, p.Config.User, test.user)
		}
		text := string(render(t, p).Content["Dockerfile"])
		if said := strings.Contains(text, "listens by http.sys"); said != (test.user == userAdmin) || strings.Contains(text, "programs of .NET Framework") {
			t.Errorf("%s: the Dockerfile gives another reason:\n%s", name, text)
		}
	}
}

func TestReasonsNameTheReleaseWhereTheyDiffer(t *testing.T) {
	p := plan(t, aspnet("4.7.2"), Options{OS: []string{"ltsc2019", "ltsc2022"}})
	if want := ".NET Framework 4.7.2 runs on 4.8 (ltsc2019) and 4.8.1 (ltsc2022), which is an in-place update of every 4.x"; p.Why[0] != want {
		t.Errorf("the reason is %q, want %q", p.Why[0], want)
	}
	x86 := with(native(), func(r *detect.Report) { r.App.Architecture = detect.X86 })
	x86.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServerCore, Why: "a 32-bit program needs WOW64, which Nano Server lacks"}}
	for _, os := range [][]string{{"ltsc2022"}, {"ltsc2025"}, {"ltsc2022", "ltsc2025"}} {
		all := strings.Join(plan(t, x86, Options{OS: os}).Why, "\n")
		if n := strings.Count(all, "32-bit program"); n != 1 {
			t.Errorf("%v: the reason is given %d times:\n%s", os, n, all)
		}
		if strings.Contains(all, "Feature on Demand") != (os[len(os)-1] == "ltsc2025") {
			t.Errorf("%v: what Nano Server could be given:\n%s", os, all)
		}
	}
}

// What is true of one release must not read as if it were true of all.
func TestReasonOfAFamilyNamesItsReleaseWhereAnotherHasADifferentOne(t *testing.T) {
	all := strings.Join(plan(t, native(), Options{OS: []string{"ltsc2016", "ltsc2019"}, OSAsked: true}).Why, "\n")
	for _, want := range []string{"servercore on ltsc2016: no Nano Server image is published for ltsc2016", "nanoserver on ltsc2019: the smallest Windows image"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among the reasons:\n%s", want, all)
		}
	}
	if strings.Contains(all, "Nano Server is the smallest") {
		t.Errorf("the smallest image is praised for all releases:\n%s", all)
	}
}

func TestEndedSupportIsToldByTheCatalogsDay(t *testing.T) {
	p := plan(t, dotnet("6.0", detect.KindDotNetConsole), Options{OS: []string{"ltsc2022"}})
	if !p.Bases[0].SupportEnded {
		t.Errorf("%+v", p.Bases[0])
	}
	if p := plan(t, aspnet("4.8"), Options{OS: []string{"ltsc2022"}}); p.Bases[0].SupportEnded {
		t.Errorf("%+v", p.Bases[0])
	}
}

func TestWaysOutNameTheReleasesThatHaveAnImage(t *testing.T) {
	_, err := New(dotnet("11.0", detect.KindDotNetConsole), catalog(t), Options{OS: []string{"ltsc2019"}, OSAsked: true})
	if !isType[*NoImageError](err) || !strings.Contains(err.Error(), "with --os: ltsc2025;") {
		t.Errorf("%v", err)
	}
	_, err = New(dotnet("99.0", detect.KindDotNetConsole), catalog(t), Options{OS: []string{"ltsc2019"}, OSAsked: true})
	if !isType[*NoImageError](err) || strings.Contains(err.Error(), "--os") {
		t.Errorf("%v", err)
	}
}

func TestStartStepsPromiseNoBuildWithoutWindowsThatThePlanNeeds(t *testing.T) {
	for modules, want := range map[string]bool{"": true, "url-rewrite": false, "cors": false} {
		p := plan(t, with(aspnet("4.8"), func(r *detect.Report) {
			r.Needs.IIS.AppPool.Enable32Bit = true
			if modules != "" {
				r.Needs.IIS.Modules = needs(modules)
			}
		}), Options{})
		if got := strings.Contains(strings.Join(p.Why, " "), "builds without Windows"); got != want {
			t.Errorf("module %q: %q", modules, p.Why)
		}
	}
}

func TestGivenBaseWithoutWhatTheStartScriptNeedsIsAnError(t *testing.T) {
	service := with(native(), func(r *detect.Report) {
		r.App.Kind = detect.KindNativeService
		r.App.Program.Service = &detect.Service{Name: "tool"}
	})
	for id, want := range map[string]bool{"nanoserver": true, "servercore": false} {
		for _, img := range catalog(t).Images {
			if img.ID != id {
				continue
			}
			p := plan(t, service, Options{Base: img.Repository + ":" + img.Tags["ltsc2022"]})
			if got := slices.ContainsFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleBaseUnfit && f.Level == detect.LevelError }); got != want {
				t.Errorf("%s: %+v", id, p.Findings)
			}
		}
	}
}

// A name may stand in the binary all the same: native code is not followed.
func TestServiceNameThatCouldNotBeReadIsNotDenied(t *testing.T) {
	p := plan(t, with(netfxService(""), func(r *detect.Report) { r.App.Name = "pump" }), Options{})
	i := slices.IndexFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleServiceName })
	if i < 0 || p.Findings[i].Message != "winpack could not read the name of the service from the binary: it is registered as pump." || p.Service.Name != "pump" {
		t.Errorf("service %+v, findings %+v", p.Service, p.Findings)
	}
}
