package sarif

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/detect"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func write(t *testing.T, set *result.Set, folder string) []byte {
	t.Helper()
	sum, err := summary.Of(set)
	if err != nil {
		t.Fatal(err)
	}
	l := Log{Version: "v0", Rules: sum.Rules, Alone: set.Report != nil, Folder: folder, Notes: sum.Notes(), Missing: set.Missing}
	var b bytes.Buffer
	if err := l.Write(&b, set.All()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t *testing.T, dir string) *result.Set {
	t.Helper()
	set, err := result.Open(dir, func(*result.Result) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// official is the schema of SARIF 2.1.0 as its authors wrote it. The library carries it as a string
// of its own, and checks only what it has read and changed by it; here it is taken
// out of the library's source, to check what was written.
func official(t *testing.T) schema.Compiled {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := file.Decls[0].(*ast.GenDecl).Specs[0].(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
	return schema.Compile(t, []byte(strings.Trim(text, "`")))
}

// valid checks a log by the schema, and by what the readers of logs ask beyond it.
func valid(t *testing.T, s schema.Compiled, log []byte) error {
	t.Helper()
	if err := s.Validate(t, log); err != nil {
		return err
	}
	var raw struct {
		Version string
		Runs    []struct {
			Tool    struct{ Driver struct{ Name string } }
			Results []struct {
				RuleID    string
				RuleIndex *int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI, URIBaseID string }
						Region           map[string]any
					}
				}
				PartialFingerprints map[string]string
			}
			OriginalURIBaseIDs map[string]any
		}
	}
	if err := json.Unmarshal(log, &raw); err != nil {
		t.Fatal(err)
	}
	if raw.Version != "2.1.0" || len(raw.Runs) != 1 || raw.Runs[0].Tool.Driver.Name != "winpack" || raw.Runs[0].Results == nil {
		t.Errorf("the log is not one run of winpack: %.300s", log)
	}
	seen := map[string]bool{}
	for _, x := range raw.Runs[0].Results {
		at := x.Locations[0].PhysicalLocation
		if x.RuleID == "" || x.RuleIndex == nil || x.Message.Text == "" || at.ArtifactLocation.URI == "" || raw.Runs[0].OriginalURIBaseIDs[at.ArtifactLocation.URIBaseID] == nil {
			t.Errorf("a result lacks something: %+v", x)
		}
		print := x.PartialFingerprints["winpackFinding/v1"]
		if len(print) != 64 || seen[print] {
			t.Errorf("the fingerprint %q is none, or there twice", print)
		}
		seen[print] = true
	}
	return nil
}

