package build

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// windowsEngine is a real engine behind one that says it runs Windows containers, and
// what is built by it: a Dockerfile of a person's, for two releases.
func windowsEngine(t *testing.T, version string, push ...string) (d Docker, req Request, cut func()) {
	t.Helper()
	withoutDocker(t)
	host := bases(t, standin.Options{})
	engine := docker.Start(t, append(push, host)...)
	front, cut := docker.Windows(t, engine, version, docker.Base(t, engine))
	req = programRequest(t, host+"/team/shop:1", "ltsc2022", "ltsc2025")
	req.App = fstest.MapFS{"a.txt": {Data: []byte("a"), ModTime: when}}
	req.File = &File{Text: []byte("ARG BASE\nFROM ${BASE}\nCOPY . /app/\n")}
	req.Push, req.Annotations, req.Optional = false, nil, true
	return Docker{Registry: direct(host).Registry, Host: front}, req, cut
}

// images are the names of an engine's images, by ID.
func images(t *testing.T, d Docker, id string) []string {
	t.Helper()
	c, err := d.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	img, err := c.ImageInspect(t.Context(), id)
	if err != nil {
		t.Fatalf("the engine has no %s: %v", id, err)
	}
	return img.RepoTags
}

// Without a push the engine keeps one release, that of its own Windows, and all that
// is known of it is told.
func TestEngineKeepsItsOwnReleaseUnderTheAskedName(t *testing.T) {
	d, req, _ := windowsEngine(t, "26100.33650")
	img, err := d.Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if names := images(t, d, img.Digest); !slices.Equal(names, req.References) {
		t.Errorf("the engine has it as %q", names)
	}
	if len(img.Releases) != 1 || img.Releases[0].OS != "ltsc2025" || img.Releases[0].ConfigDigest != img.Digest || img.Releases[0].Digest != "" || img.Releases[0].BaseDigest == "" || img.Releases[0].BaseReference == "" {
		t.Errorf("the release is %+v", img.Releases)
	}
	if !slices.Equal(img.References, req.References) || len(img.Omitted) != 1 || img.Omitted[0].OS != "ltsc2022" {
		t.Errorf("the image is %+v", img)
	}
}

// A tar for docker load holds the first release, whatever else is asked for.
func TestTarOfAnEngineHoldsTheFirstRelease(t *testing.T) {
	d, req, _ := windowsEngine(t, "26100.33650")
	file := filepath.Join(t.TempDir(), "image.tar")
	for what, test := range map[string]struct {
		outputs []Output
		built   []string
	}{
		"a tar":                 {[]Output{{Type: "docker", Dest: file, Tar: true}}, []string{"ltsc2022"}},
		"a tar, and the engine": {[]Output{{Type: "docker", Dest: file, Tar: true}, {Type: "docker"}}, []string{"ltsc2022", "ltsc2025"}},
	} {
		req.Outputs = test.outputs
		img, err := d.Build(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var built []string
		for _, r := range img.Releases {
			built = append(built, r.OS)
		}
		last := img.Releases[len(img.Releases)-1]
		if !slices.Equal(built, test.built) || img.Digest != last.ConfigDigest || len(img.Omitted) != 2-len(built) {
			t.Errorf("%s: %+v", what, img)
		}
		config, tags := savedImage(t, file)
		if "sha256:"+config != img.Releases[0].ConfigDigest || !slices.Equal(tags, req.References) {
			t.Errorf("%s: the tar has %s as %q, want %s", what, config, tags, img.Releases[0].ConfigDigest)
		}
		if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
			t.Errorf("%s: beside it lies %v, %v", what, left, err)
		}
	}
}

// savedImage is the ID and the names of the image in a tar of docker save.
func savedImage(t *testing.T, file string) (config string, tags []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != "manifest.json" {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		var all []struct {
			Config   string
			RepoTags []string
		}
		if err := json.Unmarshal(data, &all); err != nil || len(all) != 1 {
			t.Fatalf("%v in %s", err, data)
		}
		return strings.TrimSuffix(filepath.Base(all[0].Config), ".json"), all[0].RepoTags
	}
}

// A dry run asks the engine and the registry, checks the context, and builds nothing.
func TestDryRunOfAnEngineSaysWhatItWouldBuild(t *testing.T) {
	d, req, _ := windowsEngine(t, "20348.2966")
	req.DryRun = true
	req.Progress = func(e Event) {
		if e.Stage == "engine" || e.Stage == "build" {
			t.Errorf("something is built: %+v", e)
		}
	}
	img, err := d.Build(t.Context(), req)
	if err != nil || img.Digest != "" || len(img.Releases) != 1 || img.Releases[0].OS != "ltsc2022" || img.Releases[0].BaseDigest == "" {
		t.Errorf("%+v, %v", img, err)
	}
	req.App = fstest.MapFS{"con.txt": {}}
	if _, err := d.Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "con.txt") {
		t.Errorf("a name that Windows cannot have: %v", err)
	}
}

