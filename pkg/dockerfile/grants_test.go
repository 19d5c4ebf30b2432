package dockerfile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

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
