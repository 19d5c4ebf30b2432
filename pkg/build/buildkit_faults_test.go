package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/buildkit/client"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/dockerfile"
)

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

type login struct{ host string }

func (l login) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != l.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: registry.User, Password: registry.Password}, nil
}

func TestRegistryThatRefusesBuildKitIsNamed(t *testing.T) {
	host := bases(t, standin.Options{})
	daemon := buildkit.Start(t, host)
	for status, want := range map[int]string{
		401: "run `docker login", 403: "this login may not do that", 404: "no such repository", 429: "429, too many requests", 500: "answers 500",
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
