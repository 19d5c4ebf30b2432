package result

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

func resultLine(t testing.TB, name string, status Status) []byte {
	t.Helper()
	text, err := report.JSONLine(Result{Schema: ID, Name: name, Source: "x", Status: status, Fingerprint: "f-" + name, Error: "a\u202eb\x1b<&>"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func openStore(t testing.TB, dir, name string) *Store {
	t.Helper()
	s, err := OpenStore(dir, name, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func doneLines(t testing.TB, s *Store) (names []string) {
	t.Helper()
	if err := s.Done(func(d Done) error {
		names = append(names, d.File+" "+d.Name+" "+string(d.Status))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestStoreCutsOffATornLineAndGoesOn(t *testing.T) {
	for name, torn := range map[string]string{"no end": `{"schema":"winpack/res`, "no JSON": "\x00\x00\x00\n", "a long one": strings.Repeat("x", 300_000), "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "results.jsonl")
			if err := os.WriteFile(path, append(resultLine(t, "a", OK), torn...), 0o644); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, dir, "results.jsonl")
			if got := doneLines(t, s); !slices.Equal(got, []string{"results.jsonl a ok"}) {
				t.Errorf("done: %q", got)
			}
			if err := s.Append(resultLine(t, "b", Failed)); err != nil {
				t.Fatal(err)
			}
			if got := doneLines(t, s); !slices.Equal(got, []string{"results.jsonl a ok", "results.jsonl b failed"}) {
				t.Errorf("done after one more: %q", got)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != string(resultLine(t, "a", OK))+string(resultLine(t, "b", Failed)) || strings.ContainsAny(string(text), "\u202e\x1b") {
				t.Errorf("%v: %q", err, text)
			}
		})
	}
}

func TestStoreRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a newer version":       {`{"schema":"winpack/result/v2","name":"b"}` + "\n", `results-1.jsonl:2: the schema is "winpack/result/v2"`},
		"rubbish in the middle": {"rubbish\n" + string(resultLine(t, "c", OK)), "results-1.jsonl:2: the line is no result"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "results-1.jsonl"), append(resultLine(t, "a", OK), test.text...), 0o644); err != nil {
			t.Fatal(err)
		}
		err := openStore(t, dir, "results.jsonl").Done(func(Done) error { return nil })
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileOfResultsHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, "results.jsonl")
	if _, err := OpenStore(dir, "results.jsonl", 0); !errors.As(err, new(*LockedError)) {
		t.Errorf("a second writer: %v", err)
	}
	other := openStore(t, dir, "results-0.jsonl")
	if err := errors.Join(s.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, "results.jsonl")
}

func TestRowsThatAreDoneAgainLoseTheirLines(t *testing.T) {
	dir := t.TempDir()
	for i, file := range []string{"results.jsonl", "results-1.jsonl", "results-2.jsonl"} {
		s := openStore(t, dir, file)
		for j := range 3 {
			if err := s.Append(resultLine(t, fmt.Sprintf("%d%d", i, j), OK)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// What a process left that was killed while it wrote a file anew.
	left := filepath.Join(dir, ".results.jsonl-123.tmp")
	if err := os.WriteFile(left, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A line that another process writes at this moment.
	f, err := os.OpenFile(filepath.Join(dir, "results-2.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"schema":`); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, "results.jsonl")
	if err := s.Change(t.Context(), map[string]map[string]Change{"results.jsonl": {"01": {}}, "results-1.jsonl": {"10": {}, "12": {}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(resultLine(t, "01", Failed)); err != nil {
		t.Fatal(err)
	}
	want := []string{"results.jsonl 00 ok", "results.jsonl 02 ok", "results.jsonl 01 failed", "results-1.jsonl 11 ok", "results-2.jsonl 20 ok", "results-2.jsonl 21 ok", "results-2.jsonl 22 ok"}
	if got := doneLines(t, s); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the file of a killed process stays")
	}
}

func TestLinesOfAnotherWriterAreItsOwnToChange(t *testing.T) {
	dir := t.TempDir()
	other := openStore(t, dir, "results-1.jsonl")
	if err := other.Append(slices.Concat(resultLine(t, "a", Failed), resultLine(t, "b", OK))); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, "results-0.jsonl")
	ended := make(chan error)
	go func() {
		ended <- s.Change(t.Context(), map[string]map[string]Change{"results-1.jsonl": {"a": {}, "b": {Findings, "new"}}})
	}()
	if err := other.Change(t.Context(), map[string]map[string]Change{"results-1.jsonl": {"a": {}, "b": {Findings, "new"}}}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the other writer changed them: %v", err)
	}
	if got := doneLines(t, s); !slices.Equal(got, []string{"results-1.jsonl b findings"}) {
		t.Errorf("got %q", got)
	}
}

func TestRowsAreWrittenOnceForAllShards(t *testing.T) {
	dir := t.TempDir()
	rows := func(yield func(Row) bool) {
		_ = yield(Row{Name: "a", Source: "x"}) && yield(Row{Name: "b\u202e", Source: "y", Owner: "Ann"})
	}
	if err := WriteRows(dir, rows); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rows.jsonl")
	first, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteRows(dir, rows); err != nil {
		t.Fatal(err)
	}
	if second, err := os.Stat(path); err != nil || !os.SameFile(first, second) {
		t.Errorf("it was written again: %v", err)
	}
	want := `{"name":"a","source":"x"}` + "\n" + `{"name":"b\u202e","source":"y","owner":"Ann"}` + "\n"
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%v: %q", err, text)
	}
}

// Lines end where the reader's memory ends, and are longer than that.
func TestLinesOfAnyLengthAreRead(t *testing.T) {
	for _, length := range []int{1 << 10, 1 << 16, 1<<18 - 1, 1 << 18, 1<<18 + 1, 1 << 20} {
		dir := t.TempDir()
		s := openStore(t, dir, "results.jsonl")
		const n = 20
		for i := range n {
			text := fmt.Sprintf(`{"schema":"winpack/result/v1","name":"%02d","status":"ok","error":"`, i)
			text += strings.Repeat("x", length-len(text)-3) + "\"}\n"
			if err := s.Append([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		got := doneLines(t, s)
		for i := range n {
			if len(got) != n || got[i] != fmt.Sprintf("results.jsonl %02d ok", i) {
				t.Fatalf("lines of %d bytes: %q", length, got)
			}
		}
		if err := s.Change(t.Context(), map[string]map[string]Change{"results.jsonl": {"03": {}, "19": {}}}); err != nil {
			t.Fatal(err)
		}
		if got := doneLines(t, s); len(got) != n-2 {
			t.Errorf("lines of %d bytes, two dropped: %q", length, got)
		}
	}
}

// Who shares the rows out in another way would do rows that this one does.
func TestFolderTakesOneNumberOfShardsAtATime(t *testing.T) {
	dir := t.TempDir()
	open := func(file string, shards int) (*Store, error) { return OpenStore(dir, file, shards) }
	first, err := open("results-0.jsonl", 2)
	if err != nil {
		t.Fatal(err)
	}
	second, err := open("results-1.jsonl", 2)
	if err != nil {
		t.Fatalf("the other shard: %v", err)
	}
	for _, other := range []struct {
		file   string
		shards int
	}{{"results.jsonl", 0}, {"results-2.jsonl", 3}} {
		locked := (*LockedError)(nil)
		if _, err := open(other.file, other.shards); !errors.As(err, &locked) || !locked.Shards || !strings.Contains(err.Error(), "another number of shards") {
			t.Errorf("%+v beside shards of 2: %v", other, err)
		}
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	third, err := open("results-2.jsonl", 3)
	if err != nil {
		t.Fatalf("after they ended: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}
