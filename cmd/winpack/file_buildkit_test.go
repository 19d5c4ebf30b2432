package main

import (
	"archive/tar"
	"cmp"
	"io"
	"maps"
	"os"
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
			out, failed := daemon.Command(t.Context(), "build", "--frontend", "dockerfile.v0", "--opt", "platform=windows("+version+")/amd64",
				"--local", "context="+dir, "--local", "dockerfile="+dir,
				"--output", "type=image,name="+theirs+",push=true,registry.insecure=true").CombinedOutput()
			_, stderr, code := winpack(t, dir, append([]string{"build", "-f", "Dockerfile", "--push", "-t", ours}, s.flags()...)...)
			how, _, _ := strings.Cut(c.differs, ":")
			switch {
			case how == "winpack builds" && (failed == nil || code != exitDone), how == "winpack fails" && (failed != nil || code == exitDone),
				how != "winpack builds" && how != "winpack fails" && (failed == nil) != (code == exitDone):
				t.Fatalf("%s\nwinpack ends with %d\n%s\nBuildKit with %v\n%s", c.differs, code, stderr, failed, out)
			}
			if code != exitDone {
				if code != exitFailed || !strings.Contains(stderr, "Dockerfile") && !strings.Contains(stderr, ".dockerignore") && how != "winpack fails" {
					t.Errorf("exit %d, and no line is named\n%s", code, stderr)
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
	delete(c.Labels, "io.github.winpack.version")
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

func TestDockerfileCasesAreComplete(t *testing.T) {
	for _, c := range fileCases(t) {
		if _, ok := c.files["Dockerfile"]; !ok {
			t.Errorf("%s has no Dockerfile", c.name)
		}
	}
	if _, err := os.Stat("testdata/file/copy.txtar"); err != nil {
		t.Error(err)
	}
}
