package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/fixtures/schema"
)

// needsWindows is an app that only a RUN step makes run: its web.config asks for
// Windows authentication.
func needsWindows(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"Web.config": `<configuration><system.web><compilation targetFramework="4.8"/></system.web>
			<system.webServer><security><authentication><windowsAuthentication enabled="true"/></authentication></security></system.webServer></configuration>`,
		"Default.aspx": `<%@ Page Language="C#" %>`,
	})
	return dir
}

// --builder buildkit pushes what --builder direct pushes, and says so in the same
// metadata.
func TestBuildKitIsABuilderOfTheCommandLine(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	app := fixtures.App(t, "static")
	dir := t.TempDir()
	stdout, stderr, code := winpack(t, dir, append([]string{"build", app, "--dry-run", "-t", s.host + "/team/dry:1", "--push", "--builder", "buildkit", "--buildkit-addr", daemon.Address()}, s.flags()...)...)
	if code != exitDone || !strings.Contains(stdout, "would be built by buildkit: the digest is known once it has built") || strings.Count(stdout, "  on "+s.host) != 2 || strings.Contains(stdout, ": :") {
		t.Errorf("a dry run: exit %d\n%s%s", code, stdout, stderr)
	}
	keys := map[string]map[string]any{}
	for _, builder := range []string{"direct", "buildkit"} {
		file := filepath.Join(dir, builder+".json")
		args := append([]string{"build", app, "--push", "-t", s.host + "/team/" + builder + ":1", "--builder", builder, "--buildkit-addr", daemon.Address(), "--metadata-file", file}, s.flags()...)
		stdout, stderr, code := winpack(t, dir, args...)
		if code != exitDone {
			t.Fatalf("%s: exit %d\n%s%s", builder, code, stdout, stderr)
		}
		if !strings.Contains(stderr, "builder: "+builder+": it was asked for") {
			t.Errorf("the builder and why are not said:\n%s", stderr)
		}
		if strings.Contains(stderr, `note: BuildKit replaces the access list of C:\inetpub\wwwroot`) != (builder == "buildkit") {
			t.Errorf("the access list that BuildKit replaces, with %s:\n%s", builder, stderr)
		}
		if strings.Contains(stderr, "COPY") != (builder == "buildkit") {
			t.Errorf("BuildKit's progress with %s:\n%s", builder, stderr)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		meta := map[string]any{}
		if err := json.Unmarshal(data, &meta); err != nil {
			t.Fatal(err)
		}
		if err := schema.Compile(t, pipeline.MetadataSchema).Validate(t, data); err != nil {
			t.Error(err)
		}
		keys[builder] = meta
		if got := meta["winpack"].(map[string]any)["builder"]; got != builder {
			t.Errorf("the metadata says builder %v", got)
		}
	}
	a := addedFiles(t, s.pull(t, s.host+"/team/direct:1")[osVersions(t, "ltsc2022")[0]], s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0]))
	b := addedFiles(t, s.pull(t, s.host+"/team/buildkit:1")[osVersions(t, "ltsc2022")[0]], s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0]))
	if len(a) == 0 || len(a) != len(b) {
		t.Errorf("direct has %d files, BuildKit %d", len(a), len(b))
	}
}

// With auto, what needs Windows looks for it, and an error names all that was tried.
func TestAutoBuilderLooksForWindowsWhereAStepNeedsIt(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	engine := docker.Start(t, s.host)
	app := needsWindows(t)
	push := append([]string{"build", app, "--push", "-t", s.host + "/team/x:1"}, s.flags()...)
	_, stderr, code := winpack(t, t.TempDir(), append(push, "--buildkit-addr", daemon.Address(), "--docker-host", engine)...)
	last := stderr[strings.LastIndex(strings.TrimRight(stderr, "\n"), "\n")+1:]
	if code != exitFailed || !strings.Contains(last, "the BuildKit worker runs on linux/amd64") || !strings.Contains(last, "the Docker engine runs Linux containers") || !strings.Contains(last, "--docker-host") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	for builder, want := range map[string]string{
		"direct":   "the builder direct runs none",
		"buildkit": "the builder buildkit runs none",
		"docker":   "runs Linux containers",
	} {
		_, stderr, code := winpack(t, t.TempDir(), append(push, "--builder", builder, "--buildkit-addr", daemon.Address(), "--docker-host", engine)...)
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d\n%s", builder, code, stderr)
		}
	}
	// Docker alone has a place for the image by itself.
	args := append([]string{"build", app, "--docker-host", engine}, s.flags()...)
	if _, stderr, code := winpack(t, t.TempDir(), args...); code != exitFailed || strings.Contains(stderr, "nowhere to put") {
		t.Errorf("without a destination: exit %d\n%s", code, stderr)
	}
}

