package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

const iisImage = "mcr.microsoft.com/windows/servercore/iis:windowsservercore-"

// written is an app with the Dockerfile that winpack writes for it.
func writtenApp(t *testing.T, fixture string, flags ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "shop"), os.DirFS(fixtures.App(t, fixture))); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := winpack(t, dir, append([]string{"dockerfile", "shop"}, flags...)...); code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	return dir
}

// edit changes a file that winpack wrote.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q:\n%s", path, old, data)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// in runs winpack build in a folder, and returns what it said.
func (s site) in(t *testing.T, dir string, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, code := winpack(t, dir, append(append([]string{"build"}, args...), s.flags()...)...)
	if code != want {
		t.Fatalf("winpack build %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout, stderr
}

func releasesOf(t *testing.T, s site, ref string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(s.pull(t, ref)))
}

// The Dockerfile that winpack wrote gives the releases and files of the plan, in one
// index, from its recorded context; --os and --base reach it through ARG BASE.
func TestWrittenDockerfileIsBuiltForEachRelease(t *testing.T) {
	s := newSite(t)
	dir := writtenApp(t, "static")
	planned, ours := s.host+"/team/planned:1", s.host+"/team/file:1"
	s.in(t, dir, exitDone, "shop", "--push", "-t", planned)
	s.in(t, dir, exitDone, "-f", "shop.winpack/Dockerfile", "--push", "-t", ours)
	want, got := s.pull(t, planned), s.pull(t, ours)
	versions := osVersions(t, "ltsc2022", "ltsc2025")
	if diff := cmp.Diff(versions, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("releases (-want +got):\n%s", diff)
	}
	for i, version := range versions {
		base := s.base(t, iisImage+[]string{"ltsc2022", "ltsc2025"}[i], version)
		if diff := cmp.Diff(addedFiles(t, want[version], base), addedFiles(t, got[version], base)); diff != "" {
			t.Errorf("%s: files (-planned +file):\n%s", version, diff)
		}
		if diff := cmp.Diff(comparable(t, want[version]), comparable(t, got[version])); diff != "" {
			t.Errorf("%s: configuration (-planned +file):\n%s", version, diff)
		}
		for _, problem := range layercheck.CheckImage(got[version], base) {
			t.Errorf("%s: %v", version, problem)
		}
	}
	// From anywhere, with the app or its context named or not: the recorded context counts.
	s.in(t, t.TempDir(), exitDone, "-f", filepath.Join(dir, "shop.winpack", "Dockerfile"), "--push", "-t", s.host+"/team/file:2")
	s.in(t, dir, exitDone, "-f", "shop.winpack/Dockerfile", ".", "--dry-run")
	for release, args := range map[string][]string{
		"ltsc2022": {"--os", "ltsc2022"},
		"ltsc2025": {"--os", "ltsc2025"}, // the file's comment names it
		"ltsc2019": {"--os", "ltsc2019"}, // the catalog does
	} {
		ref := s.host + "/team/file:" + release
		s.in(t, dir, exitDone, append([]string{"-f", "shop.winpack/Dockerfile", "shop", "--push", "-t", ref}, args...)...)
		cfg, err := image(t, ref).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.OSVersion != osVersions(t, release)[0] {
			t.Errorf("--os %s gives %s", release, cfg.OSVersion)
		}
	}
	pushHardened(t, s.host)
	hardened := s.host + "/company/hardened/nanoserver:2"
	s.in(t, dir, exitDone, "-f", "shop.winpack/Dockerfile", "--base", hardened, "--os", "ltsc2022,ltsc2025", "--push", "-t", s.host+"/team/file:base")
	if got := releasesOf(t, s, s.host+"/team/file:base"); !slices.Equal(got, versions) {
		t.Errorf("--base with two releases gives %q", got)
	}
	if _, stderr := s.in(t, dir, exitFailed, "-f", "shop.winpack/Dockerfile", "--base", hardened, "--dry-run"); !strings.Contains(stderr, "name one with --os") {
		t.Errorf("an image of two releases is taken without a word: %s", stderr)
	}
	// An image that the file names itself, and that the catalog does not know.
	writeTree(t, dir, map[string]string{"own/Dockerfile": "FROM " + hardened + "\nCOPY shop C:/app/\n"})
	s.in(t, dir, exitDone, "-f", "own/Dockerfile", "--os", "ltsc2025", "--push", "-t", s.host+"/team/own:1")
	if _, stderr := s.in(t, dir, exitUsage, "-f", "own/Dockerfile", "--os", "ltsc2019", "--dry-run"); !strings.Contains(stderr, "another release than --os asks for") {
		t.Errorf("another release is refused as\n%s", stderr)
	}
}

// A Dockerfile that winpack wrote is never built for another app than its own without a
// word.
func TestWrittenDockerfileIsNotBuiltForAnotherApp(t *testing.T) {
	s := newSite(t)
	dir := writtenApp(t, "static")
	writeTree(t, dir, map[string]string{"other/index.html": "<!doctype html>", "own/Dockerfile": "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY index.html C:/x/\n"})
	_, stderr := s.in(t, dir, exitUsage, "other", "-f", "shop.winpack/Dockerfile", "--push", "-t", s.host+"/team/other:1")
	if want := `winpack: -f "shop.winpack/Dockerfile" was written for the app "shop", and APP names "other": leave APP out, or name a Dockerfile of that app` + "\n"; stderr != want {
		t.Errorf("it is refused as\n%swant\n%s", stderr, want)
	}
	s.in(t, t.TempDir(), exitUsage, ".", "-f", filepath.Join(dir, "shop.winpack", "Dockerfile"), "--dry-run")
	s.in(t, dir, exitDone, "other", "-f", "own/Dockerfile", "--dry-run") // nobody recorded an app for it
	if err := os.Symlink("shop", filepath.Join(dir, "link")); err == nil {
		s.in(t, dir, exitDone, "link", "-f", "shop.winpack/Dockerfile", "--dry-run")
	}
}

// An edit of the Dockerfile where winpack writes it is built, with a word; so is one
// between the edit markers, and that of a helper. The findings of the app count.
func TestEditedDockerfileIsBuilt(t *testing.T) {
	s := newSite(t)
	dir := writtenApp(t, "static")
	file := filepath.Join(dir, "shop.winpack", "Dockerfile")
	before := s.build(t, filepath.Join(dir, "shop"), "--dry-run")
	edit(t, file, "# winpack:end-edit", "ENV EDITED=yes\n# winpack:end-edit")
	ref := s.host + "/team/edited:1"
	_, stderr := s.in(t, dir, exitDone, "shop", "--push", "-t", ref)
	if !strings.Contains(stderr, "shop.winpack/Dockerfile: note: edited by hand (Dockerfile): this is what is built") {
		t.Errorf("nothing is said of it:\n%s", stderr)
	}
	images := s.pull(t, ref)
	if len(images) != 2 {
		t.Errorf("%d releases, want those of the plan", len(images))
	}
	for version, img := range images {
		cfg, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(cfg.Config.Env, "EDITED=yes") {
			t.Errorf("%s: the edit is not in the image: %q", version, cfg.Config.Env)
		}
	}
	s.in(t, dir, exitUsage, "shop", "-o", "type=oci,dest=x.tar", "--files", "kept")
	s.in(t, dir, exitUsage, "shop", "--dry-run", "--os", "ltsc2022", "--platform", "windows/amd64:10.0.26100")
	s.in(t, dir, exitDone, "shop", "--dry-run", "--os", "ltsc2022")
	// Undone, the app is planned again.
	edit(t, file, "ENV EDITED=yes\n", "")
	if after := s.build(t, filepath.Join(dir, "shop"), "--dry-run"); after != before {
		t.Errorf("without the edit the image is %s, and was %s", after, before)
	}
	// What nobody recognises can be built by a Dockerfile that a person put there.
	writeTree(t, dir, map[string]string{"odd/run.cmd": "echo hello", "odd.winpack/Dockerfile": "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY . C:/odd/\nCMD C:\\\\odd\\\\run.cmd\n"})
	if _, stderr := s.in(t, dir, exitDone, "odd", "--push", "-t", s.host+"/team/odd:1"); !strings.Contains(stderr, "odd.winpack/Dockerfile: note: edited by hand") {
		t.Errorf("nothing is said of it:\n%s", stderr)
	}
	got := addedFiles(t, image(t, s.host+"/team/odd:1"), s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", osVersions(t, "ltsc2022")[0]))
	if diff := cmp.Diff(map[string][]byte{"odd/run.cmd": []byte("echo hello")}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	// The findings of the app end the build all the same.
	site := writtenApp(t, "demo")
	edit(t, filepath.Join(site, "shop.winpack", "Dockerfile"), "# winpack:end-edit", "ENV EDITED=yes\n# winpack:end-edit")
	s.in(t, site, exitFindings, "shop", "--dry-run", "--fail-on", "error")
	s.in(t, site, exitDone, "shop", "--dry-run")
}

// A record lies beside the app and may come from anybody: without -f it opens no folder
// above the one that holds the app.
func TestRecordOpensNoOtherFolder(t *testing.T) {
	s := newSite(t)
	dir := writtenApp(t, "static")
	record := filepath.Join(dir, "shop.winpack", ".winpack.json")
	edit(t, record, `"context": ".."`, `"context": "../.."`)
	edit(t, filepath.Join(dir, "shop.winpack", "Dockerfile"), "# winpack:end-edit", "ENV EDITED=yes\n# winpack:end-edit")
	_, stderr := s.in(t, dir, exitFailed, "shop", "--dry-run")
	if !strings.Contains(stderr, "which is more than the folder that holds the app") || strings.Count(strings.TrimSpace(stderr), "winpack: ") != 1 {
		t.Errorf("it is refused as\n%s", stderr)
	}
}

// A Dockerfile of a person's own gives the same digest each time, whatever earlier
// builds and winpack itself left in the context.
func TestDockerfileBuildsAreReproducible(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"Dockerfile":   "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nARG SOURCE_DATE_EPOCH\nENV AT=$SOURCE_DATE_EPOCH\nCOPY . C:/app/\nCOPY <<note.txt C:/app/\nhello\nnote.txt\n",
		"a/b.txt":      "b",
		"winpack.toml": "fail-on = \"error\"\n", "x.winpack/.winpack.json": "{}",
	})
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	ref := s.host + "/team/again:1"
	first, _ := s.in(t, dir, exitDone, "-q", "-f", "Dockerfile", "--push", "-t", ref, "-o", "type=oci,dest=image.tar", "--metadata-file", "meta.json", "--iidfile", "id")
	for range 2 {
		stdout, _ := s.in(t, dir, exitDone, "-f", "Dockerfile", "--push", "-t", ref, "-o", "type=oci,dest=image.tar", "--metadata-file", "meta.json", "--iidfile", "id")
		if !strings.Contains(stdout, "unchanged: "+ref+"@"+strings.TrimSpace(first)) {
			t.Errorf("the first build gives %s, the next\n%s", first, stdout)
		}
	}
	img := image(t, ref)
	base := s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", osVersions(t, "ltsc2022")[0])
	want := []string{"app/Dockerfile", "app/a/b.txt", "app/note.txt"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(addedFiles(t, img, base)))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Created.Unix() != 1700000000 || !slices.Contains(cfg.Config.Env, "AT=1700000000") {
		t.Errorf("created is %v, and the environment %q", cfg.Created, cfg.Config.Env)
	}
	for _, problem := range layercheck.CheckImage(img, base) {
		t.Error(problem)
	}
}

// --files keeps what winpack would write, beside the app or in it, and changes nothing
// in the image.
func TestFilesKeepsTheDockerfileOfThePlan(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	app := filepath.Join(dir, "shop")
	if err := os.CopyFS(app, os.DirFS(fixtures.App(t, "demo"))); err != nil {
		t.Fatal(err)
	}
	want := s.build(t, app, "--dry-run")
	for _, out := range []string{"kept", "shop.winpack", "shop"} {
		stdout, _ := s.in(t, dir, exitDone, "shop", "--files", out, "-o", "type=oci,dest=image.tar,base=sparse", "--iidfile", "id")
		if id, err := os.ReadFile(filepath.Join(dir, "id")); err != nil || string(id) != want {
			t.Errorf("--files %s changes the image: %s, %v, want %s", out, id, err, want)
		}
		if !strings.Contains(stdout, "wrote "+filepath.Join(out, "Dockerfile")) {
			t.Errorf("nothing is said of what is written:\n%s", stdout)
		}
		if _, _, code := winpack(t, dir, "dockerfile", "shop", "-o", out, "--check"); code != exitDone {
			t.Errorf("--files %s keeps something else than winpack dockerfile writes: exit %d", out, code)
		}
	}
	edit(t, filepath.Join(dir, "kept", "Dockerfile"), "FROM", "# mine\nFROM")
	if _, stderr := s.in(t, dir, exitFailed, "shop", "--files", "kept", "-o", "type=oci,dest=new.tar"); !strings.Contains(stderr, "edited by hand") {
		t.Errorf("an edited file is written over: %s", stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.tar")); err == nil {
		t.Error("the image was built all the same")
	}
	s.in(t, dir, exitUsage, "shop", "--files", "more", "--base", "oci:base", "-o", "type=oci,dest=new.tar")
}

// Nothing outside the context gets into the image, whatever links say; a link inside
// is followed.
func TestDockerfileCopiesNothingFromOutsideTheContext(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"secret/key": "hunter2", "app/real/a.txt": "a", "app/Dockerfile": "x", "app/f": "f"})
	for link, target := range map[string]string{"out": "../secret", "key": "../secret/key", "absolute": filepath.Join(dir, "secret"), "real/up": "../../secret/key", "inside": "real", "a": "real/a.txt", "real/back": "../f"} {
		if err := os.Symlink(target, filepath.Join(dir, "app", link)); err != nil {
			t.Skip("SKIPPED: this system makes no links: ", err)
		}
	}
	base := s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", osVersions(t, "ltsc2022")[0])
	for instruction, want := range map[string][]string{
		"COPY out C:/x/": nil, "COPY out/key C:/x/": nil, "COPY key C:/x/": nil, "COPY absolute C:/x/": nil, "COPY k* C:/x/": nil, "COPY out/* C:/x/": nil,
		"ADD key C:/x/": nil, "COPY real C:/x/": nil, "COPY --parents out/key C:/x/": nil, "COPY . C:/x/": nil,
		"COPY inside/a.txt a C:/x/":         {"x/a", "x/a.txt"},
		"COPY --exclude=up inside C:/x/":    {"x/a.txt", "x/back"},
		"COPY real/back C:/x/":              {"x/back"},
		"COPY --exclude=?p real C:/x/":      {"x/a.txt", "x/back"},
		"COPY --parents real/a.txt f C:/x/": {"x/f", "x/real/a.txt"},
	} {
		writeTree(t, dir, map[string]string{"Dockerfile": "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n" + instruction + "\n"})
		code := exitDone
		if want == nil {
			code = exitFailed
		}
		ref := s.host + "/team/links:1"
		stdout, stderr := s.in(t, dir, code, "-f", "Dockerfile", "app", "--push", "-t", ref)
		if strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%s shows a file outside the context:\n%s%s", instruction, stdout, stderr)
		}
		if want == nil {
			continue
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(addedFiles(t, image(t, ref), base)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", instruction, diff)
		}
	}
}

// Written into the app's own folder, the Dockerfile gives the files of the plan and
// its start script, and the folder's other files of winpack stay out.
func TestDockerfileInTheAppIsBuilt(t *testing.T) {
	s := newSite(t)
	dir := writtenApp(t, "demo", "-o", "shop")
	planned, ours := s.host+"/team/inside:planned", s.host+"/team/inside:file"
	s.in(t, dir, exitDone, "shop", "--push", "-t", planned, "--os", "ltsc2022")
	s.in(t, filepath.Join(dir, "shop"), exitDone, "-f", "Dockerfile", "--push", "-t", ours, "--os", "ltsc2022")
	base := s.base(t, "mcr.microsoft.com/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022", osVersions(t, "ltsc2022")[0])
	want, got := addedFiles(t, image(t, planned), base), addedFiles(t, image(t, ours), base)
	if got["winpack/start.cmd"] == nil {
		t.Error("the start script is not in the image")
	}
	delete(got, "winpack/start.cmd")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-planned +file):\n%s", diff)
	}
}
