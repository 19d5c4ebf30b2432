package build

import (
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// A daemon asks for a file anew only where its size or its time changed, and the time
// that it is told is never later than SOURCE_DATE_EPOCH: what changed all the same has
// to be in the image, of another app of the same name too.
func TestBuildKitGetsWhatChangedUnderTheSameTime(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	epoch := when.Add(-time.Hour)
	content := func(app fs.FS) map[string]entry {
		t.Helper()
		req := programRequest(t, host+"/team/same:1", "ltsc2022")
		req.App, req.Epoch = app, &epoch
		img, err := kit(daemon, host).Build(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		built, err := remote.Image(parse(t, host+"/team/same:1"))
		if err != nil {
			t.Fatal(err)
		}
		return entries(t, built, img.Releases[0].BaseLayers)
	}
	file := func(text string, at time.Time) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(text), ModTime: at}
	}
	first := content(fstest.MapFS{"a.txt": file("one", when), "b.txt": file("same", when)})
	second := content(fstest.MapFS{"a.txt": file("two", when.Add(time.Minute)), "b.txt": file("same", when)})
	again := content(fstest.MapFS{"a.txt": file("one", when.Add(time.Hour)), "b.txt": file("same", when)})
	const a, b = "Files/app/a.txt", "Files/app/b.txt"
	if first[a].Sum == "" || first[a].Sum == second[a].Sum || first[a] != again[a] || first[b] != second[b] {
		t.Errorf("a.txt is %+v, then %+v, then %+v", first[a], second[a], again[a])
	}
	if want := epoch.UTC().Format(time.RFC3339); first[a].Time != want {
		t.Errorf("the time is %s, want %s", first[a].Time, want)
	}
}

// onceFS lets each file be opened as often as a build does it before it is sent, and
// then fails, or gives something else.
type onceFS struct {
	fstest.MapFS
	left *atomic.Int32
	then func(name string) (fs.File, error)
}

func (o onceFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".dll") && o.left.Add(-1) < 0 {
		return o.then(name)
	}
	return o.MapFS.Open(name)
}

// The transfer makes an empty file of one that can't be opened, without a word.
func TestFileThatCannotBeReadWhileItIsSentFailsTheBuild(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	app := fstest.MapFS{"a.dll": {Data: []byte("program"), ModTime: when}}
	opened := countOpens(t, app)
	for what, test := range map[string]struct {
		then func(string) (fs.File, error)
		want string
	}{
		"refused": {func(name string) (fs.File, error) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}, `reading "app/a.dll": permission denied`},
		"shorter than it says": {func(name string) (fs.File, error) {
			f, err := app.Open(name)
			return longFile{f}, err
		}, `"app/a.dll" changed while it was read`},
		"a panic": {func(string) (fs.File, error) { panic("boom") }, "internal error: boom"},
		"a panic while it is read": {func(name string) (fs.File, error) {
			f, err := app.Open(name)
			return panicFile{f}, err
		}, "internal error: boom"},
	} {
		left := &atomic.Int32{}
		left.Store(opened)
		req := programRequest(t, host+"/team/broken:1", "ltsc2022")
		req.App = onceFS{app, left, test.then}
		_, err := kit(daemon, host).Build(t.Context(), req)
		if err == nil || err.Error() != test.want && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
		if _, err := remote.Get(parse(t, host+"/team/broken:1")); err == nil {
			t.Errorf("%s: a tag is there of a build that failed", what)
		}
	}
}

