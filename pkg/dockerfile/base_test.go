package dockerfile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// TestBaseOfEveryKindAndRelease: a wrong cell is an image that does not start.
func TestBaseOfEveryKindAndRelease(t *testing.T) {
	const m = "mcr.microsoft.com/"
	type row struct {
		rep                          detect.Report
		ltsc2019, ltsc2022, ltsc2025 string // empty: no image
	}
	for name, r := range map[string]row{
		"aspnet 4.7.2":       {aspnet("4.7.2"), "dotnet/framework/aspnet:4.8-windowsservercore-ltsc2019", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2025"},
		"aspnet 4.8.1":       {aspnet("4.8.1"), "", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2025"},
		"aspnet 3.5":         {aspnet("3.5"), "dotnet/framework/aspnet:4.8-windowsservercore-ltsc2019", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2025"},
		"aspnet websockets":  {reports()["aspnet-websockets"], "dotnet/framework/wcf:4.8-windowsservercore-ltsc2019", "dotnet/framework/wcf:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/wcf:4.8.1-windowsservercore-ltsc2025"},
		"wcf":                {reports()["wcf"], "dotnet/framework/wcf:4.8-windowsservercore-ltsc2019", "dotnet/framework/wcf:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/wcf:4.8.1-windowsservercore-ltsc2025"},
		"static":             {static(), "windows/servercore/iis:windowsservercore-ltsc2019", "windows/servercore/iis:windowsservercore-ltsc2022", "windows/servercore/iis:windowsservercore-ltsc2025"},
		"netfx-console":      {netfx("4.5"), "dotnet/framework/runtime:4.8-windowsservercore-ltsc2019", "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2025"},
		"netfx-service":      {netfxService("S"), "dotnet/framework/runtime:4.8-windowsservercore-ltsc2019", "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2022", "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2025"},
		"aspnet-core 8":      {dotnet("8.0", detect.KindASPNETCore), "dotnet/aspnet:8.0-nanoserver-1809", "dotnet/aspnet:8.0-nanoserver-ltsc2022", "dotnet/aspnet:8.0-nanoserver-ltsc2025"},
		"aspnet-core 10":     {dotnet("10.0", detect.KindASPNETCore), "", "dotnet/aspnet:10.0-nanoserver-ltsc2022", "dotnet/aspnet:10.0-nanoserver-ltsc2025"},
		"dotnet-console 6":   {dotnet("6.0", detect.KindDotNetConsole), "dotnet/runtime:6.0-nanoserver-1809", "dotnet/runtime:6.0-nanoserver-ltsc2022", ""},
		"dotnet-console 9":   {dotnet("9.0", detect.KindDotNetConsole), "dotnet/runtime:9.0-nanoserver-1809", "dotnet/runtime:9.0-nanoserver-ltsc2022", "dotnet/runtime:9.0-nanoserver-ltsc2025"},
		"dotnet-console 11":  {dotnet("11.0", detect.KindDotNetConsole), "", "", "dotnet/runtime:11.0-nanoserver-ltsc2025"},
		"dotnet 3.0 forward": {dotnet("3.0", detect.KindDotNetConsole), "dotnet/core/runtime:3.0-nanoserver-1809", "dotnet/runtime:3.1-nanoserver-ltsc2022", ""},
		"dotnet drawing":     {reports()["dotnet-drawing"], "", "dotnet/runtime:10.0-windowsservercore-ltsc2022", "dotnet/runtime:10.0-windowsservercore-ltsc2025"},
		"self-contained":     {selfContained(), "windows/nanoserver:1809", "windows/nanoserver:ltsc2022", "windows/nanoserver:ltsc2025"},
		"self-contained x86": {with(selfContained(), func(r *detect.Report) { r.App.Architecture = detect.X86 }), "windows/servercore:ltsc2019", "windows/servercore:ltsc2022", "windows/servercore:ltsc2025"},
		"native":             {native(), "windows/nanoserver:1809", "windows/nanoserver:ltsc2022", "windows/nanoserver:ltsc2025"},
		"native x86":         {reports()["native-x86"], "windows/servercore:ltsc2019", "windows/servercore:ltsc2022", "windows/servercore:ltsc2025"},
		"native needs one release larger": {with(native(), func(r *detect.Report) {
			r.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServerCore, Release: "ltsc2025", Why: "pdh.dll"}}
		}), "windows/nanoserver:1809", "windows/nanoserver:ltsc2022", "windows/servercore:ltsc2025"},
		"native needs server": {with(native(), func(r *detect.Report) {
			r.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServer, Why: "d3d11.dll"}}
		}), "windows:ltsc2019", "windows/server:ltsc2022", "windows/server:ltsc2025"},
		"dotnet service for SCM": {with(dotnet("10.0", detect.KindDotNetService), func(r *detect.Report) { r.App.Program.Service = &detect.Service{Name: "S"} }),
			"", "dotnet/runtime:10.0-windowsservercore-ltsc2022", "dotnet/runtime:10.0-windowsservercore-ltsc2025"},
	} {
		for os, want := range map[string]string{"ltsc2019": r.ltsc2019, "ltsc2022": r.ltsc2022, "ltsc2025": r.ltsc2025} {
			p, err := New(r.rep, catalog(t), Options{OS: []string{os}, OSAsked: true})
			if want == "" {
				if e, ok := errors.AsType[*NoImageError](err); !ok || len(e.Ways) == 0 {
					t.Errorf("%s on %s: error %v, want that there is no image, with ways out", name, os, err)
				}
				continue
			}
			if err != nil || p.Bases[0].Reference != m+want {
				t.Errorf("%s on %s: base %+v, error %v, want %s", name, os, p.Bases, err, want)
				continue
			}
			if p.Bases[0].SupportEnd == "" || len(p.Why) == 0 {
				t.Errorf("%s on %s: no support end or no reason", name, os)
			}
		}
	}
}

