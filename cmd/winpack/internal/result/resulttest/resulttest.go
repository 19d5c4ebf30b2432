// Package resulttest gives tests folders of saved results, made of the reports of
// the fixtures.
package resulttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// Report is the report of a fixture: what the pipeline says of it, as a test of
// the pipeline checks.
func Report(tb testing.TB, fixture string) *report.Report {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fixtures", fixture, "report.json"))
	for err != nil { // the folder of fixtures is somewhere above
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatalf("no fixtures/%s/report.json above the working directory: run the tests in the checkout", fixture)
		}
		dir = up
		text, err = os.ReadFile(filepath.Join(dir, "fixtures", fixture, "report.json"))
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		tb.Fatal(err)
	}
	return &r
}

// Of is the result of an app, as batch with --fail-on error saves it.
func Of(name, source string, r *report.Report) result.Result {
	status := result.OK
	switch {
	case len(r.Blockers()) > 0:
		status = result.Blocked
	case len(r.AtLeast(detect.LevelError)) > 0:
		status = result.Findings
	}
	return result.Result{Schema: result.ID, Name: name, Source: source, Status: status, Report: r}
}

// Lines are results or rows as lines of a file.
func Lines[T any](tb testing.TB, list ...T) []byte {
	tb.Helper()
	var b bytes.Buffer
	for _, x := range list {
		line, err := json.Marshal(x)
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

// Write writes files into a new folder and returns its name.
func Write(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "out")
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// fixed are the fixtures of Inventory, a list of its own so that a new fixture
// changes no golden.
func fixed() []string {
	return []string{
		"demo", "aspnet-35", "aspnet-core", "wcf-http", "netfx-service", "netfx-winforms", "native-service",
		"dotnet-console", "static", "unknown-ruby", "broken-truncated-exe",
	}
}

// Inventory is a small folder of results with everything that there can be: each
// outlook, images, labels, a row without a result and one that is no row any more,
// a name twice, a line of rubbish and a torn one.
func Inventory(tb testing.TB) string {
	tb.Helper()
	var results []result.Result
	var rows []result.Row
	for i, name := range fixed() {
		r := Of(name, `apps\`+name, Report(tb, name))
		r.Owner = []string{"Retail", "Payments"}[i%2]
		r.Labels = map[string]string{"wave": fmt.Sprint(1 + i%3)}
		results = append(results, r)
		rows = append(rows, result.Row{Name: r.Name, Source: r.Source, Owner: r.Owner, Labels: r.Labels})
	}
	results[2].Image = &result.Image{Reference: "registry.example.com/apps/aspnet-core:1", Digest: "sha256:" + strings.Repeat("0", 64)}
	results[8].Image = &result.Image{Digest: "sha256:" + strings.Repeat("1", 64)}
	results = append(results, result.Result{
		Schema: result.ID, Name: "gone", Source: `\\server\share\gone`, Status: result.Failed,
		Error: `reading APP "gone": permission denied; run winpack as a user that may read it`,
	})
	rows = append(rows, result.Row{Name: "gone", Source: `\\server\share\gone`}, result.Row{Name: "never-started", Source: "/srv/apps/never-started", Owner: "Retail"})
	command := result.Batch{Schema: result.BatchID, Inventory: "lists/shop apps.csv", Output: "out", Options: []string{"--os", "ltsc2022"}, Build: []string{"--push", "--tag-template", "registry.example.com/apps/{{.Name}}:1"}}
	first := Lines(tb, results[:6]...)
	second := Lines(tb, append(results[5:], Of("old-row", "old", Report(tb, "static")))...)
	second = append(second, "what is this\n"...)
	second = append(second, `{"schema":"winpack/result/v1","name":"to`...)
	return Write(tb, map[string][]byte{"results-0.jsonl": first, "results-1.jsonl": second, "rows.jsonl": Lines(tb, rows...), "batch.json": Lines(tb, command)})
}

// Many is a folder of n results in the proportions of a real estate, without
// anything wrong but rows that failed and rows without a result.
func Many(tb testing.TB, n int) string {
	tb.Helper()
	var reports []*report.Report
	for _, name := range []string{"demo", "aspnet-mvc", "aspnet-webapi", "aspnet-webforms", "aspnet-35", "wcf-http", "aspnet-core", "aspnet-core-net8", "netfx-service", "netfx-console", "dotnet-console", "native-service", "static", "netfx-winforms", "unknown-ruby"} {
		reports = append(reports, Report(tb, name))
	}
	file, err := os.Create(filepath.Join(Write(tb, nil), "results.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var rows []result.Row
	out := json.NewEncoder(file)
	for i := range n {
		// Multiples of primes mix without chance.
		team := []string{"retail", "payments", "logistics", "claims", "platform", "people"}[i*7%6]
		name := fmt.Sprintf("%s%s-%04d", []string{"Order", "Invoice", "Customer", "Stock", "Payroll", "Claims", "Label"}[i*13%7],
			[]string{"Portal", "Api", "Service", "Import", "Admin"}[i*11%5], i)
		row := result.Row{Name: name, Source: team + "/" + name, Owner: team, Labels: map[string]string{"wave": fmt.Sprint(1 + i*17%6)}}
		rows = append(rows, row)
		if i%97 == 41 {
			continue
		}
		r := Of(name, row.Source, reports[i*31%len(reports)])
		r.Owner, r.Labels = row.Owner, row.Labels
		switch {
		case i%89 == 17:
			r.Status, r.Report, r.Error = result.Failed, nil, "reading APP: permission denied; run winpack as a user that may read it"
		case i%3 == 0 && r.Status == result.OK:
			r.Image = &result.Image{Reference: "registry.example.com/" + strings.ToLower(name) + ":1", Digest: fmt.Sprintf("sha256:%064x", i)}
		}
		if err := out.Encode(r); err != nil {
			tb.Fatal(err)
		}
	}
	dir := filepath.Dir(file.Name())
	if err := os.WriteFile(filepath.Join(dir, "rows.jsonl"), Lines(tb, rows...), 0o644); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// HostileTexts are names and values that try to be more than text.
func HostileTexts() []string {
	return []string{
		`<script>window.canary="script"</script>`,
		`"><img src=x onerror="window.canary='img'">`,
		`</script><script>window.canary="end"</script>`,
		`<!--<script>`,
		`'-alert(1)-'`,
		`javascript:window.canary=1`,
		`{{.}}${window.canary=1}`,
		`<svg onload=window.canary=1><style>*{display:none}</style>`,
		`<a href="http://canary.example.com/">x</a>`,
		`=cmd|'/c calc'!A0`,
		`+1+1`, "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1", " =1+1", `a;=1+1`, `"=1+1"`, "＝1+1",
		"safe\u202egpj.exe",
		"line one\nline two\u2028line three",
		"\x1b[2Jclear\x07\u009b\x00\xff",
		"[click](http://canary.example.com/)",
		`constructor`, `__proto__`, `toString`,
		strings.Repeat("long", 20_000),
	}
}

const hostileName = "<script>window.canary='inventory'</script>/'$(id)\x1b[2J\u202e<img src=x onerror=window.canary=1>.csv"

// Hostile is a folder of results in which every text is hostile.
func Hostile(tb testing.TB) string {
	tb.Helper()
	var results []result.Result
	var rows []result.Row
	for i, x := range HostileTexts() {
		r := Report(tb, "demo")
		evidence := []detect.Evidence{{Path: x, Line: 1, Detail: x}, {Path: x, Offset: 1, Length: 2, Detail: x}}
		r.App = report.App{Name: x, Kind: detect.Kind(x), Framework: detect.Framework{Name: x, Version: x}, Architecture: x, Entrypoint: []string{x}}
		r.Base = report.Base{Reference: x, Family: x, OS: x, Why: []string{x}}
		r.Needs = report.Needs{WindowsBuilder: true, Reasons: []string{x}}
		level := []detect.Level{detect.LevelBlocker, detect.LevelError, detect.LevelWarning, detect.LevelNote}[i%4]
		r.Findings = []detect.Finding{
			{Rule: x, Level: level, Message: x, Remedy: x, Evidence: evidence},
			{Rule: "WP1001", Level: level, Message: x, Evidence: evidence, Accepted: x},
		}
		r.Problems = []detect.Problem{{Path: x, Message: x}}
		one := Of(x, x, r)
		one.Owner, one.Labels, one.Image = x, map[string]string{x: x}, &result.Image{Reference: x, Digest: x}
		if i%5 == 0 {
			one.Status, one.Error = result.Failed, x
		}
		results = append(results, one)
		rows = append(rows, result.Row{Name: "row " + x, Source: x, Owner: x, Labels: map[string]string{x: x}})
	}
	doubled := Lines(tb, results...)
	return Write(tb, map[string][]byte{"results.jsonl": append(doubled, "<b>no result</b>\n"...), "results-1.jsonl": doubled, "rows.jsonl": Lines(tb, rows...), "batch.json": Lines(tb, result.Batch{Schema: result.BatchID, Inventory: hostileName, Output: hostileName, Options: HostileTexts(), Build: HostileTexts()})})
}
