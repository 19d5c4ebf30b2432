package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ok(name string) string {
	return fmt.Sprintf(`{"schema":"winpack/result/v1","name":%q,"source":"apps/x","status":"ok"}`+"\n", name)
}

// open opens RESULTS and returns the names that were given, in order, too.
func open(t *testing.T, path string) (*Set, []string, error) {
	t.Helper()
	var given []string
	s, err := Open(path, func(r *Result) error {
		given = append(given, r.Name)
		return nil
	})
	if s != nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, given, err
}

func names(t *testing.T, s *Set) []string {
	t.Helper()
	var list []string
	for r, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r.Name)
	}
	return list
}

func TestResultsOfAllShardsAreReadTogether(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"results.jsonl":     ok("delta"),
		"results-0.jsonl":   ok("Bravo") + ok("charlie"),
		"results-10.jsonl":  ok("alpha"),
		"results-2.jsonl":   "",
		"results-x.jsonl.1": ok("no"),
		"myresults.jsonl":   ok("no"),
		"rows.jsonl":        `{"name":"alpha","source":"a"}` + "\n" + `{"name":"Bravo","source":"b"}` + "\n" + `{"name":"zulu","source":"z","owner":"o"}` + "\n" + `{"name":"echo","source":"e"}` + "\n",
	})
	s, given, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Bravo", "charlie", "alpha", "delta"}; !slices.Equal(given, want) {
		t.Errorf("read as %q, want %q", given, want)
	}
	if got, want := names(t, s), []string{"alpha", "Bravo", "charlie", "delta"}; !slices.Equal(got, want) {
		t.Errorf("sorted as %q, want %q", got, want)
	}
	if len(s.Missing) != 2 || s.Missing[0].Name != "echo" || s.Missing[1].Owner != "o" {
		t.Errorf("missing are %+v", s.Missing)
	}
	if want := []string{"charlie", "delta"}; !slices.Equal(s.Unlisted, want) {
		t.Errorf("unlisted are %q, want %q", s.Unlisted, want)
	}
	if len(s.Problems)+len(s.Doubles)+len(s.Torn) != 0 {
		t.Errorf("something is wrong with good results: %+v", s)
	}
}

func TestOfDoubleNamesTheFirstByFileAndLineCounts(t *testing.T) {
	dir := t.TempDir()
	first := strings.Replace(ok("a"), "apps/x", "first", 1)
	write(t, dir, map[string]string{"results.jsonl": ok("a"), "results-1.jsonl": ok("b") + "\n" + first + ok("a")})
	s, given, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(given, []string{"b", "a"}) {
		t.Errorf("given are %q", given)
	}
	if len(s.Doubles) != 1 || fmt.Sprint(s.Doubles[0].Places) != "[results-1.jsonl:3 results-1.jsonl:4 results.jsonl:1]" {
		t.Errorf("doubles are %+v", s.Doubles)
	}
	for r, err := range s.All() {
		if err != nil || r.Name == "a" && r.Source != "first" {
			t.Errorf("%+v is read, %v", r, err)
		}
	}
}

// A crash leaves half a line at the end of a file: its row was never finished.
func TestTornLastLineIsIgnoredAndNamed(t *testing.T) {
	whole := ok("a") + ok("b")
	for cut := len(ok("a")) + 1; cut <= len(whole); cut++ {
		dir := t.TempDir()
		write(t, dir, map[string]string{"results.jsonl": whole[:cut]})
		s, given, err := open(t, dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		complete := cut >= len(whole)-1 // but for the line break
		if complete != (len(given) == 2) || complete != (len(s.Torn) == 0) || len(s.Problems) != 0 {
			t.Errorf("cut at %d: %q, torn %v, problems %v", cut, given, s.Torn, s.Problems)
		}
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"results.jsonl": ok("a") + "\x00\x00\x00\x00", "rows.jsonl": `{"name":"a","source":"a"}` + "\n" + `{"name":"b`})
	s, _, err := open(t, dir)
	if err != nil || fmt.Sprint(s.Torn) != "[results.jsonl:2 rows.jsonl:2]" || len(s.Problems) != 0 {
		t.Errorf("torn are %v, %v", s.Torn, err)
	}
}