func TestCheckByTheSchemaRefusesBadLogs(t *testing.T) {
	s := official(t)
	good := string(write(t, open(t, resulttest.Inventory(t)), ""))
	if err := valid(t, s, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"level":"error"`, `"level":"fatal"`},
		{`"startLine":`, `"startLine":0,"was":`},
		{`"version": "2.1.0"`, `"version": "2.0.0"`},
		{`"byteOffset":`, `"byteOffset":-7,"was":`},
		{`"ruleId":`, `"rule_id":`},
		{`"results": [`, `"newlineSequences": [], "results": [`},
		{`"uri":"web.config"`, `"uri":"a b%"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good || valid(t, s, []byte(bad)) == nil {
			t.Errorf("%s for %s is taken", change[1], change[0])
		}
	}
}

func TestLogOfAnInventory(t *testing.T) {
	dir := resulttest.Inventory(t)
	got := write(t, open(t, dir), "")
	if again := write(t, open(t, dir), ""); !bytes.Equal(got, again) {
		t.Error("the same results give other bytes")
	}
	golden := filepath.Join("testdata", "inventory.sarif")
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
		t.Errorf("the log changed (-golden +now):\n%s", diff)
	}
}

func TestLogOfEveryFixtureIsValid(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	s := official(t)
	for _, name := range names {
		if err := valid(t, s, write(t, result.One(resulttest.Report(t, name)), "apps/"+name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLogOfHostileResultsIsValidAndHoldsNoLink(t *testing.T) {
	log := write(t, open(t, resulttest.Hostile(t)), "")
	if err := valid(t, official(t), log); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"\x1b", "\u202e", "\u009b", `"text":"[click](http`} {
		if bytes.Contains(log, []byte(bad)) {
			t.Errorf("the log holds %q", bad)
		}
	}
	if !bytes.Contains(log, []byte(`"text":"[click] (http`)) {
		t.Error("what would be a link is not there at all")
	}
}

func TestLevelsAndPlacesAreMapped(t *testing.T) {
	r := resulttest.Report(t, "static")
	r.Findings = []detect.Finding{
		{Rule: "WP1001", Level: detect.LevelBlocker, Message: "m", Remedy: "do.", Evidence: []detect.Evidence{{Path: "bin/a b#.exe", Offset: 0, Length: 4, Detail: "d"}, {Path: "c:d", Line: 3}}},
		{Rule: "WP1301", Level: detect.LevelError, Message: "m"},
		{Rule: "WP1102", Level: detect.LevelWarning, Message: "m", Evidence: []detect.Evidence{{Path: "x.config", Line: 12, Detail: "see [this](http://x)"}}},
		{Rule: "WP9999", Level: detect.LevelNote, Message: "not known to this version: m"},
	}
	r.Problems = []detect.Problem{{Path: "bad.dll", Message: "cut short"}}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID                   string
						ShortDescription     struct{ Text string }
						Help                 struct{ Text string }
						HelpURI              string
						DefaultConfiguration struct{ Level string }
					}
				}
			}
			Results []struct {
				RuleID, Level               string
				Message                     struct{ Text string }
				Locations, RelatedLocations []json.RawMessage
				Properties                  map[string]string
			}
			OriginalURIBaseIDs json.RawMessage
			Invocations        []struct {
				ExecutionSuccessful        bool
				ToolExecutionNotifications []json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(write(t, result.One(r), "publish/my shop"), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for i, want := range []struct{ level, was, at string }{
		{"error", "blocker", `{"message":{"text":"d"},"physicalLocation":{"artifactLocation":{"uri":"bin/a%20b%23.exe","uriBaseId":"APP"},"region":{"byteLength":4,"byteOffset":0}}}`},
		{"error", "error", `{"physicalLocation":{"artifactLocation":{"uri":"./","uriBaseId":"APP"}}}`},
		{"warning", "warning", `{"message":{"text":"see [this] (http://x)"},"physicalLocation":{"artifactLocation":{"uri":"x.config","uriBaseId":"APP"},"region":{"startLine":12}}}`},
		{"note", "note", `{"physicalLocation":{"artifactLocation":{"uri":"./","uriBaseId":"APP"}}}`},
	} {
		if got := run.Results[i]; got.Level != want.level || got.Properties["level"] != want.was || len(got.Locations) != 1 || string(got.Locations[0]) != want.at {
			t.Errorf("finding %d: %s (%s) at %s, want %+v", i, got.Level, got.Properties["level"], got.Locations, want)
		}
	}
	first := run.Results[0]
	if first.Message.Text != "m do." || len(first.RelatedLocations) != 1 || !strings.Contains(string(first.RelatedLocations[0]), `"uri":"./c:d"`) {
		t.Errorf("the first finding is %+v", first)
	}
	if got, want := string(run.OriginalURIBaseIDs), `{"APP":{"uri":"publish/my%20shop/","uriBaseId":"WORKDIR"},"WORKDIR":{"description":{"text":"the folder that winpack was started in"}}}`; got != want {
		t.Errorf("bases are %s, want %s", got, want)
	}
	rules := run.Tool.Driver.Rules
	if len(rules) != 4 || rules[0].ID != "WP1001" || rules[0].ShortDescription.Text != "program with a desktop" || !strings.HasPrefix(rules[0].Help.Text, "Publish a console") || rules[0].DefaultConfiguration.Level != "error" {
		t.Errorf("rules are %+v", rules)
	}
	for _, r := range rules {
		if u, err := url.Parse(r.HelpURI); err != nil || u.Scheme != "https" || u.Host == "" {
			t.Errorf("the help of %s is at %q", r.ID, r.HelpURI)
		}
	}
	if unknown := rules[3]; unknown.ID != "WP9999" || unknown.Help.Text == "" || unknown.ShortDescription.Text != "not known to this version" {
		t.Errorf("a rule of another version is %+v", unknown)
	}
	if n := run.Invocations[0]; !n.ExecutionSuccessful || len(n.ToolExecutionNotifications) != 1 || !strings.Contains(string(n.ToolExecutionNotifications[0]), "bad.dll") {
		t.Errorf("what could not be read is %+v", n)
	}
}

func TestAcceptedFindingIsSuppressed(t *testing.T) {
	r := resulttest.Report(t, "demo")
	plain := write(t, result.One(r), "")
	r.Findings[0].Accepted = "the [vault](x) holds it"
	log := write(t, result.One(r), "")
	if err := valid(t, official(t), log); err != nil {
		t.Error(err)
	}
	if want := []byte(`"suppressions":[{"justification":"the [vault] (x) holds it","kind":"external"}]`); !bytes.Contains(log, want) || bytes.Count(log, []byte("suppressions")) != 1 {
		t.Errorf("%s is not there, or twice:\n%s", want, log)
	}
	if bytes.Contains(plain, []byte("suppressions")) {
		t.Error("a finding that nobody accepts is suppressed")
	}
}

// A fingerprint outlives lines that were added above, and a checkout elsewhere.
func TestFingerprintIsOfTheFindingAndNotOfItsLine(t *testing.T) {
	f := detect.Finding{Rule: "WP1301", Message: "m", Evidence: []detect.Evidence{{Path: "a", Line: 1, Detail: "d"}}}
	moved, other := f, f
	moved.Evidence = []detect.Evidence{{Path: "a", Line: 9, Detail: "d"}, {Path: "b"}}
	other.Evidence = []detect.Evidence{{Path: "b", Line: 1, Detail: "d"}}
	if fingerprint("", f) != fingerprint("", moved) {
		t.Error("a line that was added changes it")
	}
	if fingerprint("", f) == fingerprint("", other) || fingerprint("x", f) == fingerprint("y", f) {
		t.Error("another file, or another app, has the same")
	}
	a, b := resulttest.Report(t, "demo"), resulttest.Report(t, "demo")
	b.App.Name = "checked-out-elsewhere"
	if !bytes.Equal(write(t, result.One(a), ""), write(t, result.One(b), "")) {
		t.Error("the name of the folder of one app changes the log")
	}
}

func TestFoldersOfEverySystemAreURIs(t *testing.T) {
	for folder, want := range map[string]string{
		"apps/shop":         "apps/shop/",
		`apps\shop`:         "apps/shop/",
		"./apps//shop/":     "apps/shop/",
		".":                 "./",
		"../shop":           "../shop/",
		"a:b/c":             "file:///a:/b/c/",
		"ab:c/d":            "./ab:c/d/",
		"100%/ü":            "100%25/%C3%BC/",
		"/srv/apps/a b":     "file:///srv/apps/a%20b/",
		`C:\apps\shop`:      "file:///C:/apps/shop/",
		"C:":                "file:///C:/",
		`\\server\share\a#`: "file://server/share/a%23/",
		"/":                 "file:///",
		"":                  "",
	} {
		if got, absolute := folderURI(folder); got != want || absolute != strings.HasPrefix(want, "file:") {
			t.Errorf("%q is %q, absolute %v, want %q", folder, got, absolute, want)
		}
	}
	if got := report.Safe(pathURI("a/../\x00%/é")); got != "a/../%00%25/%C3%A9" {
		t.Errorf("a path is %q", got)
	}
}
