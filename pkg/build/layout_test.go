package build

import (
	"bytes"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/moby/buildkit/client/ociindex"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// files are those of a folder by their name, with their content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLayoutKeepsItsOtherImages(t *testing.T) {
	host := bases(t, standin.Options{})
	dir := filepath.Join(t.TempDir(), "layout")
	save := func(app fs.FS, refs ...string) Image {
		t.Helper()
		req := request(host)
		req.Push, req.App, req.References, req.Outputs = false, app, refs, []Output{{Type: "oci", Dest: dir}}
		return mustBuild(t, direct(host), req)
	}
	save(shopFiles(), "example.com/a:1")
	save(fstest.MapFS{"first.txt": {ModTime: when}}, "example.com/a:1")
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	// Index, two manifests, two configurations, the app, and four of the bases.
	if err != nil || len(blobs) != 10 {
		t.Errorf("%d blobs, %v: an image that was there alone and is replaced leaves something", len(blobs), err)
	}
	other := fstest.MapFS{"other.txt": {Data: []byte("other"), ModTime: when}}
	old := save(shopFiles(), "example.com/a:1", "example.com/a:2")
	b := save(other, "example.com/b:1")
	now := save(fstest.MapFS{"new.txt": {Data: []byte("new"), ModTime: when}}, "example.com/a:1")
	unnamed := save(other)
	save(shopFiles())
	unnamed = save(other)
	index := ociindex.NewStoreIndex(dir) // buildx's own reader
	for name, want := range map[string]Image{"example.com/a:1": now, "example.com/a:2": old, "example.com/b:1": b} {
		if d, err := index.Get(name); err != nil || d == nil || d.Digest.String() != want.Digest {
			t.Errorf("%s is %v, %v; want %s", name, d, err, want.Digest)
		}
	}
	all, err := index.Read()
	if err != nil || len(all.Manifests) != 4 || all.Manifests[3].Digest.String() != unnamed.Digest {
		t.Errorf("the index is %+v, %v", all, err)
	}
	for name, data := range files(t, dir) {
		if filepath.Base(name) == name && !slices.Contains([]string{"index.json", "oci-layout"}, name) || len(data) == 0 {
			t.Errorf("%s lies in the layout, %d bytes", name, len(data))
		}
	}

	// A build that fails takes away what it brought, and nothing else.
	before := files(t, dir)
	req := request(host)
	req.Push, req.App, req.Outputs = false, brokenFS{shopFiles()}, []Output{{Type: "oci", Dest: dir}}
	if _, err := direct(host).Build(t.Context(), req); err == nil {
		t.Error("a file that can't be read is in an image")
	}
	p := registry.NewProxy(t, host)
	req = request(p.Host)
	req.Push, req.App, req.Outputs = false, fstest.MapFS{"third.txt": {ModTime: when}}, []Output{{Type: "oci", Dest: filepath.Join(filepath.Dir(dir), "fresh")}}
	p.Inject(registry.Fault{Method: "GET", Path: "/blobs/", Skip: 2, Status: 404})
	for _, to := range []string{dir, filepath.Join(filepath.Dir(dir), "fresh")} {
		req.Outputs[0].Dest = to
		if to == dir { // of what is there nothing would be asked for
			for name := range before {
				if strings.HasPrefix(before[name], "\x1f\x8b") { // gzip
					if err := os.Remove(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
					delete(before, name)
				}
			}
		}
		if _, err := direct(p.Host).Build(t.Context(), req); err == nil {
			t.Error("a base that can't be read is in a layout")
		}
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("it held %q, and after builds that failed %q", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A build that was killed leaves half of a layout, which the next one fills.
func TestLayoutOfABuildThatWasKilledIsFilled(t *testing.T) {
	host := bases(t, standin.Options{})
	for _, left := range []string{".oci-layout.winpack-26", ".index.json.winpack-27", "index.json.lock"} {
		dir := filepath.Join(t.TempDir(), "layout")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, left), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		req := request(host)
		req.Push, req.Outputs = false, []Output{{Type: "oci", Dest: dir}}
		mustBuild(t, direct(host), req)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".oci-layout.other"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	req := request(host)
	req.Push, req.Outputs = false, []Output{{Type: "oci", Dest: dir}}
	if _, err := direct(host).Build(t.Context(), req); err == nil {
		t.Error("a folder with files of others is filled")
	}
}

func TestLayoutFillsAFolderThatCannotBeMoved(t *testing.T) {
	host := bases(t, standin.Options{})
	save := func(dir string) {
		t.Helper()
		req := request(host)
		req.Push, req.Outputs = false, []Output{{Type: "oci", Dest: dir}}
		for range 2 {
			mustBuild(t, direct(host), req)
		}
		if _, err := os.Stat(filepath.Join(dir, "index.json")); err != nil {
			t.Error(err)
		}
	}
	t.Chdir(t.TempDir())
	save(".")
	save(smallDisk(t, 16<<20)) // a mount point
}

func TestBuildsIntoOneLayoutAtOnceKeepEachOthersImage(t *testing.T) {
	host := bases(t, standin.Options{})
	dir := t.TempDir()
	var wg sync.WaitGroup
	refs := []string{"example.com/a:1", "example.com/b:1", "example.com/c:1", "example.com/d:1"}
	for _, ref := range refs {
		wg.Go(func() {
			req := request(host)
			req.Push, req.References, req.Outputs = false, []string{ref}, []Output{{Type: "oci", Dest: dir}}
			if _, err := direct(host).Build(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	index := ociindex.NewStoreIndex(dir)
	for _, ref := range refs {
		if d, err := index.Get(ref); err != nil || d == nil {
			t.Errorf("%s is %v, %v", ref, d, err)
		}
	}
}

// Bases are gigabytes: several outputs take them from the registry once.
func TestSeveralOutputsReadTheBaseOnce(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 1 << 20}))
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	req := request(p.Host)
	req.Push, req.Outputs = false, []Output{
		{Type: "oci", Dest: filepath.Join(dir, "sparse"), Sparse: true},
		{Type: "oci", Dest: filepath.Join(dir, "a.tar"), Tar: true},
		{Type: "oci", Dest: filepath.Join(dir, "folder")},
		{Type: "docker", Dest: filepath.Join(dir, "b.tar"), Tar: true},
	}
	var heard <-chan []byte
	if mkfifo(pipe) == nil {
		req.Outputs = append([]Output{{Type: "oci", Dest: pipe, Tar: true}}, req.Outputs...)
		heard = listen(t, pipe)
	}
	img := mustBuild(t, direct(p.Host), req)
	asked := map[string]int{}
	for _, r := range p.Requests() {
		if r.Method == http.MethodGet && r.Out > 1<<20 {
			asked[r.Path]++
		}
	}
	if len(asked) != 2 {
		t.Errorf("large layers that were asked for: %v, want those of two releases", asked)
	}
	for path, times := range asked {
		if times != 1 {
			t.Errorf("%s was read %d times", path, times)
		}
	}
	if len(img.Releases) != 2 {
		t.Errorf("%d releases", len(img.Releases))
	}
	if tar, err := os.ReadFile(filepath.Join(dir, "a.tar")); err != nil || heard != nil && !bytes.Equal(tar, <-heard) {
		t.Errorf("the pipe was given another tar than the file, %v", err)
	}
}

// An index that nobody can read is found before anything is built.
func TestLayoutWithABrokenIndexIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"oci-layout": "{}", "index.json": "{"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Output{Type: "oci", Dest: dir}).Check(); err == nil {
		t.Error("it is taken")
	}
}
