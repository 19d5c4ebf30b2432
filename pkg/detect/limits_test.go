package detect_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// Each limit, reached, is a problem that names it, and the rest is still looked at: the
// page makes the folder a site in all of them.
func TestReachedLimitsAreProblemsAndTheRestIsLookedAt(t *testing.T) {
	exe, err := os.ReadFile(filepath.Join(fixtures.App(t, "netfx-service"), "Spooler.exe"))
	if err != nil {
		t.Fatal(err)
	}
	jar := func(n int) string {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for i := range n {
			if _, err := w.Create(fmt.Sprintf("a/%d.class", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	many := []string{}
	for i := range 30 {
		many = append(many, fmt.Sprintf("x/y/f%02d.txt", i), "x")
	}
	for name, c := range map[string]struct {
		limits  string
		files   []string
		path    string
		problem string
	}{
		"files":       {"files=20", many, "x/y/f18.txt", "more than 20 files (limit files)"}, // the page and web.config come first
		"entries":     {"entries=3", append(many, "z/a.txt", "x"), "x", "more than 3 files and folders come before (limit entries)"},
		"depth":       {"depth=1", many, "x/y", "deeper than 1 folders (limit depth)"},
		"path":        {"path=12", []string{"b/far-too-long-for-it.exe", string(exe)}, "b/far-too-long-for-it.exe", "its path has more than 12 bytes (limit path)"},
		"text":        {"text=1KB", []string{"b.config", "<configuration>" + strings.Repeat(" ", 1024) + "</configuration>", "appsettings.json", "{" + strings.Repeat(" ", 1024) + "}"}, "appsettings.json", "larger than 1 KB (limit text)"},
		"binary":      {"binary=512B", []string{"bin/a.dll", string(exe)}, "bin/a.dll", "more than the 512 bytes that are read of one file (limit binary)"},
		"rows":        {"rows=2", []string{"bin/a.dll", string(exe)}, "bin/a.dll", "more than the 2 that are read (limit rows)"},
		"nesting":     {"nesting=5", []string{"appsettings.json", strings.Repeat(`{"a":`, 10) + "1" + strings.Repeat("}", 10)}, "appsettings.json", "5 levels (limit nesting)"},
		"elements":    {"elements=10", []string{"appsettings.json", "[" + strings.Repeat("1,", 20) + "1]"}, "appsettings.json", "more than 10 values (limit elements)"},
		"zip-entries": {"zip-entries=5", []string{"lib/a.jar", jar(9)}, "lib/a.jar", "holds 9 files, and 5 are looked at (limit zip-entries)"},
		"total":       {"total=5KB", []string{"bin/a.dll", string(exe), "bin/b.dll", string(exe), "bin/c.dll", string(exe)}, "bin/c.dll", "more than 5 KB of the app would be read (limit total)"},
	} {
		t.Run(name, func(t *testing.T) {
			app := files(append([]string{"A.aspx", page, "Web.config", "<configuration/>"}, c.files...)...)
			limits, want := detect.Limits{}, c.path
			if name, value, _ := strings.Cut(c.limits, "="); limits.Set(name, value) != nil {
				t.Fatal("refused")
			}
			var first []byte
			for range 5 { // whatever is read at the same time
				r, err := detect.Inspect(app, detect.Options{Name: "app", Limits: limits})
				if err != nil {
					t.Fatal(err)
				}
				wantProblem(t, r, want, c.problem)
				if name != "total" && r.App.Kind != detect.KindASPNET { // the page is read last
					t.Errorf("kind %s", r.App.Kind)
				}
				if n := len(slices.DeleteFunc(slices.Clone(r.Problems), func(p detect.Problem) bool { return !strings.Contains(p.Message, "limit total") })); name == "total" && n != 1 {
					t.Errorf("%d problems say the same: %v", n, r.Problems)
				}
				if again := marshal(t, r); first == nil {
					first = again
				} else if !bytes.Equal(first, again) {
					t.Error("two runs differ")
				}
			}
			r := look(t, app)
			for _, p := range r.Problems {
				if strings.Contains(p.Message, "(limit ") {
					t.Errorf("within the defaults: %v", p)
				}
			}
		})
	}
}

func TestXMLEntitiesAreNone(t *testing.T) {
	for _, text := range []string{`<configuration>&lol;</configuration>`, `<configuration a="&lol;"/>`} {
		wantProblem(t, look(t, fstest.MapFS{"A.aspx": {Data: []byte(page)}, "Web.config": {Data: []byte(text)}}), "Web.config", "is not well-formed XML")
	}
}

func TestLimitsAreReadFromText(t *testing.T) {
	var l detect.Limits
	for _, c := range []struct {
		name, value string
		at          *int64
		want        int64
	}{
		{"files", "200000", &l.Files, 200_000}, {"text", "16MB", &l.Text, 16 << 20}, {"text", "3 kb", &l.Text, 3 << 10}, {"total", "1GB", &l.Total, 1 << 30},
		{"path", "300", &l.Path, 300}, {"path", "300B", &l.Path, 300}, {"zip-ratio", "7", &l.ZipRatio, 7},
	} {
		if err := l.Set(c.name, c.value); err != nil || *c.at != c.want {
			t.Errorf("%s=%s: %d, %v", c.name, c.value, *c.at, err)
		}
	}
	before := l
	for _, c := range [][2]string{{"files", "0"}, {"files", "-1"}, {"files", "x"}, {"files", ""}, {"files", "3MB"}, {"text", "MB"}, {"text", "999999999999GB"}, {"depth", "5000"}, {"text", "1.5MB"}} {
		if err := l.Set(c[0], c[1]); err == nil || errors.As(err, new(*detect.UnknownLimit)) {
			t.Errorf("%s=%s was taken: %v", c[0], c[1], err)
		}
	}
	if err := l.Set("file", "1"); !errors.As(err, new(*detect.UnknownLimit)) {
		t.Errorf("an unknown limit: %v", err)
	}
	if l != before {
		t.Error("what was refused changed something")
	}
	var zero detect.Limits
	for _, name := range detect.LimitNames() { // all that a default has can be said
		if err := zero.Set(name, "1"); err != nil {
			t.Error(err)
		}
	}
	if zero.WithDefaults() != zero {
		t.Error("a limit has no name")
	}
}
