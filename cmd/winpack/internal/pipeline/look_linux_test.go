package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// lookAt opens a folder as Run does.
func lookAt(t *testing.T, dir string) (appFS, fs.FS) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	top, err := root.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { top.Close() })
	app := appFS{FS: root.FS(), root: root, written: &records{root: root}}
	if app.topConn, err = top.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	look := app.look(top)
	if _, ok := look.(lookFS); !ok {
		t.Fatalf("the folder is looked at through %T", look)
	}
	return app, look
}

func write(t *testing.T, dir, name, data string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLookingIsAFileSystemLikeAnother(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range 1000 { // more than one piece
		files = append(files, fmt.Sprintf("many/%s%03d", strings.Repeat("long-", i%50), i))
	}
	files = append(files, "Web.config", "web.b", "sub/empty", "sub/deep/x.dll", "abcdefgh1", "abcdefgh", "abcdefg", "\u00e9.txt", "sticky")
	for _, name := range files {
		write(t, dir, name, name)
	}
	if err := os.Chmod(filepath.Join(dir, "sticky"), 0o644|fs.ModeSticky|fs.ModeSetuid|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("sub/deep/x.dll", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	app, look := lookAt(t, dir)
	if err := fstest.TestFS(look, append(files, "link")...); err != nil {
		t.Error(err)
	}
	for _, name := range []string{".", "many", "sub"} {
		want, err1 := app.ReadDir(name)
		got, err2 := fs.ReadDir(look, name)
		var listed []fs.DirEntry
		err3 := detect.ListDir(look, name, func(e fs.DirEntry) error {
			kept := *e.(*lookEntry)
			listed = append(listed, &kept)
			return nil
		})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		byName := func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }
		if pieces := !slices.IsSortedFunc(listed, byName); pieces != (name == "many") {
			t.Errorf("%s: listed in several pieces: %t", name, pieces)
		}
		slices.SortFunc(listed, byName)
		same := func(a, b fs.DirEntry) bool { return fs.FormatDirEntry(a) == fs.FormatDirEntry(b) }
		if !slices.EqualFunc(want, got, same) || !slices.EqualFunc(want, listed, same) {
			t.Errorf("%s: got %v and %v, want %v", name, got, listed, want)
		}
	}
	f, err := look.Open("abcdefgh1")
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(struct {
		io.Reader
		io.ReaderAt
	}{f, f.(io.ReaderAt)}, []byte("abcdefgh1")); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err1 := f.Read(make([]byte, 1))
	_, err2 := f.(io.ReaderAt).ReadAt(make([]byte, 1), 0)
	_, err3 := f.Stat()
	for _, err := range []error{err1, err2, err3, f.Close()} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a closed file gives %v", err)
		}
	}
}

func TestLookingStaysInTheAppAndWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "secret", "secret")
	app := filepath.Join(dir, "app")
	write(t, app, "index.html", "x")
	write(t, app, "sub/x", "x")
	for link, target := range map[string]string{"out": "../secret", "away": filepath.Join(dir, "secret"), "up": ".."} {
		if err := os.Symlink(target, filepath.Join(app, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(app, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	record := `{"schema": "winpack/record/v1", "files": {"Dockerfile": "x"}}`
	write(t, app, "sub/"+dockerfile.RecordFile, record)
	for i := range 1000 { // of which the record is somewhere
		write(t, app, fmt.Sprintf("large/%s%d", strings.Repeat("long-", 40), i), "")
	}
	write(t, app, "large/"+dockerfile.RecordFile, record)
	write(t, app, "winpack.toml", "")
	_, look := lookAt(t, app)
	for _, name := range []string{"out", "away", "up/secret", "../secret", "winpack.toml", "gone", "sub/" + dockerfile.RecordFile, "large/" + dockerfile.RecordFile} {
		if f, err := look.Open(name); err == nil {
			data, _ := io.ReadAll(f)
			t.Errorf("%s was opened: %q", name, data)
		}
	}
	if err := detect.ListDir(look, "up", func(e fs.DirEntry) error { t.Errorf("%s lies above", e.Name()); return nil }); err == nil {
		t.Error("a folder above the app was listed")
	}
	f, err := look.Open("pipe") // comes back
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("a pipe is %v, %v", info.Mode(), err)
	}
	f.Close()
	var names []string
	for _, name := range []string{".", "sub", "large"} {
		if err := detect.ListDir(look, name, func(e fs.DirEntry) error {
			if !strings.HasPrefix(e.Name(), "long-") {
				names = append(names, e.Name())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"away", "index.html", "large", "out", "pipe", "sub", "up", "x"}; !slices.Equal(names, want) {
		t.Errorf("the app has %q, want %q", names, want)
	}
	if data, err := fs.ReadFile(look, "index.html"); err != nil || !bytes.Equal(data, []byte("x")) {
		t.Errorf("%q, %v", data, err)
	}
}
