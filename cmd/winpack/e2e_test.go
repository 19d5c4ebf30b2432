package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/checked"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/fixtures/wine"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

// site is a real registry that has stand-ins of the base images below /mcr.
type site struct{ host string }

func newSite(t *testing.T) site {
	t.Helper()
	host := registry.Start(t)
	if err := standin.Push(t.Context(), host+"/mcr", standin.Options{}, "nanoserver", "iis", "netfx-aspnet-4.8.1"); err != nil {
		t.Fatal(err)
	}
	return site{host}
}

// flags lead winpack from Microsoft's registry to the stand-ins.
func (s site) flags() []string {
	return []string{"--mirror", "mcr.microsoft.com=" + s.host + "/mcr", "--insecure-registry", s.host}
}

// build runs winpack build and returns the digest that -q prints.
func (s site) build(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := winpack(t, t.TempDir(), append(append([]string{"build", "-q"}, args...), s.flags()...)...)
	if code != exitDone {
		t.Fatalf("winpack build %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	for _, arg := range args {
		if _, dest, ok := strings.Cut(arg, "dest="); ok && strings.HasPrefix(arg, "type=") && !slices.Contains(args, "--dry-run") {
			dest, _, _ = strings.Cut(dest, ",")
			checked.Layout(t, dest)
		}
	}
	digest, err := v1.NewHash(strings.TrimSuffix(stdout, "\n"))
	if err != nil {
		t.Fatalf("-q prints %q and not a digest alone", stdout)
	}
	return digest.String()
}

// pull returns the images of an index with their bases, by full os.version.
func (s site) pull(t *testing.T, ref string) (images map[string]v1.Image) {
	t.Helper()
	tag, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images = map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		if m.Platform == nil || m.Platform.OS != "windows" || m.Platform.Architecture != "amd64" {
			t.Errorf("the index names a manifest for %v", m.Platform)
			continue
		}
		if images[m.Platform.OSVersion], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

// base returns the image that a mirrored reference has for an os.version.
func (s site) base(t *testing.T, reference, osVersion string) v1.Image {
	t.Helper()
	tag, err := name.ParseReference(strings.Replace(reference, "mcr.microsoft.com", s.host+"/mcr", 1), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: osVersion}))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// addedFiles returns the files of the layers that an image has over its base, by
// their path below Files/.
func addedFiles(t *testing.T, img, base v1.Image) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, data := range added(t, img, base) {
		if !strings.HasSuffix(name, "/") {
			files[name] = []byte(data)
		}
	}
	return files
}

