//go:build unix

package dockerfile

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNamedPipeInPlaceOfAFileIsNoFileAndNotWaitedFor(t *testing.T) {
	for _, name := range []string{"Dockerfile", ".winpack.json"} {
		dir := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadState(dir, "Dockerfile")
		if err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
