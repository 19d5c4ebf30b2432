// Package zipapp reads an application out of a zip, in place: nothing is unpacked to
// disk. A Web Deploy package gives the folder that it would fill.
package zipapp

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/winpack/winpack/internal/zipread"
	"github.com/winpack/winpack/pkg/detect"
)

// Bounds of what is read of one zip. What lies beyond them is an error: an application
// that is known in part would make an image in part.
const (
	maxDirectory = 128 << 20 // bytes of the list of files
	minSuspect   = 64 << 20  // from which on limit zip-ratio counts
	maxTotal     = 64 << 30  // of all files, unpacked
	maxName      = 4096
	maxDepth     = 256
)

// FS is the application in a zip. It is safe for concurrent use.
type FS struct {
	// Root is the folder of the zip that is the application, "." for all of it.
	Root string
	// WebDeploy says that the zip is a package of Web Deploy.
	WebDeploy bool
	// Skipped are entries that no file can be made of: links, names that lead out of
	// the folder, files of Web Deploy itself; at most a few.
	Skipped []string
	// Refused are files that are never unpacked, with the reason; at most a few.
	Refused []*fs.PathError

	file   *os.File
	limits detect.Limits
	dirs   map[string]*node // by path, "." for the top
}

// Error says what is wrong with a zip.
type Error struct {
	Path string // of the zip
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("APP %q: %s", e.Path, e.What) }

// node is a file or a folder.
type node struct {
	name    string
	entry   *zip.File // nil for a folder
	refused error     // it is never unpacked
	kids    map[string]*node
	modTime time.Time
}

// Open reads the list of files of a zip. The error is an *Error, or that of the file
// system. Close ends the use of the FS.
func Open(name string, limits detect.Limits) (*FS, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	z, err := read(name, f, limits.WithDefaults())
	if err != nil {
		f.Close()
		return nil, err
	}
	return z, nil
}

func read(name string, f *os.File, limits detect.Limits) (*FS, error) {
	fail := func(format string, args ...any) (*FS, error) { return nil, &Error{name, fmt.Sprintf(format, args...)} }
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := zipread.Open(f, info.Size(), maxDirectory)
	if err != nil {
		return fail("is no zip that can be read: %v; copy it again, or unpack it and name the folder", err)
	}
	if int64(len(r.File)) > limits.ZipEntries {
		return fail("holds %d files, and winpack reads %d at most: raise it with --limits zip-entries=%d, or unpack it and name the folder", len(r.File), limits.ZipEntries, len(r.File))
	}
	z := &FS{Root: ".", file: f, limits: limits, dirs: map[string]*node{".": {name: ".", kids: map[string]*node{}}}}
	total := uint64(0)
	for _, e := range r.File {
		clean, isDir, ok := entryName(e)
		if !ok {
			z.skip(e.Name)
			continue
		}
		if isDir {
			if _, err := z.folder(clean); err != nil {
				return fail("%v", err)
			}
			continue
		}
		switch {
		case e.Flags&1 != 0:
			return fail("its file %q is encrypted: unpack it, and name the folder", clean)
		case e.Method != zip.Store && e.Method != zip.Deflate:
			return fail("its file %q is packed by method %d, which winpack does not know: unpack it, and name the folder", clean, e.Method)
		case e.Mode()&fs.ModeType != 0:
			z.skip(e.Name)
			continue
		}
		if total += e.UncompressedSize64; total > maxTotal {
			return fail("its files are larger than %d GB: unpack it, and name the folder", maxTotal>>30)
		}
		n, err := z.add(clean, e)
		if err != nil {
			return fail("%v", err)
		}
		if grows := e.UncompressedSize64 / max(e.CompressedSize64, 1); e.UncompressedSize64 > minSuspect && grows > uint64(limits.ZipRatio) {
			n.refused = fmt.Errorf("would grow to %d times its size, and %d is the most (limit zip-ratio)", grows, limits.ZipRatio)
			if len(z.Refused) < maxSkipped {
				z.Refused = append(z.Refused, &fs.PathError{Op: "open", Path: clean, Err: n.refused})
			}
		}
	}
	z.findRoot()
	return z, nil
}

// maxSkipped bounds the entries that are named.
const maxSkipped = 20

