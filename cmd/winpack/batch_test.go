package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/registry"
)

// results reads all files of results in a folder, by name. A row with two lines and
// a line that is none are errors.
func results(t testing.TB, dir string) map[string]result.Result {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "results*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]result.Result{}
	for _, file := range files {
		for _, line := range lines(t, file) {
			var r result.Result
			d := json.NewDecoder(bytes.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&r); err != nil || r.Schema != result.ID {
				t.Fatalf("%s: %v: %s", file, err, line)
			}
			if _, twice := all[r.Name]; twice {
				t.Errorf("%s has two lines", r.Name)
			}
			all[r.Name] = r
		}
	}
	return all
}

// lines are the whole lines of a file.
func lines(t testing.TB, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	return all[:len(all)-1] // what stands behind the last end is cut off, or nothing
}

// pages writes n folders with a page and returns the folder above them.
func pages(t testing.TB, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "apps")
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("app%04d", i), "index.html"), fmt.Sprintf("<!doctype html>%d", i))
	}
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// batch runs winpack batch, which has to end with that code.
func mustBatch(t testing.TB, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("winpack", append([]string{"batch"}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("winpack batch %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// Every kind of app goes through one batch; its report is that of winpack detect, and
// its Dockerfile that of winpack dockerfile.
func TestBatchOfEveryFixtureIsWhatTheSingleCommandsSay(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	var csv strings.Builder
	csv.WriteString("name,source\n")
	for _, name := range names {
		if err := os.CopyFS(filepath.Join(work, "in", name), os.DirFS(fixtures.App(t, name))); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&csv, "%s,in/%s\n", name, name)
	}
	inv, out := filepath.Join(work, "all.csv"), filepath.Join(work, "out")
	write(t, inv, csv.String())
	mustBatch(t, exitDone, inv, "-o", out)
	got := results(t, out)
	if len(got) != len(names) {
		t.Errorf("%d results of %d rows", len(got), len(names))
	}
	blocked, unknown := 0, 0
	for _, name := range names {
		r := got[name]
		stdout, _, code := winpack(t, work, "detect", "in/"+name, "--format", "json")
		want := result.OK
		if code == exitBlocked {
			want = result.Blocked
			blocked++
		}
		if r.Status != want || r.Error != "" {
			t.Errorf("%s is %s (%s), and winpack detect exits with %d", name, r.Status, r.Error, code)
		}
		text, err := json.MarshalIndent(r.Report, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(text, &a) != nil || json.Unmarshal([]byte(stdout), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: the report is not that of winpack detect", name)
		}
		file, err := os.ReadFile(filepath.Join(out, "apps", name, "Dockerfile"))
		stdout, _, code = winpack(t, work, "dockerfile", "in/"+name, "--stdout")
		if code != exitDone {
			unknown++
			if err == nil {
				t.Errorf("%s has a Dockerfile, and winpack dockerfile exits with %d", name, code)
			}
			continue
		}
		cut := func(s string) string { // the paths of the context differ
			var kept []string
			for line := range strings.Lines(s) {
				if !strings.Contains(line, "COPY") {
					kept = append(kept, line)
				}
			}
			return strings.Join(kept, "")
		}
		if err != nil || cut(string(file)) != cut(stdout) {
			t.Errorf("%s: %v: the Dockerfile is not that of winpack dockerfile:\n%s", name, err, file)
		}
	}
	if blocked == 0 || unknown == blocked {
		t.Errorf("%d of the fixtures are blocked and %d have no Dockerfile: nothing is proven", blocked, unknown)
	}
	if _, stderr := mustBatch(t, exitFindings, inv, "-o", filepath.Join(work, "strict"), "--fail-on", "error"); !strings.Contains(stderr, "blocked") {
		t.Errorf("nothing is said of blocked apps:\n%s", stderr)
	}
}

// A batch pushes what winpack build pushes, asks for each base once, and does again
// only what has changed.
func TestBatchPushesAndGoesOn(t *testing.T) {
	s := newSite(t)
	p := registry.NewProxy(t, s.host)
	work := t.TempDir()
	for i := range 6 {
		if err := os.CopyFS(filepath.Join(work, "in", fmt.Sprintf("site%d", i)), os.DirFS(fixtures.App(t, "static"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(work, "in", "Forms"), os.DirFS(fixtures.App(t, "netfx-winforms"))); err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(work, "in"), filepath.Join(work, "out")
	args := []string{in, "-o", out, "--push", "--tag-template", p.Host + "/{{.Kind}}/{{.Name}}:1", "--mirror", "mcr.microsoft.com=" + p.Host + "/mcr", "--insecure-registry", p.Host}
	mustBatch(t, exitDone, args...)
	bases := 0
	for _, r := range p.Requests() {
		if strings.HasPrefix(r.Path, "/v2/mcr/") && strings.Contains(r.Path, "/manifests/") {
			bases++
		}
	}
	if bases > 4 { // an index and a manifest for each of two releases
		t.Errorf("the bases were asked for %d times", bases)
	}
	first := results(t, out)
	if r := first["Forms"]; r.Status != result.Blocked || r.Image != nil || r.Error != "" {
		t.Errorf("the blocked app: %s, %v, %q", r.Status, r.Image, r.Error)
	}
	for i := range 6 {
		app := fmt.Sprintf("site%d", i)
		r := first[app]
		ref := p.Host + "/static/" + app + ":1"
		if r.Status != result.OK || r.Image == nil || r.Image.Reference != ref || r.Durations["push"] <= 0 {
			t.Fatalf("%s: %+v", app, r)
		}
		index, err := remote.Index(mustTag(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		if d, err := index.Digest(); err != nil || d.String() != r.Image.Digest {
			t.Errorf("%s was pushed as %s, %v; the result says %s", app, d, err, r.Image.Digest)
		}
	}
	if alone := s.build(t, filepath.Join(in, "site0"), "-t", s.host+"/alone:1", "--push"); alone != first["site0"].Image.Digest {
		t.Errorf("winpack build gives %s, the batch %s", alone, first["site0"].Image.Digest)
	}

	p.Forget()
	before := lines(t, filepath.Join(out, "results.jsonl"))
	mustBatch(t, exitDone, args...)
	if n := len(p.Requests()); n > 0 {
		t.Errorf("a batch that is done asks a registry %d times", n)
	}
	if after := lines(t, filepath.Join(out, "results.jsonl")); !slices.EqualFunc(before, after, bytes.Equal) {
		t.Error("a batch that is done changed its results")
	}
	write(t, filepath.Join(in, "site3", "new.html"), "<!doctype html>new")
	stdout, _ := mustBatch(t, exitDone, args...)
	second := results(t, out)
	for app, r := range second {
		if same := app == "Forms" || r.Image.Digest == first[app].Image.Digest; same == (app == "site3") {
			t.Errorf("%s after a change of site3: %s", app, r.Image.Digest)
		}
	}
	if !strings.Contains(stdout, "1 done now") || len(second) != len(first) {
		t.Errorf("more than the changed app was done:\n%s", stdout)
	}
}

func mustTag(t testing.TB, ref string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// --build alone writes layouts, which hold no base layer; a row may say more.
func TestBatchBuildsIntoLayouts(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 2)
	inv := filepath.Join(filepath.Dir(dir), "apps.jsonl")
	write(t, inv, `{"name":"Team/One","source":"apps/app0000","os":"ltsc2022","tag":"registry.example.com/one:1"}`+"\n"+`{"name":"two","source":"apps/app0001"}`+"\n")
	out := filepath.Join(filepath.Dir(dir), "out")
	mustBatch(t, exitDone, append([]string{inv, "-o", out, "--build"}, s.flags()...)...)
	got := results(t, out)
	folders, err := filepath.Glob(filepath.Join(out, "apps", "*", "image"))
	if err != nil || len(folders) != 2 {
		t.Fatalf("%q, %v", folders, err)
	}
	for _, folder := range folders {
		index, err := layout.ImageIndexFromPath(folder)
		if err != nil {
			t.Fatal(err)
		}
		m, err := index.IndexManifest()
		if err != nil || len(m.Manifests) != 1 {
			t.Fatal(m, err)
		}
		name := "two"
		if strings.Contains(folder, "@") {
			name = "Team/One"
		}
		if r := got[name]; r.Image == nil || r.Image.Digest != m.Manifests[0].Digest.String() || r.Image.Reference != "" {
			t.Errorf("%s: %+v, and the layout holds %s", name, r.Image, m.Manifests[0].Digest)
		}
		if single := m.Manifests[0].MediaType.IsImage(); single != (name == "Team/One") {
			t.Errorf("%s: os of its row is ltsc2022: %s", name, m.Manifests[0].MediaType)
		}
		blobs, err := os.ReadDir(filepath.Join(folder, "blobs", "sha256"))
		if want := 3; name == "Team/One" && (err != nil || len(blobs) != want) {
			t.Errorf("%d blobs in a layout without base layers, want %d", len(blobs), want)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(folder), ".image.*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

// Two apps in one image would be the last of them.
func TestTwoAppsNeverGiveOneImage(t *testing.T) {
	s := newSite(t)
	work := t.TempDir()
	// The kinds differ, and what the template gives is the same all the same.
	for name, fixture := range map[string]string{"core-x": "demo", "x": "static"} {
		if err := os.CopyFS(filepath.Join(work, "in", name), os.DirFS(fixtures.App(t, fixture))); err != nil {
			t.Fatal(err)
		}
	}
	inv := filepath.Join(work, "a.csv")
	write(t, inv, "name,source,tag\nx,in/x,"+s.host+"/aspnet-core-x:1\ncore-x,in/core-x,\n")
	out := filepath.Join(work, "out")
	_, stderr := mustBatch(t, exitFailed, append([]string{inv, "-o", out, "--push", "--jobs", "1", "--tag-template", s.host + "/{{.Kind}}-{{.Name}}:1"}, s.flags()...)...)
	if r := results(t, out)["core-x"]; r.Status != result.Failed || !strings.Contains(r.Error, `is that of "x" already`) {
		t.Errorf("%s, %q\n%s", r.Status, r.Error, stderr)
	}
}

// A list of 100,000 rows is read and shared out; the rows of the shard fail one by
// one, for their folders are missing.
func TestBatchOfALongList(t *testing.T) {
	work := t.TempDir()
	inv := filepath.Join(work, "long.csv")
	f, err := os.Create(inv)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "name,source")
	for i := range 100_000 {
		fmt.Fprintf(w, "app-%d,apps/%d\n", i, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out := filepath.Join(work, "out")
	stdout, _ := mustBatch(t, exitFailed, inv, "-o", out, "--shard", "7/100", "-q")
	got := results(t, out)
	if n := len(lines(t, filepath.Join(out, "rows.jsonl"))); n != 100_000 || len(got) < 800 || len(got) > 1200 || !strings.HasPrefix(stdout, fmt.Sprintf("shard 7/100: %d apps: 0 can move now, %d failed", len(got), len(got))) {
		t.Errorf("%d rows, %d results\n%s", n, len(got), stdout)
	}
}
