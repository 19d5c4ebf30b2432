package dockerfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func siteReport(features ...string) detect.Report {
	rep := detect.Report{App: detect.App{Name: "shop", Kind: detect.KindASPNET, Framework: detect.Framework{Name: detect.NETFramework, Version: "4.8"}, Architecture: detect.AnyCPU}}
	rep.Needs.IIS = &detect.IIS{}
	for _, id := range features {
		rep.Needs.IIS.Features = append(rep.Needs.IIS.Features, detect.Need{ID: id})
	}
	return rep
}

// IIS listens on 80 whatever a Dockerfile exposes: other ports have to be bound.
func TestIISIsBoundToThePortsOfTheSettings(t *testing.T) {
	for name, test := range map[string]struct {
		ports    []int
		features []string
		prefer   string
		want     string // the command behind appcmd; empty: there is none
		kind     StepKind
		label    string
	}{
		"none":                  {nil, nil, "", "", "", ""},
		"as it is":              {[]int{80}, nil, "", "", "", ""},
		"as it is, with WCF":    {[]int{80, 808}, []string{"wcf-tcp"}, "", "", "", ""},
		"another":               {[]int{8080}, nil, "", ` set site "Default Web Site" /bindings:http/*:8080:`, StepStart, "8080"},
		"twice":                 {[]int{8080, 8080}, nil, "", ` set site "Default Web Site" /bindings:http/*:8080:`, StepStart, "8080"},
		"one more":              {[]int{80, 8080}, nil, "", ` set site "Default Web Site" /bindings:http/*:80:,http/*:8080:`, StepStart, "80|8080"},
		"with WCF":              {[]int{8080, 808}, []string{"wcf-tcp", "wcf-pipe"}, "", ` set site "Default Web Site" /bindings:http/*:8080:,net.tcp/808:*,net.pipe/*`, StepStart, "8080|808"},
		"in the build":          {[]int{8080}, nil, PreferFastStart, ` set site "Default Web Site" /bindings:http/*:8080:`, StepRun, "8080"},
		"https stays as it was": {[]int{80, 443}, nil, "", "", "", ""},
	} {
		opt := Options{OS: []string{"ltsc2022"}, Prefer: test.prefer, Settings: Settings{Ports: test.ports}}
		opt.Places = map[string]detect.Evidence{"ports": {Path: "winpack.toml", Line: 3}}
		plan, err := New(siteReport(test.features...), catalog(t), opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := slices.IndexFunc(plan.Steps, func(s Step) bool { return strings.Contains(strings.Join(s.Commands, ""), "set site") })
		switch {
		case test.want == "" && i < 0:
		case i < 0 || plan.Steps[i].Kind != test.kind || plan.Steps[i].Commands[0] != appcmd+test.want || !strings.Contains(plan.Steps[i].Why, "bound to port"):
			t.Errorf("%s: the steps are %+v", name, plan.Steps)
		}
		if got := plan.Config.Labels[LabelPorts]; got != test.label {
			t.Errorf("%s: the label of the ports is %q, want %q", name, got, test.label)
		}
		warned := slices.ContainsFunc(plan.Findings, func(f detect.Finding) bool {
			return f.Rule == RuleHTTPSPort && f.Level == detect.LevelWarning && len(f.Evidence) == 1 && f.Evidence[0].Line == 3
		})
		if warned != slices.Contains(test.ports, 443) {
			t.Errorf("%s: the findings are %+v", name, plan.Findings)
		}
	}
}

// What the Dockerfile exposes is where the start script makes IIS listen.
func TestStartScriptBindsIISBeforeItRuns(t *testing.T) {
	plan, err := New(siteReport(), catalog(t), Options{OS: []string{"ltsc2022"}, Settings: Settings{Ports: []int{8080}}})
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := plan.StartScript(true)
	bind, run := strings.Index(string(script), `/bindings:http/*:8080: >`), strings.Index(string(script), "ServiceMonitor")
	if !ok || bind < 0 || run < bind || !strings.Contains(string(script), "rem IIS listens on port 80 by itself, and is bound to port 8080, as the settings say") {
		t.Errorf("the start script is\n%s", script)
	}
	text, err := plan.ForBuilder()
	if err != nil || !strings.Contains(string(text), "EXPOSE 8080\n") || strings.Contains(string(text), "EXPOSE 80\n") {
		t.Errorf("the Dockerfile is\n%s%v", text, err)
	}
}

// A gMSA is of no use to the pool's own account: findings that ask for one have the
// plan set another.
func TestAppPoolRunsAsNetworkServiceWhereTheSiteActsInADomain(t *testing.T) {
	integrated := siteReport()
	integrated.Facts = []detect.Fact{{Key: "integrated-security", Value: "Main: server db"}}
	overruled := siteReport()
	overruled.Facts = []detect.Fact{{Key: "integrated-security", Value: "Main: server db", OverruledBy: "x"}}
	for name, test := range map[string]struct {
		rep  detect.Report
		want string
	}{
		"neither":                {siteReport(), ""},
		"overruled":              {overruled, ""},
		"Windows authentication": {siteReport("windows-authentication"), "(the site uses Windows authentication)"},
		"integrated security":    {integrated, "(a connection string uses integrated security)"},
	} {
		for prefer, kind := range map[string]StepKind{"": StepStart, PreferFastStart: StepRun} {
			p := plan(t, test.rep, Options{OS: []string{"ltsc2022"}, Prefer: prefer})
			i := slices.IndexFunc(p.Steps, func(s Step) bool {
				return strings.Contains(strings.Join(s.Commands, ""), "identityType:NetworkService")
			})
			switch {
			case i < 0 && test.want == "":
			case i < 0 || test.want == "" || p.Steps[i].Kind != kind || !strings.Contains(p.Steps[i].Why, test.want):
				t.Errorf("%s %s: the steps are %+v", name, prefer, p.Steps)
			}
		}
	}
}
