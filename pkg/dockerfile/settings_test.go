package dockerfile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/winpack/winpack/pkg/detect"
)

func TestSettingsReplaceWhatWasDecided(t *testing.T) {
	service := netfxService("Shop")
	p := plan(t, service, Options{Settings: Settings{Entrypoint: []string{`C:\app\job.exe`, "-run"}, User: "ContainerUser", Write: []string{"data"}}})
	if p.Service != nil || !slices.Equal(p.Config.Entrypoint, []string{`C:\app\job.exe`, "-run"}) || p.Config.User != "ContainerUser" {
		t.Errorf("an entrypoint of the user's leaves %+v, %+v", p.Service, p.Config)
	}
	if strings.Contains(strings.Join(p.Why, "\n"), "service manager") {
		t.Errorf("a start script is given as reason where none is used: %q", p.Why)
	}
	grants := func(p Plan) (to []string) {
		for _, s := range p.Steps {
			if s.Kind == StepGrant {
				to = append(to, s.To+" "+s.Trustee.Name)
			}
		}
		return to
	}
	if got := grants(p); !slices.Equal(got, []string{`C:\app\data Users`}) {
		t.Errorf("grants are %q", got)
	}
	// An administrator may write everywhere.
	if got := grants(plan(t, service, Options{Settings: Settings{Write: []string{"data"}}})); got != nil {
		t.Errorf("an administrator is granted %q", got)
	}
	site := with(aspnet("4.8"), func(r *detect.Report) { r.Needs.Writes = []detect.Write{{Path: "App_Data"}} })
	p = plan(t, site, Options{Settings: Settings{Write: []string{"app_data", `C:\data`, "/logs"}}})
	if got := grants(p); !slices.Equal(got, []string{`C:\inetpub\wwwroot\App_Data IIS_IUSRS`, `C:\data IIS_IUSRS`, `C:\logs IIS_IUSRS`}) {
		t.Errorf("grants are %q", got)
	}
	core := plan(t, dotnet("10.0", detect.KindASPNETCore), Options{Settings: Settings{Env: map[string]string{"aspnetcore_http_ports": "5000"}, Ports: []int{5000}}})
	if len(core.Config.Env) != 1 || !slices.Equal(core.Config.Ports, []int{5000}) {
		t.Errorf("the configuration is %+v", core.Config)
	}
}

func TestAcceptedBlockerDoesNotEndPlanning(t *testing.T) {
	rep := netfx("4.8")
	rep.App.Kind = detect.KindNetFXDesktop
	rep.Findings = []detect.Finding{{Rule: "WP1001", Level: detect.LevelBlocker}, {Rule: "WP1999", Level: detect.LevelBlocker}}
	for accepted, blocked := range map[string]bool{"": true, "WP1001": true, "WP1999": true, "WP1001 WP1999": false} {
		_, err := New(rep, catalog(t), Options{Accepted: strings.Fields(accepted)})
		if (err != nil) != blocked {
			t.Errorf("%q accepted: %v", accepted, err)
		}
	}
}

// Each text of the user's stands in the Dockerfile as it is meant, and as nothing else.
func TestSettingsAreDataInTheDockerfile(t *testing.T) {
	nasty := "a `b` $HOME ${X} %PATH% \"q\" 'q' \\ # end\\"
	set := Settings{
		Cmd: []string{nasty}, WorkingDir: `C:\a $b`, User: `NT AUTHORITY\NETWORK SERVICE`,
		Env: map[string]string{"A": nasty}, Labels: map[string]string{"a.b/c": nasty},
		Health: &Health{Test: []string{"CMD", `C:\x.exe`, nasty}, Interval: 90 * time.Second, Retries: 2},
		Files:  []Extra{{Tree: "files-1", From: "it's [x] $y.txt", To: `C:\it's $z.txt`}},
	}
	if wrong := set.Check(); len(wrong) > 0 {
		t.Fatalf("%+v", wrong)
	}
	p := plan(t, static(), Options{Settings: set})
	files, err := Render(p, RenderOptions{App: "/src/site", Dir: "/src/site.winpack", Trees: map[string]string{"files-1": "/src/more files"}})
	if err != nil {
		t.Fatal(err)
	}
	text := files.Content["Dockerfile"]
	if got := lint(t, text); len(got) > 0 {
		t.Errorf("BuildKit warns: %s", got)
	}
	img := configOf(t, text)
	if img.Cmd[0] != nasty || img.WorkingDir != `\a $b` /* BuildKit leaves the drive out */ || img.User != set.User || !slices.Contains(img.Env, "A="+nasty) || img.Labels["a.b/c"] != nasty {
		t.Errorf("BuildKit reads %+v", img)
	}
	if h := img.Healthcheck; h == nil || !slices.Equal(h.Test, set.Health.Test) || h.Interval != 90*time.Second || h.Retries != 2 {
		t.Errorf("BuildKit reads the health check %+v", h)
	}
}

