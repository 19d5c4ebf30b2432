package dockerrun

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/winpack/winpack/fixtures/wine"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// words prints its arguments, one a line.
const words = `#include <stdio.h>
int main(int n, char **a) { for (int i = 1; i < n; i++) puts(a[i]); return 0; }
`

// cmd reads the line as sh does: a Windows host gets it pasted there.
func TestCmdReadsTheLineAsItIsMeant(t *testing.T) {
	wine.Prefix(t) // skips where Wine or mingw is missing
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "words.c"), []byte(words), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("x86_64-w64-mingw32-gcc", "-o", filepath.Join(dir, "docker.exe"), filepath.Join(dir, "words.c")).CombinedOutput(); err != nil {
		t.Fatalf("compiling a stand-in for docker: %v\n%s", err, out)
	}
	in := inspected(v1.Config{
		ExposedPorts: map[string]struct{}{"80/tcp": {}},
		Labels:       map[string]string{dockerfile.LabelWrites: `C:\app\a & b; (c) 'd' #e ~f {g} [h],i=j@k+l|D:\x\y`, dockerfile.LabelEnv: "A.B-C"},
	}, "10.0.20348.1")
	l, err := New(reference, in, host(t, "20348"), table(t))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "line.cmd")
	if err := os.WriteFile(script, []byte("@cd /d \""+wine.Path(dir)+"\"\r\n@"+l.String()+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := wine.Command(t, "cmd.exe", "/c", wine.Path(script)).Output()
	got := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), "\r\n", "\n")), "\n")
	if want := l.Args[1:]; err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("cmd reads %s as\n%q, %v", l, got, err)
	}
}