func (z *FS) skip(name string) {
	if len(z.Skipped) < maxSkipped {
		z.Skipped = append(z.Skipped, name)
	}
}

// entryName is the path of an entry. Tools of Windows wrote backslashes (.NET Framework
// before 4.6.1). ok is false for one that leads out of the zip, or that no path can be.
func entryName(e *zip.File) (clean string, isDir, ok bool) {
	name := strings.ReplaceAll(e.Name, `\`, "/")
	isDir = strings.HasSuffix(name, "/") || e.Mode().IsDir()
	name = strings.TrimPrefix(name, "./")
	clean = strings.TrimSuffix(name, "/")
	if clean == "" || len(clean) > maxName || strings.Contains(clean, ":") || strings.Count(clean, "/") > maxDepth || !fs.ValidPath(clean) || clean == "." {
		return "", isDir, false
	}
	return clean, isDir, true
}

// folder makes the folders of a path.
func (z *FS) folder(name string) (*node, error) {
	if d := z.dirs[name]; d != nil {
		return d, nil
	}
	above, base := path.Split(name)
	parent, err := z.folder(path.Clean(above))
	if err != nil {
		return nil, err
	}
	if parent.kids[base] != nil {
		return nil, fmt.Errorf("%q is a file and a folder in it: unpack it, and name the folder", name)
	}
	d := &node{name: base, kids: map[string]*node{}}
	parent.kids[base], z.dirs[name] = d, d
	return d, nil
}

// add takes a file. Of two entries with one name the last one counts, as tools unpack
// them.
func (z *FS) add(name string, e *zip.File) (*node, error) {
	above, base := path.Split(name)
	parent, err := z.folder(path.Clean(above))
	if err != nil {
		return nil, err
	}
	if old := parent.kids[base]; old != nil && old.kids != nil {
		return nil, fmt.Errorf("%q is a file and a folder in it: unpack it, and name the folder", name)
	}
	n := &node{name: base, entry: e, modTime: modTime(e)}
	parent.kids[base] = n
	return n, nil
}

// modTime is the time of a file. One without a zone is taken for UTC, so that it is the
// same on every machine.
func modTime(e *zip.File) time.Time {
	return e.Modified.UTC().Truncate(time.Second)
}

// findRoot finds the application: in a package of Web Deploy below Content, where a
// folder that holds one folder and no file is passed through; in another zip the
// folder that holds all else.
func (z *FS) findRoot() {
	top := z.dirs["."]
	manifest := false
	for name, n := range top.kids {
		manifest = manifest || n.entry != nil && (strings.EqualFold(name, "archive.xml") || strings.EqualFold(name, "manifest.xml"))
	}
	for name, n := range top.kids {
		if manifest && n.kids != nil && strings.EqualFold(name, "Content") {
			z.WebDeploy, z.Root = true, name
		}
	}
	for {
		d := z.dirs[z.Root]
		if len(d.kids) != 1 {
			break
		}
		var only *node
		for _, k := range d.kids {
			only = k
		}
		if only.kids == nil || detect.InsideApp(only.name) {
			break
		}
		z.Root = path.Join(z.Root, only.name)
	}
}

// Close closes the zip.
func (z *FS) Close() error { return z.file.Close() }

func (z *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	full := path.Join(z.Root, name)
	if d := z.dirs[full]; d != nil {
		return d, nil
	}
	above, base := path.Split(full)
	if d := z.dirs[path.Clean(above)]; d != nil && d.kids[base] != nil {
		return d.kids[base], nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Open implements fs.FS. Files can be read at random.
func (z *FS) Open(name string) (fs.File, error) {
	n, err := z.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.kids != nil {
		return &folder{node: n}, nil
	}
	if n.refused != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: n.refused}
	}
	return &file{node: n, zip: z.file, memory: uint64(z.limits.Memory)}, nil
}

// Stat implements fs.StatFS.
func (z *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := z.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Lstat implements fs.ReadLinkFS: there are no links.
func (z *FS) Lstat(name string) (fs.FileInfo, error) { return z.Stat(name) }

// ReadLink implements fs.ReadLinkFS.
func (z *FS) ReadLink(name string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFS.
func (z *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := z.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if n.kids == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	}
	return n.list(), nil
}
