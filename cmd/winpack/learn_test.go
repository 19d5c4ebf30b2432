package main

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/winpack/winpack/cmd/winpack/internal/images"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/fixtures/winbin"
)

// learnSite is a registry with stand-ins that hold DLLs, and an empty cache.
func learnSite(t *testing.T, ids ...string) (flags []string, cache string) {
	t.Helper()
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", standin.Options{Contents: true}, ids...); err != nil {
		t.Fatal(err)
	}
	cache = t.TempDir()
	return []string{"--mirror", "mcr.microsoft.com=" + host + "/mcr", "--insecure-registry", host, "--cache", cache}, cache
}

func writeBinary(t *testing.T, file string, b interface{ Bytes() ([]byte, error) }) {
	t.Helper()
	data, err := b.Bytes()
	if err == nil {
		err = os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func detectJSON(t *testing.T, dir string, args ...string) report.Report {
	t.Helper()
	stdout, stderr, code := winpack(t, dir, append([]string{"detect", ".", "--format", "json"}, args...)...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := schema.Compile(t, report.Schema).Validate(t, []byte(stdout)); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	nanoImage = "mcr.microsoft.com/windows/nanoserver:ltsc2022"
	coreImage = "mcr.microsoft.com/windows/servercore:ltsc2022"
)

// An app that imports a DLL which no list knows: the base is proven by what the images
// hold, over a real registry.
func TestLearnedImagesDecideTheBaseOfAnApp(t *testing.T) {
	flags, cache := learnSite(t, "nanoserver", "servercore")
	app := t.TempDir()
	writeBinary(t, filepath.Join(app, "shop.exe"), winbin.Native{Imports: []string{"kernel32.dll!Sleep", "contoso.dll!ContosoOpen", "fabrikam.dll!f"}})
	providers := func(r report.Report) string {
		var out []string
		for _, m := range r.Closure.Modules {
			out = append(out, m.Name+" "+string(m.Provider))
		}
		return strings.Join(out, ", ")
	}
	before := detectJSON(t, app, "--closure", "--os", "ltsc2022", "--cache", cache)
	if got := providers(before); got != "contoso.dll unknown, fabrikam.dll unknown, kernel32.dll base" || len(before.Base.Learned) > 0 {
		t.Errorf("before: %s, %v", got, before.Base.Learned)
	}
	for _, ref := range []string{nanoImage, coreImage} {
		stdout, stderr, code := winpack(t, app, append([]string{"images", "learn", ref}, flags...)...)
		if code != exitDone || !strings.Contains(stdout, "learned "+ref+"@sha256:") || !strings.Contains(stdout, " DLLs") || !strings.Contains(stdout, cache) {
			t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
		}
	}
	after := detectJSON(t, app, "--closure", "--os", "ltsc2022", "--cache", cache)
	if got := providers(after); got != "contoso.dll base, fabrikam.dll nowhere, kernel32.dll base" {
		t.Errorf("after: %s", got)
	}
	if len(after.Base.Learned) != 2 || after.Base.Learned[1].Reference != coreImage || !strings.HasPrefix(after.Base.Learned[1].Digest, "sha256:") {
		t.Errorf("the report names %v", after.Base.Learned)
	}
	has := map[string]bool{}
	for _, f := range after.Findings {
		has[f.Rule] = true
	}
	if !has["WP1417"] || has["WP1407"] || after.Base.Family != "servercore" {
		t.Errorf("findings %v, base %s", has, after.Base.Family)
	}
	text, _, _ := winpack(t, app, "detect", ".", "--os", "ltsc2022", "--cache", cache)
	if !strings.Contains(text, coreImage+"@sha256:") {
		t.Errorf("the text does not name the learned image:\n%s", text)
	}
	again, _, _ := winpack(t, app, "detect", ".", "--os", "ltsc2022", "--cache", cache)
	if again != text {
		t.Error("an unchanged cache gives other bytes")
	}
	stdout, stderr, code := winpack(t, app, "images", "nanoserver", "--format", "json", "--cache", cache)
	if code != exitDone || !strings.Contains(stdout, `"learned": [`) {
		t.Errorf("exit %d, images does not list what was learned: %s", code, stderr)
	}
	if err := schema.Compile(t, images.Schema).Validate(t, []byte(stdout)); err != nil {
		t.Error(err)
	}
	if stdout, _, _ = winpack(t, app, "images", "--cache", cache); !strings.Contains(stdout, "Learned: ") || !strings.Contains(stdout, coreImage) {
		t.Errorf("images does not list what was learned:\n%s", stdout)
	}
}

// The direct builder repeats the descriptors that the base really has.
func TestDirectWritesFoldersWithTheirLearnedAccessLists(t *testing.T) {
	flags, cache := learnSite(t, "iis")
	app := fixtures.App(t, "static")
	descriptor := func() string {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		_, stderr, code := winpack(t, dir, append([]string{"build", app, "--os", "ltsc2022", "--builder", "direct", "-o", "type=oci,tar=false,base=sparse,dest=" + out}, flags...)...)
		if code != exitDone {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		p, err := layout.FromPath(out)
		if err != nil {
			t.Fatal(err)
		}
		idx, err := p.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		return folderDescriptor(t, idx, "Files/inetpub/wwwroot")
	}
	before := descriptor()
	if _, stderr, code := winpack(t, t.TempDir(), append([]string{"images", "learn", "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", "-q"}, flags...)...); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	after := descriptor()
	if before == after || after == "" || after != descriptor() {
		t.Errorf("before %s, after %s", before, after)
	}
	if want := standin.InetpubDescriptor; after != want {
		t.Errorf("the web root has %s, its base %s", after, want)
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	if descriptor() != before {
		t.Error("without what was learned the layer is another one than before")
	}
}

func TestImagesLearnRefusesWhatItCannotDo(t *testing.T) {
	for name, args := range map[string][]string{
		"no REF":             {"images", "learn"},
		"two":                {"images", "learn", "a:1", "b:1"},
		"no reference":       {"images", "learn", "http://x/y"},
		"an empty cache":     {"images", "learn", "x:1", "--cache", ""},
		"a filter":           {"images", "learn", "x:1", "--family", "server"},
		"a mirror of no use": {"images", "--mirror", "a=b"},
		"an unknown release": {"images", "learn", "x:1", "--os", "ltsc1999"},
		"no layout":          {"images", "learn", "oci:"},
	} {
		if _, stderr, code := winpack(t, t.TempDir(), args...); code != exitUsage {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
	if _, stderr, code := winpack(t, t.TempDir(), "images", "learn", "oci:nowhere", "--cache", t.TempDir()); code != exitFailed || !strings.Contains(stderr, "OCI layout") {
		t.Errorf("a layout that is not there: exit %d: %s", code, stderr)
	}
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "learned"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "learned", "sha256-"+strings.Repeat("0", 64)+".json.gz"), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := winpack(t, fixtures.App(t, "static"), "detect", ".", "--cache", cache); code != exitFailed || !strings.Contains(stderr, "delete it") {
		t.Errorf("a broken cache: exit %d: %s", code, stderr)
	}
}

// folderDescriptor is the descriptor that the uppermost layer has for a folder.
func folderDescriptor(t *testing.T, idx v1.ImageIndex, name string) string {
	t.Helper()
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.MediaType.IsIndex() {
			child, err := idx.ImageIndex(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return folderDescriptor(t, child, name)
		}
		img, err := idx.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		r, err := layers[len(layers)-1].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err == io.EOF {
				return ""
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSuffix(h.Name, "/") == name {
				return h.PAXRecords["MSWINDOWS.rawsd"]
			}
		}
	}
	return ""
}
