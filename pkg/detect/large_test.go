package detect

import (
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"testing/fstest"
)

// largeFS is a folder with so many files, of which only those of MapFS can be opened.
type largeFS struct {
	fstest.MapFS
	files int
}

// ListDir implements Lister.
func (l largeFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	entries, err := l.MapFS.ReadDir(name)
	if err != nil {
		return err
	}
	for i := range l.files {
		if err := visit(renamed{entries[0], fmt.Sprintf("File-Number-%07d.dat", i)}); err != nil {
			return err
		}
	}
	return visit(entries[0])
}

// renamed is an entry under another name.
type renamed struct {
	fs.DirEntry
	name string
}

func (r renamed) Name() string { return r.name }

// Of the names of a large folder nothing is left when it was looked at, and until
// then they take some bytes each.
func TestLargeFolderTakesSomeBytesForEachNameAndLeavesNothing(t *testing.T) {
	const files = 200_000
	live := func() int64 {
		runtime.GC() // twice: what has a finalizer goes in the second
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	app := largeFS{MapFS: fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>x</title>")}}, files: files}
	if _, err := Inspect(app, Options{}); err != nil { // what is parsed once is parsed now
		t.Fatal(err)
	}
	before := live()
	func() {
		tree, err := newTree(app, "x")
		if err != nil {
			t.Fatal(err)
		}
		if each := (live() - before) / files; each > 100 {
			t.Errorf("%d bytes are kept for each file", each)
		}
		runtime.KeepAlive(tree)
	}()
	found, err := Inspect(app, Options{})
	if err != nil || found.App.Kind != KindStatic {
		t.Fatalf("%v, %v", found.App.Kind, err)
	}
	if more := live() - before; more > 1<<20 {
		t.Errorf("%d bytes are left of the folder", more)
	}
	runtime.KeepAlive(found)
}
