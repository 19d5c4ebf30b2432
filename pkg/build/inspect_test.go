package build

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// A reference that says nothing of Windows is told as it is, never taken for an
// image that could run.
func TestInspectNamesWhatIsNoWindowsImage(t *testing.T) {
	host := registry.Start(t)
	linux, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, host+"/tools/linux:1"), linux); err != nil {
		t.Fatal(err)
	}
	got, err := Inspect(t.Context(), Registry{}, host+"/tools/linux:1")
	if err != nil || len(got.Images) != 0 || strings.Join(got.Others, " ") != "linux/arm64" {
		t.Errorf("a Linux image: %+v, %v", got, err)
	}
	var missing *RegistryError
	if _, err := Inspect(t.Context(), Registry{}, host+"/tools/none:1"); !errors.As(err, &missing) || missing.Status != 404 {
		t.Errorf("a missing image: %v", err)
	}
	var auth *AuthError
	if _, err := Inspect(t.Context(), Registry{}, registry.StartAuth(t)+"/tools/linux:1"); !errors.As(err, &auth) || !strings.Contains(err.Error(), "docker login") {
		t.Errorf("a registry that asks for a login: %v", err)
	}
	if _, err := Inspect(t.Context(), Registry{}, "no reference"); err == nil {
		t.Error("a reference that is none is read")
	}
}

func TestInspectReadsEachWindowsImageOfAnIndex(t *testing.T) {
	host := bases(t, standin.Options{})
	pushed := mustBuild(t, direct(host), request(host))
	for what, reg := range map[string]Registry{
		"the registry": {},
		"its mirror":   {Mirrors: map[string]string{"registry.example.com": host}},
	} {
		ref := host + "/team/shop:1"
		if reg.Mirrors != nil {
			ref = "registry.example.com/team/shop:1"
		}
		got, err := Inspect(t.Context(), reg, ref)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got.Repository != strings.TrimSuffix(ref, ":1") || len(got.Images) != len(pushed.Releases) {
			t.Fatalf("%s: %+v", what, got)
		}
		for i, r := range pushed.Releases {
			img := got.Images[i]
			if img.Digest != r.Digest || img.OSVersion != r.OSVersion {
				t.Errorf("%s: image %d is %s %s, want %s %s", what, i, img.OSVersion, img.Digest, r.OSVersion, r.Digest)
			}
			if _, ok := img.Config.ExposedPorts["80/tcp"]; !ok {
				t.Errorf("%s: image %d exposes %v", what, i, img.Config.ExposedPorts)
			}
		}
	}
	mirror := Registry{Mirrors: map[string]string{"registry.example.com": host}}
	if _, err := Inspect(t.Context(), mirror, "registry.example.com/team/none:1"); err == nil || !strings.Contains(err.Error(), "mirror has no such image") {
		t.Errorf("what a mirror lacks: %v", err)
	}
	one, err := Inspect(t.Context(), Registry{}, host+"/team/shop@"+pushed.Releases[1].Digest)
	if err != nil || len(one.Images) != 1 || one.Images[0].OSVersion != pushed.Releases[1].OSVersion {
		t.Errorf("one image by its digest: %+v, %v", one, err)
	}
}
