//go:build !windows

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures/registry"
)

// Killed at 50 random moments and started again, a batch repeats nothing that is
// finished, loses nothing, and doubles nothing. Now and then an app changes between
// two starts, so that kills hit the writing anew of the results too.
func TestBatchThatIsKilledGoesOn(t *testing.T) {
	const apps, kills = 1500, 50
	dir := pages(t, apps)
	out := filepath.Join(t.TempDir(), "out")
	file := filepath.Join(out, "results.jsonl")
	finished := map[string][]byte{} // lines by name
	changed := map[string]bool{}
	check := func() {
		t.Helper()
		seen := map[string][]byte{}
		for _, line := range lines(t, file) {
			name := string(line[bytes.Index(line, []byte(`"name":"`))+8:][:7])
			if seen[name] != nil {
				t.Fatalf("%s has two lines", name)
			}
			seen[name] = bytes.Clone(line)
		}
		for name, line := range finished {
			if !changed[name] && !bytes.Equal(seen[name], line) {
				t.Fatalf("%s was finished, and is lost or was done again", name)
			}
		}
		finished = seen
	}
	random := rand.New(rand.NewPCG(1, 2))
	slow := 0
	for i := range kills {
		cmd := exec.Command("winpack", "batch", dir, "-o", out, "-q")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		check()
		if len(finished) < apps {
			slow++
		}
		if i%5 == 4 {
			name := fmt.Sprintf("app%04d", random.IntN(apps))
			changed[name] = true
			write(t, filepath.Join(dir, name, "index.html"), fmt.Sprintf("<!doctype html>changed by %d", i))
		}
	}
	mustBatch(t, exitDone, dir, "-o", out, "-q")
	check()
	if len(finished) != apps || len(results(t, out)) != apps {
		t.Errorf("%d results of %d apps", len(finished), apps)
	}
	if slow == 0 {
		t.Errorf("none of %d kills hit a batch that was not done", kills)
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(out, "apps", "*", ".winpack-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A process that is killed leaves half an image behind now and then: the next one makes
// it whole, and no app fails for it.
func TestBatchThatIsKilledWhileItBuildsGoesOn(t *testing.T) {
	const apps, kills = 120, 25
	s := newSite(t)
	dir := pages(t, apps)
	out := filepath.Join(t.TempDir(), "out")
	args := append([]string{dir, "-o", out, "-q", "--build", "--retry-failed"}, s.flags()...)
	random := rand.New(rand.NewPCG(3, 4))
	hit := 0
	for range kills {
		cmd := exec.Command("winpack", append([]string{"batch"}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(30+random.IntN(150)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if data, _ := os.ReadFile(filepath.Join(out, "results.jsonl")); bytes.Count(data, []byte("\n")) < apps {
			hit++
		}
	}
	if hit == 0 {
		t.Errorf("none of %d kills hit a batch that was not done", kills)
	}
	mustBatch(t, exitDone, args...)
	for _, r := range results(t, out) {
		if r.Image == nil || r.Image.Digest == "" {
			t.Errorf("%s: %s %s", r.Name, r.Status, r.Error)
		}
	}
	err := filepath.WalkDir(filepath.Join(out, "apps"), func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(d.Name(), ".winpack-") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// started is a batch that runs.
type started struct {
	*exec.Cmd
	stdout, stderr text
}

// text can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func start(t *testing.T, env []string, args ...string) *started {
	t.Helper()
	s := &started{Cmd: exec.Command("winpack", append([]string{"batch"}, args...)...)}
	s.Stdout, s.Stderr, s.Env = &s.stdout, &s.stderr, append(os.Environ(), env...)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	return s
}

// end waits for the end and returns the exit code.
func (s *started) end(t *testing.T) int {
	t.Helper()
	done := make(chan struct{})
	go func() {
		_ = s.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = s.Process.Kill()
		t.Fatal("it does not end")
	}
	return s.ProcessState.ExitCode()
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 600 {
		if so() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("waited in vain until " + what)
}

// The first SIGINT lets those finish that run, the second stops them; both are 130,
// and nothing is left half-written.
func TestSignalsEndABatch(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name    string
		signals int
		delay   time.Duration
		want    int
	}{{"once", 1, time.Second, 2}, {"twice", 2, 8 * time.Second, 0}} {
		t.Run(test.name, func(t *testing.T) {
			p := registry.NewProxy(t, s.host)
			p.Inject(registry.Fault{Method: "PATCH", Delay: test.delay})
			dir, out := pages(t, 6), filepath.Join(t.TempDir(), "out")
			args := []string{dir, "-o", out, "--jobs", "2", "--push", "--tag-template", p.Host + "/" + test.name + "/{{.Name}}:1",
				"--mirror", "mcr.microsoft.com=" + p.Host + "/mcr", "--insecure-registry", p.Host}
			b := start(t, nil, args...)
			uploads := func() int {
				names := map[string]bool{}
				for _, r := range p.Requests() {
					if r.Method == "PATCH" {
						names[strings.Split(r.Path, "/blobs/")[0]] = true
					}
				}
				return len(names)
			}
			waitFor(t, "two apps are being pushed", func() bool { return uploads() == 2 })
			for i := range test.signals {
				if i > 0 {
					waitFor(t, "the first signal is heard", func() bool { return strings.Contains(b.stderr.String(), "once more stops at once") })
				}
				if err := b.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
			if code := b.end(t); code != exitInterrupted || !strings.Contains(b.stderr.String(), "winpack: interrupted") {
				t.Errorf("exit %d\n%s", code, b.stderr.String())
			}
			if got := results(t, out); len(got) != test.want {
				t.Errorf("%d results, want %d", len(got), test.want)
			}
			if !strings.Contains(b.stdout.String(), fmt.Sprintf("%d can move now, %d not done", test.want, 6-test.want)) {
				t.Errorf("it says:\n%s", b.stdout.String())
			}
			p.Forget()
			mustBatch(t, exitDone, args...)
			if got := results(t, out); len(got) != 6 {
				t.Errorf("%d results in the end", len(got))
			}
		})
	}
}

// Two batches in one folder: the second one ends, and the lock is gone with the first.
func TestOneBatchAtATimeWritesAFile(t *testing.T) {
	s := newSite(t)
	p := registry.NewProxy(t, s.host)
	p.Inject(registry.Fault{Method: "PATCH", Delay: 5 * time.Second})
	dir, out := pages(t, 2), filepath.Join(t.TempDir(), "out")
	args := []string{dir, "-o", out, "--push", "--tag-template", p.Host + "/lock/{{.Name}}:1", "--mirror", "mcr.microsoft.com=" + p.Host + "/mcr", "--insecure-registry", p.Host}
	first := start(t, nil, args...)
	waitFor(t, "the first one pushes", func() bool {
		return slices.ContainsFunc(p.Requests(), func(r registry.Request) bool { return r.Method == "PATCH" })
	})
	_, stderr := mustBatch(t, exitFailed, args...)
	if !strings.Contains(stderr, "another winpack batch writes") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("the second one says:\n%s", stderr)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	p.Forget()
	mustBatch(t, exitDone, args...)
}

// The same command line runs in every pod of an Indexed Job: no row is lost or done
// twice, some are killed and started again, and a later run may have another N.
func TestShardsOfAnIndexedJobDoEachRowOnce(t *testing.T) {
	const apps, n = 200, 5
	dir, out := pages(t, apps), filepath.Join(t.TempDir(), "out")
	args := []string{dir, "-o", out, "--shard", fmt.Sprintf("/%d", n), "--progress", "none"}
	random := rand.New(rand.NewPCG(3, 4))
	sleeps := make([]time.Duration, n)
	for i := range sleeps {
		sleeps[i] = time.Duration(random.IntN(40)) * time.Millisecond
	}
	var pods sync.WaitGroup
	for i := range n {
		pods.Go(func() {
			env := []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i)}
			killed := start(t, env, args...)
			time.Sleep(sleeps[i])
			_ = killed.Process.Kill()
			killed.end(t)
			pod := start(t, env, args...)
			if code := pod.end(t); code != exitDone {
				t.Errorf("pod %d: exit %d\n%s", i, code, pod.stderr.String())
			}
		})
	}
	pods.Wait()
	for i := range n {
		if got := lines(t, filepath.Join(out, fmt.Sprintf("results-%d.jsonl", i))); len(got) == 0 || len(got) > apps/n*2 {
			t.Errorf("shard %d did %d rows of %d", i, len(got), apps)
		}
	}
	if got := results(t, out); len(got) != apps {
		t.Errorf("%d results of %d apps", len(got), apps)
	}
	if got := lines(t, filepath.Join(out, "rows.jsonl")); len(got) != apps {
		t.Errorf("%d rows in the list", len(got))
	}
	// N may change; what has changed meanwhile is done by whose it is now.
	write(t, filepath.Join(dir, "app0007", "index.html"), "<!doctype html>changed")
	done := 0
	for i := range 2 {
		stdout, _ := mustBatch(t, exitDone, dir, "-o", out, "--shard", fmt.Sprintf("%d/2", i))
		if strings.Contains(stdout, "\n1 done now") {
			done++
		} else if !strings.Contains(stdout, "\n0 done now") {
			t.Errorf("with another N:\n%s", stdout)
		}
	}
	if got := results(t, out); len(got) != apps || done != 1 || got["app0007"].Status != result.OK {
		t.Errorf("%d results, %d done again", len(got), done)
	}
}
