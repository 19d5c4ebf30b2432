package build_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect/learned"
	"github.com/winpack/winpack/pkg/dockerfile"
)

const (
	nanoRef = "mcr.microsoft.com/windows/nanoserver:ltsc2022"
	iisRef  = "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022"
)

// learnFrom learns a reference of the stand-ins that a registry holds.
func learnFrom(t *testing.T, host, ref, family string) (*learned.Contents, int64, error) {
	t.Helper()
	reg := build.Registry{Mirrors: map[string]string{"mcr.microsoft.com": host + "/mcr"}, Insecure: []string{host}}
	return build.Learn(t.Context(), reg, dockerfile.Base{Reference: ref}, family, nil)
}

func TestLearnReadsWhatTheLayersOfABaseTogetherHold(t *testing.T) {
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", standin.Options{Contents: true}, "nanoserver", "iis"); err != nil {
		t.Fatal(err)
	}
	nano, read, err := learnFrom(t, host, nanoRef, "nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	core, _, err := learnFrom(t, host, iisRef, "servercore")
	if err != nil {
		t.Fatal(err)
	}
	if read == 0 || nano.Digest == "" || nano.OSVersion != "10.0.20348.2966" && !strings.HasPrefix(nano.OSVersion, "10.0.20348.") || nano.Reference != nanoRef || nano.Family != "nanoserver" {
		t.Errorf("%d bytes, %+v", read, nano.Header)
	}
	exports := func(c *learned.Contents, dll, function string) string {
		f, at := c.DLL(dll, false)
		if f == nil {
			return "no file"
		}
		has, known := f.Exports(function)
		if !known {
			return "unknown"
		}
		return map[bool]string{true: "has", false: "lacks"}[has] + " " + at
	}
	for _, c := range []struct {
		of            *learned.Contents
		dll, function string
		want          string
		what          string
	}{
		{nano, "KERNEL32.dll", "Sleep", "has Windows/System32/kernel32.dll", "a hard link into the component store"},
		{nano, "kernel32.dll", "GetNumaProcessorNode", "lacks Windows/System32/kernel32.dll", "a function that only Server Core has"},
		{core, "kernel32.dll", "GetNumaProcessorNode", "has Windows/System32/kernel32.dll", "the same on Server Core"},
		{nano, "contoso.dll", "ContosoOpen", "no file", "a DLL that only Server Core has"},
		{core, "contoso.dll", "ContosoOpen", "has Windows/System32/contoso.dll", "the same on Server Core"},
		{core, "deleted.dll", "Gone", "no file", "a file that the second layer deletes"},
		{core, "updated.dll", "Gone", "lacks Windows/System32/updated.dll", "a file that the second layer replaces"},
		{core, "updated.dll", "New", "has Windows/System32/updated.dll", "what it replaces it with"},
		{core, "ntdll.dll", "anything", "unknown", "a file that is no binary"},
		{core, `..\System32\kernel32.dll`, "Sleep", "no file", "a path"},
	} {
		if got := exports(c.of, c.dll, c.function); got != c.want {
			t.Errorf("%s: %s!%s: %s, want %s", c.what, c.dll, c.function, got, c.want)
		}
	}
	if f, _ := core.DLL("updated.dll", false); f.Version != core.OSVersion {
		t.Errorf("the version of an updated file is %q, not %q", f.Version, core.OSVersion)
	}
	if f, at := core.DLL("kernel32.dll", true); f != nil {
		t.Errorf("a 32-bit process finds %s", at)
	}
	if core.Folder("Windows/WinSxS") != nil || core.Folder("Hives") != nil {
		t.Error("the component store or the hives are kept")
	}
	if at := core.Assembly("contoso.shared", "A1B2C3D4E5F60718"); !strings.HasSuffix(at, "/Contoso.Shared.dll") || core.Assembly("Contoso.Shared", "b77a5c561934e089") != "" || nano.Assembly("Contoso.Shared", "a1b2c3d4e5f60718") != "" {
		t.Errorf("the assembly of the global cache is %q", at)
	}
	if f := core.Folder("INETPUB/wwwroot"); f == nil || f.Path != "inetpub/wwwroot" || f.Descriptor == "" {
		t.Errorf("the web root is %+v", f)
	}
	again, _, err := learnFrom(t, host, iisRef, "servercore")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := saved(t, core), saved(t, again); a != b {
		t.Error("the same image gives other bytes")
	}
}

func saved(t *testing.T, c *learned.Contents) string {
	t.Helper()
	file, size, err := c.Save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || int64(len(data)) != size {
		t.Fatalf("%d bytes, %d said; %v", len(data), size, err)
	}
	return string(data)
}

func TestLearnReadsALocalLayout(t *testing.T) {
	dir := t.TempDir()
	im, err := standin.Lookup("servercore")
	if err != nil {
		t.Fatal(err)
	}
	img, err := standin.New(im, "10.0.20348.2966", standin.Options{Contents: true, OCI: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	c, read, err := build.Learn(t.Context(), build.Registry{}, dockerfile.Base{Reference: "oci:" + dir}, "servercore", nil)
	if err != nil || read != 0 {
		t.Fatal(read, err)
	}
	if f, _ := c.DLL("contoso.dll", false); f == nil {
		t.Error("the layout's DLLs are not learned")
	}
	// A layer that is not what its digest says is not learned from.
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "blobs", "sha256", m.Layers[1].Digest.Hex)
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, append(data, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := build.Learn(t.Context(), build.Registry{}, dockerfile.Base{Reference: "oci:" + dir}, "servercore", nil); err == nil || !strings.Contains(err.Error(), m.Layers[1].Digest.Hex) {
		t.Errorf("a damaged layer is learned from: %v", err)
	}
}

func TestLearnSaysWhereAForeignLayerWasLookedFor(t *testing.T) {
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", standin.Options{Foreign: true}, "nanoserver"); err != nil {
		t.Fatal(err)
	}
	_, _, err := learnFrom(t, host, nanoRef, "nanoserver")
	if err == nil || !strings.Contains(err.Error(), "layer 1 of 2") || !strings.Contains(err.Error(), "https://registry.example.com/v2/windows/nanoserver/blobs/") {
		t.Errorf("got %v", err)
	}
}

func TestLearnRefusesAnImageOfAnotherSystemAndOneThatIsNotThere(t *testing.T) {
	host := registry.Start(t)
	if _, _, err := learnFrom(t, host, nanoRef, "nanoserver"); err == nil || !strings.Contains(err.Error(), nanoRef) {
		t.Errorf("got %v", err)
	}
}