// What docker load takes: one release, complete, with the manifest.json that the
// engine's own store reads.
func TestDockerTarIsWhatDockerLoadTakes(t *testing.T) {
	s := newSite(t)
	engine := docker.Start(t, s.host)
	file := filepath.Join(t.TempDir(), "image.tar")
	s.build(t, fixtures.App(t, "static"), "-t", "team/site:1", "-o", "type=docker,dest="+file)
	// A Linux engine reads the tar up to the image's system.
	c, err := client.NewClientWithOpts(client.WithHost(engine), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	resp, err := c.ImageLoad(t.Context(), f)
	said := fmt.Sprint(err)
	if err == nil {
		text, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		said = string(text)
	}
	if !strings.Contains(said, "cannot load windows image on linux") {
		t.Errorf("docker load says %s", said)
	}
	_, stderr, code := winpack(t, t.TempDir(), append([]string{"build", fixtures.App(t, "static"), "--load", "--docker-host", engine}, s.flags()...)...)
	if code != exitFailed || !strings.Contains(stderr, "runs Linux containers") {
		t.Errorf("--load into a Linux engine: exit %d\n%s", code, stderr)
	}
}

// A Dockerfile of a person's goes to whoever can build it: an archive under ADD is
// for BuildKit, and a RUN on Windows for nobody here.
func TestDockerfileGoesToTheBuilderThatCan(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	dir := t.TempDir()
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	if err := errors.Join(tw.WriteHeader(&tar.Header{Name: "in.txt", Mode: 0o644, Size: 2}), func() error { _, err := tw.Write([]byte("hi")); return err }(), tw.Close()); err != nil {
		t.Fatal(err)
	}
	const from = "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
	writeTree(t, dir, map[string]string{
		"app/files.tar": archive.String(), "app/a.txt": "a",
		"archive": from + "ADD files.tar C:/x/\n", "plain": from + "COPY a.txt C:/x/\n", "run": from + "COPY a.txt C:/x/\nRUN dir\n",
	})
	build := func(file string, more ...string) (stderr string, code int) {
		t.Helper()
		args := append([]string{"build", "app", "-f", file, "--push", "-t", s.host + "/team/" + file + ":1", "--buildkit-addr", daemon.Address(), "--docker-host", "unix:///no/such/socket"}, more...)
		_, stderr, code = winpack(t, dir, append(args, s.flags()...)...)
		return stderr, code
	}
	for _, test := range []struct{ file, flag, builder, holds string }{
		{"plain", "auto", "direct", "x/a.txt"}, {"plain", "buildkit", "buildkit", "x/a.txt"}, {"archive", "auto", "buildkit", "x/in.txt"},
	} {
		stderr, code := build(test.file, "--builder", test.flag)
		if code != exitDone || !strings.Contains(stderr, "builder: "+test.builder+": ") {
			t.Fatalf("%+v: exit %d\n%s", test, code, stderr)
		}
		base := s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", osVersions(t, "ltsc2022")[0])
		if files := addedFiles(t, image(t, s.host+"/team/"+test.file+":1"), base); files[test.holds] == nil {
			t.Errorf("%+v: the image has no %s", test, test.holds)
		}
	}
	for flag, want := range map[string]string{
		"auto": "the BuildKit worker runs on linux/amd64", "buildkit": "the builder buildkit runs none: run:3: RUN", "direct": "run:3: RUN: it runs a command on Windows",
	} {
		if stderr, code := build("run", "--builder", flag); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("RUN with --builder %s: exit %d, want %q\n%s", flag, code, want, stderr)
		}
	}
}

