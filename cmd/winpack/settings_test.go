package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

// exampleApp is a small program with the example as its winpack.toml, and what that
// names.
func exampleApp(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.CopyFS(dir, os.DirFS(fixtures.App(t, "native-web"))); err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../winpack.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	writeTree(t, dir, map[string]string{
		"winpack.toml":               string(example),
		"catalog.toml":               "schema = \"winpack/catalog/v1\"\n",
		"deploy/container.json":      "{}",
		"deploy/certificates/ca.crt": "certificate",
		"logs/readme.txt":            "kept",
		"logs/today.log":             "ignored",
		"symbols/web.pdb":            "ignored",
	})
	return dir
}

func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pushHardened pushes the image that the example names as base.
func pushHardened(t *testing.T, host string) {
	t.Helper()
	row, err := standin.Lookup("nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	idx, err := standin.NewIndex(row, osVersions(t, "ltsc2022", "ltsc2025"), standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host+"/company/hardened/nanoserver:2", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, idx); err != nil {
		t.Fatal(err)
	}
}

func TestExampleConfigurationHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../winpack.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	meta, err := toml.Decode(string(text), &values)
	if err != nil {
		t.Fatal(err)
	}
	var want func(prefix string, keys map[string]kind)
	want = func(prefix string, keys map[string]kind) {
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			if !meta.IsDefined(append(strings.Fields(prefix), name)...) && !slices.ContainsFunc(meta.Keys(), func(k toml.Key) bool { return slices.Equal(k, append(strings.Fields(prefix), name)) }) {
				t.Errorf("the example lacks %s %s", prefix, name)
			}
			want(strings.TrimSpace(prefix+" "+name), keys[name].keys)
		}
	}
	want("", configKeys())
}

