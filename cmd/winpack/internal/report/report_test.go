package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func full() Report {
	evidence := []detect.Evidence{{Path: "Web.config", Line: 12, Detail: "authentication mode is Windows"}}
	found := detect.Report{
		App: detect.App{
			Name: "shop", Kind: detect.KindASPNET, Flavors: []string{"mvc"},
			Framework: detect.Framework{Name: detect.NETFramework, Version: "4.7.2"}, Architecture: detect.AnyCPU,
		},
		Findings: []detect.Finding{{Rule: "WP1002", Level: detect.LevelWarning, Message: "m", Remedy: "r", Evidence: evidence}},
		Facts:    []detect.Fact{{Key: "kind", Value: "aspnet", Detector: "iis", Evidence: evidence}},
		Problems: []detect.Problem{{Path: "bin/x.dll", Message: "truncated"}},
		Closure: &detect.Closure{
			Bases: []detect.LearnedBase{{OS: "ltsc2022", Family: detect.FamilyServerCore, Reference: "registry.example.com/core:1", Digest: "sha256:" + strings.Repeat("0", 64)}},
			Modules: []detect.Module{
				{Name: "Acme.Printing", Kind: detect.ModuleAssembly, Provider: detect.FromNowhere, Why: "not on the list",
					Askers: []detect.Asker{{Path: "bin/Shop.dll", How: detect.HowReference, Version: "2.1.0.0", Token: "a1b2c3d4e5f60718", Offset: 12, Length: 3}}, More: 2},
				{Name: "kernel32.dll", Kind: detect.ModuleNative, Provider: detect.FromBase, From: "Server Core", Why: "on the list",
					Askers: []detect.Asker{{Path: "bin/a.dll", How: detect.HowImport}, {Path: "bin/a.dll", How: detect.HowImport, Offset: 5}, {Path: "bin/b.dll", How: detect.HowDelay},
						{Path: "bin/c.dll", How: detect.HowPInvoke}, {Path: "bin/d.dll", How: detect.HowPInvoke}}},
			},
		},
	}
	plan := dockerfile.Plan{
		Family: detect.FamilyServerCore,
		Bases: []dockerfile.Base{
			{OS: "ltsc2022", Reference: "registry.example.com/aspnet:1", SupportEnd: "2031-10-14", Entrypoint: []string{`C:\ServiceMonitor.exe`, "w3svc"}},
			{OS: "ltsc2025", Reference: "registry.example.com/aspnet:2", Digest: "sha256:00"},
		},
		Omitted:  []dockerfile.Omitted{{OS: "ltsc2019", Why: "not published"}},
		Why:      []string{"because"},
		Rejected: []dockerfile.Rejected{{Reference: "x", Why: "y"}},
		Config:   dockerfile.Config{Ports: []int{80}},
		Findings: []detect.Finding{{Rule: "WP3001", Level: detect.LevelError, Message: "m"}},
	}
	return New(found, plan, "")
}

func TestSchemaRejectsWhatIsNoReport(t *testing.T) {
	s := schema.Compile(t, Schema)
	good, err := JSON(full())
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ what, from, to string }{
		{"another schema", `"winpack/report/v1"`, `"winpack/report/v2"`},
		{"an unknown kind", `"aspnet"`, `"asp"`},
		{"an unknown key at the top", `"schema":`, `"more": 1, "schema":`},
		{"an unknown key of app", `"becomes":`, `"turns": "", "becomes":`},
		{"an unknown key of evidence", `"line":`, `"column": 1, "line":`},
		{"a missing key", `"sites": []`, `"sites2": []`},
		{"an unknown level", `"warning"`, `"info"`},
		{"a rule that is no rule", `"WP1002"`, `"W1002"`},
		{"a port that is none", "80\n", "80000\n"},
		{"a date that is none", `"2031-10-14"`, `"14.10.2031"`},
		{"a list that is null", `"sites": []`, `"sites": null`},
		{"an unknown provider", `"nowhere"`, `"somewhere"`},
		{"an unknown way of asking", `"P/Invoke"`, `"pinvoke"`},
		{"a token that is none", `"a1b2c3d4e5f60718"`, `"null"`},
		{"a module that nobody asks for", `"askers": [`, `"askers": [], "x": [`},
		{"a learned base without a digest", `"sha256:0`, `"sha256:x`},
		{"a fact without evidence", `"overruledBy": "",
      "evidence": [`, `"overruledBy": "", "evidence": [], "x": [`},
	} {
		bad := strings.Replace(string(good), change.from, change.to, 1)
		if bad == string(good) {
			t.Errorf("%s: %q is not in the document", change.what, change.from)
		} else if s.Validate(t, []byte(bad)) == nil {
			t.Errorf("the schema takes %s", change.what)
		}
	}
	if err := s.Validate(t, good); err != nil {
		t.Errorf("the schema rejects a good document: %v", err)
	}
	empty, err := JSON(New(detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}}, dockerfile.Plan{}, "no idea"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(t, empty); err != nil {
		t.Errorf("the schema rejects the report of an unknown app: %v\n%s", err, empty)
	}
}

