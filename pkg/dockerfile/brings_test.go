package dockerfile

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// An entrypoint that nothing brings into the image is told, and nothing else is.
func TestEntrypointThatNothingBringsIsAnError(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("x")}
	app := fstest.MapFS{"Server.exe": file, "server.exe.config": file, "bin/Tool.dll": file, "run.cmd": file, "notes": file}
	trees := map[string]fs.FS{"files-1": fstest.MapFS{"agent.exe": file}, "files-2": fstest.MapFS{"a/worker.exe": file}}
	extras := []Extra{
		{Tree: "files-1", From: "agent.exe", To: `C:\app\extra\watch.exe`}, {Tree: "files-2", From: ".", Folder: true, To: "jobs"}, {From: "run.cmd", To: `C:\app\first.cmd`},
	}
	for name, test := range map[string]struct {
		entrypoint []string
		want       string // in the message; empty: there is no finding, "-": one without a name
	}{
		"it is there":          {[]string{`C:\app\Server.exe`}, ""},
		"case":                 {[]string{`c:/APP/SERVER.EXE`}, ""},
		"without .exe":         {[]string{`C:\app\server`}, ""},
		"a letter":             {[]string{`C:\app\Serve.exe`}, `did you mean C:\app\Server.exe?`},
		"another folder":       {[]string{`C:\app\bin\server.exe`}, `did you mean C:\app\Server.exe?`},
		"an assembly":          {[]string{`C:\Program Files\dotnet\dotnet.exe`, `C:\app\bin\Tools.dll`}, `did you mean C:\app\bin\Tool.dll?`},
		"an assembly there":    {[]string{`C:\Program Files\dotnet\dotnet.exe`, `C:\app\bin\tool.dll`}, ""},
		"a folder":             {[]string{`C:\app\bin`}, "-"},
		"below a file":         {[]string{`C:\app\notes\x.exe`}, "-"},
		"nothing near":         {[]string{`C:\app\abcdefghijk.exe`}, "-"},
		"renamed by files":     {[]string{`C:\app\Extra\Watch.exe`}, ""},
		"a folder by files":    {[]string{`C:\app\jobs\a\worker.exe`}, ""},
		"near one of files":    {[]string{`C:\app\jobs\a\workers.exe`}, `did you mean C:\app\jobs\a\worker.exe?`},
		"its name in files":    {[]string{`C:\app\extra\agent.exe`}, "-"},
		"a file of the app":    {[]string{`C:\app\first.cmd`}, ""},
		"of the base":          {[]string{`C:\Windows\System32\cmd.exe`, "/c", "x"}, ""},
		"by PATH":              {[]string{"server.exe"}, ""},
		"what it writes":       {[]string{`C:\app\Server.exe`, `C:\app\new.log`}, ""},
		"a script that is not": {[]string{"cmd", "/c", `C:\app\runs.cmd`}, `did you mean C:\app\run.cmd?`},
	} {
		opt := Options{OS: []string{"ltsc2022"}, App: app, Trees: trees, Settings: Settings{Entrypoint: test.entrypoint, Files: extras}}
		opt.Places = map[string]detect.Evidence{"entrypoint": {Path: "winpack.toml", Line: 7}}
		rep := detect.Report{App: detect.App{Name: "x", Kind: detect.KindNativeConsole, Architecture: detect.X64, Program: &detect.Program{Path: "Server.exe", Form: detect.FormNative}}}
		plan, err := New(rep, catalog(t), opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var found []detect.Finding
		for _, f := range plan.Findings {
			if f.Rule == RuleNoProgram {
				found = append(found, f)
			}
		}
		switch {
		case test.want == "" && len(found) == 0:
		case len(found) != 1 || test.want == "" || found[0].Level != detect.LevelError || len(found[0].Evidence) != 1 || found[0].Evidence[0].Line != 7:
			t.Errorf("%s: the findings are %+v", name, found)
		case test.want != "-" && !strings.HasSuffix(found[0].Message, test.want), test.want == "-" && strings.Contains(found[0].Message, "did you mean"):
			t.Errorf("%s: the message is %q", name, found[0].Message)
		}
	}
}

// What a base has that winpack does not know cannot be told.
func TestEntrypointOfAGivenBaseIsANote(t *testing.T) {
	opt := Options{Base: "registry.example.com/team/base:1", App: fstest.MapFS{}, Settings: Settings{Entrypoint: []string{`C:\inetpub\wwwroot\run.exe`}}}
	plan, err := New(siteReport(), catalog(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan.Findings {
		if f.Rule == RuleNoProgram && f.Level == detect.LevelNote && strings.Contains(f.Message, "the given base may have it") {
			return
		}
	}
	t.Errorf("the findings are %+v", plan.Findings)
}
