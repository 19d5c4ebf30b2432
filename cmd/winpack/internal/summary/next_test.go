package summary

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
	"github.com/winpack/winpack/pkg/detect"
)

// migration is a small inventory with apps of each sort that Next tells apart.
func migration(t *testing.T) Summary {
	t.Helper()
	b := NewBuilder()
	add := func(name, fixture string, change func(*result.Result), findings ...detect.Finding) {
		r := resulttest.Of(name, name, resulttest.Report(t, fixture))
		r.Report.Findings = append(r.Report.Findings, findings...)
		if change != nil {
			change(&r)
		}
		b.Add(&r)
	}
	warning := func(rule string) detect.Finding {
		return detect.Finding{Rule: rule, Level: detect.LevelWarning, Message: "m"}
	}
	fault := func(rule string) detect.Finding {
		return detect.Finding{Rule: rule, Level: detect.LevelError, Message: "m"}
	}
	add("ready", "static", nil)
	add("deployed", "static", func(r *result.Result) { r.Image = &result.Image{Reference: "r.example/a:1", Digest: "sha256:0"} })
	add("waits", "static", func(r *result.Result) {
		r.Status, r.Failure, r.Error, r.Report.Needs.WindowsBuilder = result.Failed, result.NoBuilder, "none", true
	})
	add("share", "static", nil, warning("WP1307"))
	add("drive and share", "static", nil, warning("WP1306"), warning("WP1307"), warning("WP1211"))
	for i, rule := range []string{"WP1301", "WP1302", "WP1305", "WP1401", "WP1402"} {
		add("error "+string(rune('a'+i)), "static", nil, fault(rule))
	}
	add("error and outage", "static", func(r *result.Result) { r.Status, r.Error = result.Failed, "the registry answers 500" }, fault("WP1301"))
	add("errors", "static", nil, fault("WP1301"), fault("WP1302"), fault("WP1302"))
	add("arm", "dotnet-console", func(r *result.Result) { r.Report.Base = report.Base{} }, fault("WP1005"))
	add("node", "unknown-ruby", func(r *result.Result) { r.Status, r.Error = result.Failed, "unknown" })
	add("forms", "netfx-winforms", nil)
	add("outage", "static", func(r *result.Result) { r.Status, r.Error = result.Failed, "the registry answers 500" })
	add("gone", "static", func(r *result.Result) { r.Status, r.Error, r.Report = result.Failed, "no such folder", nil })
	return b.Finish(&result.Set{
		Missing: []result.Row{{Name: "never", Source: "x"}},
		Batch:   &result.Batch{Inventory: "my apps.csv", Output: "out", Build: []string{"--push", "--tag-template", "r.example/{{.Name}}:1"}},
	})
}

func TestEachAppIsInOneStepOfNext(t *testing.T) {
	s := migration(t)
	all := 0
	for _, x := range s.Next {
		all += x.Apps
	}
	if all != len(s.Apps) {
		t.Errorf("the steps are about %d apps of %d: %+v", all, len(s.Apps), s.Next)
	}
	const push = "winpack batch 'my apps.csv' -o out --push --tag-template 'r.example/{{.Name}}:1'"
	for _, want := range []Step{
		{1, "without a result: the same command does what is missing", push},
		{2, "failed: look at the error of each, set it right, and run them again", push + " --retry-failed"},
		{1, "ready to move: make their images", push},
		{1, "ready once WP1307 is decided: network share", "winpack explain WP1307"},
		{1, "to decide: solve what several warnings of each say, or accept them in its winpack.toml", ""},
		{4, "after work: solve the errors of each, or do the step by hand that it names", ""},
		{1, "unclear: name the folder of one built application in the inventory's column source, or its image in column base", ""},
	} {
		if !slices.Contains(s.Next, want) {
			t.Errorf("%+v is missing in\n%+v", want, s.Next)
		}
	}
	// What is not known is what to fill in.
	s = NewBuilder().Finish(&result.Set{Missing: []result.Row{{Name: "never", Source: "x"}}})
	if got := s.Next[0].Command; got != "winpack batch INVENTORY -o DIR" {
		t.Errorf("without a saved command: %s", got)
	}
}

