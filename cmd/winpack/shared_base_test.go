package main

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

// A base is often one tag for all releases, an index of several os.versions: each
// release is built on its own, and no layer of any passes through here.
func TestBaseThatIsAnIndexOfThreeReleases(t *testing.T) {
	host := registry.Start(t)
	releases := []string{"ltsc2019", "ltsc2022", "ltsc2025"}
	versions := osVersions(t, releases...)
	row, err := standin.Lookup("nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	index, err := standin.NewIndex(row, versions, standin.Options{LayerSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(host+"/mcr/windows/nanoserver:all", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	proxy := registry.NewProxy(t, host)
	s := site{proxy.Host}
	app := fixtures.App(t, "native-web")
	ref := s.host + "/apps/three:1"
	const base = "mcr.microsoft.com/windows/nanoserver:all"
	digest := s.build(t, app, "-t", ref, "--push", "--base", base, "--os", strings.Join(releases, ","))
	up, down := proxy.BlobBytes()
	images := s.pull(t, ref)
	for _, version := range versions {
		img := images[version]
		if img == nil {
			t.Errorf("there is no image for Windows %s", version)
			continue
		}
		below := s.base(t, base, version)
		for _, p := range layercheck.CheckImage(img, below) {
			t.Errorf("Windows %s: %v", version, p)
		}
		files := addedFiles(t, img, below)
		if wrong := missing(t, app, "app/", files); len(wrong) > 0 {
			t.Errorf("Windows %s: missing in the image, or with other bytes: %q", version, wrong)
		}
		size := int64(50_000) // configurations, and the headers of the layer
		for _, data := range files {
			size += int64(len(data))
		}
		if up > size || down > 50_000 {
			t.Errorf("%d bytes of blobs went up and %d down, of an app of %d", up, down, size)
		}
	}
	if len(images) != len(releases) {
		t.Errorf("the index has %d images, want %d", len(images), len(releases))
	}
	skopeoPulls(t, ref, digest)
}
