package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures"
)

// A run that only looks, and one with another --fail-on, leaves alone what was
// pushed: the record of an image would be gone, and the image still there.
func TestLookingKeepsWhatWasPushed(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 3)
	// An app with an error, so that --fail-on has something to judge.
	write(t, filepath.Join(dir, "app0002", "web.config"), `<configuration><connectionStrings><add name="x" connectionString="Server=db;Password=hunter2" /></connectionStrings></configuration>`)
	out := filepath.Join(t.TempDir(), "out")
	look := append([]string{dir, "-o", out}, s.flags()...)
	push := append(slices.Clone(look), "--push", "--tag-template", s.host+"/kept/{{.Name}}:1")
	mustBatch(t, exitDone, push...)
	file := filepath.Join(out, "results.jsonl")
	pushed := lines(t, file)
	first := results(t, out)

	stdout, stderr := mustBatch(t, exitDone, look...)
	if got := lines(t, file); !slices.EqualFunc(got, pushed, bytes.Equal) || !strings.Contains(stdout, "\n0 done now") {
		t.Errorf("a look changed the results:\n%s%s", stdout, stderr)
	}
	for _, step := range []struct {
		level string
		code  int
		want  result.Status
	}{{"error", exitFindings, result.Findings}, {"error", exitFindings, result.Findings}, {"never", exitDone, result.OK}, {"warning", exitFindings, result.Findings}, {"", exitDone, result.OK}} {
		args := slices.Clone(look)
		if step.level != "" {
			args = append(args, "--fail-on", step.level)
		}
		stdout, stderr := mustBatch(t, step.code, args...)
		got := results(t, out)
		if !strings.Contains(stdout, "\n0 done now") || got["app0000"].Status != result.OK || got["app0002"].Status != step.want {
			t.Errorf("--fail-on %q: %s, %s\n%s%s", step.level, got["app0000"].Status, got["app0002"].Status, stdout, stderr)
		}
		for name, r := range got {
			want := first[name]
			if r.Status, r.Fingerprint = want.Status, want.Fingerprint; fmt.Sprint(r.Image) == "<nil>" || *r.Image != *want.Image || r.Report == nil || len(r.Report.Facts) != len(want.Report.Facts) {
				t.Errorf("--fail-on %q: %s lost something: %+v", step.level, name, r)
			}
		}
	}
	if got := lines(t, file); !slices.EqualFunc(got, pushed, bytes.Equal) {
		t.Error("judged there and back, the results are others")
	}
	// The push itself finds nothing to do, with that level or another.
	if stdout, _ := mustBatch(t, exitFindings, append(slices.Clone(push), "--fail-on", "error")...); !strings.Contains(stdout, "\n0 done now") {
		t.Errorf("pushed again:\n%s", stdout)
	}
	// An app that has changed is looked at anew, and what is lost with that is said.
	write(t, filepath.Join(dir, "app0001", "new.html"), "<!doctype html>")
	stdout, stderr = mustBatch(t, exitDone, look...)
	if r := results(t, out)["app0001"]; r.Image != nil || !strings.Contains(stdout, "\n1 done now") || !strings.Contains(stderr, "note: of 1 app that had been pushed ") {
		t.Errorf("%+v\n%s%s", r.Image, stdout, stderr)
	}
	// What was only looked at is no image yet.
	if stdout, _ := mustBatch(t, exitDone, push...); !strings.Contains(stdout, "\n1 done now") || results(t, out)["app0001"].Image == nil {
		t.Errorf("not pushed:\n%s", stdout)
	}
	// A report names the command that pushes, whoever looked last.
	mustBatch(t, exitDone, look...)
	if text, _, _ := winpack(t, dir, "report", out, "--format", "json"); !strings.Contains(text, `"inventory": "`+dir) {
		t.Errorf("the report does not name the inventory:\n%.400s", text)
	}
	if text, err := os.ReadFile(filepath.Join(out, "batch.json")); err != nil || !strings.Contains(string(text), "--tag-template") {
		t.Errorf("%v: %s", err, text)
	}
}

// The lines of shards in other files are judged anew too.
func TestLookingJudgesTheLinesOfOtherShards(t *testing.T) {
	dir := pages(t, 6)
	for i := range 6 {
		write(t, filepath.Join(dir, fmt.Sprintf("app%04d", i), "web.config"), `<configuration><connectionStrings><add name="x" connectionString="Server=db;Password=hunter2" /></connectionStrings></configuration>`)
	}
	out := filepath.Join(t.TempDir(), "out")
	for i := range 2 {
		mustBatch(t, exitDone, dir, "-o", out, "--shard", fmt.Sprintf("%d/2", i))
	}
	stdout, _ := mustBatch(t, exitFindings, dir, "-o", out, "--fail-on", "error")
	for name, r := range results(t, out) {
		if r.Status != result.Findings {
			t.Errorf("%s is %s\n%s", name, r.Status, stdout)
		}
	}
	if !strings.Contains(stdout, "\n0 done now") || len(lines(t, filepath.Join(out, "results.jsonl"))) > 0 {
		t.Errorf("rows were done again:\n%s", stdout)
	}
}

// An app that nobody knows, and one that waits for a Windows builder, is no outage:
// a push makes it failed, and its outlook stays what its report says.
func TestPushTellsOutagesFromAppsThatNeedSomething(t *testing.T) {
	s := newSite(t)
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	t.Setenv("BUILDKIT_HOST", "tcp://127.0.0.1:1")
	work := t.TempDir()
	for name, fixture := range map[string]string{"good": "static", "php": "nearmiss-static-php", "old": "aspnet-35", "old2": "aspnet-35"} {
		if err := os.CopyFS(filepath.Join(work, "in", name), os.DirFS(fixtures.App(t, fixture))); err != nil {
			t.Fatal(err)
		}
	}
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source\ngood,in/good\nphp,in/php\nold,in/old\nold2,in/old2\ngone,in/gone\n")
	args := append([]string{inv, "-o", out, "--push", "--tag-template", s.host + "/sorts/{{.Name}}:1"}, s.flags()...)
	stdout, stderr := mustBatch(t, exitFailed, args...)
	got := results(t, out)
	for name, want := range map[string]result.Failure{"php": "", "old": result.NoBuilder, "gone": ""} {
		if r := got[name]; r.Status != result.Failed || r.Failure != want || r.Error == "" || (r.Report == nil) != (name == "gone") {
			t.Errorf("%s: %s, %q, %q, report %v", name, r.Status, r.Failure, r.Error, r.Report != nil)
		}
	}
	if !strings.HasPrefix(stdout, "5 apps: 1 can move now, 2 to decide, 1 after work, 1 failed\n") || !strings.Contains(stdout, "\nstatus: 4 failed\n") {
		t.Errorf("stdout:\n%s", stdout)
	}
	if n := strings.Count(stdout+stderr, "DOCKER_HOST to a Docker engine"); n != 1 || strings.Count(stdout+stderr, "no Docker engine answers")+strings.Count(stdout+stderr, "127.0.0.1:1") == 0 {
		t.Errorf("why there is no builder is told %d times:\n%s", n, stderr)
	}
	if strings.Contains(got["old"].Error, "--docker-host") || len(got["old"].Error) > 250 {
		t.Errorf("the error of a row is long, or names a flag that batch lacks: %s", got["old"].Error)
	}
	text, _, _ := winpack(t, work, "report", out)
	for _, want := range []string{"\nphp   after work ", "\nold   to decide ", "\ngone  failed "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
