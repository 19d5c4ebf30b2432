package dockerfile

import (
	"context"
	gofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tonistiigi/fsutil"
)

// What BuildKit sends of a context is what IgnoreFS leaves of it.
func TestIgnoreFSLeavesWhatBuildKitSends(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.log", "sub/a.log", "sub/deep/a.log", "sub/deep/b.txt", "keep/x/y.txt", "keep/x/z.tmp", "Logs/A.LOG", "empty-after/x.tmp", "dir/one", "dir/two"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, patterns := range [][]string{
		{"*.log"}, {"**/*.log"}, {"sub"}, {"/sub/"}, {"sub/**", "!sub/deep"}, {"**", "!keep/**"}, {"**", "!**/*.txt"}, {"*", "!keep/x/y.txt"},
		{"keep", "!keep/x/*.txt"}, {"**/*.tmp"}, {"**/*.tmp", "!x"}, {"dir", "!dir/two", "dir/t*"}, {"logs"}, {"?.txt", "[b]*"}, {"!a.txt", "a.txt"},
	} {
		want := []string{}
		tree, err := fsutil.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		filtered, err := fsutil.NewFilterFS(tree, &fsutil.FilterOpt{ExcludePatterns: patterns})
		if err != nil {
			t.Fatal(err)
		}
		if err := filtered.Walk(context.Background(), "", func(path string, _ gofs.DirEntry, err error) error {
			want = append(want, path)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		left, err := IgnoreFS(os.DirFS(dir), patterns)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		if err := gofs.WalkDir(left, ".", func(path string, _ gofs.DirEntry, err error) error {
			if path != "." {
				got = append(got, path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-BuildKit +winpack):\n%s", patterns, diff)
		}
		for _, name := range []string{"b.log", "sub/deep/a.log", "keep/x/y.txt"} {
			_, err := gofs.Stat(left, name)
			if there := err == nil; there != slices.Contains(want, name) {
				t.Errorf("%q: %s can be asked for: %v", patterns, name, there)
			}
		}
	}
}
