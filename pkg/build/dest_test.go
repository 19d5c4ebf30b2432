package build

import (
	"os"
	"path/filepath"
	"testing"
)

// listen reads a named pipe to its end.
func listen(t *testing.T, path string) <-chan []byte {
	t.Helper()
	out := make(chan []byte, 1)
	go func() {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		out <- data
	}()
	return out
}

func TestAFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "id")
	for _, text := range []string{"sha256:0", "sha256:1"} {
		if err := WriteFile(t.Context(), path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("got %q, %v", data, err)
		}
	}
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(t.Context(), folder, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("something is left beside the files: %v, %v", entries, err)
	}
}

// What a file is called until it is whole is hidden from the app, and nothing else is.
func TestOnlyNamesOfWinpacksOwnAreTemporary(t *testing.T) {
	d, err := fileAt(filepath.Join(t.TempDir(), "out.tar"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.abort()
	folder, err := Output{Tar: true}.scratch(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		filepath.Base(f.Name()): true, filepath.Base(folder): true,
		".out.tar.old": false, ".out.tar.123": false, ".out.tar.winpack-": false, ".out.tar.winpack-1.bak": false, "out.tar": false, ".other.winpack-1": false,
	} {
		if got := IsTemporary(name, "out.tar"); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
