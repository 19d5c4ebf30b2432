package detect_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

const page = `<%@ Page Language="C#" %><html></html>`

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func look(t testing.TB, fsys fs.FS) detect.Report {
	t.Helper()
	options := detect.Options{Name: "app"}
	if on, ok := fsys.(onLearned); ok {
		options.Bases, options.OS, options.Releases = on.bases, []string{"ltsc2022"}, []string{"ltsc2022"}
	}
	r, err := detect.Inspect(fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// onLearned is a folder that is looked at by the learned contents of images.
type onLearned struct {
	fs.FS
	bases []detect.Base
}

func wantProblem(t *testing.T, r detect.Report, path, part string) {
	t.Helper()
	for _, p := range r.Problems {
		if p.Path == path && strings.Contains(p.Message, part) {
			return
		}
	}
	t.Errorf("no problem at %q with %q; have %v", path, part, r.Problems)
}

func TestUnreadableRootIsAnError(t *testing.T) {
	if _, err := detect.Inspect(os.DirFS(filepath.Join(t.TempDir(), "none")), detect.Options{}); err == nil {
		t.Error("a folder that does not exist was inspected")
	}
}

func TestEmptyFolderIsUnknown(t *testing.T) {
	for _, app := range []fstest.MapFS{{}, {"bin": {Mode: fs.ModeDir}}} {
		r := look(t, app)
		if r.App.Kind != detect.KindUnknown || !slices.Equal(rules(r), []string{"WP1007"}) || len(r.Facts) != 1 || len(r.Problems) != 0 {
			t.Errorf("got %+v", r)
		}
	}
	if r := look(t, files("readme.txt", "x")); slices.Contains(rules(r), "WP1007") {
		t.Error("a folder with a file was called empty")
	}
}

func TestHostileConfigurationIsAProblemAndNeverFollowed(t *testing.T) {
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]><configuration>&lol2;</configuration>`
	for name, c := range map[string]struct{ path, data, problem string }{
		"external entity":     {"web.config", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><configuration><appSettings><add key="a" value="&e;"/></appSettings></configuration>`, "document type declaration is refused"},
		"entity bomb":         {"web.config", bomb, "document type declaration is refused"},
		"not well-formed":     {"web.config", "<configuration>\n<a></b></configuration>", "line 2: is not well-formed XML"},
		"empty":               {"web.config", "", "holds no XML element"},
		"nested without end":  {"web.config", strings.Repeat("<a>", 5000), "levels"},
		"unknown encoding":    {"web.config", `<?xml version="1.0" encoding="ebcdic-x"?><configuration/>`, "not well-formed"},
		"UTF-32":              {"web.config", "\xff\xfe\x00\x00<\x00\x00\x00", "UTF-32"},
		"broken JSON":         {"appsettings.json", "{\n\"a\": }", "line 2: is not well-formed JSON"},
		"deep JSON":           {"appsettings.json", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "levels"},
		"two JSON values":     {"appsettings.json", "{} {}", "not well-formed JSON"},
		"larger than the cap": {"web.config", "<configuration>" + strings.Repeat(" ", 9<<20) + "</configuration>", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files("Default.aspx", page, c.path, c.data))
			wantProblem(t, r, c.path, c.problem)
			if r.App.Kind != detect.KindASPNET {
				t.Errorf("the page was not seen any more: %s", r.App.Kind)
			}
		})
	}
}

func TestByteOrderMarksAndEncodingsAreRead(t *testing.T) {
	config := `<?xml version="1.0" encoding="utf-16"?><configuration><system.web><compilation targetFramework="4.6.2"/></system.web></configuration>`
	utf16 := func(bom string, little bool) string {
		out := []byte(bom)
		for _, c := range []byte(config) {
			if little {
				out = append(out, c, 0)
			} else {
				out = append(out, 0, c)
			}
		}
		return string(out)
	}
	for name, data := range map[string]string{
		"UTF-16 LE": utf16("\xff\xfe", true), "UTF-16 BE": utf16("\xfe\xff", false), "UTF-16 LE without a mark": utf16("", true),
		"UTF-8 mark":   "\xef\xbb\xbf" + strings.Replace(config, "utf-16", "utf-8", 1),
		"windows-1252": strings.Replace(config, `encoding="utf-16"?>`, "encoding=\"windows-1252\"?><!-- \xe4\xf6 -->", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files("Default.aspx", page, "web.config", data))
			if r.App.Framework.Version != "4.6.2" || len(r.Problems) != 0 {
				t.Errorf("framework %v, problems %v", r.App.Framework, r.Problems)
			}
		})
	}
}

