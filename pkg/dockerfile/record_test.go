package dockerfile

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func written(t *testing.T) (dir string, f Files) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "shop.winpack")
	f, err := Render(plan(t, reports()["aspnet-writes"], Options{}), RenderOptions{App: filepath.Join(root, "shop"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, f, OverwriteOwn); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWrittenFilesAreCurrentAndUnedited(t *testing.T) {
	dir, f := written(t)
	stale, edited, err := Check(dir, f)
	if err != nil || len(stale) > 0 || len(edited) > 0 {
		t.Fatalf("stale %v, edited %v, %v", stale, edited, err)
	}
	s, err := ReadState(dir)
	if err != nil || s.Record == nil || s.Record.App != "../shop" || s.Record.Context != ".." || len(s.Record.Files) != 3 {
		t.Fatalf("record %+v, %v", s.Record, err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != len(f.Content) {
		t.Fatalf("%d files in the folder, %d written", len(entries), len(f.Content))
	}
	if err := Write(dir, f, OverwriteOwn); err != nil {
		t.Fatalf("writing twice: %v", err)
	}
}

func TestLineEndsAreNoEdit(t *testing.T) {
	dir, f := written(t)
	edit(t, filepath.Join(dir, "Dockerfile"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) })
	edit(t, filepath.Join(dir, scriptFile), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) })
	if stale, edited, err := Check(dir, f); err != nil || len(stale)+len(edited) > 0 {
		t.Fatalf("a checkout with other line ends: stale %v, edited %v, %v", stale, edited, err)
	}
}

func TestTextBetweenMarkersIsNoEditAndStays(t *testing.T) {
	dir, f := written(t)
	path := filepath.Join(dir, "Dockerfile")
	edit(t, path, func(b []byte) []byte {
		return bytes.Replace(b, []byte(editEnd), []byte("ENV OWN=1\n"+editEnd), 1)
	})
	s, err := ReadState(dir)
	if err != nil || len(s.Edited) > 0 || !slices.Equal(s.Added, []string{"Dockerfile"}) {
		t.Fatalf("edited %v, added %v, %v", s.Edited, s.Added, err)
	}
	if err := Write(dir, f, OverwriteOwn); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	if !bytes.Contains(data, []byte("ENV OWN=1\n"+editEnd)) {
		t.Fatalf("own lines are lost:\n%s", data)
	}
}

func TestEditedFileIsNeverOverwrittenWithoutForce(t *testing.T) {
	dir, f := written(t)
	path := filepath.Join(dir, "Dockerfile")
	edit(t, path, func(b []byte) []byte { return append(b, "# mine\n"...) })
	before, _ := os.ReadFile(path)
	f.Content[scriptFile] = append(f.Content[scriptFile], "rem new\r\n"...)
	err := Write(dir, f, OverwriteOwn)
	if !isType[*EditedError](err) || !strings.Contains(err.Error(), "Dockerfile") || !strings.Contains(err.Error(), "--force") {
		t.Fatalf("error %v", err)
	}
	after, _ := os.ReadFile(path)
	script, _ := os.ReadFile(filepath.Join(dir, scriptFile))
	if !bytes.Equal(before, after) || bytes.Contains(script, []byte("rem new")) {
		t.Fatal("something is written all the same")
	}
	if stale, edited, err := Check(dir, Files{Content: mustRender(t, dir)}); err != nil || len(stale) > 0 || !slices.Equal(edited, []string{"Dockerfile"}) {
		t.Fatalf("an edit alone is called stale: %v, edited %v, %v", stale, edited, err)
	}
	if err := Write(dir, f, OverwriteEdited); err != nil {
		t.Fatal(err)
	}
	if after, _ = os.ReadFile(path); bytes.Contains(after, []byte("# mine")) {
		t.Fatal("--force does not overwrite")
	}
}

func mustRender(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	f, err := Render(plan(t, reports()["aspnet-writes"], Options{}), RenderOptions{App: filepath.Join(filepath.Dir(dir), "shop"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return f.Content
}

func TestFileWithoutRecordCountsAsEdited(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := render(t, plan(t, static(), Options{}))
	if err := Write(dir, f, OverwriteOwn); !isType[*EditedError](err) {
		t.Fatalf("error %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Fatalf("%d files in the folder after a refusal", len(entries))
	}
}

func TestStaleAndMissingFilesAreFound(t *testing.T) {
	dir, f := written(t)
	if err := os.Remove(filepath.Join(dir, scriptFile)); err != nil {
		t.Fatal(err)
	}
	f.Content["Dockerfile"] = append(f.Content["Dockerfile"], "# next version\n"...)
	stale, _, err := Check(dir, f)
	if err != nil || !slices.Equal(stale, []string{"Dockerfile", scriptFile}) {
		t.Fatalf("stale %v, %v", stale, err)
	}
	if stale, _, err := Check(filepath.Join(dir, "nowhere"), f); err != nil || len(stale) != 4 {
		t.Fatalf("a folder that does not exist: stale %v, %v", stale, err)
	}
}

func TestFilesThatAreNoLongerNeededGoAway(t *testing.T) {
	dir, _ := written(t)
	f, err := Render(plan(t, aspnet("4.8"), Options{}), RenderOptions{App: filepath.Join(filepath.Dir(dir), "shop"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, f, OverwriteOwn); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, scriptFile)); !os.IsNotExist(err) {
		t.Fatalf("the start script of the old plan is still there: %v", err)
	}
}

func TestHostileRecordIsRefused(t *testing.T) {
	for name, record := range map[string]string{
		"path out of the folder": `{"schema":"winpack/record/v1","app":".","context":".","files":{"../../etc/passwd":"00"}}`,
		"no JSON":                `{`,
		"other schema":           `{"schema":"x","files":{}}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, recordFile), []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadState(dir); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := Write(dir, render(t, plan(t, static(), Options{})), OverwriteOwn); err == nil {
			t.Errorf("%s: written over", name)
		}
	}
}

func TestRefusedWriteLeavesNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	f := render(t, plan(t, static(), Options{}))
	f.Content["sub/nowhere"] = []byte("x")
	if err := Write(dir, f, OverwriteOwn); err == nil {
		t.Fatal("a name that is no file of the folder is written")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatalf("the folder is left: %v", err)
	}
}

func TestFailedWriteLeavesTheOldFiles(t *testing.T) {
	dir, f := written(t)
	before, _ := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	// A folder in the place of a file fails for root as well.
	if err := os.Remove(filepath.Join(dir, scriptFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, scriptFile, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.Content["Dockerfile"] = []byte("FROM other\n")
	if err := Write(dir, f, OverwriteEdited); err == nil {
		t.Fatal("a folder is overwritten")
	}
	after, _ := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	entries, _ := os.ReadDir(dir)
	if !bytes.Equal(before, after) || len(entries) != len(f.Content) {
		t.Fatalf("half of it is written: %d files, Dockerfile\n%s", len(entries), after)
	}
}

// "a b" and "a-b" have the same default folder.
func TestFilesOfAnotherAppAreNotOverwritten(t *testing.T) {
	dir, _ := written(t)
	before, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "Dockerfile"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(editEnd), []byte("RUN theirs\n"+editEnd), 1)
	})
	f, err := Render(plan(t, aspnet("4.8"), Options{}), RenderOptions{App: filepath.Join(filepath.Dir(dir), "sho p"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, f, OverwriteOwn); !isType[*OtherAppError](err) || !strings.Contains(err.Error(), "-o") {
		t.Fatalf("writing over the files of another app: %v", err)
	}
	if _, _, err := Check(dir, f); !isType[*OtherAppError](err) {
		t.Fatalf("comparing with the files of another app: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, recordFile)); err != nil || !bytes.Equal(before, after) {
		t.Fatalf("the record changed: %v", err)
	}
	if err := Write(dir, f, OverwriteEdited); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "Dockerfile")); err != nil || bytes.Contains(text, []byte("theirs")) {
		t.Fatalf("the other app's edits are kept: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, scriptFile)); err == nil {
		t.Fatal("a file of the other app is left")
	}
}

// A start.cmd that came with the app is no file of winpack's, whatever a record says.
func TestRecordClaimsTheStartScriptThatWinpackWrote(t *testing.T) {
	dir, f := written(t)
	script := f.Content[scriptFile]
	for what, test := range map[string]struct {
		data []byte
		own  bool
	}{
		"as it was written":    {script, true},
		"with LF":              {bytes.ReplaceAll(script, []byte("\r\n"), []byte("\n")), true},
		"edited":               {append(slices.Clone(script), "rem mine\r\n"...), true},
		"the app's":            {[]byte("@echo off\r\nshop.exe\r\n"), false},
		"empty":                {nil, false},
		"of the app, and long": {append(bytes.Repeat([]byte("rem\r\n"), 100), scriptMark...), false},
	} {
		if err := os.WriteFile(filepath.Join(dir, scriptFile), test.data, 0o644); err != nil {
			t.Fatal(err)
		}
		own := OwnFiles(f.Content[recordFile], func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
		if slices.Contains(own, scriptFile) != test.own || !slices.Contains(own, "Dockerfile") {
			t.Errorf("%s: the record claims %q", what, own)
		}
	}
}

// A record in an app's folder is input like any other file there.
func TestRecordClaimsNothingOutsideItsFolder(t *testing.T) {
	none := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	got := OwnFiles([]byte(`{"schema":"winpack/record/v1","files":{"start.cmd":"","index.html":"","Web.config":"","start.cmd.bak":"","../x":"","a/b":"","a\\\\b":"",".":"","..":"","":"","/etc":"","Dockerfile":""}}`), none)
	if want := []string{recordFile, "Dockerfile"}; !slices.Equal(got, want) {
		t.Errorf("claims %q, want %q", got, want)
	}
	for _, no := range []string{"", "{}", `{"schema":"winpack/record/v2","files":{"a":""}}`, `[]`} {
		if got := OwnFiles([]byte(no), none); len(got) != 0 {
			t.Errorf("%q claims %q", no, got)
		}
	}
	p := plan(t, static(), Options{})
	f, err := Render(p, RenderOptions{App: "/src/site", Dir: "/src/site.winpack", Cwd: "/src", Written: []string{"docs/x\n!secret", "docs/Dockerfile"}})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(f.Content["Dockerfile.dockerignore"]); strings.Contains(text, "\n!secret") || !strings.Contains(text, "\nsite/docs/Dockerfile\n") {
		t.Errorf("ignore file:\n%s", text)
	}
}

// A file that is as it would be written keeps its time.
func TestWriteLeavesAFileThatIsTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	f := render(t, plan(t, static(), Options{}))
	if err := Write(dir, f, OverwriteOwn); err != nil {
		t.Fatal(err)
	}
	if same := Unchanged(dir, f); !slices.Equal(same, sortedKeys(f.Content)) {
		t.Errorf("unchanged are %q", same)
	}
	old := time.Unix(1e9, 0)
	for name := range f.Content {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	other := render(t, plan(t, static(), Options{OS: []string{"ltsc2019"}}))
	if same := Unchanged(dir, other); slices.Contains(same, "Dockerfile") || !slices.Contains(same, "Dockerfile.dockerignore") {
		t.Errorf("unchanged are %q", same)
	}
	if err := Write(dir, other, OverwriteOwn); err != nil {
		t.Fatal(err)
	}
	for name := range other.Content {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if kept := info.ModTime().Equal(old); kept != (name == "Dockerfile.dockerignore") {
			t.Errorf("%s was left as it is: %v", name, kept)
		}
	}
}

func TestFileInThePlaceOfTheFolderIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.winpack")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(file, "Dockerfile"); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Errorf("the error is %v", err)
	}
}
