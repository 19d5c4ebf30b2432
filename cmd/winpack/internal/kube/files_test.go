package kube

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func filesOf(t *testing.T, a app) (Manifests, map[string][]byte) {
	t.Helper()
	m, err := New(a.report, a.plan, a.options)
	if err != nil {
		t.Fatal(err)
	}
	files, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	return m, files
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// Whatever is not winpack's own for the app is kept, and nothing else is written then.
func TestFileThatIsNotOursIsKept(t *testing.T) {
	fixture := fixtureApps(t)
	m, files := filesOf(t, fixture["static"])
	_, other := filesOf(t, fixture["aspnet-core"])
	for what, content := range map[string]string{
		"somebody's":                    "apiVersion: v1\nkind: Service\n",
		"one edited by hand":            strings.Replace(string(files["service.yaml"]), "port: 80", "port: 81", 1),
		"one with text behind it":       string(files["service.yaml"]) + "---\n",
		"another app's":                 string(other["service.yaml"]),
		"one whose checksum was copied": strings.SplitAfter(string(files["service.yaml"]), "\n")[0] + "kind: Secret\n",
		"an empty one":                  "",
		"rubbish":                       "\x00\xff",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "service.yaml")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Write(dir, m.Name, files, false)
		var notOurs *NotOursError
		if !errors.As(err, &notOurs) || !slices.Equal(notOurs.Names, []string{"service.yaml"}) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", what, err)
		}
		if got, _ := os.ReadFile(path); string(got) != content || len(names(t, dir)) != 1 {
			t.Errorf("%s: something was written: %q", what, names(t, dir))
		}
		if _, err := Write(dir, m.Name, files, true); err != nil {
			t.Errorf("%s with force: %v", what, err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(files["service.yaml"]) {
			t.Errorf("%s with force is still there", what)
		}
	}
}

func TestFilesOfOursAreWrittenAnew(t *testing.T) {
	a := fixtureApps(t)["static"]
	m, files := filesOf(t, a)
	dir := filepath.Join(t.TempDir(), "deep", "k8s")
	if removed, err := Write(dir, m.Name, files, false); err != nil || len(removed) != 0 {
		t.Fatalf("%q, %v", removed, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"deployment.yaml", "poddisruptionbudget.yaml", "service.yaml"}) {
		t.Errorf("the files are %q", got)
	}
	// Line ends that git changed are no edit.
	path := filepath.Join(dir, "service.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(files["service.yaml"]), "\n", "\r\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	// What is no longer part of the manifests goes away, but for what was edited.
	if err := os.WriteFile(filepath.Join(dir, "notes.yaml"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.options.Workload, a.options.Image = WorkloadJob, "registry.example.com/other:2"
	_, job := filesOf(t, a)
	removed, err := Write(dir, m.Name, job, false)
	if err != nil || !slices.Equal(removed, []string{"deployment.yaml", "poddisruptionbudget.yaml", "service.yaml"}) {
		t.Errorf("removed %q, %v", removed, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"job.yaml", "notes.yaml"}) {
		t.Errorf("the files are %q", got)
	}
	edited := string(job["job.yaml"]) + "# mine\n"
	if err := os.WriteFile(filepath.Join(dir, "job.yaml"), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Edited(dir, m.Name); !slices.Equal(got, []string{"job.yaml"}) {
		t.Errorf("edited are %q", got)
	}
	if got := Edited(dir, "other"); len(got) != 0 {
		t.Errorf("edited of another app are %q", got)
	}
	if removed, err := Write(dir, m.Name, files, false); err != nil || len(removed) != 0 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "job.yaml")); string(got) != edited {
		t.Error("an edited file that is no longer part of the manifests went away")
	}
}

func TestWritingTouchesRegularFilesOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: links take a privilege on Windows")
	}
	m, files := filesOf(t, fixtureApps(t)["static"])
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(outside, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "service.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		if _, err := Write(dir, m.Name, files, force); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("force %v: %v", force, err)
		}
	}
	if got, _ := os.ReadFile(outside); string(got) != "theirs" || len(names(t, dir)) != 1 {
		t.Errorf("%q, %q", got, names(t, dir))
	}
	locked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(locked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(filepath.Join(locked, "k8s"), m.Name, files, false); err == nil {
		t.Error("a folder below a file is written to")
	}
}

// The first line is a comment, so that each file stays what kubectl takes.
func TestEachFileIsAManifestByItself(t *testing.T) {
	for _, a := range []app{scenarios(t)["gmsa"], scenarios(t)["hostile-name"]} {
		_, files := filesOf(t, a)
		for name, text := range files {
			if !strings.HasPrefix(string(text), "# winpack kube: app=") || !slices.Contains(ownFiles(), name) {
				t.Errorf("%s starts with %.40q", name, text)
			}
			verify(t, text)
		}
	}
}