// Of a base with images for both, the one for amd64 is taken, where nothing starts.
func TestARM64ProgramHasNoImageWithAGivenBaseEither(t *testing.T) {
	for _, base := range []string{"", "mcr.microsoft.com/windows/nanoserver:ltsc2025", "registry.example.com/arm:1"} {
		rep := static()
		rep.App.Kind, rep.App.Architecture = detect.KindNativeConsole, detect.ARM64
		_, err := New(rep, catalog(t), Options{Base: base})
		if e, ok := errors.AsType[*NoImageError](err); !ok || strings.Contains(err.Error(), "name an") || len(e.Ways) != 1 {
			t.Errorf("--base %q: %v", base, err)
		}
	}
}

func TestClassicASPTakesAnImageWithASPNETWhereItsPagesNeedIt(t *testing.T) {
	for want, features := range map[string][]detect.Need{
		"windows/servercore/iis:":  {{ID: "asp"}},
		"dotnet/framework/aspnet:": {{ID: "asp"}, {ID: "aspnet45"}},
	} {
		rep := static()
		rep.App.Kind, rep.Needs.IIS = detect.KindClassicASP, &detect.IIS{Features: features}
		if p := plan(t, rep, Options{}); !strings.Contains(p.Bases[0].Reference, want) {
			t.Errorf("%v: %s", features, p.Bases[0].Reference)
		}
	}
}

func TestDefaultReleaseWithoutImageIsLeftOutAloud(t *testing.T) {
	p := plan(t, dotnet("11.0", detect.KindDotNetConsole), Options{})
	if len(p.Bases) != 1 || len(p.Omitted) != 1 || p.Omitted[0].OS != "ltsc2022" || !hasRule(p, RuleNoImage) {
		t.Fatalf("bases %v, omitted %v, findings %v", p.Bases, p.Omitted, p.Findings)
	}
	if text := string(render(t, p).Content["Dockerfile"]); !strings.Contains(text, "\n# ltsc2022 is left out: no image of") {
		t.Errorf("the Dockerfile does not say it:\n%s", text)
	}
	if _, err := New(dotnet("11.0", detect.KindDotNetConsole), catalog(t), Options{OS: DefaultOS(), OSAsked: true}); err == nil {
		t.Fatal("a release that was asked for is left out")
	}
}