func TestSettingsThatCannotStandAreRefused(t *testing.T) {
	for want, set := range map[string]Settings{
		"entrypoint":       {Entrypoint: []string{""}},
		"cmd":              {Cmd: []string{"a\nRUN x"}},
		"workdir":          {WorkingDir: "app"},
		"user":             {User: "a\"b"},
		"ports":            {Ports: []int{0}},
		"env.A B":          {Env: map[string]string{"A B": "x"}},
		"env.A":            {Env: map[string]string{"A": "x\r\n"}},
		"labels.a b":       {Labels: map[string]string{"a b": "x"}},
		"health-check.cmd": {Health: &Health{Test: []string{"CMD-SHELL", "x `"}}},
		"ignore":           {Ignore: []string{"a/../../b"}},
		"write":            {Write: []string{`D:\x`}},
		"files.to":         {Files: []Extra{{From: "x", To: `..\x`}}},
	} {
		if wrong := set.Check(); len(wrong) != 1 || wrong[0].Key != want || !isType[*UsageError](wrong[0].Err) {
			t.Errorf("%s: the mistakes are %+v", want, wrong)
		}
	}
	for _, dir := range []string{"con/x", "a./b", `logs\aux.txt`, strings.Repeat("n", 300)} {
		if wrong := (Settings{Write: []string{dir}}).Check(); len(wrong) != 1 || wrong[0].Key != "write" {
			t.Errorf("write %q: the mistakes are %+v", dir, wrong)
		}
	}
	if wrong := (Settings{User: "a:b", Ports: []int{0, 80, 70000}, Write: []string{`D:\x`}}).Check(); len(wrong) != 4 {
		t.Errorf("not every mistake is told: %+v", wrong)
	}
}

func TestNamesOfAccountsAndServices(t *testing.T) {
	long := strings.Repeat("n", 300)
	for name, want := range map[string][2]bool{ // an account, a service
		"ContainerUser": {true, true}, `NT AUTHORITY\NETWORK SERVICE`: {true, false}, "svc$": {true, true}, "Order (2) #1+@x": {false, true},
		"": {false, false}, `\x`: {false, false}, `x\`: {false, false}, `a\b\c`: {false, false}, `a"b`: {false, false}, "é": {false, true}, "Auftr\u00e4ge 店": {false, true}, "a\u2019b": {false, false}, "a%b": {false, false}, "a\nb": {false, false},
		long[:255]: {true, true}, long[:256]: {false, true}, long[:257]: {false, false}, `d\` + long[:104]: {true, false}, `d\` + long[:105]: {false, false},
	} {
		if got := [2]bool{isWindowsUser(name), isServiceName(name)}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// configOf is the image configuration that BuildKit makes of a Dockerfile.
func configOf(t *testing.T, text []byte) dockerspec.DockerOCIImageConfig {
	t.Helper()
	st := llb.Scratch()
	sources := llb.NewSourceMap(&st, "Dockerfile", "Dockerfile", text)
	res, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, dockerfile2llb.ConvertOpt{
		SourceMap: sources, MetaResolver: windowsBase{},
		TargetPlatform: &ocispecs.Platform{OS: "windows", Architecture: "amd64"},
		LLBCaps:        ptr(pb.Caps.CapSet(pb.Caps.All())),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return res.Image.Config
}
