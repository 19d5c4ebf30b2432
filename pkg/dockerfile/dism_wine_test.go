package dockerfile

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/winpack/winpack/fixtures/wine"
)

// dism's 3010 asks for a restart, which a container has no use for; every other
// code that is not 0 has to fail the build.
func TestOnlyARestartThatDismWantsIsForgiven(t *testing.T) {
	dir := t.TempDir()
	for code, want := range map[string]int{"0": 0, "3010": 0, "1": 1, "87": 1, "3011": 1, "14098": 1, "-2146498529": 1} {
		script := filepath.Join(dir, "run"+code+".cmd")
		text := "@cmd.exe /c exit " + code + dismOK + "\r\n"
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		err := wine.Command(t, "cmd.exe", "/d", "/c", wine.Path(script)).Run()
		got := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("dism ends with %s, the step with %d, want %d", code, got, want)
		}
	}
}
