package build

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

func TestFaultsOfTheRegistryAreOvercome(t *testing.T) {
	for name, f := range map[string]registry.Fault{
		"429":                   {Method: "POST", Times: 2, Status: 429, RetryAfter: "1"},
		"429 on upload":         {Method: "PATCH", Times: 1, Status: 429},
		"500":                   {Method: "PUT", Times: 2, Status: 500},
		"reset in the blob":     {Method: "PATCH", Times: 1, Reset: true, After: 100_000},
		"reset of a manifest":   {Method: "PUT", Path: "/manifests/", Times: 1, Reset: true},
		"reset while resolving": {Method: "GET", Path: "/manifests/", Times: 1, Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := registry.NewProxy(t, bases(t, standin.Options{}))
			p.Inject(f)
			img := mustBuild(t, direct(p.Host), request(p.Host))
			idx, err := remote.Index(parse(t, p.Host+"/team/shop:1"))
			if err != nil {
				t.Fatal(err)
			}
			if d, _ := idx.Digest(); d.String() != img.Digest {
				t.Errorf("pushed %s, said %s", d, img.Digest)
			}
		})
	}
}

// Several uploads to a repository begin at once, by the same request. A burst that
// all of them meet is one failure of each, and none has the bases sent that could
// be mounted.
func TestBurstThatEveryParallelUploadMeetsIsOvercome(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		for name, to := range map[string]string{"bases are streamed": registry.Start(t), "bases are mounted": ""} {
			from := bases(t, standin.Options{LayerSize: 1 << 20})
			p := registry.NewProxy(t, cmp.Or(to, from))
			source := p.Host
			if to != "" {
				source = from
			}
			// Four layers of two bases, and the app's.
			p.Inject(registry.Fault{Method: http.MethodPost, Path: "/blobs/uploads/", Times: 5, Status: status})
			img, err := direct(source).Build(t.Context(), request(p.Host))
			if err != nil {
				t.Errorf("%s, %d: %v", name, status, err)
				continue
			}
			streamed := 0
			for _, r := range img.Releases {
				streamed += r.BaseStreamed
			}
			if to == "" && streamed > 0 {
				t.Errorf("%s, %d: %d layers were sent", name, status, streamed)
			}
		}
	}
}

func TestBaseThatBreaksOffIsReadAgain(t *testing.T) {
	from := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 1 << 20}))
	from.Inject(registry.Fault{Method: "GET", Path: "/blobs/", Skip: 2, Times: 1, Reset: true, After: 300_000})
	to := registry.Start(t)
	mustBuild(t, direct(from.Host), request(to))
}

func TestMissingLoginNamesTheCure(t *testing.T) {
	from := bases(t, standin.Options{})
	to := registry.StartAuth(t)
	_, err := direct(from).Build(t.Context(), request(to))
	var auth *AuthError
	if !errors.As(err, &auth) || !strings.Contains(err.Error(), "docker login "+to) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, to, registry.User, registry.Password)
	if err := os.MkdirAll(filepath.Join(dir, "containers"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("DOCKER_CONFIG", dir)
	d := direct(from)
	d.Registry.Keychain = nil
	for _, file := range []string{"config.json", "containers/auth.json"} {
		// Docker's file is there in both turns; in the second it knows nothing.
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Build(t.Context(), request(to)); err != nil {
			t.Errorf("login in %s: %v", file, err)
		}
	}
}

// The login of a pipeline may be one that pushes and never reads.
func TestLoginThatMayOnlyPushPushes(t *testing.T) {
	from := bases(t, standin.Options{})
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed} {
		to := registry.NewProxy(t, registry.StartAuth(t))
		to.Inject(registry.Fault{Method: http.MethodGet, Path: "/manifests/", Status: status})
		to.Inject(registry.Fault{Method: http.MethodHead, Path: "/blobs/", Status: status})
		d := direct(from)
		d.Registry.Keychain = login{to.Host}
		img, err := d.Build(t.Context(), request(to.Host))
		if err != nil {
			t.Errorf("%d: %v", status, err)
			continue
		}
		to.Forget()
		desc, err := remote.Head(parse(t, to.Host+"/team/shop:1"), remote.WithAuthFromKeychain(login{to.Host}))
		if err != nil || desc.Digest.String() != img.Digest {
			t.Errorf("%d: the tag is %v, %v", status, desc, err)
		}
	}
}

func TestCredentialHelperThatIsMissingIsNamed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	host := bases(t, standin.Options{})
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"credHelpers":{%q:"nowhere-at-all"}}`, host), 0o600); err != nil {
		t.Fatal(err)
	}
	d := direct(host)
	d.Registry.Keychain = nil
	_, err := d.Build(t.Context(), request(host))
	if err == nil || !strings.Contains(err.Error(), "docker-credential-nowhere-at-all, which is not in PATH: install it") {
		t.Errorf("the error is %v", err)
	}
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte(`{"auths":{`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = d.Build(t.Context(), request(host))
	if want := fmt.Sprintf("can't be read: parsing config file (%s): unexpected EOF: mend that file", path); err == nil || !strings.Contains(err.Error(), want) || Temporary(err) {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestFileThatCannotBeReadIsNamedAndNothingIsLeft(t *testing.T) {
	host := bases(t, standin.Options{})
	dir := t.TempDir()
	for _, push := range []bool{true, false} {
		req := request(host)
		req.App, req.Push = brokenFS{shopFiles()}, push
		req.Outputs = []Output{{Type: "oci", Dest: filepath.Join(dir, "x.tar"), Tar: true}}
		_, err := direct(host).Build(t.Context(), req)
		if err == nil || !strings.Contains(err.Error(), `"bin/Shop.dll": permission denied: run winpack as a user`) {
			t.Errorf("push %v: %v", push, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := remote.Head(parse(t, host+"/team/shop:1")); err == nil {
		t.Error("a tag was pushed")
	}
}
