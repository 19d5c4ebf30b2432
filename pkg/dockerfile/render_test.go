package dockerfile

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/winpack/winpack/pkg/detect"
)

// Each release has a line that can be copied as it stands.
func TestOtherReleasesAreListedAsTheyAreTyped(t *testing.T) {
	text := string(render(t, plan(t, native(), Options{OS: []string{"ltsc2019", "ltsc2022", "ltsc2025"}})).Content["Dockerfile"])
	want := "# For another Windows release, build with\n#   --build-arg BASE=" + nanoserver + "ltsc2022\n#   --build-arg BASE=" + nanoserver + "ltsc2025\nARG BASE=" + nanoserver + "1809\n"
	if !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
	p, err := Parse("Dockerfile", []byte(text))
	if err != nil || !slices.Equal(p.Listed(), []string{nanoserver + "ltsc2022", nanoserver + "ltsc2025"}) {
		t.Errorf("read back: %q, %v", p.Listed(), err)
	}
}

func render(t testing.TB, p Plan) Files {
	t.Helper()
	f, err := Render(p, RenderOptions{App: "/src/" + p.Name, Dir: "/src/" + p.Name + ".winpack", Cwd: "/src"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// lint is BuildKit's own linter; it says what it dislikes.
func lint(t testing.TB, text []byte) []string {
	t.Helper()
	st := llb.Scratch()
	def, err := st.Marshal(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sources := llb.NewSourceMap(&st, "Dockerfile", "Dockerfile", text)
	sources.Definition = def
	res, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
		SourceMap:      sources,
		MetaResolver:   windowsBase{},
		TargetPlatform: &ocispecs.Platform{OS: "windows", Architecture: "amd64"},
		LLBCaps:        ptr(pb.Caps.CapSet(pb.Caps.All())),
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if res.Error != nil {
		out = append(out, res.Error.Message)
	}
	for _, w := range res.Warnings {
		out = append(out, w.RuleName+": "+w.Detail)
	}
	return out
}

// windowsBase answers for every base image, so that nothing asks a registry.
type windowsBase struct{}

func (windowsBase) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`), nil
}

func ptr[T any](v T) *T { return &v }

func TestLinterSeesBadDockerfiles(t *testing.T) {
	for _, bad := range []string{"FROM x\nCMD echo hi\n", "FROM x\nWORKDIR app\n", "FROM x\nNONSENSE\n", "FROM x as Y\n"} {
		if len(lint(t, []byte(bad))) == 0 {
			t.Errorf("BuildKit's linter says nothing to %q", bad)
		}
	}
}

func TestBuildKitAcceptsEveryDockerfileWithoutAWarning(t *testing.T) {
	for name, rep := range reports() {
		for _, opt := range []Options{{}, {OS: []string{"ltsc2019", "ltsc2022"}}, {Prefer: PreferFastStart}, {Base: "registry.example.com/base:1"}} {
			p, err := New(rep, catalog(t), opt)
			if isType[*NoImageError](err) {
				continue
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for file, text := range render(t, p).Content {
				if !strings.HasPrefix(file, "Dockerfile") || strings.HasSuffix(file, ".dockerignore") {
					continue
				}
				if got := lint(t, text); len(got) > 0 {
					t.Errorf("%s %+v: %s: %s\n%s", name, opt, file, got, text)
				}
				classicOnly(t, name, text)
			}
		}
	}
}

// classicOnly fails on what the classic builder of a Windows engine does not know.
func classicOnly(t *testing.T, name string, text []byte) {
	res, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range res.AST.Children {
		if len(node.Flags) > 0 || len(node.Heredocs) > 0 {
			t.Errorf("%s: only BuildKit knows %s", name, node.Original)
		}
	}
}

func parse(t testing.TB, text []byte) []instructions.Command {
	t.Helper()
	res, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	stages, _, err := instructions.Parse(res.AST, nil)
	if err != nil || len(stages) != 1 {
		t.Fatalf("%d stages, %v\n%s", len(stages), err, text)
	}
	return stages[0].Commands
}

// passes says which of the context's files the ignore file lets through, as the
// classic builder and BuildKit read it.
func passes(t testing.TB, ignore []byte, files ...string) []string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err != nil {
		t.Fatal(err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		ignored, err := m.MatchesOrParentMatches(f)
		if err != nil {
			t.Fatal(err)
		}
		if !ignored {
			out = append(out, f)
		}
	}
	return out
}

func TestIgnoreFileLetsExactlyTheAppAndTheHelpersThrough(t *testing.T) {
	p := plan(t, reports()["aspnet-writes"], Options{})
	f := render(t, p)
	got := passes(t, f.Content["Dockerfile.dockerignore"],
		"shop/Web.config", "shop/bin/shop.dll", "shop/.config/x", "shop/sub/winpack.toml", "shop/.git/HEAD", "shop/winpack.toml",
		"shop.winpack/start.cmd", "shop.winpack/Dockerfile", "shop.winpack/.winpack.json", "shop2/secret", "secret.txt", "other/shop/x")
	want := []string{"shop/Web.config", "shop/bin/shop.dll", "shop/.config/x", "shop/sub/winpack.toml", "shop.winpack/start.cmd"}
	if !slices.Equal(got, want) {
		t.Fatalf("passes %v, want %v", got, want)
	}
}

func TestFilesInsideTheAppFolderStayOutOfTheImage(t *testing.T) {
	top := []string{"Web.config", "bin/", "winpack.toml", ".git/", "Dockerfile", ".dockerignore", ".winpack.json", "My Pages/"}
	f, err := Render(plan(t, reports()["aspnet-writes"], Options{}), RenderOptions{App: "/src/shop", Dir: "/src/shop", Cwd: "/src/shop", TopLevel: top})
	if err != nil {
		t.Fatal(err)
	}
	if got := passes(t, f.Content[".dockerignore"], "Web.config", "bin/a.dll", "winpack.toml", "Dockerfile", ".dockerignore", ".winpack.json", "start.cmd", "My Pages/x.htm", "added-later.txt"); !slices.Equal(got, []string{"Web.config", "bin/a.dll", "start.cmd", "My Pages/x.htm"}) {
		t.Errorf("passes %v", got)
	}
	var copies []string
	for _, c := range parse(t, f.Content["Dockerfile"]) {
		if c, ok := c.(*instructions.CopyCommand); ok {
			copies = append(copies, strings.Join(c.SourcePaths, "+")+">"+c.DestPath)
		}
	}
	want := []string{"start.cmd>C:/winpack/start.cmd", "My Pages/>C:/inetpub/wwwroot/My Pages/", "bin/>C:/inetpub/wwwroot/bin/", "Web.config>C:/inetpub/wwwroot/"}
	if !slices.Equal(copies, want) {
		t.Errorf("copies %q, want %q", copies, want)
	}
	if want := "docker build --platform windows/amd64 -f Dockerfile ."; f.Commands[0] != want {
		t.Errorf("command %q, want %q", f.Commands[0], want)
	}
}

// A name that winpack gives to files of its own may be one of the app's, where
// this plan writes none of that name.
func TestFilesOfTheAppThatAreNamedLikeOursGoIntoTheImage(t *testing.T) {
	top := []string{"tool.exe", "start.cmd", "Dockerfile.ltsc2019", "Dockerfile.ltsc2022.dockerignore"}
	opt := RenderOptions{App: "/src/tool", Dir: "/src/tool", Cwd: "/src/tool", TopLevel: top}
	f, err := Render(plan(t, reports()["native"], Options{}), opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := passes(t, f.Content[".dockerignore"], append(top, "Dockerfile", ".dockerignore", ".winpack.json")...); !slices.Equal(got, top) {
		t.Errorf("passes %v, want %v", got, top)
	}
	if f, err = Render(plan(t, reports()["aspnet-writes"], Options{}), RenderOptions{App: "/src/shop", Dir: "/src/shop", TopLevel: []string{"Web.config", "Dockerfile.ltsc2019"}}); err != nil {
		t.Fatal(err)
	}
	if text := string(f.Content["Dockerfile"]); !strings.Contains(text, `COPY ["Dockerfile.ltsc2019", "Web.config", "C:/inetpub/wwwroot/"]`) {
		t.Errorf("the app's Dockerfile.ltsc2019 is not copied:\n%s", text)
	}
	for _, name := range []string{"start.cmd", "Dockerfile.dockerignore"} {
		if _, err := Render(plan(t, reports()["aspnet-writes"], Options{}), RenderOptions{App: "/src/shop", Dir: "/src/shop", TopLevel: []string{"Web.config", name}}); !isType[*UsageError](err) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of the app: %v, want a refusal", name, err)
		}
	}
}

// hostile are folder names that some syntax on the way could take for its own.
func hostile() []string {
	return []string{"a b", "$HOME", "${PATH}", "a\nRUN evil", "a\r\nUSER x", "`whoami`", "a`", "#x", "--from=x", "!x", "[x]", "[^]", "a*", "a?b", `"q"`, `', "C:/"]`,
		`a\b`, "é ü", "a;b&c|d", "$(x)", "%PATH%", "<<EOF", " lead", "trail ", "\x1b[31m", "a'b", "{a,b}", "# escape=x", "^x", "x\u2028y", "x\u0085y"}
}

func TestHostileFolderNamesStayNames(t *testing.T) {
	for _, name := range hostile() {
		p := plan(t, reports()["aspnet-writes"], Options{})
		p.Name = name
		f, err := Render(p, RenderOptions{App: "/src/" + name, Dir: "/src/out.winpack", Cwd: "/src"})
		if strings.ContainsAny(name, `\:*?`) || name == "[^]" {
			if !isType[*UsageError](err) {
				t.Errorf("%q: %v, want a refusal", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		text := f.Content["Dockerfile"]
		for _, cmd := range parse(t, text) {
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				if len(c.SourcePaths) != 1 || !strings.HasPrefix(c.DestPath, "C:/") {
					t.Errorf("%q: COPY %v %s", name, c.SourcePaths, c.DestPath)
				} else if c.DestPath == "C:/inetpub/wwwroot/" {
					if err := c.Expand(func(word string) (string, error) { return expand(t, word), nil }); err != nil {
						t.Fatal(err)
					}
					if ok, err := path.Match(strings.TrimSuffix(c.SourcePaths[0], "/"), name); err != nil || !ok {
						t.Errorf("COPY %q does not find the folder %q: %v", c.SourcePaths[0], name, err)
					}
					for _, r := range name {
						sibling := strings.ReplaceAll(name, string(r), "_")
						if ok, _ := path.Match(strings.TrimSuffix(c.SourcePaths[0], "/"), sibling); ok && r != '_' {
							t.Errorf("COPY %q finds the folder %q too, beside %q", c.SourcePaths[0], sibling, name)
						}
					}
				}
			case *instructions.RunCommand:
				t.Errorf("%q became %s", name, c.String())
			case *instructions.UserCommand:
				t.Errorf("%q became USER %s", name, c.User)
			}
		}
		if got := lint(t, text); len(got) > 0 {
			t.Errorf("%q: %s", name, got)
		}
		got := passes(t, f.Content["Dockerfile.dockerignore"], name+"/Web.config", "other/x", "secret")
		if !slices.Equal(got, []string{name + "/Web.config"}) {
			t.Errorf("ignore file of %q passes %q:\n%s", name, got, f.Content["Dockerfile.dockerignore"])
		}
	}
}

func TestHostileTextFromTheAppStaysText(t *testing.T) {
	evil := "x\nRUN evil\r\n`$(x)\" & calc \x1b[0m"
	rep := with(native(), func(r *detect.Report) {
		r.App.Program.Arguments = []string{evil}
		r.App.Architecture = detect.X86
		r.Needs.Families = []detect.FamilyNeed{{Family: detect.FamilyServerCore, Why: evil}}
	})
	text := render(t, plan(t, rep, Options{})).Content["Dockerfile"]
	for _, cmd := range parse(t, text) {
		switch c := cmd.(type) {
		case *instructions.RunCommand:
			t.Errorf("text of the app runs: %s", c.String())
		case *instructions.EntrypointCommand:
			if c.PrependShell || !slices.Equal(c.CmdLine, []string{`C:\app\bin\tool.exe`, evil}) {
				t.Errorf("entrypoint %q", c.CmdLine)
			}
		}
	}
	if bytes.ContainsAny(text, "\x1b\r") {
		t.Error("a control character reaches the Dockerfile")
	}
}

func TestReleasesWithOtherStepsGetADockerfileEach(t *testing.T) {
	f := render(t, plan(t, aspnet("3.5"), Options{OS: []string{"ltsc2019", "ltsc2022"}}))
	if f.Content["Dockerfile.ltsc2019"] == nil || f.Content["Dockerfile.ltsc2022"] == nil || f.Content["Dockerfile"] != nil || len(f.Reasons) == 0 || len(f.Commands) != 2 {
		t.Fatalf("files %v, reasons %v", sortedKeys(f.Content), f.Reasons)
	}
	if bytes.Contains(f.Content["Dockerfile.ltsc2022"], []byte("wuauserv")) || !bytes.Contains(f.Content["Dockerfile.ltsc2019"], []byte("wuauserv")) {
		t.Error("the steps of one release stand in the other's file")
	}
}

func TestPinnedDigestStandsInTheDockerfile(t *testing.T) {
	p := plan(t, static(), Options{})
	p.Bases[0].Digest, p.Bases[1].Digest = "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	text := string(render(t, p).Content["Dockerfile"])
	for _, want := range []string{"ARG BASE=mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022@sha256:aaaa", "windowsservercore-ltsc2025@sha256:bbbb"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}

func TestCommandLineIsQuoted(t *testing.T) {
	f, err := Render(plan(t, static(), Options{}), RenderOptions{App: "/src/it's a $site", Dir: "/src/o", Cwd: "/elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "docker buildx build --platform windows/amd64 -f ../src/o/Dockerfile ../src"; f.Commands[0] != want {
		t.Errorf("%q, want %q", f.Commands[0], want)
	}
	f, err = Render(plan(t, static(), Options{}), RenderOptions{App: "/src/site", Dir: "/src/my site", Cwd: "/src", Windows: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := `docker buildx build --platform windows/amd64 -f "my site/Dockerfile" .`; f.Commands[0] != want {
		t.Errorf("%q, want %q", f.Commands[0], want)
	}
	for s, want := range map[string][2]string{ // for a POSIX shell, for cmd.exe
		`site`:         {`site`, `site`},
		``:             {`''`, `""`},
		`it's $x`:      {`'it'\''s $x'`, `"it's $x"`},
		`a\Dockerfile`: {`'a\Dockerfile'`, `a\Dockerfile`},
		`C:\my site\`:  {`'C:\my site\'`, `"C:\my site\\"`},
		`a&b`:          {`'a&b'`, `"a&b"`},
		`50%`:          {`50%`, `"50%"`},
		`x=1,y`:        {`x=1,y`, `"x=1,y"`},
		`~\site`:       {`'~\site'`, `~\site`},
		"caf\u00e9":    {"'caf\u00e9'", "\"caf\u00e9\""},
	} {
		if got := [2]string{Quote(s, false), Quote(s, true)}; got != want {
			t.Errorf("%s: quoted %s and %s, want %s and %s", s, got[0], got[1], want[0], want[1])
		}
	}
}

// expand resolves a word as a Dockerfile does, where no variable has a value.
func expand(t testing.TB, word string) string {
	t.Helper()
	out, unmatched, err := shell.NewLex('`').ProcessWord(word, shell.EnvsFromSlice([]string{"HOME=/root", "PATH=/bin"}))
	if err != nil || len(unmatched) > 0 {
		t.Errorf("expanding %q: %v, unset %v", word, err, unmatched)
	}
	return out
}
