package dockerfile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/winpack/winpack/pkg/detect"
)

// --prefer fast-start leaves nothing to the container that the build can do, and what
// the comments say is what the plan does.
func TestGrantsAreInTheBuildWhereTheContainerIsToStartFast(t *testing.T) {
	writing := siteReport()
	writing.Needs.Writes = []detect.Write{{Path: "App_Data"}}
	locked := siteReport("webdav")
	locked.Needs.Writes = writing.Needs.Writes
	const run = "RUN [\"icacls\", \"C:\\\\inetpub\\\\wwwroot\\\\App_Data\", \"/grant\", \"*S-1-5-32-568:(OI)(CI)M\", \"/q\"]\nWORKDIR C:\\\n"
	for name, test := range map[string]struct {
		rep    detect.Report
		opt    Options
		want   []string
		not    []string
		script bool
	}{
		"no RUN":              {writing, Options{}, []string{"# Grants write access at container start: a RUN step would need Windows to build."}, []string{"icacls"}, true},
		"no RUN, fast start":  {writing, Options{Prefer: PreferFastStart}, []string{"as --prefer fast-start asks, which needs a Windows builder (winpack", run}, []string{"ENTRYPOINT"}, false},
		"RUN steps":           {locked, Options{}, []string{"# Grants write access at container start (--prefer fast-start grants in the build), then runs the entrypoint of the", "RUN dism"}, []string{"would need Windows", "would take a RUN"}, true},
		"RUN, fast start":     {locked, Options{Prefer: PreferFastStart}, []string{"as --prefer fast-start asks.", run, "RUN dism"}, []string{"would need Windows", "winpack build does without"}, false},
		"an entrypoint":       {locked, Options{Settings: Settings{Entrypoint: []string{`C:\Windows\x.exe`}}}, []string{"then runs the app."}, []string{"entrypoint of the base"}, true},
		"another user's site": {writing, Options{Settings: Settings{User: userUnelevated}}, []string{"is no administrator, so that the build has to grant it, which needs a Windows"}, nil, false},
	} {
		test.opt.OS = []string{"ltsc2022"}
		p := plan(t, test.rep, test.opt)
		text, err := p.ForBuilder()
		if err != nil {
			t.Fatal(err)
		}
		flat := strings.ReplaceAll(string(text), "\n#  ", "") // comments are wrapped
		for _, want := range test.want {
			if !strings.Contains(flat, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, text)
			}
		}
		for _, not := range test.not {
			if strings.Contains(flat, not) {
				t.Errorf("%s: %q is in\n%s", name, not, text)
			}
		}
		if _, _, ok := p.StartScript(true); ok != test.script {
			t.Errorf("%s: there is a start script: %v", name, ok)
		}
	}
}

// A folder that an unelevated program writes to is made and granted by
// instructions that say its name and nothing else, whatever it is called.
func TestGrantInADockerfileNamesTheFolderAsItIs(t *testing.T) {
	for _, dir := range []string{`C:\app\logs`, `C:\app\a b`, "C:\\app\\$HOME`s & 'it' 100%", `C:\app\{x}#`} {
		var w writer
		runGrants(&w, Plan{
			Config: Config{WorkingDir: appDir},
			Steps:  []Step{{Kind: StepGrant, To: dir, Trustee: allUsers}},
		}, func() {})
		res, err := parser.Parse(strings.NewReader("# escape=`\nFROM scratch\n" + w.String()))
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		lex := shell.NewLex('`')
		var workdirs []string
		for _, n := range res.AST.Children[1:] {
			switch strings.ToUpper(n.Value) {
			case "WORKDIR":
				got, _, err := lex.ProcessWord(n.Next.Value, shell.EnvsFromSlice([]string{"HOME=x"}))
				if err != nil {
					t.Errorf("%s: %v", dir, err)
				}
				workdirs = append(workdirs, got)
			case "RUN":
				if !n.Attributes["json"] || n.Next.Value != "icacls" || n.Next.Next.Value != dir {
					t.Errorf("%s: granted by %q", dir, n.Original)
				}
			}
		}
		if len(workdirs) != 2 || workdirs[0] != dir || workdirs[1] != appDir {
			t.Errorf("%s: the folders are %q", dir, workdirs)
		}
		if bytes.Contains(w.Bytes(), []byte(`"cmd"`)) {
			t.Errorf("%s: a shell has a part in it", dir)
		}
	}
}
