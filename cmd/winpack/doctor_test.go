package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/doctor"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/wine"
)

// sealed keeps a test from this machine's daemons, credentials and network.
func sealed(t *testing.T) (flags []string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	for _, variable := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "HTTPS_PROXY", "HTTP_PROXY"} {
		unset(t, variable)
	}
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	t.Setenv("BUILDKIT_HOST", "tcp://127.0.0.1:1")
	return []string{"--mirror", "mcr.microsoft.com=127.0.0.1:1/mcr"}
}

// unset takes a variable away until the test ends.
func unset(t *testing.T, variable string) {
	t.Helper()
	t.Setenv(variable, "")
	if err := os.Unsetenv(variable); err != nil {
		t.Fatal(err)
	}
}

func doctorSays(t *testing.T, args ...string) (doctor.Document, int) {
	t.Helper()
	stdout, stderr, code := winpack(t, t.TempDir(), append([]string{"doctor", "--format", "json"}, args...)...)
	var d doctor.Document
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if (code == exitDone) != d.Works || code != exitDone && code != exitFailed || (stderr == "") != d.Works {
		t.Errorf("exit %d, works %v, stderr %q", code, d.Works, stderr)
	}
	return d, code
}

// What the doctor says of credentials is what a build meets.
func TestDoctorAndBuildAgreeOnCredentials(t *testing.T) {
	sealed(t)
	s := newSite(t)
	app := fixtures.App(t, "static")
	for name, test := range map[string]struct {
		config string
		code   int
		said   string
	}{
		"no file":                     {"", exitDone, ""},
		"credentials in the file":     {`{"auths": {"registry.example.com": {"auth": "dTpw"}}}`, exitDone, ""},
		"broken file":                 {`{"auths": [`, exitFailed, "can't be read"},
		"broken credentials":          {`{"auths": {"registry.example.com": {"auth": "???"}}}`, exitFailed, "can't be read"},
		"helper that is missing":      {`{"credsStore": "no-such-store"}`, exitFailed, "docker-credential-no-such-store"},
		"missing helper of elsewhere": {`{"credHelpers": {"registry.example.com": "no-such-store"}}`, exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("DOCKER_CONFIG", dir)
			if test.config != "" {
				if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(test.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, code := doctorSays(t, s.flags()...)
			direct := d.Builders[0]
			if code != test.code || direct.Works != (code == exitDone) || !strings.Contains(direct.Problem, test.said) {
				t.Errorf("doctor: exit %d, want %d; %+v", code, test.code, direct)
			}
			_, stderr, code := winpack(t, t.TempDir(), append([]string{"build", app, "--dry-run", "--os", "ltsc2022"}, s.flags()...)...)
			if code != test.code {
				t.Errorf("build: exit %d, want %d as the doctor says\n%s", code, test.code, stderr)
			}
		})
	}
}

func TestDoctorFailsForWhatTheCommandLineNames(t *testing.T) {
	flags := sealed(t)
	s := newSite(t)
	for _, test := range []struct {
		args string
		code int
	}{
		{"", exitDone}, // nothing but the direct builder
		{"--docker-host tcp://127.0.0.1:1", exitFailed},
		{"--buildkit-addr unix:///no/such.sock", exitFailed},
		{"127.0.0.1:1", exitFailed},
		{s.host, exitDone},
		{s.host + "/team/app:1", exitDone},
		{s.host + " 127.0.0.1:1", exitFailed},
	} {
		if _, code := doctorSays(t, append(flags, strings.Fields(test.args)...)...); code != test.code {
			t.Errorf("doctor %s: exit %d, want %d", test.args, code, test.code)
		}
	}
}

func TestDoctorAsksARealEngine(t *testing.T) {
	flags := sealed(t)
	address := docker.Start(t)
	d, code := doctorSays(t, append(flags, "--docker-host", address)...)
	if b := d.Builders[2]; code != exitDone || b.Address != address || b.AddressFrom != "--docker-host" || !b.Answers || b.Works || b.OS != "linux" {
		t.Errorf("exit %d, %+v", code, b)
	}
	t.Setenv("DOCKER_HOST", address)
	stdout, _, code := winpack(t, t.TempDir(), append([]string{"doctor"}, flags...)...)
	if code != exitDone || !strings.Contains(stdout, "the engine runs linux containers") || !strings.Contains(stdout, "(DOCKER_HOST)") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// The doctor asks the builders that a build asks, and by the same way: what it says of
// them is what a build meets.
func TestDoctorAndBuildAgreeOnBuilders(t *testing.T) {
	s := newSite(t)
	app := fixtures.App(t, "static")
	engine, kit, secure := docker.Start(t), buildkit.Start(t, s.host), buildkit.StartTLS(t, s.host)
	sealed(t)
	for _, test := range []struct {
		name    string
		env     map[string]string
		context string // the engine of docker's context
		args    string
		builder int    // of the doctor's
		from    string // who names the address
		answers bool
	}{
		{"docker by the flag", nil, "", "--docker-host " + engine, 2, "--docker-host", true},
		{"docker by DOCKER_HOST", map[string]string{"DOCKER_HOST": engine}, "tcp://127.0.0.1:1", "", 2, "DOCKER_HOST", true},
		{"docker by its context", map[string]string{"DOCKER_HOST": ""}, engine, "", 2, "docker context there", true},
		{"docker by a context that is gone", map[string]string{"DOCKER_HOST": "", "DOCKER_CONTEXT": "gone"}, engine, "", 2, "docker context gone", false},
		{"docker that is dead", nil, engine, "", 2, "DOCKER_HOST", false},
		{"docker with certificates that are not there", map[string]string{"DOCKER_TLS_VERIFY": "1"}, "", "", 2, "DOCKER_HOST", false},
		{"buildkit by the flag", nil, "", "--buildkit-addr " + kit.Address(), 1, "--buildkit-addr", true},
		{"buildkit by BUILDKIT_HOST", map[string]string{"BUILDKIT_HOST": kit.Address()}, "", "", 1, "BUILDKIT_HOST", true},
		{"buildkit by WINPACK_BUILDKIT_ADDR", map[string]string{"WINPACK_BUILDKIT_ADDR": kit.Address()}, "", "", 1, "--buildkit-addr", true},
		{"buildkit with certificates", map[string]string{"BUILDKIT_HOST": secure.Address()}, "", "--buildkit-tls " + secure.TLS, 1, "BUILDKIT_HOST", true},
		{"buildkit without its certificates", map[string]string{"BUILDKIT_HOST": secure.Address()}, "", "", 1, "BUILDKIT_HOST", false},
		{"buildkit that is dead", nil, "", "", 1, "BUILDKIT_HOST", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("DOCKER_CONFIG", dir)
			if test.context != "" {
				id := fmt.Sprintf("%x", sha256.Sum256([]byte("there"))) // docker names the folder so
				writeTree(t, dir, map[string]string{
					"config.json":                        `{"currentContext":"there"}`,
					"contexts/meta/" + id + "/meta.json": fmt.Sprintf(`{"Name":"there","Endpoints":{"docker":{"Host":%q}}}`, test.context),
				})
			}
			for key, value := range test.env {
				t.Setenv(key, value)
			}
			args := append(s.flags(), strings.Fields(test.args)...)
			d, _ := doctorSays(t, args...)
			b := d.Builders[test.builder]
			if b.Answers != test.answers || b.AddressFrom != test.from || (b.Problem == "") != b.Works {
				t.Errorf("doctor: %+v", b)
			}
			_, stderr, code := winpack(t, t.TempDir(), append([]string{"build", app, "--dry-run", "--os", "ltsc2022", "--builder", b.Name}, args...)...)
			line := strings.TrimSpace(stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:])
			switch {
			case b.Works != (code == exitDone):
				t.Errorf("build: exit %d, and the doctor says %+v\n%s", code, b, stderr)
			case !b.Answers && !strings.Contains(line, b.Problem):
				t.Errorf("build does not say what the doctor does, %q:\n%s", b.Problem, line)
			case b.Answers && !b.Works && !strings.Contains(line, "runs Linux containers"):
				t.Errorf("build: %s", line)
			}
		})
	}
}

