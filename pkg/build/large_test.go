package build

import (
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"time"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// flatFS is a folder with so many files that are nowhere.
type flatFS struct {
	files int
	asked func(name string)
}

func (f flatFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ListDir implements detect.Lister, from the last file to the first.
func (f flatFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	for i := f.files - 1; i >= 0; i-- {
		if err := visit(flatEntry(fmt.Sprintf("file-number-%07d.txt", i))); err != nil {
			return err
		}
	}
	return nil
}

func (f flatFS) Lstat(name string) (fs.FileInfo, error) {
	if f.asked(name); name == "." {
		return flatFolder("."), nil
	}
	return flatEntry(name).Info()
}

func (f flatFS) ReadLink(name string) (string, error) { return "", fs.ErrInvalid }

type flatEntry string

func (e flatEntry) Name() string               { return string(e) }
func (e flatEntry) IsDir() bool                { return false }
func (e flatEntry) Type() fs.FileMode          { return 0 }
func (e flatEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e flatEntry) Size() int64                { return 1 }
func (e flatEntry) Mode() fs.FileMode          { return 0o644 }
func (e flatEntry) ModTime() time.Time         { return when }
func (e flatEntry) Sys() any                   { return nil }

type flatFolder string

func (e flatFolder) Name() string       { return string(e) }
func (e flatFolder) IsDir() bool        { return true }
func (e flatFolder) Size() int64        { return 0 }
func (e flatFolder) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (e flatFolder) ModTime() time.Time { return when }
func (e flatFolder) Sys() any           { return nil }

// A folder may hold any number of files. What is kept of each is its name and some
// bytes, also where a step names something in that folder.
func TestLargeFolderTakesSomeBytesForEachName(t *testing.T) {
	const files = 200_000
	grant := dockerfile.Step{Kind: dockerfile.StepGrant, To: `C:\app\data`, Trustee: dockerfile.Trustee{SID: "S-1-5-32-545"}}
	for what, test := range map[string]struct {
		steps []dockerfile.Step
		bytes int64
	}{
		"plain":        {[]dockerfile.Step{copyStep(`C:\app`)}, 100},
		"with a grant": {[]dockerfile.Step{copyStep(`C:\app`), grant}, 140},
	} {
		live := func() int64 {
			runtime.GC() // twice: what has a finalizer goes in the second
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before, most := live(), int64(0)
		fsys := flatFS{files, func(name string) {
			if name == fmt.Sprintf("file-number-%07d.txt", files-1) {
				most = live()
			}
		}}
		l, err := appLayer(t.Context(), dockerfile.Plan{Steps: test.steps}, fsys, layerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if l.Len() < files || most == 0 {
			t.Fatalf("%s: %d entries, measured %d", what, l.Len(), most)
		}
		if each := (most - before) / files; each > test.bytes {
			t.Errorf("%s: %d bytes are kept for each file, want %d at most", what, each, test.bytes)
		} else {
			t.Logf("%s: %d bytes", what, each)
		}
	}
}
