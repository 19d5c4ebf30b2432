package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/checked"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build/layercheck"
	"github.com/winpack/winpack/pkg/dockerfile"
)

var when = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func shopFiles() fstest.MapFS {
	big := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(big) // does not compress
	return fstest.MapFS{
		"Web.config":      {Data: []byte("<configuration/>"), ModTime: when},
		"bin/Shop.dll":    {Data: big, ModTime: when.Add(-time.Hour)},
		"Views/index.htm": {Data: []byte("hello"), ModTime: when},
	}
}

const aspnet = "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-"

func shopPlan(releases ...string) dockerfile.Plan {
	builds := map[string]string{"ltsc2022": "10.0.20348", "ltsc2025": "10.0.26100"}
	plan := dockerfile.Plan{
		Name: "shop",
		Steps: []dockerfile.Step{
			{Kind: dockerfile.StepCopy, From: ".", To: `C:\app`},
			{Kind: dockerfile.StepGrant, To: `C:\app\App_Data`, Trustee: dockerfile.Trustee{Name: "Users", SID: "S-1-5-32-545"}},
		},
		Config: dockerfile.Config{
			Entrypoint: []string{`C:\app\shop.exe`}, WorkingDir: `C:\app`, Ports: []int{8080},
			Env: map[string]string{"dotnet_running_in_container": "yes", "NEW": "1"},
		},
	}
	for _, r := range releases {
		plan.Bases = append(plan.Bases, dockerfile.Base{OS: r, OSVersion: builds[r], Reference: aspnet + r})
	}
	return plan
}

// bases starts a registry with stand-ins below /mcr.
func bases(t testing.TB, opts standin.Options) string {
	t.Helper()
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", opts, "netfx-aspnet-4.8.1"); err != nil {
		t.Fatal(err)
	}
	return host
}

func direct(host string) Direct {
	return Direct{Registry: Registry{Keychain: authn.NewMultiKeychain(), Mirrors: map[string]string{"mcr.microsoft.com": host + "/mcr"}, Insecure: []string{host}}}
}

func request(host string) Request {
	return Request{
		Plan: shopPlan("ltsc2022", "ltsc2025"), App: shopFiles(), References: []string{host + "/team/shop:1"}, Push: true,
	}
}

func mustBuild(t testing.TB, d Direct, req Request) Image {
	t.Helper()
	img, err := d.Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range req.Outputs {
		if o.Dest != "" && !req.DryRun {
			checked.Layout(t, o.Dest)
		}
	}
	return img
}

func parse(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func appFiles(t testing.TB, l v1.Layer) map[string]string {
	t.Helper()
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			data, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.TrimPrefix(h.Name, "Files/app/")] = string(data)
		}
	}
}

func TestPushedImageIsCompleteAndValidForEveryRelease(t *testing.T) {
	host := bases(t, standin.Options{})
	img := mustBuild(t, direct(host), request(host))
	idx, err := remote.Index(parse(t, host+"/team/shop:1"))
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := idx.Digest(); d.String() != img.Digest {
		t.Errorf("the tag is %s, Build said %s", d, img.Digest)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for i, d := range m.Manifests {
		versions = append(versions, d.Platform.OSVersion)
		got, err := idx.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		base, err := remote.Image(parse(t, host+"/mcr/dotnet/framework/aspnet:4.8.1-windowsservercore-"+[]string{"ltsc2022", "ltsc2025"}[i]))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range layercheck.CheckImage(got, base) {
			t.Error(p)
		}
		layers, err := got.Layers()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for name, f := range shopFiles() {
			want[name] = string(f.Data)
		}
		if files := appFiles(t, layers[len(layers)-1]); !maps.Equal(files, want) {
			t.Errorf("the layer holds %v", slices.Sorted(maps.Keys(files)))
		}
		cfg, err := got.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		wantEnv := []string{"COMPLUS_NGenProtectedProcess_FeatureEnabled=0", "dotnet_running_in_container=yes", "COMPLUS_RUNNING_IN_CONTAINER=1",
			`ROSLYN_COMPILER_LOCATION=C:\RoslynCompilers-3.6.0\tools`, "NEW=1"}
		if diff := cmp.Diff(wantEnv, cfg.Config.Env); diff != "" {
			t.Error(diff)
		}
		if !cfg.Created.Time.Equal(when) {
			t.Errorf("created %s, want the newest file's time %s", cfg.Created, when)
		}
		if got, want := slices.Sorted(maps.Keys(cfg.Config.ExposedPorts)), []string{"80/tcp", "8080/tcp"}; !slices.Equal(got, want) {
			t.Errorf("ports %v, want %v", got, want)
		}
	}
	if want := []string{"10.0.20348.5761", "10.0.26100.33650"}; !slices.Equal(versions, want) {
		t.Errorf("index is for %v, want %v", versions, want)
	}
}

func TestBaseInTheTargetsRegistryMovesNoBaseBlob(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 1 << 20}))
	img := mustBuild(t, direct(p.Host), request(p.Host))
	up, down := p.BlobBytes()
	if limit := img.Releases[0].LayerSize + 20_000; up > limit || down > 20_000 {
		t.Errorf("%d bytes of blobs up and %d down; the app's layer has %d", up, down, img.Releases[0].LayerSize)
	}
	patches := 0
	for _, r := range p.Requests() {
		if r.Method == http.MethodPatch && r.In > 100_000 {
			patches++
		}
	}
	if patches != 1 {
		t.Errorf("%d large uploads, want the app's layer once", patches)
	}
	for _, r := range img.Releases {
		if r.BaseMounted != 2 || r.BaseStreamed != 0 {
			t.Errorf("%s: %d mounted, %d streamed", r.OS, r.BaseMounted, r.BaseStreamed)
		}
	}
}