// A site with an authority of its own is common, and the message has to lead out.
func TestDoctorTrustsTheAuthorityOfSSLCertFile(t *testing.T) {
	flags := sealed(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	d, code := doctorSays(t, append(flags, host)...)
	if code != exitFailed || !strings.Contains(d.Registries[len(d.Registries)-1].Remedy, "SSL_CERT_FILE") {
		t.Errorf("exit %d, %+v", code, d.Registries)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	if d, code := doctorSays(t, append(flags, host)...); code != exitDone {
		t.Errorf("exit %d, %+v", code, d.Registries)
	}
}

func TestDoctorLooksAtWindows(t *testing.T) {
	wine.Prefix(t)
	unset(t, "DOCKER_HOST")
	unset(t, "BUILDKIT_HOST")
	exe := filepath.Join(t.TempDir(), "winpack.exe")
	compile := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	compile.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := wine.Command(t, exe, "doctor", "--format", "json", "--mirror", "mcr.microsoft.com=127.0.0.1:1/mcr")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var d doctor.Document
	if err != nil || json.Unmarshal(out, &d) != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	m := d.Machine
	if m.OS != "windows" || !strings.HasPrefix(m.OSVersion, "10.0.") || m.Isolation == "" || !m.Temp.Writable || m.Temp.FreeBytes <= 0 {
		t.Errorf("the machine is %+v", m)
	}
	for _, b := range d.Builders[1:] {
		if !strings.HasPrefix(b.Address, "npipe://") || b.Answers || !strings.Contains(b.Problem, `\\.\pipe\`) && !strings.Contains(b.Problem, "//./pipe/") {
			t.Errorf("a builder that is not there: %+v", b)
		}
	}
}
