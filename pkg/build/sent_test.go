package build

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// A link that no COPY takes, as those of node_modules/.bin, is no reason to refuse a
// Dockerfile.
func TestLinkThatNobodyCopiesIsLeftOut(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: a symbolic link takes a privilege there")
	}
	dir := t.TempDir()
	for _, name := range []string{"src/a.txt", "node_modules/.bin/x.txt", "src-old/b.txt"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"node_modules/.bin/tool", "src-old/tool"} {
		if err := os.Symlink("x.txt", filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(folder string, sources []string) ([]string, error) {
		fsys := noLinks{os.DirFS(dir), sources}
		var names []string
		err := detect.ListDir(fsys, folder, func(e fs.DirEntry) error { names = append(names, e.Name()); return nil })
		slices.Sort(names)
		entries, other := fsys.ReadDir(folder)
		var again []string
		for _, e := range entries {
			again = append(again, e.Name())
		}
		if (err == nil) != (other == nil) || err == nil && !slices.Equal(names, again) {
			t.Errorf("%v: listed as %v, %v and as %v, %v", sources, names, err, again, other)
		}
		return names, err
	}
	for _, c := range []struct {
		folder  string
		sources []string
		refused bool
	}{
		{"node_modules/.bin", nil, true},
		{"node_modules/.bin", []string{"."}, true},
		{"node_modules/.bin", []string{"src"}, false},
		{"node_modules/.bin", []string{}, false},
		{"node_modules/.bin", []string{"src", "node_modules"}, true},
		{"node_modules/.bin", []string{"node_modules/.bin/tool"}, true},
		{"node_modules/.bin", []string{"node_mod*"}, true},
		{"node_modules/.bin", []string{"src/*.txt"}, false},
		{"src-old", []string{"src"}, false},
		{"src-old", []string{"src-old/[ab].txt"}, true},
	} {
		names, err := read(c.folder, c.sources)
		if (err != nil) != c.refused || err == nil && slices.Contains(names, "tool") {
			t.Errorf("%s with %q: %v, %v", c.folder, c.sources, names, err)
		}
	}
}