// What is said of a base that is not taken after all would be a lie.
func TestNoReasonsForABaseThatIsNotChosen(t *testing.T) {
	p, err := New(dotnet("11.0", detect.KindASPNETCore), catalog(t), Options{OS: []string{"ltsc2022", "ltsc2025"}, OSAsked: true})
	if !isType[*NoImageError](err) || len(p.Bases)+len(p.Why)+len(p.Rejected) > 0 {
		t.Errorf("%v, bases %v, why %q, rejected %v", err, p.Bases, p.Why, p.Rejected)
	}
}

func TestReleaseWithoutNanoServerSaysWhyTheImageIsLarger(t *testing.T) {
	const none = "no Nano Server image is published for ltsc2016"
	p := plan(t, native(), Options{OS: []string{"ltsc2016"}})
	if !slices.Contains(p.Why, "servercore: "+none) || !slices.Contains(p.Rejected, Rejected{Reference: "mcr.microsoft.com/windows/nanoserver", Why: none}) {
		t.Errorf("why %q, rejected %v", p.Why, p.Rejected)
	}
	p = plan(t, native(), Options{OS: []string{"ltsc2022", "ltsc2016"}})
	if !slices.Contains(p.Why, "servercore on ltsc2016: "+none) || len(p.Rejected) != 0 {
		t.Errorf("why %q, rejected %v", p.Why, p.Rejected)
	}
	p = plan(t, with(native(), func(r *detect.Report) {
		r.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServerCore, Why: "it needs x.dll"}}
	}), Options{OS: []string{"ltsc2016"}})
	if !slices.Contains(p.Why, "servercore: it needs x.dll") {
		t.Errorf("why %q", p.Why)
	}
}

func TestFindingsAreSentences(t *testing.T) {
	for given, want := range map[string]string{"the app runs": "The app runs.", ".NET ended.": ".NET ended.", "winpack could not": "winpack could not.", "": ""} {
		if got := sentence(given); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
	for name, rep := range reports() {
		for _, opt := range []Options{{}, {Base: "mcr.microsoft.com/windows/nanoserver:ltsc2022"}, {Base: "registry.example.com/x:1"}} {
			p, _ := New(rep, catalog(t), opt)
			for _, f := range p.Findings {
				if sentence(f.Message) != f.Message || sentence(f.Remedy) != f.Remedy {
					t.Errorf("%s: %q, %q", name, f.Message, f.Remedy)
				}
			}
		}
	}
}

func hasRule(p Plan, rule string) bool {
	return slices.ContainsFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == rule })
}

// An image with one feature more spares no RUN step where another feature takes one.
func TestLargerImageIsNotTakenWhereARunStepStays(t *testing.T) {
	site := func(features ...string) detect.Report {
		return with(aspnet("4.8"), func(r *detect.Report) {
			for _, f := range features {
				r.Needs.IIS.Features = append(r.Needs.IIS.Features, detect.Need{ID: f, Why: "x"})
			}
		})
	}
	for name, c := range map[string]struct {
		features []string
		image    string
		run      bool
	}{
		"an image has it": {[]string{"websockets"}, "/wcf:", false},
		"none has one":    {[]string{"websockets", "windows-authentication"}, "/aspnet:", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, site(c.features...), Options{})
			if !strings.Contains(p.Bases[0].Reference, c.image) || p.Builder.Windows != c.run {
				t.Errorf("got %s, RUN %v", p.Bases[0].Reference, p.Builder.Windows)
			}
			if text := string(render(t, p).Content["Dockerfile"]); c.run && !strings.Contains(text, "IIS-WebSockets") {
				t.Errorf("the feature that no step adds:\n%s", text)
			}
		})
	}
}

func TestEndedDotNetNamesTheNext(t *testing.T) {
	p := plan(t, dotnet("8.0", detect.KindASPNETCore), Options{})
	i := slices.IndexFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleDotNetEnded })
	if i < 0 || p.Findings[i].Level != detect.LevelWarning || !strings.Contains(p.Findings[i].Remedy, ".NET 10.0") {
		t.Fatalf("findings %+v", p.Findings)
	}
	if hasRule(plan(t, dotnet("10.0", detect.KindASPNETCore), Options{}), RuleDotNetEnded) {
		t.Fatal("a supported .NET is called ended")
	}
}

