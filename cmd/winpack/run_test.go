package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures"
)

// What winpack builds, winpack run runs: the line comes out of the image alone.
func TestRunReadsWhatBuildWrote(t *testing.T) {
	s := newSite(t)
	site, service := s.host+"/team/demo:1", s.host+"/team/orders:1"
	s.build(t, fixtures.App(t, "demo"), "--push", "-t", site)
	s.build(t, fixtures.App(t, "native-web"), "--push", "-t", service)
	for _, test := range []struct {
		args   []string
		want   string // of stdout
		stderr string
	}{
		{[]string{site, "--host", "26100"}, `docker run --rm --isolation process -p 8080:80 -v "demo-app-data:C:\inetpub\wwwroot\App_Data" ` + site, "kept in volumes"},
		{[]string{site, "--host", "10.0.20348.1"}, `docker run --rm --isolation process -p 8080:80 -v "demo-app-data:C:\inetpub\wwwroot\App_Data" ` + site, ""},
		{[]string{"--host", "26200", service}, `docker run --rm --isolation hyperv ` + s.host + "/team/orders@sha256:", "named by its digest"},
		{[]string{service, "-q", "--host", "20348"}, `docker run --rm --isolation process ` + service, ""},
	} {
		stdout, stderr, code := winpack(t, t.TempDir(), append([]string{"run", "--insecure-registry", s.host}, test.args...)...)
		if code != exitDone || !strings.HasPrefix(stdout, test.want) || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, test.stderr) {
			t.Errorf("run %s: exit %d\n%s%s", strings.Join(test.args, " "), code, stdout, stderr)
		}
		if test.args[1] == "-q" && stderr != "" {
			t.Errorf("-q says %q", stderr)
		}
	}
	// A host that is too old, and its reason; nothing that could be pasted.
	stdout, stderr, code := winpack(t, t.TempDir(), "run", site, "--host", "17763", "--insecure-registry", s.host)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "Windows Server 2019") || !strings.Contains(stderr, "newer than its host never works") {
		t.Errorf("an old host: exit %d\n%s%s", code, stdout, stderr)
	}
	// A mirror is where it is read; the line names what was asked for.
	stdout, stderr, code = winpack(t, t.TempDir(), "run", "registry.example.com/team/demo:1", "--host", "26100", "--mirror", "registry.example.com="+s.host, "--insecure-registry", s.host)
	if code != exitDone || !strings.HasSuffix(stdout, " registry.example.com/team/demo:1\n") {
		t.Errorf("a mirror: exit %d\n%s%s", code, stdout, stderr)
	}
	if runtime.GOOS != "windows" {
		stdout, stderr, code = winpack(t, t.TempDir(), "run", site, "--insecure-registry", s.host)
		if code != exitDone || strings.Contains(stdout, "--isolation") || !strings.Contains(stderr, "note: the build of the host is not known here") {
			t.Errorf("a host that is not known: exit %d\n%s%s", code, stdout, stderr)
		}
	}
}

func TestRunOfALinuxImageIsRefused(t *testing.T) {
	s := newSite(t)
	linux, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(s.host+"/team/linux:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, linux); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := winpack(t, t.TempDir(), "run", tag.Name(), "--host", "26100", "--insecure-registry", s.host)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "is no Windows image: it is for linux/amd64") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// --exec hands docker the words of the line, and its end is not winpack's own.
func TestExecRunsDockerWithTheWordsOfTheLine(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("SKIPPED: a script stands for docker, and there is no sh")
	}
	s := newSite(t)
	ref := s.host + "/team/demo:1"
	s.build(t, fixtures.App(t, "demo"), "--push", "-t", ref)
	run := func(docker string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		dir := t.TempDir()
		if docker != "" {
			if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!"+sh+"\n"+docker), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("winpack", append([]string{"run", ref, "--exec", "--insecure-registry", s.host}, args...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	stdout, stderr, code := run(`for a in "$@"; do echo "<$a>"; done; echo trouble >&2`, "--host", "26100")
	want := "<run>\n<--rm>\n<--isolation>\n<process>\n<-p>\n<8080:80>\n<-v>\n<demo-app-data:C:\\inetpub\\wwwroot\\App_Data>\n<" + ref + ">\n"
	if code != exitDone || stdout != want || !strings.Contains(stderr, "docker run --rm") || !strings.Contains(stderr, "trouble") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code = run(`exit 3`, "--host", "26100"); code != exitFailed || stdout != "" || !strings.Contains(stderr, "exit status 3") {
		t.Errorf("an app that ends with 3: exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code = run("", "--host", "26100"); code != exitFailed || !strings.Contains(stderr, "no docker in PATH") {
		t.Errorf("without docker: exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code = run(`echo started`, "--host", "17763"); code != exitFailed || strings.Contains(stdout, "started") {
		t.Errorf("a host that can't run it: exit %d\n%s%s", code, stdout, stderr)
	}
}
