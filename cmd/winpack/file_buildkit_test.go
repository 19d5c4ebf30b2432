package main

import (
	"archive/tar"
	"cmp"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/winpack/winpack/fixtures/buildkit"
)

// fileCase is a Dockerfile of testdata/file: NAME/... in an archive, beside the
// context that all of the archive share.
type fileCase struct {
	name  string
	files map[string]string
	// differs says how the image is not that of BuildKit and why, "HOW: WHY": winpack
	// builds, winpack fails, or other files or config, which follow, one a line.
	differs string
	want    []string
}

func fileCases(t *testing.T) []fileCase {
	t.Helper()
	archives, err := filepath.Glob("testdata/file/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	var cases []fileCase
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		shared := map[string]string{}
		for _, f := range archive.Files {
			name, rest, _ := strings.Cut(f.Name, "/")
			if name == "context" {
				shared[rest] = string(f.Data)
				continue
			}
			full := strings.TrimSuffix(filepath.Base(path), ".txtar") + "/" + name
			if len(cases) == 0 || cases[len(cases)-1].name != full {
				cases = append(cases, fileCase{name: full, files: maps.Clone(shared)})
			}
			c := &cases[len(cases)-1]
			switch {
			case rest == "differs":
				lines := strings.Split(strings.TrimSpace(string(f.Data)), "\n")
				c.differs, c.want = lines[0], lines[1:]
			case name == "crlf":
				c.files[rest] = strings.ReplaceAll(string(f.Data), "\n", "\r\n")
			default:
				c.files[rest] = string(f.Data)
			}
		}
	}
	return cases
}

var fromMicrosoft = regexp.MustCompile(`mcr\.microsoft\.com/[a-z/]+:[a-z0-9-]+`)

// A Dockerfile gives the image that BuildKit makes of it, and what BuildKit can't
// build winpack can't. Where that is not so, the case says why.
func TestDockerfileGivesTheImageOfBuildKit(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	version := osVersions(t, "ltsc2022")[0]
	for _, c := range fileCases(t) {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeTree(t, dir, c.files)
			tag := strings.ReplaceAll(c.name, "/", "-")
			theirs, ours := s.host+"/team/file:buildkit-"+tag, s.host+"/team/file:direct-"+tag
			out, failed := buildByHand(t, daemon, dir, version, theirs)
			_, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Dockerfile", "--push", "-t", ours}, s.flags()...)...)
			how, _, _ := strings.Cut(c.differs, ":")
			switch {
			case how == "winpack builds" && (failed == nil || code != exitDone), how == "winpack fails" && (failed != nil || code == exitDone),
				how != "winpack builds" && how != "winpack fails" && (failed == nil) != (code == exitDone):
				t.Fatalf("%s\nwinpack ends with %d\n%s\nBuildKit with %v\n%s", c.differs, code, stderr, failed, out)
			}
			if code != exitDone {
				// What BuildKit refuses too it refuses at the same line.
				if theirs := lineNamed.FindString(out); failed != nil && theirs != "" && !strings.Contains(stderr, "winpack: "+theirs+": ") {
					t.Errorf("BuildKit names %s\n%s", theirs, stderr)
				} else if theirs == "" && !lineNamed.MatchString(stderr) && !strings.Contains(stderr, "Dockerfile") && !strings.Contains(stderr, ".dockerignore") && how != "winpack fails" {
					t.Errorf("no line is named\n%s", stderr)
				}
				if code != exitFailed && code != exitUsage {
					t.Errorf("exit %d", code)
				}
				return
			}
			base := s.base(t, cmp.Or(fromMicrosoft.FindString(c.files["Dockerfile"]), "mcr.microsoft.com/windows/nanoserver:ltsc2022"), version)
			got := added(t, image(t, ours), base)
			if how == "winpack builds" {
				return
			}
			want := added(t, image(t, theirs), base)
			compare(t, "files", how == "files", want, got, slices.Sorted(maps.Keys(got)), c.want)
			wantConfig, gotConfig := configOf(t, image(t, theirs)), configOf(t, image(t, ours))
			own := slices.DeleteFunc(slices.Clone(gotConfig.Env), func(line string) bool { return slices.Contains(configOf(t, base).Env, line) })
			compare(t, "configuration", how == "config", wantConfig, gotConfig, own, c.want)
		})
	}
}

var lineNamed = regexp.MustCompile(`Dockerfile:\d+`)

// buildByHand builds the Dockerfile of a folder with BuildKit, and pushes the image.
func buildByHand(t *testing.T, daemon buildkit.Daemon, dir, osVersion, ref string) (output string, err error) {
	t.Helper()
	out, err := daemon.Command(t.Context(), "build", "--frontend", "dockerfile.v0", "--opt", "platform=windows("+osVersion+")/amd64",
		"--local", "context="+dir, "--local", "dockerfile="+dir,
		"--output", "type=image,name="+ref+",push=true,registry.insecure=true").CombinedOutput()
	return string(out), err
}