func TestBaseOfAnotherRegistryIsStreamedOnce(t *testing.T) {
	from := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 1 << 20}))
	to := registry.NewProxy(t, registry.Start(t))
	req := request(to.Host)
	req.References = append(req.References, to.Host+"/team/shop:latest", to.Host+"/other/shop:1")
	img := mustBuild(t, direct(from.Host), req)
	seen := map[string]int{}
	for _, r := range from.Requests() {
		if r.Method == http.MethodGet && r.Out > 1<<20 {
			seen[r.Path]++
		}
	}
	if len(seen) != 2 {
		t.Errorf("large blobs read: %v, want those of two releases", seen)
	}
	for path, n := range seen {
		if n != 1 {
			t.Errorf("%s read %d times", path, n)
		}
	}
	for _, ref := range req.References {
		got, err := remote.Index(parse(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := got.Digest(); d.String() != img.Digest {
			t.Errorf("%s is %s, want %s", ref, d, img.Digest)
		}
	}
}

func TestUnchangedFolderUploadsNoBlob(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{}))
	first := mustBuild(t, direct(p.Host), request(p.Host))
	p.Forget()
	again := mustBuild(t, direct(p.Host), request(p.Host))
	for _, r := range p.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("the second build sent %s", r)
		}
	}
	if first.Digest != again.Digest || !again.Unchanged || first.Unchanged {
		t.Errorf("first %s (unchanged %v), again %s (unchanged %v)", first.Digest, first.Unchanged, again.Digest, again.Unchanged)
	}
	p.Forget()
	req := request(p.Host)
	app := shopFiles()
	app["new.txt"] = &fstest.MapFile{Data: []byte("x"), ModTime: when}
	req.App = app
	if changed := mustBuild(t, direct(p.Host), req); changed.Digest == first.Digest || changed.Unchanged {
		t.Error("a new file made no new image")
	}
}

func TestLayoutAndPushAreTheSameImage(t *testing.T) {
	host := bases(t, standin.Options{})
	pushed := mustBuild(t, direct(host), request(host))
	dir := t.TempDir()
	var tars [][]byte
	for _, o := range []Output{
		{Type: "oci", Dest: filepath.Join(dir, "complete")},
		{Type: "oci", Dest: filepath.Join(dir, "sparse"), Sparse: true},
		{Type: "oci", Dest: filepath.Join(dir, "a.tar"), Tar: true},
		{Type: "oci", Dest: filepath.Join(dir, "b.tar"), Tar: true},
	} {
		req := request(host)
		req.Push = false
		req.Outputs = []Output{o}
		if img := mustBuild(t, direct(host), req); img.Digest != pushed.Digest {
			t.Errorf("%s: %s, pushed %s", o.Dest, img.Digest, pushed.Digest)
		}
		if o.Tar {
			data, err := os.ReadFile(o.Dest)
			if err != nil {
				t.Fatal(err)
			}
			tars = append(tars, data)
			continue
		}
		blobs, err := os.ReadDir(filepath.Join(o.Dest, "blobs", "sha256"))
		if err != nil {
			t.Fatal(err)
		}
		// Index, two manifests, two configurations, the app, and four of the bases.
		if want := map[bool]int{true: 6, false: 10}[o.Sparse]; len(blobs) != want {
			t.Errorf("%s: %d blobs, want %d", o.Dest, len(blobs), want)
		}
	}
	if !bytes.Equal(tars[0], tars[1]) {
		t.Error("two builds into a tar differ")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	idx, err := layout.ImageIndexFromPath(filepath.Join(dir, "complete"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := fromIndex(idx, 0)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d images in the layout, %v", len(all), err)
	}
	for _, c := range all {
		img, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range layercheck.CheckImage(img, nil) {
			if p.Rule == layercheck.WrongDigest || p.Rule == layercheck.WrongDiffID {
				t.Error(p)
			}
		}
	}
	// The layout is a base as well.
	req := request(host)
	req.Plan.Bases = []dockerfile.Base{{OSVersion: "10.0.26100", Reference: "oci:" + filepath.Join(dir, "complete")}}
	if img := mustBuild(t, direct(host), req); img.Releases[0].OSVersion != "10.0.26100.33650" {
		t.Errorf("built on %s", img.Releases[0].OSVersion)
	}
}

type brokenFS struct{ fs.FS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".dll") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.FS.Open(name)
}

// panicFS is a fault in winpack itself.
type panicFS struct{ fs.FS }

func (b panicFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".dll") {
		panic("boom")
	}
	return b.FS.Open(name)
}

func TestDryRunWritesNothing(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{}))
	req := request(p.Host)
	req.DryRun = true
	dry := mustBuild(t, direct(p.Host), req)
	for _, r := range p.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("sent %s", r)
		}
	}
	if img := mustBuild(t, direct(p.Host), request(p.Host)); img.Digest != dry.Digest {
		t.Errorf("dry run said %s, the build made %s", dry.Digest, img.Digest)
	}
}

func TestRunStepNamesTheBuildersThatCould(t *testing.T) {
	req := request("127.0.0.1:1")
	req.Plan.Steps = append(req.Plan.Steps, dockerfile.Step{Kind: dockerfile.StepRun, Why: "URL Rewrite is an installer"})
	_, err := direct("127.0.0.1:1").Build(t.Context(), req)
	var u *UnsupportedError
	if !errors.As(err, &u) || len(u.Builders) != 2 || !strings.Contains(err.Error(), "URL Rewrite") {
		t.Errorf("got %v", err)
	}
}