// What an engine keeps is told as what is pushed: its ID, its name, its release, and
// the releases that its Windows can't run.
func TestWindowsEngineIsABuilderOfTheCommandLine(t *testing.T) {
	s := newSite(t)
	engine := docker.Start(t, s.host)
	front, _ := docker.Windows(t, engine, "20348.2966", docker.Base(t, engine))
	app, dir := t.TempDir(), t.TempDir()
	writeTree(t, app, map[string]string{
		"index.html": "<!doctype html>",
		"Dockerfile": "ARG BASE=mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022\nFROM ${BASE}\nCOPY index.html /site/\n",
	})
	build := func(more ...string) (stdout, stderr string, code int) {
		t.Helper()
		args := append([]string{"build", app, "-f", filepath.Join(app, "Dockerfile"), "-t", "team/site:1", "--builder", "docker", "--docker-host", front}, s.flags()...)
		return winpack(t, dir, append(args, more...)...)
	}
	meta, iid := filepath.Join(dir, "meta.json"), filepath.Join(dir, "iid")
	stdout, stderr, code := build("--metadata-file", meta, "--iidfile", iid)
	if code != exitDone || !strings.Contains(stdout, "loaded into the Docker engine: docker.io/team/site:1") || !strings.Contains(stdout, "built: sha256:") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	data, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Compile(t, pipeline.MetadataSchema).Validate(t, data); err != nil {
		t.Error(err)
	}
	var m struct {
		ID      string `json:"containerimage.digest"`
		Config  string `json:"containerimage.config.digest"`
		Name    string `json:"image.name"`
		Winpack struct {
			Builder  string
			Releases []struct{ OS, ConfigDigest, BaseDigest string }
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if w := m.Winpack; m.ID == "" || m.Config != m.ID || m.Name != "docker.io/team/site:1" || w.Builder != "docker" || len(w.Releases) != 1 || w.Releases[0].OS != "ltsc2022" || w.Releases[0].ConfigDigest != m.ID || w.Releases[0].BaseDigest == "" {
		t.Errorf("%s", data)
	}
	if id, err := os.ReadFile(iid); err != nil || string(id) != m.ID {
		t.Errorf("--iidfile has %q, %v, want %s", id, err, m.ID)
	}
	if stdout, _, code := build("-q"); code != exitDone || stdout != m.ID+"\n" {
		t.Errorf("-q: exit %d, %q, want %s", code, stdout, m.ID)
	}
	if stdout, stderr, code := build("--dry-run"); code != exitDone || !strings.Contains(stdout, "would be built by docker") || strings.Contains(stderr, "Step 1") {
		t.Errorf("--dry-run: exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, _, code := build("--dry-run", "-q"); code != exitDone || stdout != "" {
		t.Errorf("--dry-run -q: exit %d, %q", code, stdout)
	}
	// Windows Server 2022 runs no newer release.
	writeTree(t, app, map[string]string{
		"Dockerfile": "ARG BASE=mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2025\nFROM ${BASE}\nCOPY index.html /site/\n",
	})
	if _, stderr, code := build("--os", "ltsc2025"); code != exitUsage || !strings.Contains(stderr, "--os ltsc2025: Windows Server 2022") {
		t.Errorf("a release that the host can't run: exit %d\n%s", code, stderr)
	}
}

// docker load holds one release, that of the engine's host: a dry run says the same as
// the build, and what the host can't run is refused before a base is read.
func TestLoadIsForTheHostOfTheEngine(t *testing.T) {
	s := newSite(t)
	engine := docker.Start(t, s.host)
	front, _ := docker.Windows(t, engine, "26100.1742", docker.Base(t, engine))
	app := fixtures.App(t, "static")
	args := append([]string{"build", app, "--load", "--docker-host", front}, s.flags()...)
	stdout, stderr, code := winpack(t, t.TempDir(), append(args, "--dry-run")...)
	if code != exitDone || !strings.HasPrefix(stdout, "ltsc2025 10.0.26100.") || !strings.Contains(stdout, "\nltsc2022 ") || !strings.Contains(stdout, "left out: an image for docker load holds one release") {
		t.Errorf("dry run: exit %d\n%s%s", code, stdout, stderr)
	}
	front, _ = docker.Windows(t, engine, "20348.2966", docker.Base(t, engine))
	args = append([]string{"build", app, "--load", "--os", "ltsc2025", "--docker-host", front}, s.flags()...)
	if stdout, stderr, code = winpack(t, t.TempDir(), args...); code != exitUsage || !strings.Contains(stderr, "ltsc2025") || strings.Contains(stderr, "loading into") {
		t.Errorf("a release that the host can't run: exit %d\n%s%s", code, stdout, stderr)
	}
}

// A file for the metadata in the place of the image would replace it.
func TestMetadataInThePlaceOfTheImageIsRefused(t *testing.T) {
	app := fixtures.App(t, "static")
	dir := t.TempDir()
	for _, flag := range []string{"--metadata-file", "--iidfile"} {
		_, stderr, code := winpack(t, dir, "build", app, "-o", "type=oci,dest=x.tar", flag, "./x.tar")
		if code != exitUsage || !strings.Contains(stderr, "name the same file") {
			t.Errorf("%s: exit %d\n%s", flag, code, stderr)
		}
	}
}

// Direct runs nothing: where the plan runs a command on Windows, a refusal doesn't send
// anybody there.
func TestRefusalNamesABuilderThatCanDoThePlan(t *testing.T) {
	s := newSite(t)
	engine := docker.Start(t, s.host)
	front, _ := docker.Windows(t, engine, "20348.2966", docker.Base(t, engine))
	args := append([]string{"build", fixtures.App(t, "aspnet-35"), "--push", "-t", s.host + "/x:1", "--annotation", "a=b", "--docker-host", front}, s.flags()...)
	_, stderr, code := winpack(t, t.TempDir(), args...)
	if code != exitUsage || !strings.Contains(stderr, "use --builder buildkit, on Windows") || strings.Contains(stderr, "direct") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}
