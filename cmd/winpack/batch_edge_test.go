package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures"
)

// What is built is what is judged: the findings and the base are those of the edited
// Dockerfile, also where --build has nobody write beside it.
func TestBatchJudgesTheEditedDockerfileThatItBuilds(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 1)
	app := filepath.Join(dir, "app0000")
	if _, stderr, code := winpack(t, dir, "dockerfile", app); code != exitDone {
		t.Fatal(stderr)
	}
	edited := filepath.Join(app+".winpack", "Dockerfile")
	text, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	const other = "mcr.microsoft.com/windows/nanoserver:ltsc2022"
	var changed []string
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "ARG BASE=") {
			l = "ARG BASE=" + other + "\n"
		}
		if !strings.HasPrefix(l, "#") {
			changed = append(changed, l)
		}
	}
	write(t, edited, strings.Join(changed, "")+"ENV DB_PASSWORD=s3cr3t-of-a-test\n")
	for _, how := range [][]string{{"--build"}, {"--push", "--tag-template", s.host + "/judged/{{.Name}}:1"}} {
		out := filepath.Join(t.TempDir(), "out")
		_, stderr := mustBatch(t, exitFindings, append(append([]string{dir, "-o", out, "--fail-on", "warning", "--os", "ltsc2022"}, how...), s.flags()...)...)
		r := results(t, out)["app0000"]
		if r.Status != result.Findings || r.Report == nil || r.Report.Base.Reference != other || r.Image == nil || !strings.Contains(stderr, "WP3014") {
			t.Errorf("%v: %s %+v\n%s", how, r.Status, r.Report, stderr)
		}
	}
}

// A row that left the inventory holds no reference any more, so that a renamed one
// takes its own with it.
func TestRenamedRowKeepsItsTag(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 1)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	for _, name := range []string{"shop", "webshop"} {
		write(t, inv, "name,source,tag\n"+name+",apps/app0000,"+s.host+"/renamed/shop:1\n")
		mustBatch(t, exitDone, append([]string{inv, "-o", out, "--push"}, s.flags()...)...)
	}
	if r := results(t, out)["webshop"]; r.Status != result.OK || r.Image == nil {
		t.Errorf("%+v", r)
	}
}

// A column may hold where the code of an app is, with a login in it.
func TestLoginsInColumnsAreMasked(t *testing.T) {
	dir := pages(t, 1)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source,owner,repo\na,apps/app0000,https://u:s3cr3t-owner@host/x,https://u:s3cr3t-repo@host/y\nb,apps/nowhere,me,https://u:s3cr3t-repo@host/y\n")
	stdout, stderr := mustBatch(t, exitFailed, inv, "-o", out)
	all := stdout + stderr
	for _, format := range []string{"text", "json", "csv", "html", "sarif"} {
		text, more, _ := winpack(t, work, "report", "out", "--format", format)
		all += text + more
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			data, err := os.ReadFile(filepath.Join(out, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all += string(data)
		}
	}
	if strings.Contains(all, "s3cr3t") || !strings.Contains(all, "host/y") {
		t.Errorf("a secret is shown, or the column is gone")
	}
}

// Only a Windows engine makes the image, and it writes no layout: the cure is --push.
func TestImageOfAnEngineHasToBePushed(t *testing.T) {
	s := newSite(t)
	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "in", "old"), os.DirFS(fixtures.App(t, "aspnet-35"))); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(work, "out")
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	_, stderr := mustBatch(t, exitFailed, append([]string{filepath.Join(work, "in"), "-o", out, "--build"}, s.flags()...)...)
	if !strings.Contains(stderr, "and use --push") {
		t.Errorf("the note has no cure:\n%s", stderr)
	}
	write(t, filepath.Join(work, "docker.toml"), "[build]\nbuilder = \"docker\"\n")
	mustBatch(t, exitFailed, append([]string{filepath.Join(work, "in"), "-o", out, "--build", "--retry-failed", "--config", filepath.Join(work, "docker.toml")}, s.flags()...)...)
	if r := results(t, out)["old"]; !strings.Contains(r.Error, "use --push") || strings.Contains(r.Error, "--builder direct") || r.Failure != result.NoBuilder {
		t.Errorf("%+v", r.Error)
	}
}

func TestMistakesOfABatchAreToldOnceAndRight(t *testing.T) {
	dir := pages(t, 2)
	work := filepath.Dir(dir)
	_, stderr, code := winpack(t, work, "batch", "apps", "-o", "out", "--push")
	if code != exitUsage || !strings.Contains(stderr, "none of its 2 apps has a tag") || strings.Contains(stderr, "no app lies below") {
		t.Errorf("without tags: exit %d\n%s", code, stderr)
	}
	_, stderr, code = winpack(t, work, "batch", "apps", "-o", "out", "--os", "ltsc2099")
	if _, err := os.Stat(filepath.Join(work, "out")); code != exitUsage || !strings.Contains(stderr, `unknown Windows release "ltsc2099"`) || err == nil {
		t.Errorf("an unknown release: exit %d, %v\n%s", code, err, stderr)
	}
}

// The file that the end names is one that says something.
func TestVerdictNamesTheFilesOfOtherShards(t *testing.T) {
	dir := pages(t, 3)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source\na,apps/app0000\nb,apps/nowhere\nc,apps/gone\n")
	for _, shard := range []string{"0/2", "1/2"} {
		_, _, _ = winpack(t, work, "batch", inv, "-o", out, "--shard", shard)
	}
	_, stderr := mustBatch(t, exitFailed, inv, "-o", out)
	if !strings.Contains(stderr, "results*.jsonl") {
		t.Errorf("it names a file without a line:\n%s", stderr)
	}
}

// An image that somebody deleted is made again.
func TestDeletedLayoutIsMadeAgain(t *testing.T) {
	s := newSite(t)
	dir := pages(t, 2)
	out := filepath.Join(t.TempDir(), "out")
	args := append([]string{dir, "-o", out, "--build"}, s.flags()...)
	mustBatch(t, exitDone, args...)
	image := filepath.Join(out, "apps", "app0001", "image")
	if err := os.RemoveAll(image); err != nil {
		t.Fatal(err)
	}
	stdout, _ := mustBatch(t, exitDone, args...)
	if _, err := os.Stat(filepath.Join(image, "index.json")); err != nil || !strings.Contains(stdout, "\n1 done now") {
		t.Errorf("%v\n%s", err, stdout)
	}
}