// compare wants both to be the same or, where they differ, got to be as explained.
func compare(t *testing.T, what string, differ bool, theirs, ours any, got, explained []string) {
	t.Helper()
	diff := gocmp.Diff(theirs, ours)
	switch {
	case differ && diff == "":
		t.Errorf("%s: the same, and said to differ", what)
	case differ:
		if diff := gocmp.Diff(explained, got); diff != "" {
			t.Errorf("%s (-explained +winpack):\n%s", what, diff)
		}
	case diff != "":
		t.Errorf("%s (-BuildKit +winpack):\n%s", what, diff)
	}
}

// added lists what the layers over a base hold, folders with a slash at the end.
func added(t *testing.T, img, base v1.Image) map[string]string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	below, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for _, layer := range layers[len(below):] {
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			name, ok := strings.CutPrefix(h.Name, "Files/")
			if name = strings.TrimSuffix(name, "/"); !ok || name == "" {
				continue
			}
			if h.Typeflag == tar.TypeDir {
				name += "/"
			}
			entries[name] = string(data)
		}
		r.Close()
	}
	return entries
}

// configOf is the configuration of an image, without winpack's own label.
func configOf(t *testing.T, img v1.Image) v1.Config {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := file.Config
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	slices.Sort(c.Env)
	// What v1.Config lacks: it is compared by the texts around it.
	c.Image = file.Author + " " + file.OSVersion
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c.Domainname = regexp.MustCompile(`"StartInterval":\d+`).FindString(string(raw))
	return c
}

// Whatever copies stand after each other, with whatever is ignored, the files are
// those that BuildKit puts there.
func TestRandomCopiesGiveTheImageOfBuildKit(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	version := osVersions(t, "ltsc2022")[0]
	base := s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", version)
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	built := 0
	for range 30 {
		files := map[string]string{"a.txt": "a", "b.txt": "b", "d/a.txt": "da", "d/e/f.txt": "def", "d/e/a.txt": "dea", "e/f.txt": "ef", "e/g/h": "egh"}
		text := "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
		for range 1 + random.IntN(4) {
			source := func() string {
				return pick("a.txt", "b.txt", "d", "d/", "e", ".", "d/e", "*.txt", "d/*", "*", "*/*.txt", "?", "d/[ae]*", "./d/./e", "../a.txt", "/e/g", "[!d]*")
			}
			flags := pick("", "", "", "", "--exclude="+pick("*.txt", "e", "**/a.txt", "e/*")+" ", "--exclude=e --exclude=!e/f.txt ", "--parents ")
			to := pick("/x", "/x/", "C:/x/y", "x", "x/", ".", "./", "/x/a.txt", "/x/e", "/x/e/", "/", "..", "/x/.", "y/../x", "/d", "C:/x//e/", `\\x\\e`)
			text += pick("COPY "+flags+source()+" "+to, "COPY "+flags+source()+" "+source()+" "+to, "WORKDIR "+to, "COPY <<a.txt "+to+"\nhere\na.txt", "ADD "+source()+" "+to) + "\n"
		}
		files["Dockerfile"] = text
		files[".dockerignore"] = pick("", "*.txt\n", "d\n", "**\n!d/e\n", "e/*\n!e/g\n", "*\n!*.txt\n!d\n") + pick("", "!d/a.txt\n", "b.txt\n")
		dir := t.TempDir()
		writeTree(t, dir, files)
		theirs, ours := s.host+"/team/random:buildkit", s.host+"/team/random:direct"
		out, failed := buildByHand(t, daemon, dir, version, theirs)
		_, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Dockerfile", "--push", "-t", ours}, s.flags()...)...)
		if (failed == nil) != (code == exitDone) {
			t.Errorf("%s\n%s\nwinpack ends with %d\n%s\nBuildKit with %v\n%s", text, files[".dockerignore"], code, stderr, failed, out)
		}
		if failed != nil || code != exitDone {
			continue
		}
		built++
		if diff := gocmp.Diff(added(t, image(t, theirs), base), added(t, image(t, ours), base)); diff != "" {
			t.Errorf("%s\n%s\n(-BuildKit +winpack):\n%s", text, files[".dockerignore"], diff)
		}
	}
	if built < 10 {
		t.Errorf("only %d of 30 are built by both: the others prove little", built)
	}
}

