package build

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/grpc"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/registry"
)

func TestRealBuildKitDaemonSaysWhatItIs(t *testing.T) {
	daemon := buildkit.Start(t, registry.Start(t))
	b := BuildKit{Addr: daemon.Address()}
	w, err := b.Worker(t.Context())
	if err != nil || w.OS != "linux" || w.Architecture != "amd64" || w.Version == "" || w.OSVersion != "" || len(w.Platforms) == 0 || w.Platforms[0] != "linux/amd64" {
		t.Errorf("buildkitd says %+v, %v", w, err)
	}
	if at, err := b.Endpoint(); err != nil || at.Address != daemon.Address() || at.From != "" {
		t.Errorf("it is at %+v, %v", at, err)
	}
	if at, err := (BuildKit{}).Endpoint(); err != nil || at.Address == "" || at.From != "default" {
		t.Errorf("the default is %+v, %v", at, err)
	}
}

// The first worker builds, and the first platform of a worker is its own.
func TestFirstWorkerAndItsOwnPlatformCount(t *testing.T) {
	linux := []*pb.Platform{buildkit.Linux(), buildkit.Windows("")}
	windows := []*pb.Platform{buildkit.Windows("10.0.20348.2966"), buildkit.Linux()}
	for _, test := range []struct {
		platforms   [][]*pb.Platform
		os, version string
	}{
		{[][]*pb.Platform{windows, linux}, "windows", "10.0.20348.2966"},
		{[][]*pb.Platform{linux, windows}, "linux", ""},
		{[][]*pb.Platform{{}}, "", ""},
		{nil, "", ""},
	} {
		w, err := BuildKit{Addr: buildkit.Workers(t, test.platforms...)}.Worker(t.Context())
		if w.OS != test.os || w.OSVersion != test.version || (err == nil) != (test.os != "") || err != nil && !strings.Contains(err.Error(), "no worker") {
			t.Errorf("%v: %+v, %v", test.platforms, w, err)
		}
	}
}

func TestAddressWithoutABuildKitDaemonSaysWhy(t *testing.T) {
	withoutDocker(t)
	for address, want := range wrongAddresses(t) {
		oneLine(t, address, want, func(ctx context.Context) error {
			_, err := BuildKit{Addr: address}.Worker(ctx)
			return err
		})
	}
	plain := buildkit.Workers(t)
	tls := buildkit.StartTLS(t, registry.Start(t))
	empty := t.TempDir()
	if err := os.Mkdir(filepath.Join(empty, "ca.pem"), 0o755); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		b    BuildKit
		want string
	}{
		"a daemon with TLS, without certificates": {BuildKit{Addr: tls.Address()}, "needs --buildkit-tls"},
		"a daemon without TLS, with certificates": {BuildKit{Addr: plain, TLSDir: tls.TLS}, "it speaks no TLS"},
		"certificates of another authority":       {BuildKit{Addr: tls.Address(), TLSDir: buildkit.Certificates(t)}, "certificate"},
		"a socket with certificates":              {BuildKit{Addr: "unix:///run/x.sock", TLSDir: tls.TLS}, "tcp://HOST:PORT"},
		"the default with certificates":           {BuildKit{TLSDir: tls.TLS}, "tcp://HOST:PORT"},
		"a folder that lacks them":                {BuildKit{Addr: plain, TLSDir: empty}, "lacks ca.pem"},
		"a service that is another":               {BuildKit{Addr: otherService(t)}, "what answers is no BuildKit daemon"},
		"a Docker engine":                         {BuildKit{Addr: docker.Start(t)}, ""},
		"a web server":                            {BuildKit{Addr: fakeEngine(t, nil)}, ""},
		"no container's name":                     {BuildKit{Addr: "docker-container://"}, "container name"},
		"no pod's name":                           {BuildKit{Addr: "kube-pod://"}, "pod name"},
	} {
		oneLine(t, what, test.want, func(ctx context.Context) error {
			_, err := test.b.Worker(ctx)
			return err
		})
	}
}

// otherService speaks gRPC and knows nothing of BuildKit.
func otherService(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "tcp://" + l.Addr().String()
}

// A daemon behind ssh or in a container is reached by commands, which ask nothing and
// whose own words are told where they fail.
func TestBuildKitIsReachedByCommands(t *testing.T) {
	daemon := buildkit.Start(t, registry.Start(t))
	called := onSSH(t)
	exec := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(exec, []byte("#!/bin/sh\nexec docker-exec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Dir(exec), os.Getenv("PATH"), filepath.Dir(daemon.Command(t.Context()).Path)}
	t.Setenv("PATH", strings.Join(paths, string(os.PathListSeparator)))
	t.Setenv("BUILDKIT_HOST", daemon.Address()) // for buildctl at the other end
	for _, address := range []string{"ssh://me@host", "ssh://me@host:22" + strings.TrimPrefix(daemon.Address(), "unix://"), "docker-container://buildkitd"} {
		if w, err := (BuildKit{Addr: address}).Worker(t.Context()); err != nil || w.OS != "linux" {
			t.Errorf("%s: %+v, %v", address, w, err)
		}
	}
	if log := called(); strings.Count(log, "-o BatchMode=yes -l me") != 2 || !strings.Contains(log, "-p 22 -- host buildctl --addr unix:///") || !strings.Contains(log, "docker-exec exec -i buildkitd buildctl dial-stdio") {
		t.Errorf("the commands are\n%s", log)
	}
	for address, want := range map[string]string{
		"ssh://dead":              "ssh: connect to host dead port 22: refused;",
		"docker-container://dead": "docker: Error: no such container: dead;",
		"docker-container://away": "at docker-container://away: ssh: connect to host away port 22: refused;",
		"ssh://silent":            "no answer in time",
	} {
		oneLine(t, address, want, func(ctx context.Context) error {
			_, err := BuildKit{Addr: address}.Worker(ctx)
			return err
		})
	}
}
