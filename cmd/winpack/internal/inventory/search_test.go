package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/fixtures"
)

// tree writes empty files.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSearchTakesTheHighestFoldersThatHoldAnApp(t *testing.T) {
	dir := tree(t,
		"README.md", "apps.csv",
		"blog/index.html", "blog/admin/Web.config",
		"legacy/site/bin/Site.dll", "legacy/site/Views/x.cshtml",
		"legacy/tool/Tool.exe",
		"node/package.json", "node/public/index.html",
		"src/Shop.csproj", "src/bin/Release/Shop.exe",
		"shop/WEB.CONFIG", "shop.winpack/Dockerfile", "shop.winpack/.winpack.json",
		".git/hooks/x.exe", "node_modules/y/package.json", "docs/readme.txt",
		"out/apps/x/a.exe", "tomcat/bin/startup.bat", "tomcat/webapps/x/index.html",
	)
	if err := os.Symlink(filepath.Join(dir, "shop"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	rows, lines, err := readPath(t, dir, Options{Skip: []string{filepath.Join(dir, "out")}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
		if r.Source != r.Name {
			t.Errorf("%q has the source %q", r.Name, r.Source)
		}
	}
	want := []string{"blog", "legacy/site", "legacy/tool", "node", "shop", "src", "tomcat"}
	if diff := cmp.Diff(want, names); diff != "" || len(lines) > 0 {
		t.Errorf("(-want +got):\n%s%q", diff, lines)
	}
}

// Each kind of application that winpack tells apart is found by a search.
func TestSearchFindsEveryFixture(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var want []string
	for _, name := range names {
		app := fixtures.App(t, name)
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(app)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, "unknown-empty") && !strings.HasPrefix(name, "nearmiss-dll") {
			want = append(want, name)
		}
	}
	rows, _, err := readPath(t, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, r := range rows {
		found[r.Name] = true
	}
	for _, name := range want {
		if !found[name] {
			entries, _ := os.ReadDir(filepath.Join(dir, name))
			t.Errorf("%s is not found; it holds %v", name, entries)
		}
	}
}

func TestSearchSaysWhatItPassesOver(t *testing.T) {
	for name, test := range map[string]struct {
		dir  string
		err  string
		note string
	}{
		"nothing":         {tree(t, "docs/x.txt"), "no app lies below", ""},
		"an app itself":   {tree(t, "web.config", "docs/x.txt"), "is one itself (web.config)", ""},
		"an app with one": {tree(t, "web.config", "a/web.config"), "", "it looks like an app itself (web.config)"},
		"a deep one":      {tree(t, strings.Repeat("a/", 30)+"x.exe", "b/b.exe"), "", "more than 16 folders deep"},
		"an odd name":     {tree(t, "a\x1b[2J/x.exe"), "", "control characters"},
	} {
		_, lines, err := readPath(t, test.dir, Options{})
		if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) || test.err == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, test.note) || (test.note == "") != (all == "") || strings.Contains(all, "\x1b") {
			t.Errorf("%s: %q, want %q", name, all, test.note)
		}
	}
}