func TestRollForwardIsSaid(t *testing.T) {
	if !hasRule(plan(t, dotnet("3.0", detect.KindDotNetConsole), Options{OS: []string{"ltsc2022"}}), RuleDotNetForward) {
		t.Fatal("an app runs on another minor version, and nothing says so")
	}
}

func TestPlainServerCoreIsRejectedWithWhatItSaves(t *testing.T) {
	p := plan(t, netfx("4.7.2"), Options{})
	if !slices.ContainsFunc(p.Rejected, func(r Rejected) bool {
		return strings.HasSuffix(r.Reference, "windows/servercore:ltsc2022") && strings.Contains(r.Why, "491 MB") && strings.Contains(r.Why, "--base")
	}) {
		t.Fatalf("rejected %+v", p.Rejected)
	}
	p = plan(t, netfx("4.8.1"), Options{OS: []string{"ltsc2022"}})
	if !slices.ContainsFunc(p.Rejected, func(r Rejected) bool { return strings.Contains(r.Why, "is 4.8, the app needs 4.8.1") }) {
		t.Fatalf("an in-box version that is too old is not told: %+v", p.Rejected)
	}
}

func TestMissingLibrariesAreNotCalledNothing(t *testing.T) {
	for name, rep := range map[string]detect.Report{"native": native(), "self-contained": selfContained()} {
		if why := strings.Join(plan(t, rep, Options{}).Why, "\n"); !strings.Contains(why, "nothing but Windows") && !strings.Contains(why, "plain Windows is enough") {
			t.Errorf("%s: %s", name, why)
		}
		for _, key := range []string{"import-unknown", "import-redist", "import-app", "import-feature"} {
			rep.Facts = []detect.Fact{{Key: key, Value: "foo.dll"}}
			why := strings.Join(plan(t, rep, Options{}).Why, "\n")
			if strings.Contains(why, "nothing but Windows") || strings.Contains(why, "is enough") || !strings.Contains(why, "the DLLs that it lacks") {
				t.Errorf("%s with %s: %s", name, key, why)
			}
		}
	}
}

