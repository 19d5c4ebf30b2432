package dockerfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/winpack/winpack/pkg/detect"
)

func TestVariablesOfTheAppStandInTheDockerfileAsTheyAre(t *testing.T) {
	rep := dotnet("10.0", detect.KindASPNETCore)
	rep.App.Program.Env = map[string]string{"ASPNETCORE_ENVIRONMENT": "Staging", "ODD": "a \"b\" $HOME ${HOME} `c` C:\\d\\ 'e' #", "EMPTY": "", "END": "x`"}
	p := plan(t, rep, Options{OS: []string{"ltsc2022"}})
	text := render(t, p).Content["Dockerfile"]
	if warnings := lint(t, text); len(warnings) > 0 {
		t.Errorf("BuildKit's linter says %q", warnings)
	}
	got := map[string]string{}
	for _, c := range parse(t, text) {
		if env, ok := c.(*instructions.EnvCommand); ok {
			for _, kv := range env.Env {
				got[kv.Key] = expand(t, kv.Value)
			}
		}
	}
	for name, want := range rep.App.Program.Env {
		if got[name] != want {
			t.Errorf("%s is %q, want %q in\n%s", name, got[name], want, text)
		}
	}
}

func TestASPNETCoreOnNETFrameworkTakesItsRuntimeAndListens(t *testing.T) {
	rep := netfx("4.7.2")
	rep.App.Kind = detect.KindASPNETCore
	p := plan(t, rep, Options{OS: []string{"ltsc2022"}})
	if !strings.Contains(p.Bases[0].Reference, "dotnet/framework/runtime:") || p.Config.Env["ASPNETCORE_URLS"] != "http://+:8080" || !slices.Equal(p.Config.Ports, []int{8080}) {
		t.Errorf("base %s, env %v, ports %v", p.Bases[0].Reference, p.Config.Env, p.Config.Ports)
	}
	rep.App.Framework.Version = "" // of some version
	if _, err := New(rep, catalog(t), Options{OS: []string{"ltsc2022"}}); err != nil {
		t.Error(err)
	}
}
