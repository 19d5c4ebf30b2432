package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/standin"
)

// The Dockerfile that is written and the image that is built are of one plan: what
// BuildKit makes of the one, with the line that winpack prints, holds the files
// of the other. Only the start script that grants is the Dockerfile's alone.
func TestDockerfileBuiltByHandGivesTheSameFiles(t *testing.T) {
	s := newSite(t)
	if err := standin.Push(t.Context(), s.host+"/mcr", standin.Options{}, "netfx-runtime-4.8.1"); err != nil {
		t.Fatal(err)
	}
	daemon := buildkit.Start(t, s.host)
	version := osVersions(t, "ltsc2022")[0]
	const (
		nano    = "mcr.microsoft.com/windows/nanoserver:ltsc2022"
		iis     = "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022"
		aspnet  = "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022"
		runtime = "mcr.microsoft.com/dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2022"
		script  = "winpack/start.cmd"
	)
	const unlock = `<configuration><system.webServer><security><access sslFlags="None"/></security></system.webServer></configuration>`
	for name, test := range map[string]struct {
		fixture, base string
		more          map[string]string // further files of the app
		inApp         bool              // -o APP
		// What the script has to hold in the image of winpack build, and in that of the
		// Dockerfile, which grants too; empty for none.
		direct, byHand string
	}{
		"grant":                            {fixture: "demo", base: aspnet, byHand: "icacls.exe"},
		"site of files":                    {fixture: "static", base: iis},
		"program":                          {fixture: "native-web", base: nano},
		"service":                          {fixture: "netfx-service", base: runtime, direct: `sc.exe" create "LabelSpooler"`, byHand: `sc.exe" create "LabelSpooler"`},
		"app pool":                         {fixture: "aspnet-x86", base: aspnet, direct: "enable32BitAppOnWin64", byHand: "enable32BitAppOnWin64"},
		"unlocked section":                 {fixture: "static", base: iis, more: map[string]string{"web.config": unlock}, direct: "unlock config -section:system.webServer/security/access", byHand: "unlock config"},
		"unlock and grant":                 {fixture: "demo", base: aspnet, more: map[string]string{"admin/web.config": unlock}, direct: "unlock config", byHand: "icacls.exe"},
		"in the app, with a script":        {fixture: "aspnet-x86", base: aspnet, inApp: true, direct: "enable32BitAppOnWin64", byHand: "enable32BitAppOnWin64"},
		"in the app, with a grant":         {fixture: "demo", base: aspnet, inApp: true, byHand: "icacls.exe"},
		"in the app, a service":            {fixture: "netfx-service", base: runtime, inApp: true, direct: "sc.exe", byHand: "sc.exe"},
		"in the app, without":              {fixture: "native-web", base: nano, inApp: true},
		"in the app, with its own scripts": {fixture: "native-web", base: nano, inApp: true, more: map[string]string{"start.cmd": "@echo mine\r\n", "Dockerfile.ltsc2019": "FROM x\n", "sub/start.cmd": "@echo deep\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			app := filepath.Join(dir, "shop")
			if err := os.CopyFS(app, os.DirFS(fixtures.App(t, test.fixture))); err != nil {
				t.Fatal(err)
			}
			for file, data := range test.more {
				path := filepath.Join(app, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tag := s.host + "/team/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			ours, byHand := tag+":direct", tag+":dockerfile"
			s.build(t, app, "--push", "-t", ours, "--os", "ltsc2022")

			args := []string{"dockerfile", "shop", "--os", "ltsc2022"}
			if test.inApp {
				args = append(args, "-o", "shop")
			}
			stdout, stderr, code := winpack(t, dir, args...)
			if code != exitDone {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			file, context := printedBuild(t, stdout)
			args = []string{"build", "--frontend", "dockerfile.v0", "--opt", "platform=windows/amd64",
				"--local", "context=" + filepath.Join(dir, context),
				"--local", "dockerfile=" + filepath.Join(dir, filepath.Dir(file)), "--opt", "filename=" + filepath.Base(file),
				"--output", "type=image,name=" + byHand + ",push=true,registry.insecure=true"}
			if out, err := daemon.Command(t.Context(), args...).CombinedOutput(); err != nil {
				t.Fatalf("buildctl: %v\n%s", err, out)
			}

			base := s.base(t, test.base, version)
			want := addedFiles(t, image(t, ours), base)
			got := addedFiles(t, image(t, byHand), base)
			for what, c := range map[string]struct {
				files map[string][]byte
				holds string
			}{"winpack build": {want, test.direct}, "the Dockerfile": {got, test.byHand}} {
				text, ok := c.files[script]
				if ok != (c.holds != "") || !bytes.Contains(text, []byte(c.holds)) {
					t.Errorf("%s: a start script is there: %v, want %q in it\n%s", what, ok, c.holds, text)
				}
			}
			if test.direct == "" || bytes.Contains(got[script], []byte("icacls.exe")) { // with grants, or for them alone
				delete(got, script)
				delete(want, script)
			}
			if len(want) == 0 {
				t.Fatal("the image of winpack build has no files")
			}
			for file := range test.more {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(path string) bool { return strings.HasSuffix(path, "/"+file) }) {
					t.Errorf("%s of the app is not in the image of winpack build", file)
				}
			}
			for _, path := range slices.Sorted(maps.Keys(want)) {
				if data, ok := got[path]; !ok || !bytes.Equal(data, want[path]) {
					t.Errorf("%s: not in the image that is built by hand, or not the same", path)
				}
				delete(got, path)
			}
			for path := range got {
				t.Errorf("%s: only in the image that is built by hand", path)
			}
		})
	}
}

// A folder name that looks like a pattern is that folder and not its siblings, and
// what winpack wrote below the app's folder before is no part of the app.
func TestDockerfileCopiesThisFolderAndNoSibling(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	dir := t.TempDir()
	const app = "od[d] <$x's"
	for _, name := range []string{app, "odd <$x's", "od[d] <_x's", "od[d] <$x_s"} {
		for _, file := range []string{"index.html", "docs/index.html", "docs/own.txt"} {
			path := filepath.Join(dir, name, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("<!doctype html>"+name+"/"+file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, out := range []string{filepath.Join(app, "docs"), "out", filepath.Join(app, "docs")} {
		if _, stderr, code := winpack(t, dir, "dockerfile", "--os", "ltsc2022", "-o", out, app); code != exitDone {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
	}
	want := map[string][]byte{}
	for _, file := range []string{"index.html", "docs/index.html", "docs/own.txt"} {
		want["inetpub/wwwroot/"+file] = []byte("<!doctype html>" + app + "/" + file)
	}
	ours := s.host + "/team/odd:direct"
	s.build(t, filepath.Join(dir, app), "--push", "-t", ours, "--os", "ltsc2022")
	base := s.base(t, "mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0])
	if diff := cmp.Diff(want, addedFiles(t, image(t, ours), base)); diff != "" {
		t.Errorf("winpack build (-want +got):\n%s", diff)
	}
	for i, test := range []struct{ dockerfile, context string }{{"out", "."}, {filepath.Join(app, "docs"), app}} {
		byHand := fmt.Sprintf("%s/team/odd:%d", s.host, i)
		args := []string{"build", "--frontend", "dockerfile.v0", "--opt", "platform=windows/amd64",
			"--local", "context=" + filepath.Join(dir, test.context), "--local", "dockerfile=" + filepath.Join(dir, test.dockerfile),
			"--output", "type=image,name=" + byHand + ",push=true,registry.insecure=true"}
		if out, err := daemon.Command(t.Context(), args...).CombinedOutput(); err != nil {
			t.Fatalf("buildctl: %v\n%s", err, out)
		}
		if diff := cmp.Diff(want, addedFiles(t, image(t, byHand), base)); diff != "" {
			t.Errorf("the Dockerfile in %s (-want +got):\n%s", test.dockerfile, diff)
		}
	}
}

// printedBuild takes the line apart that winpack dockerfile ends with.
func printedBuild(t *testing.T, stdout string) (file, context string) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		words := strings.Fields(line)
		i := slices.Index(words, "-f")
		if len(words) > 2 && words[0] == "docker" && i > 0 && i+1 < len(words) {
			return words[i+1], words[len(words)-1]
		}
	}
	t.Fatalf("no docker build line in:\n%s", stdout)
	return "", ""
}

// image pulls the image of a reference, of an index the first.
func image(t *testing.T, ref string) v1.Image {
	t.Helper()
	return imageOf(t, ref, "")
}

// imageOf is the one of a Windows release, by its os.version.
func imageOf(t *testing.T, ref, osVersion string) v1.Image {
	t.Helper()
	tag, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: osVersion}))
	if err != nil {
		t.Fatal(err)
	}
	return img
}