// countOpens is how often a build opens a.dll before it is sent.
func countOpens(t *testing.T, app fstest.MapFS) int32 {
	t.Helper()
	left := &atomic.Int32{}
	left.Store(1000)
	req := programRequest(t, "r.example.com/x:1", "ltsc2022")
	req.App = onceFS{app, left, nil}
	s, err := planContext(t.Context(), req, req.Plan.ForBase(0))
	if err == nil {
		_, err = s.key(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return 1000 - left.Load()
}

type panicFile struct{ fs.File }

func (panicFile) Read([]byte) (int, error) { panic("boom") }

// longFile says that it is longer than it is.
type longFile struct{ fs.File }

func (l longFile) Stat() (fs.FileInfo, error) {
	info, err := l.File.Stat()
	return longInfo{info}, err
}

type longInfo struct{ fs.FileInfo }

func (l longInfo) Size() int64 { return l.FileInfo.Size() + 1 }

// What is wrong with this machine's files is not said to be BuildKit's.
func TestErrorsOfTheAppAreNotTheDaemons(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	req := programRequest(t, host+"/team/broken:1", "ltsc2022")
	req.App = brokenFS{fstest.MapFS{"a.dll": {Data: []byte("a"), ModTime: when}}}
	if _, err := kit(daemon, host).Build(t.Context(), req); err == nil || strings.Contains(err.Error(), "BuildKit") || !strings.Contains(err.Error(), `"a.dll"`) {
		t.Errorf("%v", err)
	}
}

// A registry that BuildKit does not reach is no daemon that died.
func TestRegistryOutOfBuildKitsReachIsNamed(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for ref, want := range map[string]string{
		"127.0.0.1:1/team/x:1":              `pushing by BuildKit to "127.0.0.1:1/team/x": dial tcp 127.0.0.1:1: connect: connection refused; the daemon at `,
		"registry.example.invalid/team/x:1": `pushing by BuildKit to "registry.example.invalid/team/x": `,
	} {
		_, err := kit(daemon, host).Build(t.Context(), programRequest(t, ref, "ltsc2022"))
		if err == nil || errors.As(err, new(*UnreachableError)) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	b := BuildKit{Addr: "tcp://user:Xyzzy@127.0.0.1:1"}
	for text, want := range map[string]string{
		`failed to solve: failed to push r.example.com/x: failed to do request: Head "https://r.example.com/v2/x/blobs/sha256:00": http: server gave HTTP response to HTTPS client`: "allow that with --insecure-registry r.example.com",
		`failed to solve: r.example.com/x@sha256:00: failed to do request: Head "https://r.example.com/v2/x/manifests/sha256:00": http: server gave HTTP response to HTTPS client`:  `buildkitd.toml: [registry."r.example.com"] http = true`,
		`failed to solve: dial tcp: user:Xyzzy@127.0.0.1 is away, at tcp://user:Xyzzy@127.0.0.1:1`:                                                                                  "at tcp://***@127.0.0.1:1: failed to solve",
	} {
		if err := b.named(t.Context(), errors.New(text)); !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Xyzzy") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Plain http, and certificates of anybody, are for the registries alone that the user
// allows them for.
func TestInsecureRegistryIsNoMatterOfOthers(t *testing.T) {
	j := &job{reg: Registry{Insecure: []string{"plain.example.com:5000"}}}
	j.req.References = []string{"plain.example.com:5000/a:1", "plain.example.com:5000/a:2", "r.example.com/b:1", "10.0.0.1:5000/c:1", "x:1"}
	j.req.Plan.Bases = shopPlan("ltsc2022").Bases
	if err := j.check(); err != nil {
		t.Fatal(err)
	}
	secure, insecure := (&gatherer{job: j}).repositories()
	if diff := cmp.Diff([]string{"r.example.com/b", "10.0.0.1:5000/c", "docker.io/library/x"}, secure); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"plain.example.com:5000/a"}, insecure); diff != "" {
		t.Error(diff)
	}
}

// A dry run asks daemon and registry, checks the context, and builds nothing.
func TestDryRunOfBuildKitSaysWhatItWouldBuild(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	req := programRequest(t, host+"/team/dry:1", "ltsc2022", "ltsc2025")
	req.DryRun = true
	img, err := kit(daemon, host).Build(t.Context(), req)
	if err != nil || img.Digest != "" || len(img.Releases) != 2 || img.Releases[1].BaseDigest == "" || img.Releases[1].Digest != "" || !slices.Equal(img.References, req.References) {
		t.Errorf("%+v, %v", img, err)
	}
	if out, err := daemon.Command(t.Context(), "debug", "histories").CombinedOutput(); err != nil || strings.Count(string(out), "\n") > 1 {
		t.Errorf("the daemon has built: %v\n%s", err, out)
	}
	req.App = fstest.MapFS{"con.txt": {}}
	if _, err := kit(daemon, host).Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "con.txt") {
		t.Errorf("a name that Windows cannot have: %v", err)
	}
}

// Who builds is asked first: nothing is read from a registry for a daemon that is away.
func TestBuildKitIsAskedBeforeARegistry(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{}))
	b := BuildKit{Registry: direct(p.Host).Registry, Addr: "tcp://127.0.0.1:1"}
	if _, err := b.Build(t.Context(), programRequest(t, p.Host+"/team/x:1", "ltsc2022")); !errors.As(err, new(*UnreachableError)) {
		t.Errorf("%v", err)
	}
	if got := p.Requests(); len(got) > 0 {
		t.Errorf("asked: %v", got)
	}
}

// A tar for docker load holds one release, and no other is built for it.
func TestBuildKitBuildsOneReleaseForDockerLoad(t *testing.T) {
	p := registry.NewProxy(t, bases(t, standin.Options{}))
	daemon := buildkit.Start(t, p.Host)
	req := programRequest(t, p.Host+"/team/tar:1", "ltsc2022", "ltsc2025")
	file := filepath.Join(t.TempDir(), "image.tar")
	req.Push, req.Annotations, req.Outputs = false, nil, []Output{{Type: "docker", Dest: file, Tar: true}}
	img, err := kit(daemon, p.Host).Build(t.Context(), req)
	if err != nil || len(img.Releases) != 1 || img.Releases[0].OS != "ltsc2022" || img.Digest != img.Releases[0].Digest || len(img.Omitted) != 1 || img.Omitted[0].OS != "ltsc2025" {
		t.Fatalf("%+v, %v", img, err)
	}
	config, tags := savedImage(t, file)
	if "sha256:"+config != img.Releases[0].ConfigDigest || !slices.Equal(tags, req.References) {
		t.Errorf("the tar has %s as %q", config, tags)
	}
	for _, r := range p.Requests() {
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/blobs/") && strings.Contains(r.Path, "2025") {
			t.Errorf("the other release's base is read: %v", r)
		}
	}
}

// A base in a folder is refused before anything is asked.
func TestBuildKitRefusesABaseInAFolder(t *testing.T) {
	req := Request{Plan: shopPlan("ltsc2022")}
	req.Plan.Bases[0].Reference = "oci:base"
	var cannot *CannotError
	if err := (BuildKit{}).Check(req); !errors.As(err, &cannot) || cannot.What != "--base oci:base" || !strings.Contains(err.Error(), "--builder direct") {
		t.Errorf("%v", err)
	}
}
