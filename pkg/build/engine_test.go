package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
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

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/registry"
)

// withoutDocker keeps a test from this machine's docker, and returns the folder of
// its configuration.
func withoutDocker(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"} {
		t.Setenv(name, "")
	}
	return dir
}

// fakeEngine serves what an engine answers to /info.
func fakeEngine(t *testing.T, info map[string]string) (address string) {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(r.URL.Path, "/info") {
			_ = json.NewEncoder(w).Encode(info)
		}
	})
}

func serve(t *testing.T, handler http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return "tcp://" + s.Listener.Addr().String()
}

// silent listens, takes connections and never answers.
func silent(t *testing.T) (address string) {
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
	return "tcp://" + l.Addr().String()
}

func TestRealEngineSaysWhatItIs(t *testing.T) {
	withoutDocker(t)
	who, err := Docker{Host: docker.Start(t)}.Engine(t.Context())
	if err != nil || who.OS != "linux" || who.Architecture != "amd64" || who.Version == "" || who.OSName == "" || who.OSVersion != "" {
		t.Errorf("dockerd says %+v, %v", who, err)
	}
}

// There is no Windows engine here: its answers are those of moby's source.
func TestWindowsEngineSaysItsBuild(t *testing.T) {
	withoutDocker(t)
	for want, info := range map[string]map[string]string{
		"10.0.20348.2966": {"OperatingSystem": "Microsoft Windows Server Version 21H2 (OS Build 20348.2966)", "OSVersion": "10.0.20348"},
		"10.0.17763":      {"OperatingSystem": "Microsoft Windows Version 1809 (OS Build 17763)", "OSVersion": "10.0.17763"},
		"10.0.20348":      {"OSVersion": "10.0.20348"},
		"10.0.14393":      {"OSVersion": "14393.4169", "KernelVersion": "10.0 14393 (14393.4169.amd64fre.rs1_release.210107-1130)"},
		"":                {"OperatingSystem": "Windows"},
	} {
		info["OSType"], info["Architecture"], info["Isolation"], info["ServerVersion"] = "windows", "x86_64", "process", "28.1"
		who, err := Docker{Host: fakeEngine(t, info)}.Engine(t.Context())
		if err != nil || who.OS != "windows" || who.OSVersion != want || who.Architecture != "amd64" || who.Isolation != "process" || who.OSName != info["OperatingSystem"] {
			t.Errorf("%q: %+v, %v", want, who, err)
		}
	}
}

// wrongAddresses are those at which nothing answers, and what is said of them.
func wrongAddresses(t *testing.T) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"unix:///no/such.sock":               "no such file",
		"unix://" + file:                     "refused",
		"tcp://127.0.0.1:1":                  "refused",
		"npipe:////./pipe/none":              "",
		"/run/x.sock":                        "no scheme",
		"x":                                  "no scheme",
		"nonsense://x":                       "of no kind",
		"tcp://u:Xyzzy%zz@127.0.0.1:1":       "is no URL",
		"ssh://u:Xyzzy@127.0.0.1":            "plain-text password",
		"tcp://u:Xyzzy@127.0.0.1:1":          "tcp://***@127.0.0.1:1: dial",
		"Xyzzy:u@127.0.0.1:1":                "no scheme",
		silent(t) + "/":                      "no answer in time",
		"tcp://127.0.0.1:x":                  "",
		"tcp://[::1":                         "is no URL",
		"ssh://127.0.0.1:1?secret=a":         "quer",
		"unix://" + strings.Repeat("x", 200): "",
	}
}

func TestAddressWithoutAnEngineSaysWhy(t *testing.T) {
	withoutDocker(t)
	for address, want := range wrongAddresses(t) {
		oneLine(t, address, want, func(ctx context.Context) error {
			_, err := Docker{Host: address}.Engine(ctx)
			return err
		})
	}
	for want, handler := range map[string]http.HandlerFunc{
		"or keeps from saying so: 404 page not found": http.NotFound,
		"so: Error reading remote info":               func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"it does not say":                             func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"has no end": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				return
			}
			_, _ = w.Write([]byte(`{"OSType": "`))
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		oneLine(t, "a server", want, func(context.Context) error {
			_, err := Docker{Host: serve(t, handler)}.Engine(t.Context())
			return err
		})
	}
	oneLine(t, "BuildKit", "", func(ctx context.Context) error {
		_, err := Docker{Host: buildkit.Start(t, registry.Start(t)).Address()}.Engine(ctx)
		return err
	})
}