// A Linux worker runs the commands of a stage for Linux, as those that compile for
// Windows, and refuses those of Windows before anything is sent.
func TestStageOfLinuxIsBuiltByALinuxWorker(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n\tif os.WriteFile(\"/out.txt\", []byte(\"made\"), 0o644) != nil {\n\t\tos.Exit(1)\n\t}\n}\n",
		"Dockerfile": "FROM --platform=linux/amd64 scratch AS build\nCOPY tool /tool\nRUN [\"/tool\"]\n" +
			"FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY --from=build /out.txt C:/x/\n",
		"Windows": "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022 AS a\nRUN dir\nFROM a AS b\nCOPY tool C:/q/\n" +
			"FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY --from=b C:/q/tool C:/x/\n",
	})
	build := exec.Command("go", "build", "-o", "tool", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ref := s.host + "/team/file:linux-stage"
	flags := append([]string{"--builder", "buildkit", "--buildkit-addr", daemon.Address(), "--push", "-t", ref}, s.flags()...)
	if _, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Dockerfile"}, flags...)...); code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	base := s.base(t, "mcr.microsoft.com/windows/nanoserver:ltsc2022", osVersions(t, "ltsc2022")[0])
	if got := added(t, image(t, ref), base); got["x/out.txt"] != "made" {
		t.Errorf("the image has %v", slices.Sorted(maps.Keys(got)))
	}
	_, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Windows"}, flags...)...)
	if code != exitFailed || !strings.Contains(stderr, "runs a command on Windows (line 2)") || strings.Contains(stderr, "passwd") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// What a Dockerfile learns of the platform is the same from each builder, for each release.
func TestPlatformArgumentsAreThoseOfTheReleaseInEachBuilder(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"Dockerfile": "ARG BASE=mcr.microsoft.com/windows/nanoserver:ltsc2022\nFROM --platform=$TARGETPLATFORM ${BASE}\n" +
		"ARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETOSVERSION\nARG TARGETARCH\nLABEL platform=$TARGETPLATFORM of=$TARGETOS/$TARGETOSVERSION/$TARGETARCH\n"})
	for _, builder := range []string{"direct", "buildkit"} {
		ref := s.host + "/team/platform:" + builder
		args := append([]string{"build", "-f", "Dockerfile", "--builder", builder, "--buildkit-addr", daemon.Address(), "--os", "ltsc2022,ltsc2025", "--push", "-t", ref}, s.flags()...)
		if builder == "direct" {
			args = slices.DeleteFunc(args, func(a string) bool { return a == "--buildkit-addr" || a == daemon.Address() })
		}
		if _, stderr, code := winpack(t, dir, args...); code != exitDone {
			t.Fatalf("%s: exit %d\n%s", builder, code, stderr)
		}
		for _, version := range osVersions(t, "ltsc2022", "ltsc2025") {
			want := map[string]string{"platform": "windows(" + version + ")/amd64", "of": "windows/" + version + "/amd64"}
			got := configOf(t, imageOf(t, ref, version)).Labels
			if maps.DeleteFunc(got, func(key, _ string) bool { return want[key] == "" }); !maps.Equal(got, want) {
				t.Errorf("%s: labels %v, want %v", builder, got, want)
			}
		}
	}
}

// BuildKit on Linux writes names as they stand: two that are one on Windows, and those
// that Windows forbids, break the layer without a word. So winpack looks before it sends.
func TestBuildKitGetsNoNamesThatWindowsRefuses(t *testing.T) {
	s := newSite(t)
	daemon := buildkit.Start(t, s.host)
	const core, nano = "FROM mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022\n", "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
	for name, test := range map[string]struct {
		file string
		want string // of the error; "" where it builds
		note string
	}{
		"two spellings of a file":         {core + "COPY a/a.txt b/A.txt C:/z/\n", `Dockerfile:2: "C:\z\a.txt" and "C:\z\A.txt" are one name`, ""},
		"two spellings of a folder":       {nano + "COPY a/ C:/Data/\nCOPY b/ C:/data/\n", `Dockerfile:3: "C:\Data" and "C:\data" are one name`, ""},
		"two spellings in two contexts":   {nano + "COPY a/ b/ C:/z/\n", "are one name on Windows", ""},
		"a device":                        {nano + "COPY a/a.txt C:/nul\n", "nul", ""},
		"a folder that is a device":       {nano + "WORKDIR C:/aux/b\n", "aux", ""},
		"a name too long":                 {nano + "COPY a C:/" + strings.Repeat("d", 250) + "/\n", "ddd", ""},
		"a folder of the base":            {core + "WORKDIR C:/inetpub/wwwroot\nCOPY a .\n", "", `Dockerfile:3: note: BuildKit replaces the access list of C:\inetpub\wwwroot`},
		"a folder of the base, by a name": {core + "ENV D=C:/inetpub/wwwroot\nCOPY a $D/\n", "", `Dockerfile:3: note: BuildKit replaces the access list of C:\inetpub\wwwroot`},
		"nothing wrong":                   {nano + "COPY a C:/z/\n", "", ""},
	} {
		dir := t.TempDir()
		writeTree(t, dir, map[string]string{"Dockerfile": test.file, "a/a.txt": "a", "b/A.txt": "A"})
		_, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Dockerfile", "--builder", "buildkit", "--buildkit-addr", daemon.Address(), "--push", "-t", s.host + "/team/names:1"}, s.flags()...)...)
		if (code == exitDone) != (test.want == "") || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "COPY") && test.want != "" {
			t.Errorf("%s: exit %d, want %q\n%s", name, code, test.want, stderr)
		}
		if strings.Count(stderr, "replaces the access list") != min(1, len(test.note)) || !strings.Contains(stderr, test.note) {
			t.Errorf("%s: want the note %q once\n%s", name, test.note, stderr)
		}
	}
}
