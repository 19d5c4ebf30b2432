package main

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/fixtures/standin"
)

// The upstream is a second local registry, in the place of Microsoft's.
func startDemoRegistries(t *testing.T) (*demoRegistry, string) {
	t.Helper()
	upstream := httptest.NewServer(newRegistry(nil))
	t.Cleanup(upstream.Close)
	host := strings.TrimPrefix(upstream.URL, "http://")
	if err := standin.Push(context.Background(), host, standin.Options{}, "netfx-aspnet-4.8.1"); err != nil {
		t.Fatal(err)
	}
	reg := newRegistry(&upstreamRegistry{base: upstream.URL, prefix: "mcr/"})
	front := httptest.NewServer(reg)
	t.Cleanup(front.Close)
	return reg, strings.TrimPrefix(front.URL, "http://")
}

func pull(t *testing.T, host, tag string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(host+"/mcr/dotnet/framework/aspnet:"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	if desc.MediaType.IsIndex() {
		idx, err := desc.ImageIndex()
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
		return img
	}
	img, err := desc.Image()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

const demoTag = "4.8.1-windowsservercore-ltsc2022"

func TestPullThroughMovesNoBaseLayerOnPush(t *testing.T) {
	reg, host := startDemoRegistries(t)
	base := pull(t, host, demoTag)
	if _, err := base.ConfigFile(); err != nil {
		t.Fatal(err)
	}
	config := reg.blobBytes()
	if config == 0 || reg.layerBytes() != 0 {
		t.Fatalf("of a config %d bytes moved, of layers %d", config, reg.layerBytes())
	}
	target, err := name.ParseReference(host+"/demo/shop:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(target, base); err != nil {
		t.Fatal(err)
	}
	if moved := reg.blobBytes() - config; moved != 0 {
		t.Errorf("%d bytes of base blobs moved on a push to the same registry", moved)
	}
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, rc)
	rc.Close()
	if size, _ := layers[0].Size(); err != nil || n != size {
		t.Errorf("a layer that a client asks for: %d of %d bytes, %v", n, size, err)
	}
	if reg.layerBytes() != n || reg.blobBytes() != config+n {
		t.Error("the counter missed a layer that was fetched")
	}
}

func TestPullThroughNamesWhatUpstreamLacks(t *testing.T) {
	_, host := startDemoRegistries(t)
	ref, err := name.ParseReference(host+"/mcr/dotnet/framework/aspnet:nope", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Get(ref)
	if err == nil || !strings.Contains(err.Error(), string("MANIFEST_UNKNOWN")) {
		t.Errorf("got %v, want MANIFEST_UNKNOWN", err)
	}
}

func TestOwnImagesAreNotAskedForUpstream(t *testing.T) {
	_, host := startDemoRegistries(t)
	ref, err := name.ParseReference(host+"/demo/own:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	im, err := standin.Lookup("nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	version, err := standin.OSVersion("ltsc2022")
	if err != nil {
		t.Fatal(err)
	}
	img, err := standin.New(im, version, standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "windows", Architecture: "amd64"}))
	if err != nil {
		t.Fatal(err)
	}
	if mt, err := got.MediaType(); err != nil || mt == types.OCIImageIndex {
		t.Errorf("media type %s, %v", mt, err)
	}
}

func TestNobodyAnsweringIsFoundOutInTime(t *testing.T) {
	if answers(context.Background(), "http://127.0.0.1:1", time.Second) {
		t.Error("a closed port answers")
	}
	srv := httptest.NewServer(newRegistry(nil))
	defer srv.Close()
	if !answers(context.Background(), srv.URL, time.Second) {
		t.Error("a registry does not answer")
	}
}
