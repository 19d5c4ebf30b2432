package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/kubernetes"
)

const kubeImage = "registry.example.com/team/app:1"

// A desktop program has no manifests, and nothing is written; a file that was
// edited by hand comes first, as in every command that would pass over one.
func TestKubeOfABlockedAppIsExit3(t *testing.T) {
	app := fixtures.Copy(t, "netfx-winforms")
	dir := filepath.Dir(app)
	for args, want := range map[string]int{
		"kube": exitBlocked, "kube -o k8s": exitBlocked, "kube --fail-on error": exitBlocked, "kube --os ltsc1999": exitUsage,
	} {
		stdout, stderr, code := winpack(t, dir, append(strings.Fields(args), "--image", kubeImage, "netfx-winforms")...)
		if code != want || stdout != "" || strings.Count(stderr, "winpack: ") != 1 {
			t.Errorf("%s: exit %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("something was written beside a blocked app: %v, %v", entries, err)
	}
	site := fixtures.Copy(t, "static")
	if _, stderr, code := winpack(t, dir, "kube", site, "--image", kubeImage, "--name", "netfx-winforms", "-o", "k8s"); code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	path := filepath.Join(dir, "k8s", "service.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		content, args string
		want          int
	}{
		{string(data), "-o k8s", exitBlocked},
		{string(data) + "# mine\n", "-o k8s", exitFailed},
		{string(data) + "# mine\n", "-o k8s --force", exitBlocked},
		{string(data) + "# mine\n", "", exitBlocked},
	} {
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := winpack(t, dir, append(strings.Fields(test.args), "kube", "netfx-winforms", "--image", kubeImage)...)
		if code != test.want || strings.Contains(stderr, "edited by hand") != (test.want == exitFailed) {
			t.Errorf("%q with an edited file: exit %d, want %d\n%s", test.args, code, test.want, stderr)
		}
		if got, _ := os.ReadFile(path); string(got) != test.content {
			t.Errorf("%q: the file was written over", test.args)
		}
	}
}

// --fail-on is 4, and the manifests are written.
func TestKubeWritesBeforeFailOn(t *testing.T) {
	app := fixtures.Copy(t, "demo")
	dir := filepath.Dir(app)
	stdout, stderr, code := winpack(t, dir, "kube", "demo", "--image", kubeImage, "--fail-on", "error")
	if code != exitFindings || !strings.Contains(stdout, "kind: Deployment") || !strings.Contains(stderr, "WP1301") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code := winpack(t, dir, "kube", "demo", "--image", kubeImage, "--fail-on", "warning", "-o", "k8s"); code != exitFindings {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "k8s", "deployment.yaml")); err != nil {
		t.Error(err)
	}
}

// What the command prints is what the API server's own validation takes.
func TestKubeOfEachAppIsTakenByTheServer(t *testing.T) {
	for _, name := range []string{"demo", "static", "aspnet-core", "native-service", "dotnet-console", "aspnet-35"} {
		out := filepath.Join(t.TempDir(), "k8s")
		if _, stderr, code := winpack(t, t.TempDir(), "kube", fixtures.App(t, name), "--image", kubeImage, "-o", out); code != exitDone {
			t.Fatalf("%s: exit %d\n%s", name, code, stderr)
		}
		files, err := filepath.Glob(filepath.Join(out, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %q, %v", name, files, err)
		}
		if complaints := kubernetes.Validate(t, files...); complaints != nil {
			t.Errorf("%s: %q", name, complaints)
		}
	}
}

func TestKubePrintsNoSecret(t *testing.T) {
	for _, name := range []string{"demo", "aspnet-core"} {
		stdout, stderr, code := winpack(t, t.TempDir(), "kube", fixtures.App(t, name), "--image", kubeImage, "-v")
		if code != exitDone || strings.Contains(strings.ToLower(stdout), "password=") || strings.Contains(stderr, "Password=") {
			t.Errorf("%s: exit %d\n%s%s", name, code, stdout, stderr)
		}
	}
}

func TestKubeInterruptedOrOnAFullDisk(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	app, out := fixtures.App(t, "static"), filepath.Join(t.TempDir(), "k8s")
	if code := run(ctx, []string{"kube", app, "--image", kubeImage, "-o", out}, env{null, null, func(string) string { return "" }}); code != exitInterrupted {
		t.Errorf("after an interrupt it ends with %d", code)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written after an interrupt")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: this system has no /dev/full")
	}
	defer full.Close()
	if code := run(t.Context(), []string{"kube", app, "--image", kubeImage}, env{full, null, func(string) string { return "" }}); code != exitFailed {
		t.Errorf("on a full disk it ends with %d", code)
	}
}

// A health check that Kubernetes does not run is not dropped without a word.
func TestKubeSaysThatItRunsNoHealthCheck(t *testing.T) {
	app := fixtures.Copy(t, "aspnet-core")
	for _, test := range []struct {
		toml string
		want bool
	}{{"", false}, {"[health-check]\ncmd = ['C:\\app\\x.exe', '-check']\n", true}, {"[health-check]\ncmd = 'none'\n", false}} {
		write(t, filepath.Join(app, "winpack.toml"), "ports = [8080]\n"+test.toml)
		stdout, stderr, code := winpack(t, "", "kube", app, "--image", kubeImage)
		if code != exitDone || strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(stdout, "#", "")), " "), "Kubernetes does not run the image's health check") != test.want {
			t.Errorf("%q: exit %d\n%s%s", test.toml, code, stdout, stderr)
		}
	}
}
