package doctor

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/build"
)

// silent listens, takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	return l.Addr().String()
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// withoutDocker keeps a test from this machine's docker.
func withoutDocker(t *testing.T) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		t.Setenv(name, "")
	}
}

func TestRealDockerEngineIsJudged(t *testing.T) {
	withoutDocker(t)
	address := docker.Start(t)
	answer, err := Docker(build.Docker{Host: address})(t.Context())
	if err != nil || answer.OS != "linux" || answer.Version == "" || answer.Architecture == "" || answer.OSVersion == "" || answer.Isolation != "" || answer.Build != "" {
		t.Errorf("dockerd answers %+v, %v", answer, err)
	}
	if b := (Options{}).judge(Target{Name: "docker", Address: address}, answer, err); b.Works || !strings.Contains(b.Remedy, "Windows containers") {
		t.Errorf("a Linux engine is judged %+v", b)
	}
	// It is no BuildKit daemon.
	if answer, err := BuildKit(build.BuildKit{Addr: address})(t.Context()); err == nil {
		t.Errorf("dockerd passes for buildkitd: %+v", answer)
	}
}

func TestRealBuildKitDaemonIsJudged(t *testing.T) {
	withoutDocker(t)
	host := registry.Start(t)
	address := buildkit.Start(t, host).Address()
	answer, err := BuildKit(build.BuildKit{Addr: address})(t.Context())
	if err != nil || answer.OS != "linux" || answer.Version == "" || answer.Architecture == "" {
		t.Errorf("buildkitd answers %+v, %v", answer, err)
	}
	if b := (Options{}).judge(Target{Name: "buildkit", Address: address}, answer, err); !b.Works || b.RunsWindows {
		t.Errorf("a Linux worker is judged %+v", b)
	}
	if _, err := Docker(build.Docker{Host: address})(t.Context()); err == nil {
		t.Error("buildkitd passes for a Docker engine")
	}
	secure := buildkit.StartTLS(t, host)
	if _, err := BuildKit(build.BuildKit{Addr: secure.Address()})(t.Context()); err == nil || !strings.Contains(err.Error(), "--buildkit-tls") {
		t.Errorf("without a certificate: %v", err)
	}
	if answer, err := BuildKit(build.BuildKit{Addr: secure.Address(), TLSDir: secure.TLS})(t.Context()); err != nil || answer.OS != "linux" {
		t.Errorf("with a certificate: %+v, %v", answer, err)
	}
}

// The address stands beside a problem, which says the reason alone.
func TestProblemOfABuilderIsItsReason(t *testing.T) {
	withoutDocker(t)
	for address, want := range map[string]string{
		"unix:///no/such.sock": "dial unix /no/such.sock: connect: no such file or directory",
		"tcp://127.0.0.1:1":    "dial tcp 127.0.0.1:1: connect: connection refused",
	} {
		if _, err := Docker(build.Docker{Host: address})(t.Context()); err == nil || err.Error() != want {
			t.Errorf("Docker at %q: %v, want %q", address, err, want)
		}
		if _, err := BuildKit(build.BuildKit{Addr: address})(t.Context()); err == nil || err.Error() != want {
			t.Errorf("BuildKit at %q: %v, want %q", address, err, want)
		}
	}
}

// There is no Windows engine here: its answers are those that its API documents.
func TestWindowsEngineIsJudgedByItsHost(t *testing.T) {
	withoutDocker(t)
	address, _ := docker.Windows(t, "unix:///no/such.sock", "20348.2966", "")
	d := check(t, Options{
		Targets:  []Target{{Name: "docker", Address: address, From: "docker context win", Probe: Docker(build.Docker{Host: address})}},
		Releases: releases(),
		Hosts:    rule,
	})
	text, document := outputs(t, d)
	if err := schema.Compile(t, Schema).Validate(t, []byte(document)); err != nil {
		t.Errorf("%v\n%s", err, document)
	}
	b := d.Builders[1]
	if !b.RunsWindows || b.Isolation != "process" || b.Architecture != "amd64" || !strings.Contains(b.OSVersion, "20348.2966") || len(b.Releases) != 2 || !b.Releases[0].Builds || b.Releases[1].Builds {
		t.Errorf("%+v", b)
	}
	for _, want := range []string{
		"RUN steps of Windows too, for ltsc2022\n",
		"(docker context win), 27.3.1 on windows/amd64, Microsoft Windows",
		"not ltsc2025: 10.0.20348.2966 is older than 10.0.26100",
		"a builder for RUN steps of ltsc2025",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// releases are two of the default, and rule a simple one of hosts.
func releases() []Release { return []Release{{"ltsc2022", "10.0.20348"}, {"ltsc2025", "10.0.26100"}} }

func rule(host, image, isolation string) error {
	if host >= image && isolation == "" {
		return nil
	}
	return fmt.Errorf("%s is older than %s", host, image)
}

func TestRegistriesSayWhetherTheyAreOne(t *testing.T) {
	real := registry.Start(t)
	failing := registry.NewProxy(t, real)
	failing.Inject(registry.Fault{Status: http.StatusBadGateway})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, test := range map[string]struct {
		target  RegistryTarget
		answers bool
		status  int
		said    string
	}{
		"a registry":         {RegistryTarget{Host: real}, true, 200, ""}, // loopback may be plain http
		"with a login":       {RegistryTarget{Host: registry.StartAuth(t)}, true, 401, ""},
		"that fails":         {RegistryTarget{Host: failing.Host}, false, 502, "502 Bad Gateway"},
		"a mirror":           {RegistryTarget{Host: "mcr.example.com", Mirror: real + "/mcr"}, true, 200, ""},
		"a dead mirror":      {RegistryTarget{Host: real, Mirror: "127.0.0.1:1/mcr"}, false, 0, "refused"},
		"some other server":  {RegistryTarget{Host: serve(t, http.NotFound)}, false, 404, "as no registry does"},
		"unknown authority":  {RegistryTarget{Host: strings.TrimPrefix(secure.URL, "https://")}, false, 0, "certificate"},
		"no registry's name": {RegistryTarget{Host: "a b"}, false, 0, "a b"},
	} {
		r, _ := askRegistry(t.Context(), test.target)
		if r.Answers != test.answers || r.Login != (test.status == 401) || r.Status != test.status || !strings.Contains(r.Problem, test.said) || (r.Remedy == "") != test.answers {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestWrongClockIsTold(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Add(-time.Hour).Format(http.TimeFormat))
	})
	d := check(t, Options{Registries: []RegistryTarget{{Host: host}}})
	text, _ := outputs(t, d)
	if c := d.Machine.Clock; c.Against != host || c.AheadSeconds < 3590 || c.AheadSeconds > 3660 || !strings.Contains(text, "the right time: the clock is 1h0m") {
		t.Errorf("a clock that is an hour ahead: %+v\n%s", c, text)
	}
	right := check(t, Options{Registries: []RegistryTarget{{Host: registry.Start(t)}}})
	if text, _ := outputs(t, right); strings.Contains(text, "the right time") || !strings.Contains(text, "has it") {
		t.Errorf("a clock that is right:\n%s", text)
	}
}
