package detect_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// bomb is an app whose files below a folder panic when they are touched, as a
// mistake of ours would in a binary of an odd kind.
type bomb struct{ fstest.MapFS }

func (b bomb) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "bomb") {
		panic("boom")
	}
	return b.MapFS.Open(name)
}

func (b bomb) ReadDir(name string) ([]fs.DirEntry, error) {
	if strings.HasPrefix(name, "bomb") {
		panic("boom")
	}
	return b.MapFS.ReadDir(name)
}

func TestPanicOfAnAppCanBeRecovered(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"in a folder": {"a/x.txt": {}, "b/x.txt": {}, "bomb/x.txt": {}, "c/x.txt": {}},
		"in a binary": {"a.exe": {}, "bomb.exe": {}, "c.dll": {}},
	} {
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("%s: recovered %v", name, p)
				}
			}()
			_, err := detect.Inspect(bomb{files}, detect.Options{Name: "x"})
			t.Errorf("%s: it went through, with %v", name, err)
		}()
	}
}
