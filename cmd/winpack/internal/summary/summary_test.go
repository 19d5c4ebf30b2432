package summary

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
	"github.com/winpack/winpack/cmd/winpack/internal/sarif"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// open reads a folder of results and adds it up.
func open(t testing.TB, dir string) (Summary, *result.Set) {
	t.Helper()
	b := NewBuilder()
	set, err := result.Open(dir, func(r *result.Result) error {
		b.Add(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return b.Finish(set), set
}

// views are all views of a summary by the name of their golden.
func views(s Summary, set *result.Set) map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"text.txt":    func(w io.Writer) error { return s.Text(w, set, View{}) },
		"verbose.txt": func(w io.Writer) error { return s.Text(w, set, View{Verbose: true}) },
		"quiet.txt":   func(w io.Writer) error { return s.Text(w, set, View{Quiet: true}) },
		"apps.csv":    s.CSV,
		"apps.json":   func(w io.Writer) error { return s.JSON(w, set) },
		"apps.html":   func(w io.Writer) error { return s.HTML(w, set) },
		"apps.sarif": func(w io.Writer) error {
			return sarif.Log{Rules: s.Rules, Notes: s.Notes(), Missing: set.Missing}.Write(w, set.All())
		},
	}
}

func render(t testing.TB, view func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := view(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestViewsOfAnInventory(t *testing.T) {
	s, set := open(t, resulttest.Inventory(t))
	for name, view := range views(s, set) {
		got := render(t, view)
		if again := render(t, view); !bytes.Equal(got, again) {
			t.Errorf("%s: the same results give other bytes", name)
		}
		if name == "apps.html" || name == "apps.sarif" {
			continue // read in a browser, and by the tests of its package
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s changed (-golden +now):\n%s", name, diff)
		}
	}
}

// The order of lines is that in which apps were finished, which differs from run to run.
func TestOrderOfLinesChangesNoView(t *testing.T) {
	dir := resulttest.Many(t, 60)
	text, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join(dir, "rows.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	slices.Reverse(lines)
	half := len(lines) / 2
	other := resulttest.Write(t, map[string][]byte{"results-1.jsonl": bytes.Join(lines[half:], nil), "results-0.jsonl": bytes.Join(lines[:half], nil), "rows.jsonl": rows})
	a, setA := open(t, dir)
	b, setB := open(t, other)
	wants := views(a, setA)
	for name, view := range views(b, setB) {
		if !bytes.Equal(render(t, view), render(t, wants[name])) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestOutlookOfAnApp(t *testing.T) {
	finding := func(level detect.Level) detect.Finding {
		return detect.Finding{Rule: "WP1301", Level: level, Message: "m"}
	}
	rule := func(id string, level detect.Level) detect.Finding {
		return detect.Finding{Rule: id, Level: level, Message: "m"}
	}
	with := func(change func(*report.Report)) *report.Report {
		r := &report.Report{Schema: report.ID, App: report.App{Kind: detect.KindASPNET}, Base: report.Base{Reference: "base"}}
		change(r)
		return r
	}
	good := with(func(*report.Report) {})
	for _, test := range []struct {
		what   string
		result result.Result
		want   Outlook
		cause  string
	}{
		{"nothing found", result.Result{Status: result.OK, Report: good}, Ready, ""},
		{"a warning", result.Result{Status: result.Findings, Report: with(func(r *report.Report) { r.Findings = []detect.Finding{rule("WP1211", detect.LevelWarning)} })}, Ready, ""},
		{"a warning of what will break", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.Findings = []detect.Finding{rule("WP1211", detect.LevelWarning), rule("WP1306", detect.LevelWarning)}
		})}, Decide, "WP1306 path on a drive that the container lacks"},
		{"a warning of a rule that is not known", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.Findings = []detect.Finding{rule("WP9999", detect.LevelWarning)} })}, Decide, "WP9999 m"},
		{"an error", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.Findings = []detect.Finding{finding(detect.LevelError)} })}, Work, "WP1301 secret in a configuration file"},
		{"a step by hand", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.Steps = []report.Step{{Kind: dockerfile.StepManual, Why: "install it"}} })}, Work, "install it"},
		{"not known", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.App.Kind, r.Base.Reference = detect.KindUnknown, "" })}, Unclear, "what it is could not be told"},
		{"not known, with a base", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.App.Kind = detect.KindUnknown })}, Ready, ""},
		{"no base", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.Base.Reference = "" })}, Unclear, "no base image fits"},
		{"a program that no image can run", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.Base.Reference, r.Findings = "", []detect.Finding{rule("WP1005", detect.LevelError)}
		})}, Work, "WP1005 ARM64 program"},
		{"no base, and an error of another kind", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.Base.Reference, r.Findings = "", []detect.Finding{finding(detect.LevelError)}
		})}, Unclear, "no base image fits"},
		{"an empty folder", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.App.Kind, r.Base.Reference, r.Findings = detect.KindUnknown, "", []detect.Finding{rule("WP1007", detect.LevelError)}
		})}, Unclear, "WP1007 empty folder"},
		{"two programs", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.App.Kind, r.Base.Reference, r.Findings = detect.KindUnknown, "", []detect.Finding{rule("WP1002", detect.LevelWarning)}
		})}, Unclear, "WP1002 several programs, none of them clearly the application"},
		{"an accepted error", result.Result{Status: result.OK, Report: with(func(r *report.Report) {
			r.Findings = []detect.Finding{finding(detect.LevelError), finding(detect.LevelBlocker)}
			r.Findings[0].Accepted, r.Findings[1].Accepted = "a", "b"
		})}, Ready, ""},
		{"a blocker", result.Result{Status: result.OK, Report: with(func(r *report.Report) { r.Findings = []detect.Finding{finding(detect.LevelBlocker)} })}, Blocked, "WP1301 secret in a configuration file"},
		{"blocked without a report", result.Result{Status: result.Blocked, Error: "e"}, Blocked, "e"},
		{"failed after detection", result.Result{Status: result.Failed, Error: "push", Report: good}, Failed, "push"},
		{"failed, and not known", result.Result{Status: result.Failed, Error: "push", Report: with(func(r *report.Report) { r.App.Kind, r.Base.Reference = detect.KindUnknown, "" })}, Unclear, "what it is could not be told"},
		{"failed, and an error", result.Result{Status: result.Failed, Error: "push", Report: with(func(r *report.Report) { r.Findings = []detect.Finding{finding(detect.LevelError)} })}, Work, "WP1301 secret in a configuration file"},
		{"failed, and a warning", result.Result{Status: result.Failed, Error: "push", Report: with(func(r *report.Report) { r.Findings = []detect.Finding{rule("WP1306", detect.LevelWarning)} })}, Failed, "push"},
		{"no builder", result.Result{Status: result.Failed, Failure: result.NoBuilder, Error: "none", Report: good}, Ready, ""},
		{"no builder, and a warning", result.Result{Status: result.Failed, Failure: result.NoBuilder, Error: "none", Report: with(func(r *report.Report) { r.Findings = []detect.Finding{rule("WP1306", detect.LevelWarning)} })}, Decide, "WP1306 path on a drive that the container lacks"},
		{"failed before detection", result.Result{Status: result.Failed, Error: "gone"}, Failed, "gone"},
		{"no report", result.Result{Status: result.OK}, Unclear, "the result has no report"},
	} {
		a := newApp(&test.result, report.Rules())
		if a.Outlook != test.want || a.Cause != test.cause {
			t.Errorf("%s: %q because of %q, want %q because of %q", test.what, a.Outlook, a.Cause, test.want, test.cause)
		}
	}
}

