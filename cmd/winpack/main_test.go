package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"winpack": main})
}

// TestScripts runs the scripts of testdata. Beside the commands of testscript
// they have exitN COMMAND, which wants that exit code, nothing on stdout for
// wrong usage, and one line on stderr that starts with "winpack: ".
func TestScripts(t *testing.T) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, code := range []int{1, 2, 3, 4} {
		commands["exit"+strconv.Itoa(code)] = func(ts *testscript.TestScript, neg bool, args []string) { wantExit(ts, code, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: commands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

func wantExit(ts *testscript.TestScript, code int, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != code {
		ts.Fatalf("exit code %d, want %d", got, code)
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "winpack: ") {
		ts.Fatalf("the last line of stderr is no error of winpack: %q", last)
	}
	if code == exitUsage && (len(lines) != 1 || ts.ReadFile("stdout") != "") {
		ts.Fatalf("wrong usage is not one line on stderr")
	}
}

// A folder that may not be read is exit 1, seen as a user without privileges.
func TestUnreadableFolderIsAnErrorOfItsOwn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: file modes do not keep a reader out on Windows")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	winpack := filepath.Join(dir, "winpack")
	if err := os.WriteFile(winpack, self, 0o755); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o300); err != nil {
		t.Fatal(err)
	}
	partly := filepath.Join(dir, "partly")
	if err := os.Mkdir(partly, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"index.html": 0o644, "app.exe": 0o200} {
		if err := os.WriteFile(filepath.Join(partly, name), []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		app  string
		code int
		want string
	}{
		{locked, exitFailed, "winpack: reading APP"},
		{partly, exitDone, "app.exe"},
	} {
		cmd := exec.Command(winpack, "detect", test.app)
		cmd.Dir = dir
		unprivileged(cmd)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("detect %s: exit %d, want %d, with %q in\n%s", filepath.Base(test.app), code, test.code, test.want, out)
		}
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
