package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func TestBuiltReleasesStandInColumns(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	image := pipeline.Image{Image: build.Image{Digest: digest, Omitted: []dockerfile.Omitted{{OS: "ac23h2", Why: "not published"}}}}
	for _, r := range [][2]string{{"ltsc2019", "10.0.17763.9020"}, {"", "10.0.20348.5"}, {"ltsc2025", "10.0.26100.32522"}} {
		image.Releases = append(image.Releases, build.Release{OS: r[0], OSVersion: r[1], Digest: digest, Base: "registry.example.com/base:" + r[1]})
	}
	var out bytes.Buffer
	if err := printImage(&out, false, &pipeline.Build{}, pipeline.Result{Image: &image}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines[:3] {
		if at := strings.Index(line, "sha256:"); at != len("ltsc2025 10.0.26100.32522  ") {
			t.Errorf("the digest begins at column %d:\n%s", at, out.String())
		}
	}
	if at := strings.Index(lines[3], "left out"); at != len("ltsc2025 10.0.26100.32522  ") {
		t.Errorf("what is left out begins at column %d:\n%s", at, out.String())
	}
}

// How much was moved is said once, where the result is.
func TestBuildSaysWhatItMovedOnce(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	stdout, stderr, code := winpack(t, dir, append([]string{"build", fixtures.App(t, "static"), "-o", "type=oci,base=sparse,dest=image.tar", "--os", "ltsc2022"}, s.flags()...)...)
	if code != exitDone || !strings.Contains(stdout, "read from registries") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	if strings.Contains(stderr, "done") || strings.Contains(stderr, "registries") {
		t.Errorf("stderr says it too:\n%s", stderr)
	}
	info, err := os.Stat(filepath.Join(dir, "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"saved: image.tar (" + bytesText(info.Size()) + ")\n", " 0 B written to registries, in "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
}

// An OCI layout on disk, as a tar, as a folder, and without base layers.
func TestBuildSavesAnOCILayout(t *testing.T) {
	s := newSite(t)
	app := fixtures.App(t, "static")
	dir := t.TempDir()
	full, sparse, file := filepath.Join(dir, "full"), filepath.Join(dir, "sparse"), filepath.Join(dir, "image.tar")
	digest := s.build(t, app, "-o", "type=oci,tar=false,dest="+full, "-o", "type=oci,tar=false,base=sparse,dest="+sparse, "-o", "type=oci,dest="+file)
	for _, d := range []string{full, sparse} {
		path, err := layout.FromPath(d)
		if err != nil {
			t.Fatal(err)
		}
		index, err := path.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != digest {
			t.Errorf("%s holds %+v, %v; want %s", filepath.Base(d), manifest, err, digest)
		}
	}
	a, err := os.ReadDir(filepath.Join(full, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadDir(filepath.Join(sparse, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) >= len(a) {
		t.Errorf("base=sparse stores %d blobs, a full layout %d", len(b), len(a))
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the tar: %v, %v", info, err)
	}
}

// An image goes through stdout whole and alone: behind what a file has already, and
// what winpack says of it is on stderr.
func TestImageGoesThroughStdout(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no /dev/stdout")
	}
	s := newSite(t)
	app, dir := fixtures.App(t, "static"), t.TempDir()
	file := filepath.Join(dir, "image.tar")
	s.build(t, app, "-o", "type=oci,dest="+file)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", app, "-o", "type=oci,dest=/dev/stdout"}, s.flags()...)
	stdout, stderr, code := winpack(t, dir, args...)
	if code != exitDone || stdout != string(want) || !strings.Contains(stderr, "saved: /dev/stdout") {
		t.Errorf("exit %d, %d bytes of %d\n%s", code, len(stdout), len(want), stderr)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("before\n"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("winpack", append(args, "-q")...)
	cmd.Stdout = log
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(log.Name()); err != nil || string(got) != "before\n"+string(want) {
		t.Errorf("the file has %d bytes, want %d, %v", len(got), len(want)+7, err)
	}
}

// --dry-run resolves and writes nothing, and says what would be.
func TestDryRunWritesNothing(t *testing.T) {
	s := newSite(t)
	app := fixtures.App(t, "static")
	ref := s.host + "/apps/dry:1"
	would := s.build(t, app, "-t", ref, "--push", "--dry-run")
	tag, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(tag); err == nil {
		t.Error("--dry-run pushed")
	}
	if did := s.build(t, app, "-t", ref, "--push"); did != would {
		t.Errorf("--dry-run says %s, the build gives %s", would, did)
	}
}

// --pin names each base image by the digest that the registry has now.
func TestPinNamesTheDigest(t *testing.T) {
	s := newSite(t)
	stdout, stderr, code := winpack(t, t.TempDir(), append([]string{"dockerfile", "--stdout", "--pin", fixtures.App(t, "static")}, s.flags()...)...)
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	for _, release := range []string{"ltsc2022", "ltsc2025"} {
		version := osVersions(t, release)[0]
		digest, err := s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-"+release, version).Digest()
		if err != nil {
			t.Fatal(err)
		}
		if want := "windowsservercore-" + release + "@" + digest.String(); !strings.Contains(stdout, want) {
			t.Errorf("%s is not in\n%s", want, stdout)
		}
	}
}

// A registry that wants a login is exit 1, in one line that says how.
func TestRegistryThatRefusesIsExit1(t *testing.T) {
	s := newSite(t)
	proxy := registry.NewProxy(t, s.host)
	proxy.Inject(registry.Fault{Path: `^/v2/apps/`, Status: http.StatusUnauthorized, Challenge: `Basic realm="registry"`})
	_, stderr, code := winpack(t, t.TempDir(), append([]string{"build", "-q", fixtures.App(t, "static"), "-t", proxy.Host + "/apps/site:1", "--push"}, s.flags()...)...)
	if code != exitFailed || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "docker login") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// An interrupt while the registry keeps us waiting is 130, and leaves nothing.
func TestInterruptedBuildLeavesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: a process can't be sent an interrupt on Windows")
	}
	s := newSite(t)
	proxy := registry.NewProxy(t, s.host)
	proxy.Inject(registry.Fault{Method: http.MethodPost, Path: `/blobs/uploads/`, Delay: time.Minute})
	dir := t.TempDir()
	cmd := exec.Command("winpack", append([]string{"build", fixtures.App(t, "static"), "-t", proxy.Host + "/apps/site:1", "--push",
		"-o", "type=oci,dest=image.tar", "--iidfile", "id", "--metadata-file", "metadata.json"}, s.flags()...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waiting := func() bool {
		for _, r := range proxy.Requests() {
			if r.Method == http.MethodPost {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(20 * time.Second); !waiting() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.HasSuffix(stderr.String(), "winpack: interrupted; nothing was left half-written\n") {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// What only looks like winpack's own files is the app's.
func TestFilesThatLookLikeWinpacksAreInTheImage(t *testing.T) {
	s := newSite(t)
	app := fixtures.Copy(t, "static")
	ours := map[string]string{
		".winpack.json": `{"schema":"winpack/record/v1","app":".","context":".","files":{"start.cmd":"0000","index.html":"0000"}}`,
		"start.cmd":     "@echo off\r\nshop.exe\r\n", ".image.tar.old": "old", ".image.tar.123": "123",
	}
	for name, text := range ours {
		if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ref := s.host + "/apps/look:1"
	s.build(t, app, "-t", ref, "--push", "-o", "type=oci,dest="+filepath.Join(app, "image.tar"), "--os", "ltsc2022")
	base := s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0])
	files := addedFiles(t, image(t, ref), base)
	for name := range ours {
		if _, there := files["inetpub/wwwroot/"+name]; there == (name == ".winpack.json") {
			t.Errorf("%s is in the image: %v", name, there)
		}
	}
}

// What configures winpack is no part of the app, wherever it lies and whatever it is
// called.
func TestConfigurationInTheAppFolderIsNotInTheImage(t *testing.T) {
	s := newSite(t)
	for _, config := range []string{"winpack.toml", "other.toml"} {
		app := fixtures.Copy(t, "static")
		want := s.build(t, app, "--dry-run")
		for name, text := range map[string]string{config: "[catalog]\nfile = \"rows.toml\"\n", "rows.toml": "schema = \"winpack/catalog/v1\"\n"} {
			if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{app}
		if config != "winpack.toml" {
			args = append(args, "--config", filepath.Join(app, config))
		}
		if got := s.build(t, append(args, "--dry-run")...); got != want {
			t.Errorf("%s: the image is %s, without configuration %s", config, got, want)
		}
		_, stderr, code := winpack(t, filepath.Dir(app), append([]string{"dockerfile"}, args...)...)
		ignore, err := os.ReadFile(app + ".winpack/Dockerfile.dockerignore")
		if code != exitDone || err != nil || !strings.Contains(string(ignore), "\nstatic/rows.toml\n") || !strings.Contains(string(ignore), "\nstatic/"+config+"\n") {
			t.Errorf("%s: exit %d, %v\n%s%s", config, code, err, stderr, ignore)
		}
	}
}

// A release of the default that the registry lacks is named, whatever is printed else.
func TestReleaseThatIsLeftOutIsAlwaysNamed(t *testing.T) {
	s := newSite(t)
	app := fixtures.App(t, "static")
	tag, err := name.ParseReference(s.host+"/mcr/windows/servercore/iis:windowsservercore-ltsc2025", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Head(tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(tag.Context().Digest(desc.Digest.String())); err != nil {
		t.Fatal(err)
	}
	const left = "ltsc2025 is left out: pulling"
	for _, args := range []string{"dockerfile --pin --stdout", "dockerfile --pin --format json", "dockerfile --pin -q", "dockerfile --pin", "build -q --dry-run", "build --dry-run --progress plain"} {
		dir := t.TempDir()
		line := append(strings.Fields(args), app)
		if line[0] == "dockerfile" {
			line = append(line, "-o", dir)
		}
		stdout, stderr, code := winpack(t, dir, append(line, s.flags()...)...)
		if code != exitDone || strings.Count(stderr, left) != 1 {
			t.Errorf("%s: exit %d\n%s%s", args, code, stdout, stderr)
		}
		if strings.Contains(args, "--stdout") && !strings.Contains(stdout, "\n# "+left) {
			t.Errorf("the Dockerfile does not say it:\n%s", stdout)
		}
	}
}

// An image that is saved into the app's own folder is no part of the app.
func TestOutputsInTheAppFolderAreNotInTheImage(t *testing.T) {
	s := newSite(t)
	app := fixtures.Copy(t, "static")
	want := s.build(t, app, "-o", "type=oci,dest="+filepath.Join(t.TempDir(), "image.tar"))
	for range 2 {
		got := s.build(t, app, "-o", "type=oci,dest="+filepath.Join(app, "image.tar"), "-o", "type=oci,tar=false,dest="+filepath.Join(app, "img", "layout"),
			"--iidfile", filepath.Join(app, "id"), "--metadata-file", filepath.Join(app, "metadata.json"))
		if got != want {
			t.Errorf("saved into the app's folder the image is %s, elsewhere %s", got, want)
		}
	}
	_, stderr, code := winpack(t, app, append([]string{"build", "-o", "type=oci,tar=false,dest=."}, s.flags()...)...)
	if code != exitUsage || !strings.Contains(stderr, "would replace APP") {
		t.Errorf("an image in the place of APP: exit %d\n%s", code, stderr)
	}
}