// What alone keeps apps back is what is worth solving first.
func TestCauseThatAloneKeepsAppsBackIsCounted(t *testing.T) {
	made := func(rules ...string) *report.Report {
		r := resulttest.Report(t, "static")
		r.Findings = nil
		for _, id := range rules {
			r.Findings = append(r.Findings, detect.Finding{Rule: id, Level: detect.LevelError, Message: id})
		}
		return r
	}
	b := NewBuilder()
	for name, r := range map[string]*report.Report{"a": made("WP1301"), "b": made("WP1301", "WP1301"), "c": made("WP1301", "WP1302"), "d": made("WP1302", "WP1303"), "e": made("WP1301")} {
		if name == "e" { // the warning of another thing keeps it too
			r.Findings = append(r.Findings, detect.Finding{Rule: "WP1307", Level: detect.LevelWarning, Message: "m"})
		}
		one := resulttest.Of(name, name, r)
		b.Add(&one)
	}
	s := b.Finish(&result.Set{})
	want := []Cause{
		{Rule: "WP1301", Level: detect.LevelError, Title: "secret in a configuration file", Apps: 4, Findings: 5, Alone: 2},
		{Rule: "WP1302", Level: detect.LevelError, Title: "LocalDB, SQL Server Express or an attached database file", Apps: 2, Findings: 2},
		{Rule: "WP1303", Level: detect.LevelError, Title: "server on localhost", Apps: 1, Findings: 1},
		{Rule: "WP1307", Level: detect.LevelWarning, Title: "network share", Apps: 1, Findings: 1},
	}
	if diff := cmp.Diff(want, s.Causes); diff != "" {
		t.Error(diff)
	}
}