func TestErrorsAreTyped(t *testing.T) {
	desktop := with(native(), func(r *detect.Report) { r.App.Kind = detect.KindNativeDesktop })
	unknown := detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}}
	x86 := with(dotnet("10.0", detect.KindDotNetConsole), func(r *detect.Report) { r.App.Architecture = detect.X86 })
	winDesktop := with(dotnet("10.0", detect.KindDotNetConsole), func(r *detect.Report) {
		r.Needs.SharedFrameworks = append(r.Needs.SharedFrameworks, detect.SharedFramework{Name: "Microsoft.WindowsDesktop.App", Version: "10.0.0"})
	})
	blocked := with(native(), func(r *detect.Report) {
		r.Findings = []detect.Finding{{Rule: "WP1001", Level: detect.LevelBlocker, Message: "shows windows"}}
	})
	for name, c := range map[string]struct {
		rep  detect.Report
		opt  Options
		is   func(error) bool
		says string
	}{
		"desktop":         {desktop, Options{}, isType[*BlockedError], "desktop"},
		"blocker":         {blocked, Options{}, isType[*BlockedError], "WP1001"},
		"blocker, --base": {blocked, Options{Base: "registry.example.com/x:1"}, isType[*BlockedError], "WP1001"},
		"unknown":         {unknown, Options{}, isType[*UnknownKindError], "--base"},
		"release":         {native(), Options{OS: []string{"ltsc2202"}}, isType[*UnknownReleaseError], "ltsc2022"},
		"year":            {native(), Options{OS: []string{"2022"}}, isType[*UnknownReleaseError], "did you mean ltsc2022"},
		"retired release": {native(), Options{OS: []string{"sac1903"}}, isType[*UsageError], "retired"},
		"x86 .NET":        {x86, Options{}, isType[*NoImageError], "win-x86"},
		"windows desktop": {winDesktop, Options{}, isType[*NoImageError], "self-contained"},
		"prefer":          {native(), Options{Prefer: "speed"}, isType[*UsageError], "no-run"},
		"base injection":  {native(), Options{Base: "x\nRUN evil"}, isType[*UsageError], "no image reference"},
		"path":            {with(native(), func(r *detect.Report) { r.App.Program.Path = "../up.exe" }), Options{}, isType[*AppNameError], "rename"},
	} {
		_, err := New(c.rep, catalog(t), c.opt)
		if !c.is(err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %T %v, want %q in it", name, err, err, c.says)
		}
	}
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestGivenBase(t *testing.T) {
	unknown := detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}}
	p := plan(t, unknown, Options{Base: "registry.example.com/own:1"})
	if len(p.Bases) != 2 || p.Bases[0].Reference != "registry.example.com/own:1" || len(p.Config.Entrypoint) != 0 {
		t.Fatalf("unknown kind with a base: %+v", p)
	}
	p = plan(t, netfx("4.7.2"), Options{Base: "mcr.microsoft.com/windows/servercore:ltsc2022"})
	if len(p.Bases) != 1 || p.Bases[0].OSVersion != "10.0.20348" {
		t.Fatalf("a base of one release gives %+v", p.Bases)
	}
	if _, err := New(netfx("4.7.2"), catalog(t), Options{Base: "mcr.microsoft.com/windows/servercore:ltsc2022", OS: []string{"ltsc2025"}, OSAsked: true}); err == nil {
		t.Fatal("a base of ltsc2022 serves ltsc2025")
	}
	p = plan(t, aspnet("4.8"), Options{Base: "mcr.microsoft.com/dotnet/framework/aspnet:4.8-windowsservercore-ltsc2022"})
	if !hasRule(p, RuleRetiredBase) {
		t.Fatal("a retired base is used silently")
	}
	p = plan(t, reports()["aspnet-writes"], Options{Base: "registry.example.com/iis:1"})
	if _, script, _ := p.StartScript(true); !strings.Contains(string(script), `"C:\ServiceMonitor.exe" "w3svc" %*`) {
		t.Fatalf("the start script on an unknown base runs nothing:\n%s", script)
	}
	p = plan(t, netfx("4.8"), Options{Base: "mcr.microsoft.com/windows/nanoserver:ltsc2022"})
	if !hasRule(p, RuleBaseUnfit) {
		t.Fatal(".NET Framework on Nano Server passes silently")
	}
}

// An image that starts nothing is what nobody wants, and an empty one less.
func TestUnknownAppOnAGivenBaseSaysWhatStartsIt(t *testing.T) {
	unknown := detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}}
	for base, want := range map[string]detect.Level{
		"registry.example.com/own:1":                                          detect.LevelNote,
		"mcr.microsoft.com/windows/servercore:ltsc2022":                       detect.LevelWarning,
		"mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022": detect.LevelWarning,
	} {
		for name, c := range map[string]struct {
			settings Settings
			said     bool
		}{
			"nothing":    {Settings{}, true},
			"entrypoint": {Settings{Entrypoint: []string{`C:\app\x.exe`}}, false},
			"cmd":        {Settings{Cmd: []string{`C:\app\x.exe`}}, false},
		} {
			p := plan(t, unknown, Options{Base: base, Settings: c.settings})
			i := slices.IndexFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleNoStart })
			if i >= 0 != c.said || c.said && p.Findings[i].Level != want {
				t.Errorf("%s, %s given: %+v", base, name, p.Findings)
			}
		}
	}
	if p := plan(t, native(), Options{Base: "registry.example.com/own:1"}); slices.ContainsFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleNoStart }) {
		t.Errorf("a program that starts is said not to: %+v", p.Findings)
	}
	unknown.Facts = []detect.Fact{{Key: "empty"}}
	if _, err := New(unknown, catalog(t), Options{Settings: Settings{Ignore: []string{"*"}}}); err == nil || !strings.Contains(err.Error(), "ignore in winpack.toml takes out all of it") {
		t.Errorf("a folder that is emptied by ignore: %v", err)
	}
	if _, err := New(unknown, catalog(t), Options{Base: "registry.example.com/own:1"}); err == nil || !strings.Contains(err.Error(), "holds no file") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := New(unknown, catalog(t), Options{Base: "registry.example.com/own:1", Settings: Settings{Files: []Extra{{From: "a", To: `C:\a`}}}}); err != nil {
		t.Errorf("an empty folder with files from elsewhere: %v", err)
	}
}

