package dockerfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/pkg/detect"
)

// A setting that says what is so anyway changes nothing in the plan, not even a reason;
// one that says something else does.
func TestSettingThatIsSoAnywayChangesNothing(t *testing.T) {
	console := detect.Report{App: detect.App{Name: "x", Kind: detect.KindNetFXConsole, Framework: detect.Framework{Name: detect.NETFramework, Version: "4.8"},
		Architecture: detect.AnyCPU, Program: &detect.Program{Path: "a.exe", Form: detect.FormNetFX}}}
	core := []string{"ltsc2022"}
	for name, test := range map[string]struct {
		rep  detect.Report
		opt  Options
		same bool
	}{
		"user of a site":       {siteReport(), Options{Settings: Settings{User: "ContainerAdministrator"}}, true},
		"another user":         {siteReport(), Options{Settings: Settings{User: "ContainerUser"}}, false},
		"entrypoint of a site": {siteReport(), Options{Settings: Settings{Entrypoint: []string{`C:\ServiceMonitor.exe`, "w3svc"}}}, true},
		"its ports":            {siteReport(), Options{Settings: Settings{Ports: []int{80, 80}}}, true},
		"its base":             {siteReport(), Options{OS: core, Base: "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022"}, true},
		"one of its bases":     {siteReport(), Options{Base: "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022"}, false},
		"all of a console":     {console, Options{Settings: Settings{Entrypoint: []string{`C:\app\a.exe`}, WorkingDir: `c:/app`, User: "containeradministrator"}}, true},
		"arguments":            {console, Options{Settings: Settings{Entrypoint: []string{`C:\app\a.exe`, "-v"}}}, false},
		"user of a given base": {console, Options{Base: "registry.example.com/x:1", Settings: Settings{User: "ContainerUser"}}, false},
		"user, with arguments": {console, Options{Settings: Settings{Entrypoint: []string{`C:\app\a.exe`, "-v"}, User: "ContainerAdministrator"}}, false},
	} {
		plain := test.opt
		plain.Base, plain.Settings = "", Settings{}
		without, err := New(test.rep, catalog(t), plain)
		if err != nil {
			t.Fatal(err)
		}
		with, err := New(test.rep, catalog(t), test.opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(without, with); (diff == "") != test.same {
			t.Errorf("%s (-without +with):\n%s", name, diff)
		}
	}
}

// A reason of winpack's is none for the user that somebody chose.
func TestUserOfTheSettingsHasNoReasonOfWinpack(t *testing.T) {
	rep := detect.Report{App: detect.App{Name: "x", Kind: detect.KindNativeConsole, Architecture: detect.X64, Program: &detect.Program{Path: "a.exe", Form: detect.FormNative}}}
	plan, err := New(rep, catalog(t), Options{OS: []string{"ltsc2022"}, Settings: Settings{User: "ContainerAdministrator"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := plan.ForBuilder()
	if err != nil || !strings.Contains(string(text), "\nUSER ContainerAdministrator\n") || strings.Contains(string(text), "http.sys") {
		t.Errorf("%v\n%s", err, text)
	}
}
