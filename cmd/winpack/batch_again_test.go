package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures"
)

// A row is done again when anything changes that its result comes from, and else not.
func TestRowsAreDoneAgainWhenWhatTheyComeFromChanges(t *testing.T) {
	dir := pages(t, 3)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	at := func(path string) string { return filepath.Join(work, filepath.FromSlash(path)) }
	list := func(owner string) {
		write(t, inv, "name,source,config,owner\na,apps/app0000,,"+owner+"\nb,apps/app0001,b.toml,\nc,apps/app0002,,\n")
	}
	list("Ann")
	write(t, at("more/x.txt"), "x")
	write(t, at("catalog.toml"), "schema = \"winpack/catalog/v1\"\n")
	write(t, at("b.toml"), "[catalog]\nfile = \"catalog.toml\"\n[[files]]\nfrom = \"more\"\nto = 'C:\\more'\n")
	write(t, at("apps/app0002/winpack.toml"), "user = \"ContainerUser\"\n")
	write(t, at("all.toml"), "# for all\n")
	// What a killed process left in a row's folder goes when the row is done.
	left := []string{at("out/apps/a/.image.123/layout/x"), at("out/apps/a/.winpack-123"), at("out/apps/a/image/.oci-layout.winpack-26"), at("out/apps/a/image/blobs/sha256/.0a.winpack-27")}
	for _, path := range left {
		write(t, path, "x")
	}
	again := func(path string) func() {
		return func() {
			text, err := os.ReadFile(at(path))
			if err != nil {
				t.Fatal(err)
			}
			write(t, at(path), string(text)+"# more\n")
		}
	}
	none := func() {}
	var more []string
	for _, step := range []struct {
		what   string
		change func()
		want   int
	}{
		{"first", none, 3},
		{"nothing", none, 0},
		{"a file of an app", again("apps/app0000/index.html"), 1},
		{"the time of a file", func() {
			if err := os.Chtimes(at("apps/app0000/index.html"), fixtures.ModTime, fixtures.ModTime); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"the time of a folder", func() {
			if err := os.Chtimes(at("apps/app0000"), fixtures.ModTime, fixtures.ModTime); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"a new folder", func() { write(t, at("apps/app0000/sub/x.txt"), "x") }, 1},
		{"a row", func() { list("Bob") }, 1},
		{"its configuration", again("b.toml"), 1},
		{"a catalog that it names", again("catalog.toml"), 1},
		{"what lies in a folder that it names", again("more/x.txt"), 1},
		{"the winpack.toml of an app", again("apps/app0002/winpack.toml"), 1},
		{"--os", func() { more = []string{"--os", "ltsc2022"} }, 3},
		{"--config, which b has of its own", func() { more = append(more, "--config", at("all.toml")) }, 2},
		{"its text", again("all.toml"), 2},
		{"--jobs", func() { more = append(more, "--jobs", "3") }, 0},
	} {
		step.change()
		stdout, _ := mustBatch(t, exitDone, append([]string{inv, "-o", out}, more...)...)
		if !strings.Contains(stdout, fmt.Sprintf("\n%d done now", step.want)) || len(results(t, out)) != 3 {
			t.Errorf("%s: want %d rows done:\n%s", step.what, step.want, stdout)
		}
	}
	for _, path := range left {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// As in winpack build a Dockerfile that was edited where winpack wrote it is what is
// built, and what is done again when it is edited again.
func TestBatchBuildsAnEditedDockerfile(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 2)
	app, out := filepath.Join(dir, "app0000"), filepath.Join(t.TempDir(), "out")
	if _, stderr, code := winpack(t, dir, "dockerfile", app); code != exitDone {
		t.Fatal(stderr)
	}
	edited := filepath.Join(app+".winpack", "Dockerfile")
	text, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{dir, "-o", out, "--push", "--tag-template", s.host + "/edited/{{.Name}}:1"}, s.flags()...)
	digests := map[string]bool{}
	for i, label := range []string{"", "one", "two"} {
		if label != "" {
			write(t, edited, string(text)+"LABEL edited="+label+"\n")
		}
		stdout, stderr := mustBatch(t, exitDone, args...)
		r := results(t, out)["app0000"]
		if want := s.build(t, app, "-t", s.host+"/alone:"+fmt.Sprint(i), "--push"); r.Image == nil || r.Image.Digest != want {
			t.Errorf("%q: %+v, and winpack build gives %s", label, r.Image, want)
			continue
		}
		digests[r.Image.Digest] = true
		if label != "" && (!strings.Contains(stdout, "\n1 done now") || !strings.Contains(stderr, "app0000: ") || !strings.Contains(stderr, "this is what is built")) {
			t.Errorf("%q:\n%s%s", label, stdout, stderr)
		}
	}
	if len(digests) != 3 {
		t.Errorf("an edit changed nothing: %v", digests)
	}
}

func TestPanicOfARowIsAResult(t *testing.T) {
	var b batch // nothing of it is there
	r, _, ok := b.do(t.Context(), inventory.Row{Name: "a", Source: "b"}, nil)
	if !ok || r.Status != result.Failed || !strings.HasPrefix(r.Error, "internal error: ") || r.Name != "a" {
		t.Errorf("%v, %+v", ok, r)
	}
}

// A failed row that left the inventory counts until --retry-failed drops its result;
// what else has left stays.
func TestRetryFailedDropsFailedRowsThatLeftTheInventory(t *testing.T) {
	dir := pages(t, 2)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source\na,apps/app0000\nb,apps/app0001\nc,apps/nowhere\n")
	mustBatch(t, exitFailed, inv, "-o", out)
	write(t, inv, "name,source\na,apps/app0000\n")
	_, stderr := mustBatch(t, exitFailed, inv, "-o", out)
	if !strings.Contains(stderr, "--retry-failed drops what is no row of the inventory any more") {
		t.Errorf("the cure is missing:\n%s", stderr)
	}
	mustBatch(t, exitDone, inv, "-o", out, "--retry-failed")
	if r := results(t, out); len(r) != 2 || r["a"].Status != result.OK || r["b"].Status != result.OK {
		t.Errorf("the folder holds %+v", r)
	}
	mustBatch(t, exitDone, inv, "-o", out)
}

// An acceptance that has ended changes what is found, and with it the result.
func TestRowsAreDoneAgainWhenAnAcceptanceHasEnded(t *testing.T) {
	dir := pages(t, 2)
	out := filepath.Join(t.TempDir(), "out")
	write(t, filepath.Join(dir, "app0000", "winpack.toml"), "[[accept]]\nrule = 'WP1001'\nreason = 'x'\nuntil = 2999-02-01\n[[accept]]\nrule = 'WP1002'\nreason = 'x'\nuntil = 2999-01-31\n")
	mustBatch(t, exitDone, dir, "-o", out)
	if stdout, _ := mustBatch(t, exitDone, dir, "-o", out); !strings.Contains(stdout, "\n0 done now") {
		t.Errorf("rows are done again without reason:\n%s", stdout)
	}
	file := filepath.Join(out, "results.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "+until=2999-01-31\"") != 1 {
		t.Fatalf("the first end is not in the fingerprint:\n%s", text)
	}
	write(t, file, strings.Replace(string(text), "+until=2999-01-31", "+until=2026-01-31", 1))
	if stdout, _ := mustBatch(t, exitDone, dir, "-o", out); !strings.Contains(stdout, "\n1 done now") {
		t.Errorf("the row is not done again:\n%s", stdout)
	}
}

// A row whose source is set right is done again in its folder, and what was added there
// between the markers stays; what was edited elsewhere is not overwritten.
func TestRowWithAnotherSourceIsWrittenAnew(t *testing.T) {
	dir := pages(t, 2)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	file := filepath.Join(out, "apps", "a", "Dockerfile")
	write(t, inv, "name,source\na,apps/app0000\n")
	mustBatch(t, exitDone, inv, "-o", out)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "# winpack:end-edit", "ENV A=1\n# winpack:end-edit", 1))
	write(t, inv, "name,source\na,apps/app0001\n")
	mustBatch(t, exitDone, inv, "-o", out)
	if text, err = os.ReadFile(file); err != nil || !strings.Contains(string(text), "ENV A=1\n# winpack:end-edit") || !strings.Contains(string(text), "apps/app0001/") {
		t.Errorf("%v\n%s", err, text)
	}
	write(t, file, strings.Replace(string(text), "EXPOSE 80", "EXPOSE 81", 1))
	write(t, inv, "name,source\na,apps/app0000\n")
	mustBatch(t, exitFailed, inv, "-o", out)
	if r := results(t, out)["a"]; !strings.Contains(r.Error, "move it between the edit markers") || strings.Contains(r.Error, "--force") {
		t.Errorf("the cure is missing: %q", r.Error)
	}
	if text, err = os.ReadFile(file); err != nil || !strings.Contains(string(text), "EXPOSE 81") {
		t.Errorf("an edit is lost: %v\n%s", err, text)
	}
}