func TestEngineThatDiesIsNamed(t *testing.T) {
	d, req, cut := windowsEngine(t, "26100.33650")
	req.Progress = func(e Event) {
		if e.Stage == "engine" {
			cut()
		}
	}
	_, err := d.Build(t.Context(), req)
	if gone := (*UnreachableError)(nil); !errors.As(err, &gone) || !strings.Contains(err.Error(), "in the middle of the build") {
		t.Errorf("%v", err)
	}
}

func TestInterruptOfAnEngineIsOne(t *testing.T) {
	d, req, _ := windowsEngine(t, "26100.33650")
	ctx, cancel := context.WithCancel(t.Context())
	req.Progress = func(e Event) {
		if e.Stage == "engine" {
			cancel()
		}
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	req.Outputs = []Output{{Type: "docker", Dest: file, Tar: true}}
	if _, err := d.Build(ctx, req); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// What a registry refuses an engine reaches the user with the cure.
func TestRegistryThatRefusesAnEngineIsNamed(t *testing.T) {
	locked := registry.StartAuth(t)
	d, req, _ := windowsEngine(t, "26100.33650", locked)
	d.Registry.Insecure = append(d.Registry.Insecure, locked)
	req.Push, req.References = true, []string{locked + "/team/shop:1"}
	for what, keychain := range map[string]login{"no login": {"elsewhere"}, "a login": {locked}} {
		d.Registry.Keychain = keychain
		_, err := d.Build(t.Context(), req)
		auth := (*AuthError)(nil)
		if refused := errors.As(err, &auth); refused != (what == "no login") || refused && auth.Host != locked {
			t.Errorf("%s: %v", what, err)
		}
		// What is pushed then is no image of Windows, and that is found out.
		if what == "a login" && (err == nil || !strings.Contains(err.Error(), "docker made an image of linux")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestReleasesThatNothingAsksForAreLeftOut(t *testing.T) {
	two := []source{{}, {}}
	two[0].OS, two[0].OSVersion = "ltsc2022", "10.0.20348.1"
	two[1].OS, two[1].OSVersion = "ltsc2025", "10.0.26100.1"
	file, load, layout := Output{Type: "docker", Dest: "x"}, Output{Type: "docker"}, Output{Type: "oci", Dest: "y"}
	for _, test := range []struct {
		outputs []Output
		push    bool
		loads   bool
		host    string
		want    []string
	}{
		{nil, false, false, "", []string{"ltsc2022", "ltsc2025"}}, // a dry run
		{nil, false, true, "10.0.26100.9", []string{"ltsc2025"}},
		{nil, false, true, "10.0.17763.9", []string{"ltsc2022"}},
		{nil, true, true, "10.0.26100.9", []string{"ltsc2022", "ltsc2025"}},
		{[]Output{file}, false, true, "10.0.26100.9", []string{"ltsc2022"}},
		{[]Output{load}, false, false, "10.0.26100.9", []string{"ltsc2025"}},
		{[]Output{file, load}, false, false, "10.0.26100.9", []string{"ltsc2022", "ltsc2025"}},
		{[]Output{load, file}, false, false, "10.0.20348.9", []string{"ltsc2022"}},
		{[]Output{file, layout}, false, false, "", []string{"ltsc2022", "ltsc2025"}},
		{[]Output{file}, true, false, "", []string{"ltsc2022", "ltsc2025"}},
	} {
		j := &job{sources: slices.Clone(two), req: Request{Push: test.push, Outputs: test.outputs}}
		if err := j.keepNeeded(test.host, test.loads); err != nil {
			t.Error(err)
		}
		var got []string
		for _, s := range j.sources {
			got = append(got, s.OS)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || len(j.omitted) != 2-len(got) {
			t.Errorf("%+v: %q, omitted %v", test, got, j.omitted)
		}
	}
}

// The ignore file beside a Dockerfile counts, not that of the context, which each
// builder would go by itself.
func TestIgnoreFileOfTheContextIsNotAppliedAgain(t *testing.T) {
	app := fstest.MapFS{
		".dockerignore": {Data: []byte("a.txt\n"), ModTime: when},
		"a.txt":         {Data: []byte("a"), ModTime: when}, "b.log": {Data: []byte("b"), ModTime: when},
	}
	d, req, _ := windowsEngine(t, "20348.2966")
	c, err := d.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := filepath.Join(t.TempDir(), "image.tar")
	req.Outputs = []Output{{Type: "docker", Dest: file, Tar: true}}
	for what, test := range map[string]struct {
		ignore []string
		want   string
	}{
		"that beside the Dockerfile": {[]string{"*.log"}, ".dockerignore a.txt"},
		"that of the context":        {[]string{"a.txt"}, ".dockerignore b.log"},
	} {
		req.App, req.File.Ignore = app, test.ignore
		img, err := d.Build(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := strings.Join(engineFiles(t, c, img.Digest), " "); got != test.want {
			t.Errorf("%s: the engine's image has %q, want %q", what, got, test.want)
		}
	}
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for _, test := range []struct {
		ignore []string
		want   []string
	}{{[]string{"*.log"}, []string{".dockerignore", "a.txt"}}, {[]string{"a.txt"}, []string{".dockerignore", "b.log"}}} {
		kitReq := programRequest(t, host+"/team/ignored:1", "ltsc2022")
		kitReq.App = app
		kitReq.File = &File{Text: []byte("ARG BASE\nFROM ${BASE}\nCOPY . C:/app/\n"), Ignore: test.ignore}
		img, err := kit(daemon, host).Build(t.Context(), kitReq)
		if err != nil {
			t.Fatal(err)
		}
		built, err := remote.Image(parse(t, host+"/team/ignored:1"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, e := range entries(t, built, img.Releases[0].BaseLayers) {
			if file, ok := strings.CutPrefix(name, "Files/app/"); ok && e.Kind == "file" {
				got = append(got, file)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("BuildKit with %q (-want +got):\n%s", test.ignore, diff)
		}
	}
}

// engineFiles are what an image of an engine has below /app.
func engineFiles(t *testing.T, c *engineConn, id string) []string {
	t.Helper()
	img, err := tarball.Image(func() (io.ReadCloser, error) { return c.ImageSave(t.Context(), []string{id}) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range appFiles(t, layers[len(layers)-1]) {
		names = append(names, strings.TrimPrefix(name, "app/"))
	}
	slices.Sort(names)
	return names
}

// An engine looks for a base itself and takes the release of its own Windows: what
// FROM names is put in by digest, from the mirror.
func TestEngineBuildsANamedBaseByItsDigest(t *testing.T) {
	d, req, _ := windowsEngine(t, "20348.2966")
	req.Plan.Bases = req.Plan.Bases[:1]
	req.File = &File{Text: []byte("FROM " + aspnet + "ltsc2022 AS a\nCOPY . /app/\n"), Images: []string{aspnet + "ltsc2022"}}
	var from string
	req.Progress = func(e Event) {
		if _, rest, ok := strings.Cut(e.Message, ": FROM "); ok {
			from = rest
		}
	}
	_, err := d.Build(t.Context(), req) // a Linux engine, after all
	if err == nil || !strings.Contains(from, "/mcr/dotnet/framework/aspnet@sha256:") || !strings.HasSuffix(from, " AS a") && !strings.HasSuffix(from, " as a") {
		t.Errorf("FROM %q, %v", from, err)
	}
	for text, want := range map[string]string{
		"FROM a:1\r\nFROM a:12\r\n":            "FROM p\r\nFROM a:12\r\n",
		"from --platform=x a:1 as a:1\nFROM b": "from --platform=x p as a:1\nFROM b",
		"# FROM a:1\nFROM \\\n  a:1 \\\n AS x": "# FROM a:1\nFROM \\\n  p \\\n AS x",
		"ARG A=a:1\nFROM ${A}\nRUN FROM a:1":   "ARG A=a:1\nFROM ${A}\nRUN FROM a:1",
		"FROM":                                 "FROM",
		"":                                     "",
	} {
		if got := string(pinFrom([]byte(text), []string{"a:1"}, "p")); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// An annotation of the index is not lost where only one release is left.
func TestAnnotationOfAnIndexThatIsNotMadeIsRefused(t *testing.T) {
	host := bases(t, standin.Options{})
	req := request(host)
	req.Push, req.Annotations = false, map[string]string{"index:a": "b"}
	req.Outputs = []Output{{Type: "docker", Dest: filepath.Join(t.TempDir(), "x.tar"), Tar: true}}
	if _, err := direct(host).Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "needs more than one release") {
		t.Errorf("%v", err)
	}
}
