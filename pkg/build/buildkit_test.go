package build

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/buildkit/client"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// entry is what a layer says of one file or folder.
type entry struct {
	Kind       string // "file", "folder", ...
	Sum        string
	Attributes string
	Descriptor string
	Time       string // of files
}

// entries are those that an image adds to its base, later layers on top.
func entries(t *testing.T, img v1.Image, baseLayers int) map[string]entry {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]entry{}
	for _, l := range layers[baseLayers:] {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			e := entry{Attributes: h.PAXRecords["MSWINDOWS.fileattr"]}
			switch h.Typeflag {
			case tar.TypeReg:
				sum := sha256.New()
				if _, err := io.Copy(sum, tr); err != nil {
					t.Fatal(err)
				}
				e.Kind, e.Sum, e.Time = "file", hex.EncodeToString(sum.Sum(nil)), h.ModTime.UTC().Format(time.RFC3339)
			case tar.TypeDir:
				e.Kind = "folder"
			default:
				e.Kind = string(h.Typeflag)
			}
			if raw := h.PAXRecords["MSWINDOWS.rawsd"]; raw != "" {
				data, err := base64.StdEncoding.DecodeString(raw)
				if err != nil {
					t.Fatal(err)
				}
				d, err := sddl.Decode(data)
				if err != nil {
					t.Fatal(err)
				}
				e.Descriptor = d.String()
			}
			all[strings.TrimSuffix(h.Name, "/")] = e
		}
		r.Close()
	}
	return all
}

func kit(daemon buildkit.Daemon, host string) BuildKit {
	return BuildKit{Registry: direct(host).Registry, Addr: daemon.Address()}
}

// busyFolder is an app with what BuildKit gets wrong by itself: links.
func busyFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shop.exe": "program", "conf/a.json": "{}", "conf/ü ö.txt": "umlauts", "empty/.keep": "", "trace.log": "ignored", "sub/deep/er/x.txt": "x",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link.txt": "conf/a.json", "linked": "sub"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func programPlan(releases ...string) dockerfile.Plan {
	plan := shopPlan(releases...)
	plan.Ignore = []string{"*.log"}
	plan.Steps = []dockerfile.Step{
		{Kind: dockerfile.StepCopy, From: ".", To: `C:\app`},
		{Kind: dockerfile.StepCopy, Tree: "more", From: "one.txt", Name: "two.txt", To: `C:\more`},
		{Kind: dockerfile.StepCopy, Tree: "all", From: ".", To: `C:\all`},
	}
	plan.Config.User = "ContainerUser"
	plan.Config.Health = &dockerfile.Health{Test: []string{"CMD", "x.exe"}, Interval: time.Minute}
	plan.Config.Cmd = []string{"-a", "b c"}
	return plan
}

func programRequest(t *testing.T, ref string, releases ...string) Request {
	extra := fstest.MapFS{"one.txt": {Data: []byte("one"), ModTime: when}, "f/two.txt": {Data: []byte("two"), ModTime: when}}
	notes := map[string]string{"note": "z"}
	if len(releases) > 1 {
		notes["index:x"] = "y"
	}
	return Request{
		Plan: programPlan(releases...), App: os.DirFS(busyFolder(t)), Trees: map[string]fs.FS{"more": extra, "all": extra},
		References: []string{ref}, Push: true, Labels: map[string]string{"a": "b"},
		Annotations: notes,
	}
}