func TestClosureIsOneLineAModuleWithAskersAndProvider(t *testing.T) {
	var b bytes.Buffer
	if err := full().Text(&b, View{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Closure: 2 modules (1 base, 1 nowhere)\n",
		"  decided by the learned contents of registry.example.com/core:1@sha256:000",
		"  Acme.Printing  nowhere    -            <- bin/Shop.dll (reference 2.1.0.0) and 2 more\n",
		"  kernel32.dll   base       Server Core  <- bin/a.dll (import), bin/b.dll (delay import), bin/c.dll (P/Invoke) and 1 more\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	without := full()
	without.Closure = nil
	data, err := JSON(without)
	if err != nil || bytes.Contains(data, []byte("closure")) {
		t.Errorf("a report that was not asked for its closure speaks of one: %v", err)
	}
}

func TestNewJoinsDetectionAndPlan(t *testing.T) {
	r := full()
	if got := strings.Join(r.App.Entrypoint, " "); got != `C:\ServiceMonitor.exe w3svc` {
		t.Errorf("the entrypoint is %q, not the base image's own", got)
	}
	if r.Base.OS != "ltsc2022" || len(r.Base.Images) != 2 || r.Base.Images[1].Reference != "registry.example.com/aspnet:2@sha256:00" {
		t.Errorf("base is %+v", r.Base)
	}
	if why := r.Base.Why; len(why) != 2 || why[1] != "ltsc2019 is left out: not published" {
		t.Errorf("the release that was left out is not named: %q", why)
	}
	if len(r.Findings) != 2 || r.Findings[0].Rule != "WP3001" {
		t.Errorf("findings of detection and plan are not merged, worst first: %+v", r.Findings)
	}
	if len(r.AtLeast(detect.LevelError)) != 1 || len(r.AtLeast(detect.LevelWarning)) != 2 || len(r.Blockers()) != 0 {
		t.Errorf("findings are counted wrongly by level")
	}
}

// hostile is what a name, a value or a message of an app may hold.
const hostile = "a\x1b[2J\x1b]0;x\x07b\u009bc\u202ed\xff\re\x7f\nforged.cs:1: error WP9999: m"

func TestNothingFromAnAppReachesTheTerminalAsAnEscape(t *testing.T) {
	evidence := []detect.Evidence{{Path: hostile, Line: 1, Detail: hostile}}
	found := detect.Report{
		App: detect.App{Name: hostile, Kind: detect.KindNativeConsole, Flavors: []string{hostile},
			Framework: detect.Framework{Name: hostile, Version: hostile}, Architecture: hostile},
		Findings: []detect.Finding{{Rule: "WP1001", Level: detect.LevelNote, Message: hostile, Remedy: hostile, Evidence: evidence}},
		Facts:    []detect.Fact{{Key: hostile, Value: hostile, Detector: hostile, OverruledBy: hostile, Evidence: evidence}},
		Problems: []detect.Problem{{Path: hostile, Message: hostile}},
	}
	plan := dockerfile.Plan{
		Bases:    []dockerfile.Base{{OS: hostile, Reference: hostile, SupportEnd: hostile}},
		Why:      []string{hostile},
		Rejected: []dockerfile.Rejected{{Reference: hostile, Why: hostile}},
		Config:   dockerfile.Config{Entrypoint: []string{hostile}},
		Builder:  dockerfile.BuilderNeeds{Windows: true, Reasons: []string{hostile}},
	}
	r := New(found, plan, hostile)
	var text bytes.Buffer
	if err := r.Text(&text, View{Verbose: true, App: hostile}); err != nil {
		t.Fatal(err)
	}
	document, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	for what, out := range map[string]string{"text": text.String(), "JSON": string(document), "an error line": OneLine(hostile)} {
		for _, bad := range []string{"\x1b", "\x07", "\u009b", "\u202e", "\xff", "\r", "\x7f", "\nforged"} {
			if strings.Contains(out, bad) {
				t.Errorf("%s holds %q", what, bad)
			}
		}
	}
	var back Report
	if err := json.Unmarshal(document, &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\ufffd"); back.App.Name != want {
		t.Errorf("JSON changed the name to %q", back.App.Name)
	}
}

func TestTextIsColoredOnlyWhereAsked(t *testing.T) {
	for _, colored := range []bool{false, true} {
		var b bytes.Buffer
		if err := full().Text(&b, View{Color: colored}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "\x1b[") != colored {
			t.Errorf("Color %v gives %q", colored, b.String())
		}
	}
}

func TestFindingLinesStayAsProblemMatchersReadThem(t *testing.T) {
	var b bytes.Buffer
	if err := full().Text(&b, View{Quiet: true}); err != nil {
		t.Fatal(err)
	}
	if want := ".:1: error WP3001: m\nWeb.config:12: warning WP1002: m\nbin/x.dll:1: warning: truncated\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestFindingWithSeveralPlacesSaysHowManyMore(t *testing.T) {
	at := func(places ...string) detect.Finding {
		f := detect.Finding{Rule: "WP1206", Level: detect.LevelNote, Message: "m"}
		for i, p := range places {
			path, line, _ := strings.Cut(p, ":")
			n, _ := strconv.Atoi(line)
			f.Evidence = append(f.Evidence, detect.Evidence{Path: path, Line: n, Offset: int64(i)})
		}
		return f
	}
	for want, f := range map[string]detect.Finding{
		"a:1: note WP1206: m":                                 at("a:1"),
		"a:1: note WP1206: m (and 1 more place)":              at("a:1", "b:1"),
		"a:2: note WP1206: m (and 2 more places)":             at("a:2", "a:3", "b:2", "a:2"),
		"a.exe:1: note WP1206: m":                             at("a.exe", "a.exe"), // bytes of one file
		"a:1: note WP1206: m (and at least 4 more places)":    at("a:1", "a:2", "a:3", "a:4", "a:5"),
		"a.exe:1: note WP1206: m (and at least 1 more place)": at("a.exe", "a.exe", "b.dll", "a.exe", "a.exe"),
	} {
		if got := FindingLine(f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTextIsWrappedToTheTerminal(t *testing.T) {
	r := full()
	r.Base.Why = []string{strings.Repeat("because ", 40)}
	r.Findings[0].Message, r.Findings[0].Remedy = strings.TrimSpace(strings.Repeat("message ", 40)), strings.TrimSpace(strings.Repeat("remedy ", 40))
	for _, width := range []int{40, 80, 120} {
		var b bytes.Buffer
		if err := r.Text(&b, View{Width: width, Verbose: true}); err != nil {
			t.Fatal(err)
		}
		filled := 0
		for line := range strings.Lines(b.String()) {
			n := len([]rune(strings.TrimSuffix(line, "\n")))
			if n > width && (strings.Contains(line, "because because") || strings.Contains(line, "remedy remedy")) {
				t.Errorf("%d columns on a terminal of %d: %s", n, width, line)
			}
			if strings.Contains(line, "because because") && n > width-9 {
				filled++
			}
		}
		if filled < 2 {
			t.Errorf("a terminal of %d is not used:\n%s", width, b.String())
		}
		if !strings.Contains(b.String(), ": "+r.Findings[0].Message+"\n") {
			t.Errorf("the line that problem matchers read is wrapped:\n%s", b.String())
		}
	}
	var plain bytes.Buffer
	if err := r.Text(&plain, View{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plain.String(), "    do: "+r.Findings[0].Remedy+"\n") {
		t.Errorf("a remedy is wrapped where nobody reads it on a terminal:\n%s", plain.String())
	}
}

func TestWhatToDoIsSaidOnceForFindingsThatAskForTheSame(t *testing.T) {
	r := full()
	finding := func(rule, message, remedy string) detect.Finding {
		return detect.Finding{Rule: rule, Level: detect.LevelWarning, Message: message, Remedy: remedy, Evidence: []detect.Evidence{{Path: "a", Line: 1}}}
	}
	r.Findings = []detect.Finding{finding("WP1301", "one", "take it out"), finding("WP1301", "two", "take it out"), finding("WP1301", "three", "hide it"), finding("WP1302", "four", "hide it")}
	var b bytes.Buffer
	if err := r.Text(&b, View{}); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "warning WP13") || strings.Contains(line, "do: ") {
			lines = append(lines, strings.TrimSpace(line[strings.LastIndex(line, ": ")+2:]))
		}
	}
	if got := strings.Join(lines, ", "); got != "one, two, take it out, three, hide it, four, hide it" {
		t.Errorf("%s", got)
	}
}

func TestManyProblemsAreCountedAndNotHidden(t *testing.T) {
	r := full()
	for range 20 {
		r.Problems = append(r.Problems, detect.Problem{Path: "x.dll", Message: "truncated"})
	}
	var few, all bytes.Buffer
	if err := errors.Join(r.Text(&few, View{}), r.Text(&all, View{Verbose: true})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(few.String(), "and 11 more problems: -v lists them all") || strings.Count(few.String(), "x.dll:1: warning: truncated") != 10 {
		t.Errorf("without -v:\n%s", few.String())
	}
	if strings.Count(all.String(), "x.dll:1: warning: truncated") != 21 {
		t.Errorf("with -v:\n%s", all.String())
	}
}

func TestTextSaysWhatIsDoneToTheImage(t *testing.T) {
	r := full()
	r.App.Framework.Version = ""
	r.Base.Images[0].SupportEnd, r.Base.Images[0].SupportEnded = "2024-11-12", true
	r.Needs = Needs{true, []string{"a reason"}}
	r.Steps = []Step{
		{Kind: dockerfile.StepCopy, Why: "the site", To: "C:\\site"},
		{Kind: dockerfile.StepGrant, Why: "the app pool writes there", To: "C:\\site\\App_Data", For: "IIS_IUSRS"},
		{Kind: dockerfile.StepStart, Why: "y", Commands: []string{`"%SystemRoot%\System32\inetsrv\appcmd.exe" unlock config -section:x`}},
		{Kind: dockerfile.StepRun, Why: "z", Commands: []string{"dism /FeatureName:F & if errorlevel 1 exit 1"}, OS: []string{"ltsc2022"}},
		{Kind: dockerfile.StepManual, Why: "install it"},
	}
	var b bytes.Buffer
	if err := r.Text(&b, View{}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		", .NET Framework, anycpu", "(ltsc2022, support ended 2024-11-12)",
		"write access to C:\\site\\App_Data for IIS_IUSRS: the app pool writes there",
		"at container start: appcmd unlock config -section:x",
		"in the build, by RUN: dism /FeatureName:F (ltsc2022)",
		"by hand: install it", "a Windows machine to build on: a reason",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(text, "supported until") || strings.Contains(text, "errorlevel") {
		t.Errorf("too much is said:\n%s", b.String())
	}
}

func TestFindingsThatTellWhatWasSeenArePointedAt(t *testing.T) {
	for rule, want := range map[string]bool{"WP1003": true, "WP1002": true, "WP1301": false} {
		found := detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}, Findings: []detect.Finding{{Rule: rule, Level: detect.LevelNote, Message: "m"}}}
		var b bytes.Buffer
		if err := New(found, dockerfile.Plan{}, "").Text(&b, View{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "stands above") != want {
			t.Errorf("%s:\n%s", rule, b.String())
		}
	}
}

func TestSignsArePromisedOnlyWhereThereAreSome(t *testing.T) {
	for _, facts := range [][]detect.Fact{nil, {{Key: "x", Value: "y"}}} {
		var b bytes.Buffer
		if err := New(detect.Report{App: detect.App{Name: "x", Kind: detect.KindUnknown}, Facts: facts}, dockerfile.Plan{}, "").Text(&b, View{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "-v shows") != (len(facts) > 0) {
			t.Errorf("%d facts:\n%s", len(facts), b.String())
		}
	}
}
