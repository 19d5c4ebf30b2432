package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func pushIndex(t *testing.T, ref string, versions ...string) {
	t.Helper()
	im, err := standin.Lookup("nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	idx, err := standin.NewIndex(im, versions, standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parse(t, ref), idx); err != nil {
		t.Fatal(err)
	}
}

func resolveOneBase(t *testing.T, ref, version string) (dockerfile.Base, error) {
	t.Helper()
	got, _, err := Resolve(t.Context(), direct("127.0.0.1:1").Registry, []dockerfile.Base{{Reference: ref, OSVersion: version}}, false)
	if err != nil {
		return dockerfile.Base{}, err
	}
	return got[0], nil
}

func TestBaseIsTheNewestRevisionOfTheBuildComparedAsNumbers(t *testing.T) {
	ref := registry.Start(t) + "/nano:x"
	pushIndex(t, ref, "10.0.17763.9376", "10.0.20348.999", "10.0.20348.5761", "10.0.20348.1000", "10.0.26100.33650", "10.0.2034.9999")
	for want, got := range map[string]string{"10.0.20348": "10.0.20348.5761", "10.0.20348.999": "10.0.20348.999", "10.0.26100": "10.0.26100.33650"} {
		b, err := resolveOneBase(t, ref, want)
		if err != nil || b.OSVersion != got || !strings.HasPrefix(b.Digest, "sha256:") {
			t.Errorf("%s: %+v, %v", want, b, err)
		}
		if err != nil {
			continue
		}
		img, err := remote.Image(parse(t, ref).Context().Digest(b.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if cfg, err := img.ConfigFile(); err != nil || cfg.OSVersion != got {
			t.Errorf("%s: the digest is of %v, %v", want, cfg, err)
		}
	}
	for want, message := range map[string]string{
		"10.0.14393": "no windows/amd64 image of build 10.0.14393",
		"":           "several Windows releases",
	} {
		if _, err := resolveOneBase(t, ref, want); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestBaseWithoutRevisionIsRefused(t *testing.T) {
	host := registry.Start(t)
	for _, version := range []string{"", "10.0.20348", "10.0.20348.x"} {
		im, err := standin.Lookup("nanoserver")
		if err != nil {
			t.Fatal(err)
		}
		img, err := standin.New(im, version, standin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := fmt.Sprintf("%s/nano:v%d", host, len(version))
		if err := remote.Write(parse(t, ref), img); err != nil {
			t.Fatal(err)
		}
		if _, err := resolveOneBase(t, ref, "10.0.20348"); err == nil || !strings.Contains(err.Error(), "os.version") {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestArm64AndLinuxAreNeverTaken(t *testing.T) {
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", standin.Options{}, "nanoserver"); err != nil {
		t.Fatal(err)
	}
	b, err := resolveOneBase(t, host+"/mcr/windows/nanoserver:ltsc2025", "10.0.26100")
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parse(t, host+"/mcr/windows/nanoserver@"+b.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err := img.ConfigFile(); err != nil || cfg.Architecture != "amd64" {
		t.Errorf("took %v, %v", cfg, err)
	}
	linux, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, host+"/linux:1"), linux); err != nil {
		t.Fatal(err)
	}
	if _, err := resolveOneBase(t, host+"/linux:1", ""); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("linux: %v", err)
	}
}

func TestForeignBaseLayerIsNamedAndNeverUploaded(t *testing.T) {
	host := bases(t, standin.Options{Foreign: true})
	to := registry.NewProxy(t, registry.Start(t))
	mustBuild(t, direct(host), request(to.Host))
	idx, err := remote.Index(parse(t, to.Host+"/team/shop:1"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	foreign := manifest.Layers[0]
	if foreign.MediaType != types.OCIRestrictedLayer || len(foreign.URLs) != 1 {
		t.Errorf("foreign layer became %+v", foreign)
	}
	for _, r := range to.Requests() {
		if strings.Contains(r.Path+r.Query, foreign.Digest.Hex) {
			t.Errorf("asked for the foreign layer: %s", r)
		}
	}
}

func TestMirrorTakesTheHostsPlace(t *testing.T) {
	reg := Registry{
		Mirrors:  map[string]string{"mcr.microsoft.com": "mirror.example.com:5000/mcr/", "docker.io": "mirror.example.com"},
		Insecure: []string{"mirror.example.com:5000"},
	}
	digest := "@sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"mcr.microsoft.com/windows/nanoserver:ltsc2022": "mirror.example.com:5000/mcr/windows/nanoserver:ltsc2022",
		"mcr.microsoft.com/windows/nanoserver" + digest: "mirror.example.com:5000/mcr/windows/nanoserver" + digest,
		"python:3":                      "mirror.example.com/library/python:3",
		"registry.example.com/team/a:1": "registry.example.com/team/a:1",
	} {
		ref, err := reg.pullReference(in)
		if err != nil || ref.Name() != want {
			t.Errorf("%s: %v, %v, want %s", in, ref, err, want)
		} else if insecure := ref.Context().Scheme() == "http"; insecure != strings.Contains(want, ":5000") {
			t.Errorf("%s: plain http is %v", in, insecure)
		}
	}
}

func TestEndedContextStopsThePushAndLeavesNothing(t *testing.T) {
	from := bases(t, standin.Options{})
	to := registry.NewProxy(t, registry.Start(t))
	to.Inject(registry.Fault{Method: "PATCH", Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(to.Requests()) < 4 || len(buildGoroutines()) == 0 { // the check sees them while they run
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	_, err := direct(from).Build(ctx, request(to.Host))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	// The registry and the proxy of this process have goroutines of their own, so
	// those of the build are told by what they run.
	for i := 0; ; i++ {
		left := buildGoroutines()
		if len(left) == 0 {
			break
		}
		if i == 200 {
			t.Fatalf("%d goroutines of the build go on:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := remote.Head(parse(t, to.Host+"/team/shop:1")); err == nil {
		t.Error("a tag was pushed")
	}
}

// buildGoroutines are the stacks of goroutines that a build started.
func buildGoroutines() []string {
	buf := make([]byte, 1<<20)
	var out []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		ours := strings.Contains(stack, "winpack/pkg/build.(") || strings.Contains(stack, "winlayer.") || strings.Contains(stack, "pgzip.")
		if ours && !strings.Contains(stack, "testing.tRunner") {
			out = append(out, stack)
		}
	}
	return out
}

func TestFullDiskLeavesNothing(t *testing.T) {
	host := bases(t, standin.Options{})
	dir := smallDisk(t, 1<<20)
	for _, tar := range []bool{true, false} {
		req := request(host)
		req.Push = false
		req.Outputs = []Output{{Type: "oci", Dest: filepath.Join(dir, "image"), Tar: tar}}
		_, err := direct(host).Build(t.Context(), req)
		if err == nil || !strings.Contains(err.Error(), "no space left") || strings.Contains(err.Error(), "\n") {
			t.Errorf("tar %v: %v", tar, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("tar %v left behind %v", tar, left)
		}
	}
}

func TestLayoutNeverReplacesAFolderOfOtherThings(t *testing.T) {
	host := bases(t, standin.Options{})
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious.txt")
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	req := request(host)
	req.Push, req.Outputs = false, []Output{{Type: "oci", Dest: dir}}
	if _, err := direct(host).Build(t.Context(), req); err == nil {
		t.Error("replaced it")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	req.Outputs[0].Dest = filepath.Join(dir, "image")
	for range 2 { // a layout may be replaced by a newer one
		mustBuild(t, direct(host), req)
	}
}
