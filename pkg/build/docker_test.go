package build

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	enginebuild "github.com/docker/docker/api/types/build"
	engineregistry "github.com/docker/docker/api/types/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/standin"
)

// The way to an engine: the context is streamed, what it says is read, the image is
// pushed and its digest read back. Only the base is one of Linux.
func TestEngineBuildsAndPushesWhatItIsSent(t *testing.T) {
	host := bases(t, standin.Options{})
	engine := docker.Start(t, host)
	conn, err := Docker{Host: engine}.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, base := conn.Client, docker.Base(t, engine)
	req := programRequest(t, host+"/team/engine:1", "ltsc2022")
	req.App = fstest.MapFS{"a.txt": {Data: []byte("a"), ModTime: when}, "no.log": {}, "d/b.txt": {Data: []byte("b"), ModTime: when}}
	req.File = &File{Text: []byte("ARG BASE\nFROM ${BASE}\nCOPY . /app/\nENV A=1\n"), Ignore: []string{"*.log"}}
	s, err := fileContext(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	tag := host + "/team/engine:1"
	var said []string
	id, err := engineBuild(t.Context(), c, s, enginebuild.ImageBuildOptions{
		Dockerfile: contextDockerfile, Tags: []string{tag}, BuildArgs: map[string]*string{"BASE": &base}, Labels: map[string]string{"l": "1"},
	}, func(line string) { said = append(said, line) })
	if err != nil || !strings.HasPrefix(id, "sha256:") {
		t.Fatalf("%q, %v", id, err)
	}
	if !slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, "COPY . /app/") }) {
		t.Errorf("the engine's progress is %q", said)
	}
	digest, err := enginePush(t.Context(), c, tag, engineregistry.AuthConfig{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parse(t, host+"/team/engine@"+digest))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := appFiles(t, layers[len(layers)-1])
	if files["app/a.txt"] != "a" || files["app/d/b.txt"] != "b" || len(files) != 2 {
		t.Errorf("the image has %v", files)
	}
	cfg, err := img.ConfigFile()
	if err != nil || cfg.Config.Labels["l"] != "1" {
		t.Errorf("the configuration is %+v, %v", cfg, err)
	}

	// What fails in the engine is said in one line.
	s.dockerfile = []byte("FROM base:1\nCOPY nothing.txt /\n")
	if _, err := engineBuild(t.Context(), c, s, enginebuild.ImageBuildOptions{Dockerfile: contextDockerfile}, func(string) {}); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "nothing.txt") {
		t.Errorf("a COPY of nothing: %v", err)
	}
	// What fails on this side is named, and not what the engine makes of it.
	req.App = fstest.MapFS{"a.dll": {Data: []byte("a"), ModTime: when}}
	if s, err = fileContext(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	whole := s.tree.app
	s.tree.app = panicFS{whole}
	if _, err := engineBuild(t.Context(), c, s, enginebuild.ImageBuildOptions{Dockerfile: contextDockerfile, BuildArgs: map[string]*string{"BASE": &base}}, func(string) {}); err == nil || !strings.Contains(err.Error(), "internal error: boom") {
		t.Errorf("a panic of this side: %v", err)
	}
	s.tree.app = brokenFS{whole}
	if _, err := engineBuild(t.Context(), c, s, enginebuild.ImageBuildOptions{Dockerfile: contextDockerfile, BuildArgs: map[string]*string{"BASE": &base}}, func(string) {}); err == nil || !strings.Contains(err.Error(), `"a.dll"`) {
		t.Errorf("a file that can't be read: %v", err)
	}
}

func TestLinuxEngineIsRefusedBeforeAnythingIsSent(t *testing.T) {
	host := bases(t, standin.Options{})
	d := Docker{Registry: direct(host).Registry, Host: docker.Start(t, host)}
	req := programRequest(t, host+"/team/x:1", "ltsc2022")
	req.App, req.Annotations = untouched{t}, nil
	_, err := d.Build(t.Context(), req)
	var linux *LinuxEngineError
	if !errors.As(err, &linux) || !strings.Contains(err.Error(), "--builder direct") {
		t.Errorf("the error is %v", err)
	}
	who, err := d.Engine(t.Context())
	if err != nil || who.OS != "linux" || who.Version == "" {
		t.Errorf("the engine is %+v, %v", who, err)
	}
}

func TestDockerRefusesWhatItCannotHonour(t *testing.T) {
	for what, req := range map[string]Request{
		"--annotation": {Annotations: map[string]string{"a": "b"}},
		"-o type=oci":  {Outputs: []Output{{Type: "oci", Dest: "x"}}},
	} {
		var cannot *CannotError
		if err := (Docker{}).Check(req); !errors.As(err, &cannot) || cannot.What != what || !strings.Contains(err.Error(), "use --builder") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The releases that a Windows host can't run are left out, or refused where they
// were asked for.
func TestReleaseThatTheHostCannotRunIsLeftOutOrRefused(t *testing.T) {
	rule := func(host, image, isolation string) error {
		if strings.HasPrefix(image, "10.0.26100") {
			return errors.New("too new")
		}
		return nil
	}
	sources := []source{{}, {}}
	sources[0].OS, sources[0].OSVersion = "ltsc2022", "10.0.20348.1"
	sources[1].OS, sources[1].OSVersion = "ltsc2025", "10.0.26100.1"
	g := &gatherer{job: &job{sources: sources, req: Request{Optional: true}}}
	if err := g.keepReleases(rule, "10.0.20348.9"); err != nil || len(g.sources) != 1 || len(g.omitted) != 1 || g.omitted[0].OS != "ltsc2025" {
		t.Errorf("%v, %v, %v", g.sources, g.omitted, err)
	}
	g = &gatherer{job: &job{sources: sources}}
	var host *HostError
	if err := g.keepReleases(rule, "10.0.20348.9"); !errors.As(err, &host) || host.OS != "ltsc2025" {
		t.Errorf("a release that was asked for: %v", err)
	}
}

func TestCancelledEngineBuildEnds(t *testing.T) {
	host := bases(t, standin.Options{})
	engine := docker.Start(t, host)
	conn, err := Docker{Host: engine}.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, base := conn.Client, docker.Base(t, engine)
	req := programRequest(t, host+"/team/engine:1", "ltsc2022")
	req.App, req.File = fstest.MapFS{"a.txt": {}}, &File{Text: []byte("ARG BASE\nFROM ${BASE}\nCOPY . /app/\n")}
	s, err := fileContext(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = engineBuild(ctx, c, s, enginebuild.ImageBuildOptions{Dockerfile: contextDockerfile, BuildArgs: map[string]*string{"BASE": &base}}, func(string) { cancel() })
	if err == nil {
		t.Error("a cancelled build ends well")
	}
}