func TestLinksNeverLeaveTheFolder(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.config")
	if err := os.WriteFile(outside, []byte(`<configuration><connectionStrings><add name="Outside" connectionString="server=x"/></connectionStrings></configuration>`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Default.aspx"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"web.config":   outside,
		"loop":         "loop",
		"up.config":    "../" + filepath.Base(filepath.Dir(outside)) + "/secret.config",
		"folder":       ".",
		"home.aspx":    "Default.aspx",
		"away.config":  `C:\Windows\win.ini`,
		"broken.aspx":  "nowhere.aspx",
		"chain.config": "web.config",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r := look(t, os.DirFS(dir)) // DirFS would follow them
	wantProblem(t, r, "web.config", "out of the app folder")
	wantProblem(t, r, "up.config", "out of the app folder")
	wantProblem(t, r, "away.config", "out of the app folder")
	wantProblem(t, r, "loop", "leads into a loop")
	wantProblem(t, r, "broken.aspx", `link to "nowhere.aspx", which is not there`)
	wantProblem(t, r, "chain.config", "out of the app folder")
	wantProblem(t, r, "folder", `link to the folder ".", in which it lies`)
	if out := string(marshal(t, r)); strings.Contains(out, "Outside") {
		t.Error("a file outside of the folder was read")
	}
	for _, p := range r.Problems {
		if p.Path == "home.aspx" {
			t.Errorf("a link inside the folder was not followed: %v", p)
		}
	}
}

// An image holds what links lead to, so that is what is looked at.
func TestLinksAreFollowedAsABuildDoes(t *testing.T) {
	source := t.TempDir()
	for _, name := range []string{"releases/2/web.config", "releases/2/inner/b/web.config"} {
		p := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(`<configuration><connectionStrings><add name="`+name+`" connectionString="server=db01"/></connectionStrings></configuration>`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		links    map[string]string
		read     string // a file that was read
		problems []string
	}{
		"a folder":             {map[string]string{"current": "releases/2"}, "current/web.config", nil},
		"a file below":         {map[string]string{"web.config": "releases/2/web.config"}, "web.config", nil},
		"a link to a link":     {map[string]string{"web.config": "one", "one": "two", "two": "releases/2/web.config"}, "web.config", nil},
		"through a link":       {map[string]string{"current": "latest", "latest": "releases/2", "web.config": "current/web.config"}, "web.config", nil},
		"a folder below one":   {map[string]string{"other": "current/inner/../../2/inner", "current": "releases/2"}, "other/b/web.config", nil},
		"in a linked folder":   {map[string]string{"current": "releases/2", "releases/2/again": "inner/b"}, "current/again/web.config", nil},
		"with a backslash":     {map[string]string{"current": `releases\2`}, "current/web.config", nil},
		"up, where it is left": {map[string]string{"current": "releases/2", "releases/2/up": "../2/inner"}, "current/up/b/web.config", nil},
		"into its own folder":  {map[string]string{"releases/2/up": ".."}, "releases/2/web.config", []string{"releases/2/up"}},
		"the same, seen twice": {map[string]string{"current": "releases/2", "releases/2/up": ".."}, "current/up/2/web.config", []string{"current/up/2/up", "releases/2/up"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "app")
			if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			for link, target := range c.links {
				if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			for _, fsys := range []fs.FS{os.DirFS(dir), root.FS()} {
				r := look(t, fsys)
				if !slices.ContainsFunc(r.Facts, func(f detect.Fact) bool {
					return f.Key == "connection-string" && slices.ContainsFunc(f.Evidence, func(e detect.Evidence) bool { return e.Path == c.read })
				}) {
					t.Errorf("%T: %s was not read: %v", fsys, c.read, r.Facts)
				}
				var problems []string
				for _, p := range r.Problems {
					problems = append(problems, p.Path)
					if !strings.Contains(p.Message, "in which it lies") {
						t.Errorf("%T: %v", fsys, p)
					}
				}
				if !slices.Equal(problems, c.problems) {
					t.Errorf("%T: problems %v, want %v", fsys, r.Problems, c.problems)
				}
			}
		})
	}
}

// Links to folders of links: 2^30 files, if nobody counted.
func TestLinksThatMultiplyAreCut(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		sub := filepath.Join(dir, fmt.Sprintf("d%02d", i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, link := range []string{"a", "b"} {
			if err := os.Symlink(fmt.Sprintf("../d%02d", i+1), filepath.Join(sub, link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "d30"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d30", "index.html"), []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	cut := 0
	for _, p := range look(t, os.DirFS(dir)).Problems {
		if strings.Contains(p.Message, "with what links lead to") {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("%d problems say that links multiply", cut)
	}
}

// What a build refuses, detection says.
func TestNamesThatNoImageCanHoldAreNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows makes no such files")
	}
	dir := t.TempDir()
	for _, name := range []string{"index.html", "a?b.txt", "aux/x.txt", `a\b.txt`, "caf\xe9.txt", "caf\xe9s/x.txt", "con.txt", "dot./x.txt", strings.Repeat("f", 250) + "/x.txt"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("<html>"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := look(t, os.DirFS(dir))
	for path, why := range map[string]string{
		"a?b.txt": "character '?'", "aux": "device AUX", `a\b.txt`: "character", "caf\xe9.txt": "not UTF-8", "caf\xe9s": "not UTF-8", "con.txt": "device CON",
		"dot.": "ends with a dot", strings.Repeat("f", 250): "245 are possible",
	} {
		wantProblem(t, r, path, why)
	}
	if len(r.Problems) != 8 || r.App.Kind != detect.KindStatic {
		t.Errorf("%s, %d problems: %v", r.App.Kind, len(r.Problems), r.Problems)
	}
	many := files("index.html", "<html>")
	for i := range 300 {
		many[fmt.Sprintf("a?%d", i)] = &fstest.MapFile{}
	}
	r = look(t, many)
	if len(r.Problems) != 101 || r.Problems[0].Path != "." || !strings.Contains(r.Problems[0].Message, "200 more names") {
		t.Errorf("%d problems, the first is %v", len(r.Problems), r.Problems[0])
	}
}

func TestFoldersWithoutEndAreCut(t *testing.T) {
	r := look(t, files(strings.Repeat("d/", 200)+"web.config", "<configuration/>", "Default.aspx", page))
	if r.App.Kind != detect.KindASPNET {
		t.Errorf("kind %s", r.App.Kind)
	}
	wantProblem(t, r, strings.TrimSuffix(strings.Repeat("d/", 65), "/"), "deeper than 64 folders")
}

func TestNamesThatDifferInCaseOnlyAreNamed(t *testing.T) {
	r := look(t, files("Default.aspx", page, "Web.config", "<configuration/>", "web.config", "<configuration/>"))
	wantProblem(t, r, "web.config", "in case only")
}

func TestBinariesThatAreNoneAreNamed(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "huge.dll")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(3 << 30); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	f.Close()
	if err := os.WriteFile(filepath.Join(dir, "readme.exe"), []byte("not a program"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := look(t, os.DirFS(dir))
	wantProblem(t, r, "huge.dll", "is none")
	wantProblem(t, r, "readme.exe", "is none")
	if r.App.Kind != detect.KindUnknown {
		t.Errorf("kind %s", r.App.Kind)
	}
}

// refusing denies access to one path, as a folder without permission does.
type refusing struct {
	fs.FS
	path string
}

func (r refusing) Open(name string) (fs.File, error) {
	if name == r.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.FS.Open(name)
}

func (r refusing) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == r.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return fs.ReadDir(r.FS, name)
}

func TestMissingPermissionIsAProblem(t *testing.T) {
	m := files("Default.aspx", page, "web.config", "<configuration/>", "data/x.txt", "x", "bin/a.dll", "MZ")
	for _, p := range []string{"web.config", "data", "bin/a.dll", "Default.aspx"} {
		t.Run(p, func(t *testing.T) { wantProblem(t, look(t, refusing{m, p}), p, "permission denied") })
	}
	if _, err := detect.Inspect(refusing{m, "."}, detect.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

func TestCutBinariesNeverPanic(t *testing.T) {
	for _, name := range []string{"netfx-service/Spooler.exe", "dotnet-console-singlefile/Report.exe", "native-service/clock.exe"} {
		dir, file := filepath.Split(name)
		data, err := os.ReadFile(filepath.Join(fixtures.App(t, filepath.Clean(dir)), file))
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut < len(data); cut += max(1, len(data)/150) {
			look(t, files(file, string(data[:cut])))
			flipped := []byte(string(data))
			flipped[cut] ^= 0xff
			look(t, files(file, string(flipped)))
		}
	}
}