// What the user accepts is shown with the reason, and counts no more.
func TestAcceptedFindingsAreShownAndDoNotCount(t *testing.T) {
	r := resulttest.Report(t, "demo")
	for i := range r.Findings {
		r.Findings[i].Accepted = "the vault holds it"
	}
	s, set := open(t, resulttest.Write(t, map[string][]byte{"results.jsonl": resulttest.Lines(t, resulttest.Of("demo", "apps/demo", r))}))
	if a := s.Apps[0]; a.Outlook != Ready || a.Count != (Levels{}) || len(a.Rules) != 0 || len(s.Causes) != 0 || s.AtLeast("warning") != 0 {
		t.Errorf("%+v, causes %+v", a, s.Causes)
	}
	out := views(s, set)
	if err := schema.Compile(t, Schema).Validate(t, render(t, out["apps.json"])); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"verbose.txt", "apps.json", "apps.html", "apps.sarif"} {
		if text := string(render(t, out[name])); !strings.Contains(text, "the vault holds it") || !strings.Contains(text, "WP1301") {
			t.Errorf("%s hides what is accepted", name)
		}
	}
}

func TestFailOnCountsApps(t *testing.T) {
	s, _ := open(t, resulttest.Inventory(t))
	errors, warnings := 0, 0
	for _, a := range s.Apps {
		if a.Count.Blocker+a.Count.Error > 0 {
			errors++
		}
		if a.Count.Blocker+a.Count.Error+a.Count.Warning > 0 {
			warnings++
		}
	}
	if errors == 0 || warnings <= errors {
		t.Fatalf("the inventory tells nothing: %d, %d", errors, warnings)
	}
	if s.AtLeast("never") != 0 || s.AtLeast("error") != errors || s.AtLeast("warning") != warnings {
		t.Errorf("never %d, error %d, warning %d; want 0, %d, %d", s.AtLeast("never"), s.AtLeast("error"), s.AtLeast("warning"), errors, warnings)
	}
}

func TestSummaryIsWhatItsSchemaSays(t *testing.T) {
	sch := schema.Compile(t, Schema)
	s, set := open(t, resulttest.Inventory(t))
	good := string(render(t, func(w io.Writer) error { return s.JSON(w, set) }))
	for _, change := range []struct{ what, from, to string }{
		{"another schema", "winpack/summary/v1", "winpack/summary/v2"},
		{"an unknown key at the top", `"schema":`, `"more": 1, "schema":`},
		{"an unknown key of an app", `"outlook": "ready"`, `"look": 1, "outlook": "ready"`},
		{"an unknown outlook", `"outlook": "ready"`, `"outlook": "fine"`},
		{"an unknown status", `"status": "ok"`, `"status": "fine"`},
		{"a count below zero", `"alone": 0`, `"alone": -1`},
		{"a list that is null", `"rules": []`, `"rules": null`},
		{"a missing list", `"torn": [`, `"tore": [`},
		{"a double at one place", `"places": [`, `"places": [], "x": [`},
		{"an image without digest", `"digest":`, `"sum":`},
	} {
		bad := strings.Replace(good, change.from, change.to, 1)
		if bad == good {
			t.Errorf("%s: %q is not in the document", change.what, change.from)
		} else if sch.Validate(t, []byte(bad)) == nil {
			t.Errorf("the schema takes %s", change.what)
		}
	}
	if err := sch.Validate(t, []byte(good)); err != nil {
		t.Error(err)
	}
	for what, files := range map[string]map[string][]byte{
		"no rows at all":       {"rows.jsonl": nil},
		"rows without results": {"rows.jsonl": []byte(`{"name":"a","source":"b"}` + "\n")},
		"a result in short":    {"results.jsonl": []byte(`{"schema":"winpack/result/v1","name":"a","status":"ok"}` + "\n")},
	} {
		s, set := open(t, resulttest.Write(t, files))
		if err := sch.Validate(t, render(t, func(w io.Writer) error { return s.JSON(w, set) })); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, view := range views(s, set) {
			render(t, view)
		}
	}
	many, set := open(t, resulttest.Many(t, 200))
	if err := sch.Validate(t, render(t, func(w io.Writer) error { return many.JSON(w, set) })); err != nil {
		t.Errorf("many: %v", err)
	}
}