// A reference without a registry is one of Docker Hub, which has no base image.
func TestBaseWithoutItsRegistryIsAskedBack(t *testing.T) {
	for ref, want := range map[string]string{
		"windows/servercore:ltsc2022":                   "mcr.microsoft.com/windows/servercore:ltsc2022",
		"nanoserver:ltsc2022":                           "mcr.microsoft.com/windows/nanoserver:ltsc2022",
		"dotnet/framework/aspnet:4.8@sha256:0":          "mcr.microsoft.com/dotnet/framework/aspnet:4.8@sha256:0",
		"mcr.microsoft.com/windows/servercore:ltsc2022": "",
		"localhost:5000/windows/servercore:1":           "",
		"localhost/windows/servercore:1":                "",
		"registry.example.com/windows/servercore:1":     "",
		"team/base:1": "",
		"base:1":      "",
	} {
		if got := catalog(t).onMCR(ref); got != want {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
	opt := Options{Base: "windows/servercore:ltsc2022", Settings: Settings{Places: map[string]detect.Evidence{"base": {Path: "winpack.toml", Line: 2}}}}
	if _, err := New(native(), catalog(t), opt); !isType[*UsageError](err) || err.Error() != `winpack.toml:2: base image "windows/servercore:ltsc2022" would come from Docker Hub: did you mean mcr.microsoft.com/windows/servercore:ltsc2022?` {
		t.Errorf("%v", err)
	}
}

// What is wrong with a base that a user named is not the program's fault.
func TestFindingAboutABaseNamesWhereItWasGiven(t *testing.T) {
	rep := native()
	rep.Facts = []detect.Fact{{Key: "program", Value: "web.exe", Evidence: []detect.Evidence{{Path: "web.exe"}}}}
	for _, base := range []string{"microsoft/nanoserver:1803", "mcr.microsoft.com/windows/nanoserver:1803"} {
		for place, places := range map[string]map[string]detect.Evidence{"": nil, "winpack.toml": {"base": {Path: "winpack.toml", Line: 3}}} {
			p := plan(t, rep, Options{Base: base, Settings: Settings{Places: places}})
			i := slices.IndexFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleRetiredBase })
			if i < 0 {
				t.Fatalf("%s: %+v", base, p.Findings)
			}
			if seen := p.Findings[i].Evidence; len(seen) != len(places) || len(seen) == 1 && seen[0].Path != place {
				t.Errorf("%s: the finding is at %+v, want %q", base, seen, place)
			}
		}
	}
}

func TestWindowsBuilderOnlyForRunSteps(t *testing.T) {
	for name, rep := range reports() {
		want := slices.Contains([]string{"aspnet-windows-auth", "aspnet-clr2", "netfx-clr2"}, name)
		p := plan(t, rep, Options{})
		if p.Builder.Windows != want || want != (len(p.Builder.Reasons) > 0) {
			t.Errorf("%s: needs a Windows builder: %v %q, want %v", name, p.Builder.Windows, p.Builder.Reasons, want)
		}
	}
	if !plan(t, reports()["aspnet-unlock"], Options{Prefer: PreferFastStart}).Builder.Windows {
		t.Error("fast-start configures at container start all the same")
	}
}

func TestPlansAreTheSameEachTime(t *testing.T) {
	for name, rep := range reports() {
		for range 5 {
			a, b := render(t, plan(t, rep, Options{})), render(t, plan(t, rep, Options{}))
			for file := range a.Content {
				if string(a.Content[file]) != string(b.Content[file]) {
					t.Fatalf("%s: %s differs between two runs", name, file)
				}
			}
		}
	}
}