// The same plan gives the same image by BuildKit and by the direct builder; each
// difference is one that docs/builders.md explains.
func TestBuildKitAndDirectMakeTheSameImage(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	oursRef, theirsRef := host+"/team/ours:1", host+"/team/theirs:1"
	ours := mustBuild(t, direct(host), programRequest(t, oursRef, "ltsc2022", "ltsc2025"))
	var seen []string
	b := kit(daemon, host)
	ended := 0
	b.Status = func(s *client.SolveStatus) {
		if s == nil {
			ended++
			return
		}
		for _, v := range s.Vertexes {
			seen = append(seen, v.Name)
		}
	}
	theirs, err := b.Build(t.Context(), programRequest(t, theirsRef, "ltsc2022", "ltsc2025"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(seen, func(name string) bool { return strings.Contains(name, "COPY") }) {
		t.Errorf("BuildKit's progress is not handed on: %q", seen)
	}
	if ended != 2 {
		t.Errorf("the end of a build is told %d times, for 2 releases", ended)
	}
	if len(theirs.Releases) != 2 || theirs.Digest == "" || theirs.Releases[0].OSVersion != ours.Releases[0].OSVersion || theirs.Releases[0].BaseDigest != ours.Releases[0].BaseDigest {
		t.Fatalf("BuildKit's image is %+v", theirs)
	}
	idx, err := remote.Index(parse(t, theirsRef))
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations["x"] != "y" || len(m.Manifests) != 2 || m.Manifests[1].Platform.OSVersion != theirs.Releases[1].OSVersion {
		t.Errorf("the index is %+v", m)
	}
	for i := range ours.Releases {
		a, err := remote.Image(parse(t, host+"/team/ours@"+ours.Releases[i].Digest))
		if err != nil {
			t.Fatal(err)
		}
		b, err := remote.Image(parse(t, host+"/team/theirs@"+theirs.Releases[i].Digest))
		if err != nil {
			t.Fatal(err)
		}
		want, got := entries(t, a, ours.Releases[i].BaseLayers), entries(t, b, ours.Releases[i].BaseLayers)
		explain(want, got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-direct +BuildKit):\n%s", ours.Releases[i].OS, diff)
		}
		if want["Files/app/link.txt"].Kind != "file" || want["Files/app/linked/deep/er/x.txt"].Kind != "file" || want["Files/more/two.txt"].Kind != "file" || want["Files/app/trace.log"].Kind != "" {
			t.Errorf("the files are %q", slices.Sorted(maps.Keys(want)))
		}
		if diff := cmp.Diff(configured(t, a), configured(t, b)); diff != "" {
			t.Errorf("configuration of %s (-direct +BuildKit):\n%s", ours.Releases[i].OS, diff)
		}
	}
}

// explain takes the differences off that docs/builders.md explains.
func explain(direct, kit map[string]entry) {
	// The layer's own folders have no descriptor with BuildKit, and no attributes.
	for _, all := range []map[string]entry{direct, kit} {
		for _, name := range []string{"Files", "Hives"} {
			delete(all, name)
		}
	}
}

// configured is what an image says of itself, without what only one way writes.
func configured(t *testing.T, img v1.Image) v1.Config {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Config
	c.ArgsEscaped = false
	c.WorkingDir = strings.TrimPrefix(c.WorkingDir, "C:")
	for i, line := range c.Env {
		name, value, _ := strings.Cut(line, "=")
		c.Env[i] = strings.ToUpper(name) + "=" + value
	}
	slices.Sort(c.Env)
	return c
}

func TestBuildKitSavesACompleteLayout(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	req := programRequest(t, host+"/team/saved:1", "ltsc2022", "ltsc2025")
	dir := filepath.Join(t.TempDir(), "layout")
	req.Outputs = []Output{{Type: "oci", Dest: dir}}
	img, err := kit(daemon, host).Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := fromIndex(idx, 0)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d images, %v", len(all), err)
	}
	for _, c := range all {
		saved, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		layers, err := saved.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers {
			r, err := l.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
			}
			r.Close()
		}
	}
	pushed, err := remote.Get(parse(t, host+"/team/saved:1"))
	if err != nil || pushed.Digest.String() != img.Digest {
		t.Errorf("pushed is %v, %v; want %s", pushed, err, img.Digest)
	}
	left, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the layout lies %v, %v", left, err)
	}
}

// A worker on Linux can't run a command of Windows: nothing is sent to it.
// What BuildKit would write wrong without a word is refused before it is sent.
// A Dockerfile of a person's is built as it is, on the base that winpack resolved.
func TestBuildKitBuildsAFileOnThePinnedBase(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for name, file := range map[string]File{
		"ARG BASE": {Text: []byte("ARG BASE=none\nFROM ${BASE}\nCOPY a.txt C:/x/\nLABEL l=1\n")},
		"FROM":     {Text: []byte("FROM " + aspnet + "ltsc2022\nCOPY a.txt C:/x/\nLABEL l=1\n"), Images: []string{aspnet + "ltsc2022"}},
	} {
		req := programRequest(t, host+"/team/file:1", "ltsc2022")
		req.App, req.File = fstest.MapFS{"a.txt": {Data: []byte("a"), ModTime: when}, "b.txt": {}}, &file
		img, err := kit(daemon, host).Build(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		built, err := remote.Image(parse(t, host+"/team/file:1"))
		if err != nil {
			t.Fatal(err)
		}
		all := entries(t, built, img.Releases[0].BaseLayers)
		if all["Files/x/a.txt"].Kind != "file" || all["Files/x/b.txt"].Kind != "" {
			t.Errorf("%s: %v", name, all)
		}
	}
}

// A daemon that asks for a certificate gets it; without one it is out of reach.
// BuildKit pushes with the credentials of this machine, which it asks for.
// login has the user of registry.StartAuth for one host.
// BuildKit replaces the access lists of the base's own folders; nothing else differs
// there, and the direct builder keeps them.
func TestBuildKitDiffersInTheListsOfTheBasesFoldersAlone(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	var images []map[string]entry
	for _, b := range []Builder{direct(host), kit(daemon, host)} {
		req := request(host)
		req.Plan = shopPlan("ltsc2022")
		req.Plan.Steps = []dockerfile.Step{{Kind: dockerfile.StepCopy, From: ".", To: `C:\inetpub\wwwroot`}}
		made, err := b.Build(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		img, err := remote.Image(parse(t, host+"/team/shop:1"))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, entries(t, img, made.Releases[0].BaseLayers))
	}
	ours, theirs := images[0], images[1]
	explain(ours, theirs)
	for name, a := range ours {
		// The working directory is none of the base's, and both make it.
		if b := theirs[name]; (a.Descriptor == b.Descriptor) != (name == "Files/app") || strings.HasPrefix(name, "Files/inetpub/wwwroot/") && !strings.Contains(a.Descriptor, ";IS)") {
			t.Errorf("%s: the lists are %s and %s", name, a.Descriptor, b.Descriptor)
		}
	}
	for _, all := range images {
		for name, e := range all {
			e.Descriptor = ""
			all[name] = e
		}
	}
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("(-direct +BuildKit):\n%s", diff)
	}
}

// What a registry refuses BuildKit reaches the user in one line, without a secret.