// oneLine asks, and wants an error in one line, with a cure and without a secret.
func oneLine(t *testing.T, what, want string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := ask(ctx)
	var gone *UnreachableError
	var wrong *AddressError
	if err == nil || !errors.As(err, &gone) && !errors.As(err, &wrong) {
		t.Errorf("%s: %v is no error of an address", what, err)
		return
	}
	if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "\n") || strings.Contains(text, "Xyzzy") {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// An engine is found as docker finds it: DOCKER_HOST, then the context in use.
func TestEngineOfTheDockerContextIsTaken(t *testing.T) {
	dir := withoutDocker(t)
	serve := func(name string) string {
		return fakeEngine(t, map[string]string{"OSType": "windows", "ServerVersion": name})
	}
	writeContext(t, dir, "win", serve("context"), nil)
	for _, c := range []struct{ flag, env, from string }{
		{"flag", "env", ""}, {"", "env", "DOCKER_HOST"}, {"", "", "docker context win"},
	} {
		t.Setenv("DOCKER_HOST", "")
		want, d := "context", Docker{}
		if c.env != "" {
			want = "env"
			t.Setenv("DOCKER_HOST", serve("env"))
		}
		if c.flag != "" {
			want, d.Host = "flag", serve("flag")
		}
		who, err := d.Engine(t.Context())
		if err != nil || who.Version != want {
			t.Errorf("%+v: %+v, %v", c, who, err)
		}
		if at, err := d.Endpoint(); err != nil || at.From != c.from || !strings.HasPrefix(at.Address, "tcp://127.0.0.1:") {
			t.Errorf("%+v: it is at %+v, %v", c, at, err)
		}
	}
	t.Setenv("DOCKER_CONTEXT", "default")
	if at, err := (Docker{}).Endpoint(); err != nil || at.From != "default" || at.Address == "" {
		t.Errorf("the default context is at %+v, %v", at, err)
	}
	t.Setenv("DOCKER_CONTEXT", "nowhere")
	if at, err := (Docker{}).Endpoint(); err == nil || !strings.Contains(err.Error(), `no docker context "nowhere"`) || at.From != "docker context nowhere" {
		t.Errorf("a context that is not there: %+v, %v", at, err)
	}
	t.Setenv("DOCKER_CONTEXT", "")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wrong *AddressError
	if _, err := (Docker{}).Engine(t.Context()); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "docker's configuration") {
		t.Errorf("a configuration that is broken: %v", err)
	}
}

// writeContext writes a docker context with certificates and makes it the one in use.
// docker names its folders by the SHA-256 of its name.
func writeContext(t *testing.T, dir, name, host string, certificates map[string][]byte) {
	t.Helper()
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	files := map[string][]byte{
		filepath.Join(dir, "contexts", "meta", id, "meta.json"): fmt.Appendf(nil, `{"Name":%q,"Metadata":{},"Endpoints":{"docker":{"Host":%q}}}`, name, host),
		filepath.Join(dir, "config.json"):                       fmt.Appendf(nil, `{"currentContext":%q}`, name),
	}
	for file, data := range certificates {
		files[filepath.Join(dir, "contexts", "tls", id, "docker", file)] = data
	}
	for path, data := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// An engine with TLS is spoken to as docker does it: by the certificates of its
// context, or by those of DOCKER_CERT_PATH where DOCKER_TLS_VERIFY asks for them.
func TestEngineWithTLSIsAskedWithTheCertificatesOfDocker(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"OSType":"windows"}`))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	address := "tcp://" + s.Listener.Addr().String()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	good := map[string][]byte{"ca.pem": certificate, "cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})}
	dir := t.TempDir()
	for name, data := range good {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(want string) {
		t.Helper()
		who, err := Docker{}.Engine(t.Context())
		if want == "" && (err != nil || who.OS != "windows") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v, %v; want %q", who, err, want)
		}
	}

	withoutDocker(t)
	t.Setenv("DOCKER_HOST", address)
	asked("DOCKER_TLS_VERIFY")
	t.Setenv("DOCKER_CERT_PATH", dir)
	asked("DOCKER_TLS_VERIFY") // docker too speaks plain http then
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	asked("")
	t.Setenv("DOCKER_CERT_PATH", t.TempDir())
	asked("ca.pem: no such file")
	t.Setenv("DOCKER_TLS_VERIFY", "")
	t.Setenv("DOCKER_TLS", "1")
	asked("who are you?") // any server is fine, and no certificate of ours is there
	t.Setenv("DOCKER_CERT_PATH", "")
	t.Setenv("DOCKER_HOST", fakeEngine(t, map[string]string{"OSType": "windows"}))
	asked("it speaks no TLS")

	config := withoutDocker(t)
	writeContext(t, config, "secure", address, good)
	asked("")
	t.Setenv("DOCKER_TLS_VERIFY", "1") // is no matter of a context's
	asked("")
	writeContext(t, config, "secure", address, map[string][]byte{"ca.pem": []byte("none")})
	asked(`certificates of the docker context "secure": ca.pem holds none`)
	writeContext(t, config, "other", address, map[string][]byte{"cert.pem": good["cert.pem"], "key.pem": good["key.pem"]})
	asked("certificate")
	writeContext(t, config, "socket", "unix:///no/such.sock", map[string][]byte{"ca.pem": []byte("none")})
	asked("no such file")
}

func TestEngineIsReachedBySSHWithoutAQuestion(t *testing.T) {
	withoutDocker(t)
	socket := docker.Start(t)
	called := onSSH(t)
	dialStdio(t)
	who, err := Docker{Host: "ssh://me@host" + strings.TrimPrefix(socket, "unix://")}.Engine(t.Context())
	if err != nil || who.OS != "linux" {
		t.Errorf("%+v, %v", who, err)
	}
	if !strings.Contains(called(), "BatchMode=yes") || !strings.Contains(called(), "-l me") {
		t.Errorf("ssh may ask something: %s", called())
	}
	oneLine(t, "a host that is away", "ssh: connect to host dead port 22: refused;", func(ctx context.Context) error {
		_, err := Docker{Host: "ssh://dead"}.Engine(ctx)
		return err
	})
	oneLine(t, "a host that is silent", "no answer in time", func(ctx context.Context) error {
		_, err := Docker{Host: "ssh://silent"}.Engine(ctx)
		return err
	})
}

func TestInterruptWhileABuilderIsAskedIsOne(t *testing.T) {
	withoutDocker(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	host := silent(t)
	if _, err := (Docker{Host: host}).Engine(ctx); !errors.Is(err, context.Canceled) || errors.As(err, new(*UnreachableError)) {
		t.Errorf("Docker: %v", err)
	}
	if _, err := (BuildKit{Addr: host}).Worker(ctx); !errors.Is(err, context.Canceled) || errors.As(err, new(*UnreachableError)) {
		t.Errorf("BuildKit: %v", err)
	}
}