func TestExampleConfigurationBuildsWhatItSays(t *testing.T) {
	s := newSite(t)
	pushHardened(t, s.host)
	app := exampleApp(t)
	mirror := []string{app, "--mirror", "registry.example.com=" + s.host + "/company"}
	saved := s.build(t, mirror...)
	if info, err := os.Stat(filepath.Join(app, "shop.tar")); err != nil || info.Size() == 0 {
		t.Errorf("build.output is not written: %v, %v", info, err)
	}
	pushed := s.build(t, append(mirror, "--push", "-t", s.host+"/team/example:1")...)
	if saved != pushed {
		t.Errorf("the image is %s when it is saved and %s when it is pushed", saved, pushed)
	}
	images := s.pull(t, s.host+"/team/example:1")
	if len(images) != 2 {
		t.Fatalf("%d images, want one for each release", len(images))
	}
	row, err := standin.Lookup("nanoserver")
	if err != nil {
		t.Fatal(err)
	}
	for version, img := range images {
		base, err := standin.New(row, version, standin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range layercheck.CheckImage(img, base) {
			t.Error(problem)
		}
		cfg, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := cfg.Config
		got := map[string]any{
			"entrypoint": c.Entrypoint, "cmd": c.Cmd, "workdir": c.WorkingDir, "user": c.User,
			"port": slices.Collect(maps.Keys(c.ExposedPorts)), "health": c.Healthcheck,
			"env": slices.Contains(c.Env, "SHOP_MODE=container"), "label": c.Labels["org.opencontainers.image.source"],
		}
		want := map[string]any{
			"entrypoint": []string{`C:\app\web.exe`}, "cmd": []string{"-v"}, "workdir": `C:\app`, "user": "ContainerUser",
			"port": []string{"8080/tcp"},
			"health": &v1.HealthConfig{Test: []string{"CMD", `C:\app\web.exe`, "-check"}, Interval: 30 * time.Second,
				Timeout: 5 * time.Second, StartPeriod: time.Minute, Retries: 3},
			"env": true, "label": "https://git.example.com/shop",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
		names := slices.Sorted(maps.Keys(addedFiles(t, img, base)))
		wantNames := []string{"app/deploy/certificates/ca.crt", "app/deploy/container.json", "app/logs/readme.txt",
			"app/settings.json", "app/web.exe", "app/wwwroot/index.html", "certificates/ca.crt"}
		if diff := cmp.Diff(wantNames, names); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", version, diff)
		}
	}
}

// What winpack.toml adds reaches the image in the same way through the written
// Dockerfile and through winpack build, from inside and from outside the app.
func TestSettingsGiveTheSameImageFromTheDockerfile(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "shop"), os.DirFS(fixtures.App(t, "static"))); err != nil {
		t.Fatal(err)
	}
	const settings = `
cmd = ["a b", "c\"d"]
ignore = ["**/*.log", "notes", "!notes/keep/**"]
ports = [8081]
entrypoint = ['C:\ServiceMonitor.exe', "w3svc"]
[env]
Greeting = 'say "hi" $HOME %PATH% ` + "`tick`" + `'
[labels]
"a.b/c" = 'x "y" $z'
[health-check]
cmd = "curl -f http://localhost/ || exit 1"
interval = "90s"
[[files]]
from = "../extra/one file.txt"
to = 'C:\inetpub\wwwroot\renamed file.txt'
[[files]]
from = "../extra/folder"
to = 'C:\extra'
[[files]]
from = "../extra/one file.txt"
to = 'docs\'
`
	writeTree(t, dir, map[string]string{
		"config/shop.toml":   settings,
		"extra/one file.txt": "one", "extra/other.txt": "not asked for",
		"extra/folder/a.txt": "a", "extra/folder/b/c.txt": "c",
		"shop/notes/secret.txt": "no", "shop/notes/keep/yes.txt": "yes", "shop/x/y.log": "no", "shop/x/y.txt": "yes",
	})
	flags := []string{"--os", "ltsc2022", "--config", filepath.Join(dir, "config", "shop.toml")}
	ours, byHand := s.host+"/team/set:direct", s.host+"/team/set:dockerfile"
	s.build(t, append(flags, filepath.Join(dir, "shop"), "--push", "-t", ours)...)
	stdout, stderr, code := winpack(t, dir, append([]string{"dockerfile", "shop"}, flags...)...)
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	file, context := printedBuild(t, stdout)
	args := []string{"build", "--frontend", "dockerfile.v0", "--opt", "platform=windows/amd64",
		"--local", "context=" + filepath.Join(dir, context),
		"--local", "dockerfile=" + filepath.Join(dir, filepath.Dir(file)), "--opt", "filename=" + filepath.Base(file),
		"--output", "type=image,name=" + byHand + ",push=true,registry.insecure=true"}
	if out, err := daemon.Command(t.Context(), args...).CombinedOutput(); err != nil {
		t.Fatalf("buildctl: %v\n%s", err, out)
	}
	base := s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0])
	want, got := addedFiles(t, image(t, ours), base), addedFiles(t, image(t, byHand), base)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-direct +Dockerfile):\n%s", diff)
	}
	for _, name := range []string{"inetpub/wwwroot/renamed file.txt", "extra/b/c.txt", "inetpub/wwwroot/docs/one file.txt", "inetpub/wwwroot/notes/keep/yes.txt", "inetpub/wwwroot/x/y.txt"} {
		if want[name] == nil {
			t.Errorf("%s is not in the image", name)
		}
	}
	for _, name := range []string{"inetpub/wwwroot/notes/secret.txt", "inetpub/wwwroot/x/y.log", "extra/other.txt"} {
		if want[name] != nil {
			t.Errorf("%s is in the image", name)
		}
	}
	if diff := cmp.Diff(comparable(t, image(t, ours)), comparable(t, image(t, byHand))); diff != "" {
		t.Errorf("configuration (-direct +Dockerfile):\n%s", diff)
	}
}

// comparable is what both ways have to say of an image.
func comparable(t *testing.T, img v1.Image) v1.Config {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Config
	c.ArgsEscaped = false // BuildKit sets it with every CMD; Windows then takes the first word as it stands
	slices.Sort(c.Env)
	c.Env = slices.DeleteFunc(c.Env, func(line string) bool { return strings.HasPrefix(strings.ToUpper(line), "PATH=") })
	return c
}