func TestOutagesAreToldFromAppsThatNeedSomething(t *testing.T) {
	s := migration(t)
	if got := s.Counts.Outlook; got[Failed] != 2 || got[Ready] != 3 || got[Unclear] != 1 || s.Counts.Status["failed"] != 5 {
		t.Errorf("outlooks %v, statuses %v", got, s.Counts.Status)
	}
}

func TestLinesSayWhatElseWasFound(t *testing.T) {
	s := migration(t)
	text := string(render(t, func(w io.Writer) error { return s.Text(w, &result.Set{}, View{}) }))
	for _, want := range []string{
		"my apps.csv: 3 of 18 apps can move to Windows containers now, 2 more once their warnings are decided",
		"findings 1 blocker, 10 errors, 4 warnings",
		"WP1306 path on a drive that the container lacks (+2 warnings)\n",
		"WP1301 secret in a configuration file (+2 errors)\n",
		"WP1301 secret in a configuration file; the build failed: the registry answers 500\n",
		"static          waits for a Windows builder\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	html := string(render(t, func(w io.Writer) error { return s.HTML(w, &result.Set{}) }))
	for _, want := range []string{"2 more once their warnings are decided", "1 blocker, 10 errors, 4 warnings", "+2 errors", "<title>Windows container migration: my apps.csv, 18 apps</title>"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is missing in the page", want)
		}
	}
}

func TestSharesAddUpTo100(t *testing.T) {
	for _, test := range []struct{ counts, want []int }{
		{[]int{7, 0, 2, 2, 1, 1, 1}, []int{50, 0, 15, 14, 7, 7, 7}},
		{[]int{1, 1, 1}, []int{34, 33, 33}},
		{[]int{999, 1}, []int{99, 1}},
		{[]int{1000, 1, 1, 1, 1, 1, 1}, []int{94, 1, 1, 1, 1, 1, 1}},
		{[]int{5, 0}, []int{100, 0}},
		{[]int{0, 0}, []int{0, 0}},
	} {
		if got := shares(test.counts); !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.counts, got, test.want)
		}
	}
	for n := range 3000 {
		sum := 0
		for _, share := range shares([]int{n % 7, n % 11, n % 13, n % 17, n % 199, 1 + n%3}) {
			sum += share
		}
		if sum != 100 {
			t.Fatalf("%d: %d", n, sum)
		}
	}
}

// A rule that is renamed or turned into an error would leave the lists without a word.
func TestRulesThatOutlooksNameAreThere(t *testing.T) {
	rules := report.Rules()
	for _, id := range harmless() {
		if rules[id].Level != detect.LevelWarning {
			t.Errorf("%s is %q and no warning", id, rules[id].Level)
		}
	}
	for _, id := range noImage() {
		if rules[id].Level != detect.LevelError {
			t.Errorf("%s is %q and no error", id, rules[id].Level)
		}
	}
	if rules[severalPrograms].ID == "" {
		t.Errorf("%s is no rule", severalPrograms)
	}
}

// Kinds, outlooks and statuses are explained where they are shown.
func TestPageAndTextExplainTheirWords(t *testing.T) {
	s, set := open(t, resulttest.Inventory(t))
	text := string(render(t, func(w io.Writer) error { return s.Text(w, set, View{}) }))
	html := string(render(t, func(w io.Writer) error { return s.HTML(w, set) }))
	html, _, _ = strings.Cut(html, `id="data"`) // what is read without JavaScript
	for _, o := range Outlooks() {
		if s.Counts.Outlook[o] > 0 && (!strings.Contains(text, o.Meaning()) || !strings.Contains(html, strings.ReplaceAll(o.Meaning(), "'", "&#39;"))) {
			t.Errorf("%s is not explained", o)
		}
	}
	for _, want := range []string{"ASP.NET site", "done, with nothing at or above --fail-on"} {
		if !strings.Contains(text, want) || !strings.Contains(html, want) {
			t.Errorf("%q is missing", want)
		}
	}
}
