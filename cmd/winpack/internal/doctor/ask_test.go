package doctor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/registry"
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

func TestRealDockerEngineSaysWhatItIs(t *testing.T) {
	address := docker.Start(t)
	answer, err := Docker(address, nil)(t.Context())
	if err != nil || answer.OS != "linux" || answer.Version == "" || answer.Architecture == "" || answer.OSVersion == "" || answer.Isolation != "" {
		t.Errorf("dockerd answers %+v, %v", answer, err)
	}
	if b := judge(Target{Name: "docker", Address: address}, answer, err); b.Works || !strings.Contains(b.Remedy, "Windows containers") {
		t.Errorf("a Linux engine is judged %+v", b)
	}
	// It is no BuildKit daemon.
	if answer, err := BuildKit(address)(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer as buildkitd does") && !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("dockerd asked as buildkitd gives %+v, %v", answer, err)
	}
}

func TestRealBuildKitDaemonSaysWhatItIs(t *testing.T) {
	address := buildkit.Start(t, registry.Start(t)).Address()
	answer, err := BuildKit(address)(t.Context())
	if err != nil || answer.OS != "linux" || answer.Version == "" || answer.Architecture == "" {
		t.Errorf("buildkitd answers %+v, %v", answer, err)
	}
	if _, err := Docker(address, nil)(t.Context()); err == nil {
		t.Error("buildkitd passes for a Docker engine")
	}
}

func TestDeadAddressesSayWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"unix:///no/such.sock":  "no such file",
		"unix://" + file:        "refused",
		"tcp://127.0.0.1:1":     "refused",
		"tcp://127.0.0.1":       "missing port",
		"npipe:////./pipe/none": "",
		"/run/docker.sock":      "no scheme",
		"":                      "no scheme",
	} {
		if _, err := Docker(address, nil)(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Docker at %q: %v, want %q", address, err, want)
		}
		if address == "" || !strings.Contains(address, "://") {
			continue
		}
		if _, err := BuildKit(address)(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("BuildKit at %q: %v, want %q", address, err, want)
		}
	}
	if _, err := Docker("ssh://host", nil)(t.Context()); err == nil || !strings.Contains(err.Error(), "ssh:// are not asked here") {
		t.Errorf("an address of ssh gives %v", err)
	}
	if _, err := BuildKit("nonsense://x")(t.Context()); err == nil {
		t.Error("an address of no known kind answers")
	}
}

// There is no Windows engine here: its answers are those that its API documents.
func TestWindowsEngineTellsItsIsolation(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			_, _ = w.Write([]byte(`{"Version":"27.3.1","Os":"windows","Arch":"amd64"}`))
		case "/info":
			_, _ = w.Write([]byte(`{"OSType":"windows","OperatingSystem":"Microsoft Windows Server Version 21H2 (OS Build 20348.2966)","OSVersion":"21H2","Isolation":"process"}`))
		default:
			http.NotFound(w, r)
		}
	})
	answer, err := Docker("tcp://"+host, nil)(t.Context())
	b := judge(Target{Name: "docker", Address: "tcp://" + host}, answer, err)
	if err != nil || !b.RunsWindows || b.Isolation != "process" || !strings.Contains(b.OSVersion, "20348.2966") {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestServersThatAreNoEngineAreToldApart(t *testing.T) {
	for answer, handler := range map[string]http.HandlerFunc{
		"it answers 404 Not Found to /version": http.NotFound,
		"is not that of a Docker engine":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	} {
		if _, err := Docker("tcp://"+serve(t, handler), nil)(t.Context()); err == nil || !strings.Contains(err.Error(), answer) {
			t.Errorf("%v, want %q", err, answer)
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"Version": "`))
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
				return
			}
		}
	}
	if _, err := Docker("tcp://"+serve(t, endless), nil)(t.Context()); err == nil {
		t.Error("an answer without end is taken")
	}
}

func TestEngineWithTLSIsAskedWithTheCertificatesOfDocker(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"Version":"27","Os":"windows","Arch":"amd64"}`))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	address := "tcp://" + s.Listener.Addr().String()
	dir := t.TempDir()
	secure := func() (*tls.Config, error) { return DockerTLS(dir) }
	if _, err := Docker(address, nil)(t.Context()); err == nil || !strings.Contains(err.Error(), "DOCKER_TLS_VERIFY") {
		t.Errorf("without TLS: %v", err)
	}
	if _, err := Docker(address, secure)(t.Context()); err == nil || !strings.Contains(err.Error(), "DOCKER_CERT_PATH") {
		t.Errorf("without certificates: %v", err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, data := range map[string][]byte{"ca.pem": certificate, "cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if answer, err := Docker(address, secure)(t.Context()); err != nil || answer.OS != "windows" || answer.Isolation != "default" {
		t.Errorf("with certificates: %+v, %v", answer, err)
	}
}

func TestWindowsWorkerMakesABuilderOfRUNSteps(t *testing.T) {
	worker := func(oses ...string) *client.WorkerInfo {
		w := &client.WorkerInfo{BuildkitVersion: client.BuildkitVersion{Version: "v1"}}
		for _, os := range oses {
			w.Platforms = append(w.Platforms, ocispecs.Platform{OS: os, Architecture: "amd64"})
		}
		return w
	}
	for want, workers := range map[string][]*client.WorkerInfo{
		"windows": {worker("linux"), worker("windows")},
		"linux":   {worker(), worker("linux", "windows")},
		"":        {worker()},
	} {
		if a, err := workerAnswer(workers); a.OS != want || (err == nil) != (want != "") {
			t.Errorf("%+v, %v; want %q", a, err, want)
		}
	}
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