// TestNoCellIsAFormula reads the CSV as programs do that take commas, semicolons
// or tabs for separators.
func TestNoCellIsAFormula(t *testing.T) {
	dangerous := func(text string) []string {
		var found []string
		for _, comma := range []rune{',', ';', '\t'} {
			in := csv.NewReader(strings.NewReader(text))
			in.Comma, in.FieldsPerRecord, in.LazyQuotes = comma, -1, true
			for {
				record, err := in.Read()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				for _, field := range record {
					if formulaCell.MatchString(field) {
						found = append(found, field)
					}
				}
			}
		}
		return found
	}
	for _, bad := range []string{"a,=1+1\n", "a,\"b;=1+1\"\n", "a,\"\t@x\"\n", "-1\n", "\"+1\"\n", "a, =1\n", "a,＝1\n"} {
		if len(dangerous(bad)) == 0 {
			t.Fatalf("the check takes %q", bad)
		}
	}
	s, _ := open(t, resulttest.Hostile(t))
	text := string(render(t, s.CSV))
	for _, cell := range dangerous(text) {
		t.Errorf("a cell is a formula: %.60q", cell)
	}
	if bad := regexp.MustCompile(`[^\n[:print:]\pL\pN\pS\pP]`).FindString(text); bad != "" {
		t.Errorf("there is a %q in the CSV", bad)
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 1+len(s.Apps) {
		t.Errorf("%d records of %d apps, %v", len(records), len(s.Apps), err)
	}
}

var formulaCell = regexp.MustCompile(`^[\s"]*[=+\-@＝＋－＠]`)

func TestLabelsOfAnInventoryAreColumns(t *testing.T) {
	rows := []result.Row{{Name: "a", Labels: map[string]string{"wave": "1"}}, {Name: "b", Labels: map[string]string{"=x": "2"}}}
	s := NewBuilder().Finish(&result.Set{Missing: rows})
	lines := strings.Split(string(render(t, s.CSV)), "\n")
	if want := strings.Join(csvColumns(), ",") + ",label:=x,label:wave"; lines[0] != want {
		t.Errorf("the columns are %s, want %s", lines[0], want)
	}
	if !strings.HasSuffix(lines[1], ",,1") || !strings.HasSuffix(lines[2], ",2,") || s.LabelsWithoutColumn() != 0 {
		t.Errorf("the labels are not in their columns:\n%s", strings.Join(lines, "\n"))
	}
	for i := range 2 * maxLabels {
		rows[0].Labels["more"+strings.Repeat("x", i)] = ""
	}
	s = NewBuilder().Finish(&result.Set{Missing: rows})
	if n := s.LabelsWithoutColumn(); n != maxLabels+2 {
		t.Errorf("%d labels have no column", n)
	}
}

func TestNothingFromAnAppReachesTheTerminalAsAnEscape(t *testing.T) {
	s, set := open(t, resulttest.Hostile(t))
	for name, view := range views(s, set) {
		out := string(render(t, view))
		for _, bad := range []string{"\x1b", "\x07", "\u009b", "\u202e", "\xff", "\x00", "\u2028"} {
			if strings.Contains(out, bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		if strings.Contains(out, "\r") || name != "apps.html" && strings.Contains(out, "\nline two") {
			t.Errorf("%s: a name breaks a line", name)
		}
	}
}

func TestTextIsColoredOnlyWhereAsked(t *testing.T) {
	s, set := open(t, resulttest.Inventory(t))
	for _, colored := range []bool{false, true} {
		for _, verbose := range []bool{false, true} {
			out := render(t, func(w io.Writer) error { return s.Text(w, set, View{Color: colored, Verbose: verbose}) })
			if bytes.Contains(out, []byte("\x1b[")) != colored {
				t.Errorf("Color %v, Verbose %v gives %q", colored, verbose, out)
			}
		}
	}
}

// The JSON has the whole of what was found, which the page and the text shorten.
func TestJSONHasEveryFindingWithItsEvidence(t *testing.T) {
	s, set := open(t, resulttest.Inventory(t))
	var document struct {
		Apps []struct {
			Name     string
			Findings []detect.Finding
			Problems []detect.Problem
		}
	}
	if err := json.Unmarshal(render(t, func(w io.Writer) error { return s.JSON(w, set) }), &document); err != nil {
		t.Fatal(err)
	}
	for _, a := range document.Apps {
		if a.Name == "gone" || a.Name == "never-started" || a.Name == "old-row" {
			continue
		}
		r := resulttest.Report(t, a.Name)
		if diff := cmp.Diff(r.Findings, a.Findings) + cmp.Diff(r.Problems, a.Problems); diff != "" {
			t.Errorf("%s: (-report +summary)\n%s", a.Name, diff)
		}
	}
	if len(document.Apps) != len(s.Apps) {
		t.Errorf("%d of %d apps", len(document.Apps), len(s.Apps))
	}
}
