package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// What a registry does to one app is a failure of that app, in words, and of none
// other; no secret gets into the results.
func TestFaultsOfARegistryFailTheirAppAlone(t *testing.T) {
	host := registry.StartAuth(t)
	home := t.TempDir()
	write(t, filepath.Join(home, "config.json"), fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, "PROXY", registry.User, registry.Password))
	bases := registry.Start(t)
	if err := standin.Push(t.Context(), bases+"/mcr", standin.Options{}, "iis"); err != nil {
		t.Fatal(err)
	}
	p := registry.NewProxy(t, host)
	config, err := os.ReadFile(filepath.Join(home, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "config.json"), strings.ReplaceAll(string(config), "PROXY", p.Host))
	t.Setenv("DOCKER_CONFIG", home)

	want := map[string]string{}
	for i, f := range []struct {
		fault registry.Fault
		text  string
	}{
		{registry.Fault{Status: 401}, "run `docker login " + p.Host + "`"},
		{registry.Fault{Status: 403}, "this login may not do that"},
		{registry.Fault{Status: 404}, "it has no such repository"},
		{registry.Fault{Status: 429}, "429, too many requests, after every retry"},
		{registry.Fault{Status: 500}, "answers 500 after every retry"},
		{registry.Fault{Reset: true}, "broke the connection off after every retry"},
	} {
		f.fault.Path, f.fault.Method = fmt.Sprintf("/apps/app%04d/blobs/uploads/", i), "POST"
		p.Inject(f.fault)
		want[fmt.Sprintf("app%04d", i)] = f.text
	}
	dir := pages(t, len(want)+3)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{dir, "-o", out, "--jobs", "8", "--push", "--tag-template", p.Host + "/apps/{{.Name}}:1",
		"--mirror", "mcr.microsoft.com=" + bases + "/mcr", "--insecure-registry", bases, "--insecure-registry", p.Host}
	stdout, stderr := mustBatch(t, exitFailed, args...)
	got := results(t, out)
	for i := range len(want) + 3 {
		name := fmt.Sprintf("app%04d", i)
		r := got[name]
		text, broken := want[name]
		if broken && (r.Status != result.Failed || !strings.Contains(r.Error, text) || strings.Contains(r.Error, "\n") || r.Image != nil) {
			t.Errorf("%s: %s, %q; want %q", name, r.Status, r.Error, text)
		}
		if !broken && (r.Status != result.OK || r.Image == nil) {
			t.Errorf("%s: %s, %q", name, r.Status, r.Error)
		}
	}
	if text, err := os.ReadFile(filepath.Join(out, "results.jsonl")); err != nil || strings.Contains(string(text)+stdout+stderr, registry.Password) {
		t.Errorf("%v, or the password is told", err)
	}
	// Once the faults are over, what failed is done again, and nothing else.
	p.Forget()
	stdout, _ = mustBatch(t, exitDone, append(args, "--retry-failed")...)
	if !strings.Contains(stdout, fmt.Sprintf("%d done now", len(want))) || len(results(t, out)) != len(want)+3 {
		t.Errorf("done again:\n%s", stdout)
	}
}

// --retry is for what is over a little later, and for nothing else.
func TestRetryTriesAgainWhatARegistryBroke(t *testing.T) {
	s := newSite(t)
	p := registry.NewProxy(t, s.host)
	p.Inject(registry.Fault{Method: "GET", Path: "/apps/app0000/manifests/", Times: 5, Status: 500}) // as often as one build asks
	p.Inject(registry.Fault{Method: "POST", Path: "/apps/app0001/", Status: 403})
	out := filepath.Join(t.TempDir(), "out")
	_, stderr := mustBatch(t, exitFailed, pages(t, 2), "-o", out, "--push", "--retry", "2", "--tag-template", p.Host+"/apps/{{.Name}}:1",
		"--mirror", "mcr.microsoft.com="+p.Host+"/mcr", "--insecure-registry", p.Host)
	got := results(t, out)
	if a, b := got["app0000"], got["app0001"]; a.Status != result.OK || b.Status != result.Failed {
		t.Errorf("%s, %s\n%s", a.Error, b.Error, stderr)
	}
	if strings.Count(stderr, "retry: app0000: 1 of 2") != 1 || strings.Contains(stderr, "retry: app0001") {
		t.Errorf("tried again:\n%s", stderr)
	}
}

// A batch in a folder that may not be written, or on a full disk, ends with 1 and
// says what to do; what it wrote is whole, and the same command goes on.
func TestBatchOnAFullOrForbiddenDisk(t *testing.T) {
	dir := pages(t, 300)
	t.Run("full", func(t *testing.T) {
		out := smallDisk(t, 400<<10)
		_, stderr := mustBatch(t, exitFailed, dir, "-o", out, "-q")
		if !strings.Contains(stderr, "no space left on device") {
			t.Errorf("nothing is said of the disk:\n%s", stderr)
		}
		for _, line := range lines(t, filepath.Join(out, "results.jsonl")) {
			if line[0] != '{' {
				t.Errorf("a line is not whole: %s", line)
			}
		}
		results(t, out)
	})
	t.Run("full at the end", func(t *testing.T) {
		// So small that the results themselves find no room.
		out := smallDisk(t, 24<<10)
		_, stderr := mustBatch(t, exitFailed, dir, "-o", out, "-q")
		if !strings.Contains(stderr, "make room, and run the same command") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("it says:\n%s", stderr)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("SKIPPED: file modes do not keep a writer out on Windows")
		}
		work, err := os.MkdirTemp("", "winpack-test-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(work)
		self, err := os.ReadFile(executable(t))
		if err != nil {
			t.Fatal(err)
		}
		exe := filepath.Join(work, "winpack")
		write(t, filepath.Join(work, "apps", "a", "index.html"), "x")
		if err := os.WriteFile(exe, self, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(work, "out"), 0o555); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(work, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{"out", "new"} {
			cmd := exec.Command(exe, "batch", "apps", "-o", out)
			cmd.Dir = work
			unprivileged(cmd)
			text, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(text), "name a folder that you may write to with -o") || strings.Count(string(text), "\n") != 1 {
				t.Errorf("%s: exit %d\n%s", out, code, text)
			}
		}
	})
}

// A release that nobody knows makes a row bad, unless a configuration may know it.
func TestUnknownReleaseIsABadRow(t *testing.T) {
	dir := pages(t, 2)
	work := filepath.Dir(dir)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source,os\na,"+filepath.Join(dir, "app0000")+",ltsc2018\nb,apps/app0001,ltsc2022\n")
	_, stderr := mustBatch(t, exitUsage, inv, "-o", out)
	if !strings.Contains(stderr, "apps.csv:2: ") || !strings.Contains(stderr, `"ltsc2018"`) || !strings.Contains(stderr, "1 bad row") {
		t.Errorf("the row is not named:\n%s", stderr)
	}
	write(t, filepath.Join(dir, "app0000", "winpack.toml"), "user = \"ContainerUser\"\n")
	mustBatch(t, exitFailed, inv, "-o", out)
}
