package layercheck

import (
	"bytes"
	"io"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func tarLayer(t *testing.T, content []byte) v1.Layer {
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func image(t *testing.T, base v1.Image, change func(*v1.ConfigFile), adds ...mutate.Addendum) v1.Image {
	img, err := mutate.Append(base, adds...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "windows", "amd64"
	if config.OSVersion == "" {
		config.OSVersion = "10.0.20348.2966"
	}
	if change != nil {
		change(config)
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// remade is an image whose manifest was changed by hand.
type remade struct {
	v1.Image
	manifest *v1.Manifest
}

func (r remade) Manifest() (*v1.Manifest, error) { return r.manifest, nil }

func withManifest(t *testing.T, img v1.Image, change func(*v1.Manifest)) v1.Image {
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	change(m)
	return remade{img, m}
}

func TestEachImageRuleFlagsExactlyItsBadImage(t *testing.T) {
	add := mutate.Addendum{Layer: tarLayer(t, pack(t, good(t)...)), History: v1.History{CreatedBy: "winpack"}}
	base := image(t, empty.Image, func(c *v1.ConfigFile) {
		c.Config.Cmd, c.Config.ArgsEscaped = []string{"cmd.exe"}, true
	}, mutate.Addendum{Layer: tarLayer(t, pack(t, good(t, header(t, "Files/base", true))...)), History: v1.History{CreatedBy: "base"}})
	clean := func(c *v1.ConfigFile) {
		c.Config.Entrypoint, c.Config.Cmd, c.Config.ArgsEscaped = []string{`C:\app\a.exe`}, nil, false
	}
	ok := image(t, base, clean, add)
	for _, p := range append(CheckImage(ok, base), CheckImage(ok, nil)...) {
		t.Errorf("a good image is flagged: %s", p)
	}
	for _, p := range CheckImage(image(t, base, nil, add), base) {
		t.Errorf("a command kept with its entrypoint is flagged: %s", p)
	}
	changed := func(change func(*v1.ConfigFile)) v1.Image {
		return image(t, base, func(c *v1.ConfigFile) { clean(c); change(c) }, add)
	}
	foreign := mutate.Addendum{Layer: static.NewLayer([]byte("far away"), types.DockerForeignLayer), History: v1.History{CreatedBy: "base"}}
	for _, c := range []struct {
		rule Rule
		what string
		img  v1.Image
		base v1.Image
	}{
		{NotWindows, "linux", changed(func(c *v1.ConfigFile) { c.OS = "linux" }), base},
		{BadOSVersion, "missing", changed(func(c *v1.ConfigFile) { c.OSVersion = "" }), base},
		{BadOSVersion, "no revision", changed(func(c *v1.ConfigFile) { c.OSVersion = "10.0.20348" }), base},
		{BadOSVersion, "another", changed(func(c *v1.ConfigFile) { c.OSVersion = "10.0.20348.1" }), base},
		{CmdLeft, "", changed(func(c *v1.ConfigFile) { c.Config.Cmd = []string{"cmd.exe"} }), base},
		{ArgsEscapedLeft, "", changed(func(c *v1.ConfigFile) { c.Config.ArgsEscaped = true }), base},
		{HistoryCount, "one less", changed(func(c *v1.ConfigFile) { c.History = c.History[:1] }), base},
		{HistoryCount, "marked empty", changed(func(c *v1.ConfigFile) { c.History[1].EmptyLayer = true }), base},
		{DiffIDCount, "one more", changed(func(c *v1.ConfigFile) { c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0]) }), base},
		{WrongDiffID, "", changed(func(c *v1.ConfigFile) { c.RootFS.DiffIDs[1] = c.RootFS.DiffIDs[0] }), base},
		{BaseLayersGone, "", image(t, empty.Image, clean, add), base},
		{WrongDigest, "", withManifest(t, ok, func(m *v1.Manifest) { m.Layers[1].Digest = m.Layers[0].Digest }), base},
		{MediaType, "tar", withManifest(t, ok, func(m *v1.Manifest) { m.Layers[1].MediaType = types.OCIUncompressedLayer }), base},
		{MediaType, "zstd", withManifest(t, ok, func(m *v1.Manifest) { m.Layers[1].MediaType = types.OCILayerZStd }), base},
		{ForeignNoURLs, "", image(t, empty.Image, nil, foreign), nil},
		{Outside, "a layer's own problem", image(t, base, clean, mutate.Addendum{
			Layer: tarLayer(t, pack(t, good(t, header(t, "app", true))...)), History: v1.History{CreatedBy: "COPY --link"}}), base},
	} {
		if got := rules(CheckImage(c.img, c.base)); !slices.Equal(got, []Rule{c.rule}) {
			t.Errorf("%s (%s): flagged as %q", c.rule, c.what, got)
		}
	}
	foreign.URLs = []string{"https://registry.example.com/layer"}
	for _, p := range CheckImage(image(t, empty.Image, nil, foreign), nil) {
		t.Errorf("a foreign layer with its URL is flagged: %s", p)
	}
}
