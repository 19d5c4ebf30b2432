package build

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/buildkit/client"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/registry"
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
		References: []string{ref}, Push: true, Version: "v1", Labels: map[string]string{"a": "b"},
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
func TestBuildKitOnLinuxRefusesWhatRunsOnWindows(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for name, change := range map[string]func(*Request){
		"a RUN step": func(r *Request) {
			r.Plan.Steps = append(r.Plan.Steps, dockerfile.Step{Kind: dockerfile.StepRun, Why: "a Windows feature", Commands: []string{"dism"}})
			r.Plan.Builder = dockerfile.BuilderNeeds{Windows: true, Reasons: []string{"a Windows feature"}}
		},
		"grants write access": func(r *Request) {
			r.Plan.Steps = append(r.Plan.Steps, dockerfile.Step{Kind: dockerfile.StepGrant, To: `C:\app\data`, Trustee: dockerfile.Trustee{Name: "Users", SID: "S-1-5-32-545"}})
		},
		"Dockerfile:3: RUN": func(r *Request) {
			r.File = &File{Text: []byte("ARG BASE\nFROM ${BASE}\nRUN dir\n"), Runs: []string{"Dockerfile:3: RUN"}}
		},
	} {
		req := programRequest(t, host+"/team/refused:1", "ltsc2022")
		change(&req)
		req.App = untouched{t}
		_, err := kit(daemon, host).Build(t.Context(), req)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "builder buildkit") || !strings.Contains(err.Error(), "Docker engine on Windows") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// untouched fails when anything is read.
type untouched struct{ t *testing.T }

func (u untouched) Open(name string) (fs.File, error) {
	u.t.Errorf("%s is read", name)
	return nil, fs.ErrNotExist
}

// What BuildKit would write wrong without a word is refused before it is sent.
func TestContextThatBreaksOnWindowsIsRefused(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	link := busyFolder(t)
	for want, app := range map[string]fs.FS{
		"symbolic link": os.DirFS(link),
		"one name":      fstest.MapFS{"Bin/a": {}, "bin/b": {}},
		"q?.txt":        fstest.MapFS{"q?.txt": {}},
		"con.txt":       fstest.MapFS{"con.txt": {}},
	} {
		req := programRequest(t, host+"/team/refused:1", "ltsc2022")
		req.App, req.File = app, &File{Text: []byte("ARG BASE\nFROM ${BASE}\nCOPY . C:/app/\n")}
		_, err := kit(daemon, host).Build(t.Context(), req)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

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

func TestBuildKitThatIsNotThereOrDiesIsNamed(t *testing.T) {
	host := bases(t, standin.Options{})
	_, err := BuildKit{Registry: direct(host).Registry, Addr: "tcp://127.0.0.1:1"}.Build(t.Context(), programRequest(t, host+"/team/x:1", "ltsc2022"))
	var gone *UnreachableError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "tcp://127.0.0.1:1") {
		t.Errorf("nothing listens: %v", err)
	}
	daemon := buildkit.Start(t, host)
	front, cut := cuttable(t, strings.TrimPrefix(daemon.Address(), "unix://"))
	b := BuildKit{Registry: direct(host).Registry, Addr: "tcp://" + front}
	b.Status = func(s *client.SolveStatus) {
		if s != nil && len(s.Vertexes) > 0 {
			cut()
		}
	}
	_, err = b.Build(t.Context(), programRequest(t, host+"/team/x:1", "ltsc2022"))
	if !errors.As(err, &gone) {
		t.Errorf("the daemon dies: %v", err)
	}
	if _, err := remote.Get(parse(t, host+"/team/x:1")); err == nil {
		t.Error("a tag is there of a build that failed")
	}
}

// cuttable is a way to a socket that can be cut.
func cuttable(t *testing.T, socket string) (addr string, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	done := make(chan struct{})
	cut = func() {
		select {
		case <-done:
		default:
			close(done)
			l.Close()
			for _, c := range conns {
				c.Close()
			}
		}
	}
	t.Cleanup(cut)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				return
			}
			conns = append(conns, in, out)
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return l.Addr().String(), cut
}

func TestCancelledBuildKitBuildLeavesNothingRunning(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	ctx, cancel := context.WithCancel(t.Context())
	b := kit(daemon, host)
	b.Status = func(*client.SolveStatus) { cancel() }
	_, err := b.Build(ctx, programRequest(t, host+"/team/x:1", "ltsc2022"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	// The daemon notes the end of each build a moment after it has gone.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := daemon.Command(t.Context(), "debug", "histories", "--format", "{{with .Record.CompletedAt}}done{{else}}running{{end}}").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(string(out), "done") && !strings.Contains(string(out), "running") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon still builds: %s", out)
		}
	}
	if _, err := remote.Get(parse(t, host+"/team/x:1")); err == nil {
		t.Error("a tag is there of a build that was cancelled")
	}
}

func TestBuildKitRefusesWhatItCannotHonour(t *testing.T) {
	for what, req := range map[string]Request{
		"--isolation":    {Isolation: "process"},
		"-o base=sparse": {Outputs: []Output{{Type: "oci", Dest: "x", Sparse: true}}},
		"--load":         {Outputs: []Output{{Type: "docker"}}},
	} {
		var cannot *CannotError
		if err := (BuildKit{}).Check(req); !errors.As(err, &cannot) || cannot.What != what || !strings.Contains(err.Error(), "use --builder") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A daemon that asks for a certificate gets it; without one it is out of reach.
func TestBuildKitIsReachedByMutualTLS(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.StartTLS(t, host)
	b := kit(daemon, host)
	var gone *UnreachableError
	if _, err := b.Worker(t.Context()); !errors.As(err, &gone) {
		t.Errorf("without a certificate: %v", err)
	}
	b.TLSDir = t.TempDir()
	if _, err := b.Worker(t.Context()); err == nil || !strings.Contains(err.Error(), "lacks ca.pem") {
		t.Errorf("an empty folder: %v", err)
	}
	b.TLSDir = daemon.TLS
	if _, err := b.Build(t.Context(), programRequest(t, host+"/team/tls:1", "ltsc2022")); err != nil {
		t.Error(err)
	}
}

// BuildKit pushes with the credentials of this machine, which it asks for.
func TestBuildKitPushesWithTheCredentialsOfThisMachine(t *testing.T) {
	open := bases(t, standin.Options{})
	locked := registry.StartAuth(t)
	daemon := buildkit.Start(t, locked)
	b := kit(daemon, open)
	req := programRequest(t, locked+"/team/shop:1", "ltsc2022")
	b.Registry.Insecure = append(b.Registry.Insecure, locked)
	if _, err := b.Build(t.Context(), req); err == nil {
		t.Error("a registry that asks for a login takes an image without")
	}
	b.Registry.Keychain = login{locked}
	if _, err := b.Build(t.Context(), req); err != nil {
		t.Error(err)
	}
}

// login has the user of registry.StartAuth for one host.
type login struct{ host string }

func (l login) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != l.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: registry.User, Password: registry.Password}, nil
}

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
		if b := theirs[name]; a.Descriptor == b.Descriptor || strings.HasPrefix(name, "Files/inetpub/wwwroot/") && !strings.Contains(a.Descriptor, ";IS)") {
			t.Errorf("%s: the lists are %s and %s", name, a.Descriptor, b.Descriptor)
		}
	}
	delete(theirs, "Files/app") // WORKDIR, which BuildKit makes where nothing is in it
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
func TestRegistryThatRefusesBuildKitIsNamed(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for status, want := range map[int]string{
		401: "run `docker login", 403: "this login may not do that", 404: "no such image", 429: "429, too many requests", 500: "answers 500",
	} {
		proxy := registry.NewProxy(t, host)
		proxy.Inject(registry.Fault{Method: "POST", Path: `^/v2/team/`, Status: status, Times: 1000})
		req := programRequest(t, proxy.Host+"/team/shop:1", "ltsc2022")
		b := kit(daemon, host)
		b.Registry.Keychain = login{proxy.Host}
		_, err := b.Build(t.Context(), req)
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), registry.Password) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v; want %q", status, err, want)
		}
	}
}