// missing compares an app folder with the files of an image, in a folder of it.
func missing(t *testing.T, app, below string, files map[string][]byte) []string {
	t.Helper()
	var wrong []string
	err := filepath.WalkDir(app, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(app, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got, ok := files[below+filepath.ToSlash(rel)]; !ok || !bytes.Equal(got, want) {
			wrong = append(wrong, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return wrong
}

func osVersions(t *testing.T, releases ...string) []string {
	t.Helper()
	var versions []string
	for _, release := range releases {
		v, err := standin.OSVersion(release)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	return versions
}

// From an app folder to a pushed image for two Windows releases, pulled back by
// two clients that are not ours.
func TestBuildPushesAnImageThatOthersCanPull(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct{ fixture, folder, base string }{
		{"static", "inetpub/wwwroot/", "mcr.microsoft.com/windows/servercore/iis:windowsservercore-"},
		{"demo", "inetpub/wwwroot/", "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-"},
		{"native-web", "app/", "mcr.microsoft.com/windows/nanoserver:"},
	} {
		t.Run(test.fixture, func(t *testing.T) {
			app := fixtures.App(t, test.fixture)
			ref := s.host + "/apps/" + test.fixture + ":1"
			dir := t.TempDir()
			iid, metadata := filepath.Join(dir, "iid"), filepath.Join(dir, "metadata.json")
			digest := s.build(t, app, "-t", ref, "-t", s.host+"/apps/"+test.fixture+":latest", "--push", "--iidfile", iid, "--metadata-file", metadata,
				"--label", "com.example.list=a,b")
			if got, err := os.ReadFile(iid); err != nil || string(got) != digest {
				t.Errorf("--iidfile holds %q, %v; the digest is %s", got, err, digest)
			}
			checkMetadata(t, metadata, digest, ref)

			images := s.pull(t, ref)
			versions := osVersions(t, "ltsc2022", "ltsc2025")
			for i, version := range versions {
				img := images[version]
				if img == nil {
					t.Errorf("there is no image for Windows %s", version)
					continue
				}
				base := s.base(t, test.base+[]string{"ltsc2022", "ltsc2025"}[i], version)
				for _, p := range layercheck.CheckImage(img, base) {
					t.Errorf("Windows %s: %v", version, p)
				}
				if wrong := missing(t, app, test.folder, addedFiles(t, img, base)); len(wrong) > 0 {
					t.Errorf("Windows %s: missing in the image, or with other bytes: %q", version, wrong)
				}
				config, err := img.ConfigFile()
				if err != nil {
					t.Fatal(err)
				}
				if config.OSVersion != version || config.Config.Labels["com.example.list"] != "a,b" {
					t.Errorf("os.version is %s and labels are %v", config.OSVersion, config.Config.Labels)
				}
			}
			if len(images) != len(versions) {
				t.Errorf("the index has %d images, want %d", len(images), len(versions))
			}
			skopeoPulls(t, ref, digest)

			if again := s.build(t, app, "-t", ref, "--push"); again == digest {
				t.Errorf("another label gives the same digest")
			}
			if again := s.build(t, app, "-t", ref, "--push", "--label", "com.example.list=a,b"); again != digest {
				t.Errorf("the second build gives %s, the first %s", again, digest)
			}
		})
	}
}

func checkMetadata(t *testing.T, path, digest, ref string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Digest     string        `json:"containerimage.digest"`
		Config     string        `json:"containerimage.config.digest"`
		Descriptor v1.Descriptor `json:"containerimage.descriptor"`
		Name       string        `json:"image.name"`
		Winpack    struct {
			Builder   string
			Releases  []struct{ OSVersion, BaseDigest, Digest string }
			Durations map[string]float64
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, phase := range []string{"build", "resolve", "push"} {
		if m.Winpack.Durations[phase] <= 0 {
			t.Errorf("no duration of %q: %v", phase, m.Winpack.Durations)
		}
	}
	if m.Digest != digest || m.Descriptor.Digest.String() != digest || m.Descriptor.Size == 0 || m.Config == "" ||
		!strings.HasPrefix(m.Name, ref) || m.Winpack.Builder != "direct" || len(m.Winpack.Releases) != 2 || m.Winpack.Releases[0].BaseDigest == "" {
		t.Errorf("--metadata-file is\n%s", data)
	}
}

func skopeoPulls(t *testing.T, ref, digest string) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
			t.Fatal("skopeo is missing: apt-get install skopeo")
		}
		t.Skip("SKIPPED: skopeo is missing: apt-get install skopeo")
	}
	dir := filepath.Join(t.TempDir(), "copy")
	out, err := exec.Command("skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+ref, "oci:"+dir).CombinedOutput()
	if err != nil {
		t.Errorf("skopeo can't pull: %v\n%s", err, out)
		return
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != digest {
		t.Errorf("skopeo pulled %+v, and %s was pushed", manifest.Manifests, digest)
	}
}

// The image's own files, started by the image's own entrypoint, serve HTTP.
func TestPushedWebAppRuns(t *testing.T) {
	wine.Prefix(t)
	s := newSite(t)
	ref := s.host + "/apps/web:1"
	s.build(t, fixtures.App(t, "native-web"), "-t", ref, "--push")
	version := osVersions(t, "ltsc2022")[0]
	img := s.pull(t, ref)[version]
	if img == nil {
		t.Fatalf("there is no image for Windows %s", version)
	}
	root := t.TempDir()
	for path, data := range addedFiles(t, img, s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", version)) {
		to := filepath.Join(root, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	inRoot := func(windows string) string {
		rest, ok := strings.CutPrefix(windows, `C:\`)
		if !ok {
			t.Fatalf("%q is no absolute Windows path", windows)
		}
		return filepath.Join(root, filepath.FromSlash(strings.ReplaceAll(rest, `\`, "/")))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	entrypoint := config.Config.Entrypoint
	cmd := wine.Command(t, inRoot(entrypoint[0]), append(entrypoint[1:], config.Config.Cmd...)...)
	cmd.Dir = inRoot(config.Config.WorkingDir)
	cmd.Env = append(cmd.Env, fmt.Sprintf("PORT=%d", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	want, err := os.ReadFile(filepath.Join(fixtures.App(t, "native-web"), "wwwroot", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !bytes.Equal(body, want) || res.Header.Get("X-Platform") != "windows/amd64" {
			t.Errorf("the app answers %s, %q, %v", res.Status, body, err)
		}
		return
	}
}

// winpack.exe makes the same image of the same folder, and so does another version: a
// test binary has none, and this one that of the commit.
func TestWindowsBuildGivesTheSameDigest(t *testing.T) {
	wine.Prefix(t)
	s := newSite(t)
	exe := filepath.Join(t.TempDir(), "winpack.exe")
	compile := exec.Command("go", "build", "-o", exe, ".")
	compile.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"Dockerfile":    "# escape=`\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nENV Path=C:\\x;$PATH\nWORKDIR C:\\app\nCOPY --exclude=**/*.log . .\\\nCOPY d\\*.txt <<note \\y\\\nhello $Path\nnote\n",
		".dockerignore": "Dockerfile\n.dockerignore\n", "d/a.txt": "a", "d/b.log": "b", "é.txt": "c",
	})
	for _, test := range []struct {
		app  string
		file string // of -f
	}{{app: fixtures.App(t, "native-web")}, {app: fixtures.App(t, "static")}, {dir, filepath.Join(dir, "Dockerfile")}} {
		here, there := []string{test.app}, []string{"build", "-q", wine.Path(test.app)}
		if test.file != "" {
			here, there = append(here, "-f", test.file), append(there, "-f", wine.Path(test.file))
		}
		want := s.build(t, append(here, "-t", s.host+"/apps/same:linux", "--push")...)
		args := append(append(there, "-t", s.host+"/apps/same:windows", "--push"), s.flags()...)
		cmd := wine.Command(t, exe, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("winpack.exe: %v\n%s%s", err, out, stderr.String())
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%s %s: winpack.exe gives %s, winpack gives %s", test.app, test.file, got, want)
		}
	}
	// The lines that it prints are for cmd.exe.
	site := t.TempDir()
	if err := os.CopyFS(filepath.Join(site, "my site"), os.DirFS(fixtures.App(t, "static"))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ command, want string }{
		{"dockerfile", `docker buildx build --platform windows/amd64 -f my-site.winpack\Dockerfile .`},
		{"detect", `winpack dockerfile "my site"`},
	} {
		cmd := wine.Command(t, exe, test.command, "my site")
		cmd.Dir = site
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "  "+test.want+"\n") {
			t.Errorf("winpack.exe %s: %v, want the line %s in\n%s", test.command, err, test.want, out)
		}
	}
}