func TestRubbishIsNamedByFileAndLineAndHidesNothing(t *testing.T) {
	rubbish := map[string]string{
		"no JSON":                    "hello",
		"bytes":                      "\x7fELF\x02\x01\x00\xff",
		"another document":           `{"schema":"winpack/report/v1","app":{}}`,
		"no schema":                  `{"name":"x","status":"ok"}`,
		"an older schema":            `{"schema":"winpack/result/v0","name":"x","status":"ok"}`,
		"no name":                    `{"schema":"winpack/result/v1","source":"x","status":"ok"}`,
		"an unknown status":          `{"schema":"winpack/result/v1","name":"x","status":"fine"}`,
		"a wrong type":               `{"schema":"winpack/result/v1","name":["x"],"status":"ok"}`,
		"a report of another schema": `{"schema":"winpack/result/v1","name":"x","status":"ok","report":{"schema":"x"}}`,
		"a finding of no level":      `{"schema":"winpack/result/v1","name":"x","status":"ok","report":{"schema":"winpack/report/v1","findings":[{"rule":"WP1001","level":"<b>"}]}}`,
		"two on a line":              strings.TrimSpace(ok("x")) + ok("y"),
		"half a line":                ok("x")[:40],
		"a list":                     "[" + strings.TrimSpace(ok("x")) + "]",
		"null":                       "null",
		"deep nesting":               strings.Repeat("[", 100_000),
	}
	for what, line := range rubbish {
		dir := t.TempDir()
		write(t, dir, map[string]string{"results.jsonl": ok("a") + strings.TrimSuffix(line, "\n") + "\n" + ok("b")})
		s, given, err := open(t, dir)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !slices.Equal(given, []string{"a", "b"}) || len(s.Problems) != 1 || s.Problems[0].Place != (Place{"results.jsonl", 2}) {
			t.Errorf("%s: given %q, problems %v", what, given, s.Problems)
		}
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"rows.jsonl": `{"source":"x"}` + "\n" + "{}}\n" + `{"name":"a","source":"x"}` + "\n"})
	s, _, err := open(t, dir)
	if err != nil || len(s.Problems) != 2 || len(s.Missing) != 1 {
		t.Errorf("rows: %+v, %v", s, err)
	}
}

func TestNewerResultsAreRefusedWithTheCure(t *testing.T) {
	for what, line := range map[string]string{
		"result":                  `{"schema":"winpack/result/v2","name":"x","status":"ok"}`,
		"result with other types": `{"schema":"winpack/result/v17","name":{"first":"x"},"status":3}`,
		"report in a result":      `{"schema":"winpack/result/v1","name":"x","status":"ok","report":{"schema":"winpack/report/v2"}}`,
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"results.jsonl": ok("a"), "results-0.jsonl": ok("b") + "\n" + line + "\n"})
		_, _, err := open(t, dir)
		newer := (*NewerError)(nil)
		if !errors.As(err, &newer) || newer.Where != "results-0.jsonl:3" || !strings.Contains(err.Error(), "use a newer winpack") {
			t.Errorf("%s: %v", what, err)
		}
	}
	file := filepath.Join(t.TempDir(), "app.json")
	write(t, filepath.Dir(file), map[string]string{"app.json": `{"app":{"name":3},"schema":"winpack/report/v2"}`})
	if _, _, err := open(t, file); err == nil || !strings.Contains(err.Error(), "app.json: its schema is winpack/report/v2") {
		t.Errorf("a report: %v", err)
	}
}

func TestWhatHoldsNoResultsIsAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"empty.jsonl": "", "blank.jsonl": "\n \r\n", "text.txt": "hello\n", "other.json": `{"schema":"winpack/summary/v1"}`,
		"two.json": `{"schema":"winpack/report/v1"} {"schema":"winpack/report/v1"}`, "bad.json": `{"schema":"winpack/report/v1","findings":3}`,
		"level.json": `{"schema":"winpack/report/v1","findings":[{"level":"x"}]}`,
	})
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"empty.jsonl": "holds no result", "blank.jsonl": "holds no result", "text.txt": "text.txt:1: no result", "folder": "neither results.jsonl",
		"other.json": "winpack/summary/v1", "two.json": "more than one report", "bad.json": "is no winpack/report/v1", "level.json": "level",
	} {
		_, _, err := open(t, filepath.Join(dir, name))
		if none := (*NoResultsError)(nil); !errors.As(err, &none) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, _, err := open(t, filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	// A batch that has only just begun has rows and no results.
	write(t, dir, map[string]string{"rows.jsonl": `{"name":"a","source":"x"}` + "\n"})
	if s, given, err := open(t, dir); err != nil || len(given) != 0 || len(s.Missing) != 1 {
		t.Errorf("rows without results: %v", err)
	}
}

func TestSavedReportIsReadInEveryEncodingThatAShellSaves(t *testing.T) {
	r := report.Report{Schema: report.ID, App: report.App{Name: "Käse 猫"}, Findings: []detect.Finding{{Rule: "WP1001", Level: detect.LevelBlocker}}}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	utf16le := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(string(text))) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	for what, saved := range map[string]string{"UTF-8": string(text), "UTF-8 with a mark": "\ufeff" + string(text), "UTF-16": string(utf16le)} {
		file := filepath.Join(t.TempDir(), "app.json")
		write(t, filepath.Dir(file), map[string]string{"app.json": saved})
		s, given, err := open(t, file)
		if err != nil || s.Report == nil || !slices.Equal(given, []string{r.App.Name}) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for one, err := range s.All() {
			if err != nil || one.Status != Blocked || one.Report.App.Name != r.App.Name {
				t.Errorf("%s: %+v, %v", what, one, err)
			}
		}
	}
}

// Marks, blanks, Windows line ends and lines longer than the buffer move no line.
func TestLinesAreFoundAgain(t *testing.T) {
	long := strings.Replace(ok("long"), "apps/x", strings.Repeat("x", 700_000), 1)
	dir := t.TempDir()
	write(t, dir, map[string]string{"results.jsonl": "\ufeff  " + ok("a") + "\r\n\t" + strings.ReplaceAll(ok("b"), "\n", " \r\n") + long + long + ok("c")})
	s, _, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, s); !slices.Equal(got, []string{"a", "b", "c", "long"}) || len(s.Problems) != 0 {
		t.Errorf("read again are %q, problems %v", got, s.Problems)
	}
	if len(s.Doubles) != 1 || fmt.Sprint(s.Doubles[0].Places) != "[results.jsonl:4 results.jsonl:5]" {
		t.Errorf("lines are counted as %v", s.Doubles)
	}
}

func TestEndlessLineIsAProblemAndNotHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 40 MB")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"results.jsonl": ok("a") + strings.Repeat("x", maxLine+1) + "\n" + ok("b")})
	s, given, err := open(t, dir)
	if err != nil || !slices.Equal(given, []string{"a", "b"}) || len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Message, "more than 32 MiB") {
		t.Errorf("given %q, problems %v, %v", given, s.Problems, err)
	}
}

func TestManyRubbishLinesAreCounted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"results.jsonl": strings.Repeat("x\n", maxProblems+7)})
	s, _, err := open(t, dir)
	if err != nil || len(s.Problems) != maxProblems || s.MoreProblems != 7 {
		t.Errorf("%d problems and %d more, %v", len(s.Problems), s.MoreProblems, err)
	}
}

func TestResultThatChangedMeanwhileIsAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"results.jsonl": ok("a") + ok("b")})
	s, _, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"another": ok("x") + ok("b"), "shorter": "x", "rubbish": strings.Repeat("x", 200)} {
		write(t, dir, map[string]string{"results.jsonl": text})
		var last error
		for _, err := range s.All() {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), "results.jsonl:1") {
			t.Errorf("%s: %v", what, last)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(ok("a")+ok("a")+"x\n"), []byte(`{"name":"a"}`))
	f.Add([]byte("\ufeff\r\n{"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, results, rows []byte) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"results.jsonl": string(results), "rows.jsonl": string(rows)})
		for _, path := range []string{dir, filepath.Join(dir, "results.jsonl")} {
			s, given, err := open(t, path)
			if err != nil {
				continue
			}
			if got := names(t, s); len(got) != len(given) {
				t.Errorf("%d results are given and %d read again", len(given), len(got))
			}
		}
	})
}