// A release of the default that the given image is not for is left out, and said so.
func TestReleaseThatAGivenBaseIsNotForIsNamed(t *testing.T) {
	const base = "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022"
	p := plan(t, static(), Options{Base: base})
	i := slices.IndexFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleNoImage })
	if len(p.Bases) != 1 || len(p.Omitted) != 1 || p.Omitted[0].OS != "ltsc2025" || i < 0 || !strings.Contains(p.Findings[i].Message, "ltsc2025 is left out") {
		t.Errorf("bases %+v, left out %+v, findings %+v", p.Bases, p.Omitted, p.Findings)
	}
	if p = plan(t, static(), Options{Base: base, OS: []string{"ltsc2022"}, OSAsked: true}); len(p.Omitted) != 0 {
		t.Errorf("left out of what was asked for: %+v", p.Omitted)
	}
}

// IIS is started by ServiceMonitor, which takes an administrator.
func TestUserWhoCannotStartIISIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		rep  detect.Report
		set  Settings
		want bool
	}{
		"a user":                      {static(), Settings{User: "ContainerUser"}, true},
		"ports too":                   {static(), Settings{User: "ContainerUser", Ports: []int{8080}}, true},
		"an administrator":            {static(), Settings{User: "containeradministrator"}, false},
		"nobody":                      {static(), Settings{}, false},
		"an entrypoint of one's own":  {static(), Settings{User: "ContainerUser", Entrypoint: []string{`C:\x.exe`}}, false},
		"a program, which is no site": {native(), Settings{User: "ContainerUser"}, false},
		"a service by its script":     {netfxService("Orders"), Settings{User: "ContainerUser"}, true},
		"a service by itself":         {netfxService("Orders"), Settings{}, false},
		"a program of the service":    {netfxService("Orders"), Settings{User: "ContainerUser", Entrypoint: []string{`C:\app\job.exe`}}, false},
	} {
		p := plan(t, test.rep, Options{Settings: test.set})
		if got := slices.ContainsFunc(p.Findings, func(f detect.Finding) bool { return f.Rule == RuleIISUser }); got != test.want {
			t.Errorf("%s: found %v, want %v: %+v", name, got, test.want, p.Findings)
		}
	}
}

// Where Kestrel listens by a variable of the settings, the image exposes that port.
func TestPortsOfVariablesAreExposed(t *testing.T) {
	endpoints := with(dotnet("8.0", detect.KindASPNETCore), func(r *detect.Report) {
		r.App.Ports = []int{5001}
		r.Facts = append(r.Facts, detect.Fact{Key: "port", Value: "5001", Evidence: []detect.Evidence{{Path: "appsettings.json", Line: 2, Detail: "Kestrel:Endpoints:Http:Url"}}})
	})
	for name, test := range map[string]struct {
		rep  detect.Report
		set  Settings
		want []int
	}{
		"none":               {dotnet("8.0", detect.KindASPNETCore), Settings{}, []int{8080}},
		"ports":              {dotnet("8.0", detect.KindASPNETCore), Settings{Env: map[string]string{"ASPNETCORE_HTTP_PORTS": "7001;7002"}}, []int{7001, 7002}},
		"addresses":          {dotnet("8.0", detect.KindASPNETCore), Settings{Env: map[string]string{"Aspnetcore_Urls": "http://+:7003/;https://*:7443", "HTTP_PORTS": "1"}}, []int{7003, 7443}},
		"no port":            {dotnet("8.0", detect.KindASPNETCore), Settings{Env: map[string]string{"ASPNETCORE_URLS": "http://+"}}, []int{8080}},
		"ports of one's own": {dotnet("8.0", detect.KindASPNETCore), Settings{Ports: []int{9}, Env: map[string]string{"ASPNETCORE_HTTP_PORTS": "7001"}}, []int{9}},
		"endpoints":          {endpoints, Settings{Env: map[string]string{"ASPNETCORE_HTTP_PORTS": "7001"}}, []int{5001}},
		"no web application": {native(), Settings{Env: map[string]string{"ASPNETCORE_HTTP_PORTS": "7001"}}, []int{8080}},
	} {
		if p := plan(t, test.rep, Options{Settings: test.set}); !slices.Equal(p.Config.Ports, test.want) {
			t.Errorf("%s: %v, want %v", name, p.Config.Ports, test.want)
		}
	}
}
