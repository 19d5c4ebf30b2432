package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// ConfigName is the configuration file that an app folder may hold. It is no
// part of the app.
const ConfigName = "winpack.toml"

// openFolder opens the app folder. What is read through it never leaves the
// folder, whatever symlinks say.
func openFolder(dir string) (*os.Root, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, Usagef("APP %q does not exist: name the folder that holds the built application", dir)
	case err != nil:
		return nil, readError(dir, err)
	case !info.IsDir() && strings.EqualFold(filepath.Ext(dir), ".zip"):
		return nil, Usagef("APP %q is a zip, and a Dockerfile is built from a folder: unpack it, and name the folder", dir)
	case !info.IsDir():
		return nil, Usagef("APP %q is neither a folder nor a zip: name the folder that holds the built application", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, readError(dir, err)
	}
	top, err := root.Open(".")
	if err == nil {
		_, err = top.ReadDir(1)
		top.Close()
	}
	if err != nil && err != io.EOF {
		root.Close()
		return nil, readError(dir, err)
	}
	return root, nil
}

func readError(dir string, err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	cure := ""
	if errors.Is(err, fs.ErrPermission) {
		cure = "; run winpack as a user that may read it"
	}
	return fmt.Errorf("reading APP %q: %w%s", dir, err, cure)
}

// AppName is the name of the app in a folder.
func AppName(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	return appName(absolute), err
}

// appName makes the app's name out of the folder's: what a file, an image and a
// label may be called. Other characters become "-".
func appName(dir string) string {
	name := filepath.Base(dir)
	if IsZip(dir) {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	return detect.AppName(name)
}

// maxRecord bounds the record of written files, and each of them, in bytes.
const maxRecord = 1 << 20

// appFS is the app folder without winpack's own files: its configuration, what
// `winpack dockerfile -o` wrote into the folder or below, and what this job names.
type appFS struct {
	fs.FS   // of root
	root    *os.Root
	topConn syscall.RawConn // of the folder itself, opened through root
	written *records
	own     []string // further files that are none of the app, slash-separated, relative to the folder
}

// records are the files that winpack wrote, by their folder, each of which is
// asked for its record once. It is safe for concurrent use.
type records struct {
	root *os.Root // nil for a build context, of which only records are winpack's own
	dirs sync.Map // string to []string
}

// in lists the names in a folder that its record claims, sorted.
func (r *records) in(dir string) []string {
	if names, ok := r.dirs.Load(dir); ok {
		return names.([]string)
	}
	names := r.read(dir)
	r.dirs.Store(dir, names)
	return names
}

// none notes that a folder has no record, which spares looking for one.
func (r *records) none(dir string) { r.dirs.LoadOrStore(dir, []string(nil)) }

func (r *records) read(dir string) []string {
	if r.root == nil {
		return []string{dockerfile.RecordFile} // what winpack wrote beside it may be what is copied
	}
	data, err := r.file(dir, dockerfile.RecordFile)
	if err != nil {
		return nil
	}
	return dockerfile.OwnFiles(data, func(name string) ([]byte, error) { return r.file(dir, name) })
}

// file reads a file of winpack's, which is small.
func (r *records) file(dir, base string) ([]byte, error) {
	name := filepath.Join(filepath.FromSlash(dir), base)
	info, err := r.root.Lstat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxRecord) {
		err = errors.New("no file of winpack's")
	}
	if err != nil {
		return nil, err
	}
	return r.root.ReadFile(name)
}

// paths are all files of records in folders that were read, sorted.
func (r *records) paths() []string {
	var all []string
	r.dirs.Range(func(dir, names any) bool {
		for _, name := range names.([]string) {
			all = append(all, path.Join(dir.(string), name))
		}
		return true
	})
	slices.Sort(all)
	return all
}

func (a appFS) isOwn(name string) bool {
	dir, base := path.Split(name)
	return a.owned(path.Clean(dir))(base)
}

// owned says which names in a folder are winpack's own.
func (a appFS) owned(dir string) func(base string) bool {
	recorded := a.written.in(dir)
	var others []string
	above := dir + "/"
	if dir == "." {
		above = ""
	}
	for _, out := range a.own {
		switch rest, below := strings.CutPrefix(out, above); {
		case below && !strings.Contains(rest, "/"):
			others = append(others, rest)
		case strings.HasPrefix(above, out+"/"):
			return func(string) bool { return true }
		}
	}
	return func(base string) bool {
		if _, own := slices.BinarySearch(recorded, base); own || dir == "." && base == ConfigName {
			return true
		}
		return slices.ContainsFunc(others, func(out string) bool { return base == out || build.IsTemporary(base, out) })
	}
}

func (a appFS) hidden(op, name string) error {
	if a.isOwn(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

func (a appFS) Open(name string) (fs.File, error) {
	if err := a.hidden("open", name); err != nil {
		return nil, err
	}
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return a.open(name)
}

func (a appFS) Stat(name string) (fs.FileInfo, error) {
	if err := a.hidden("stat", name); err != nil {
		return nil, err
	}
	return fs.Stat(a.FS, name)
}

func (a appFS) Lstat(name string) (fs.FileInfo, error) {
	if err := a.hidden("lstat", name); err != nil {
		return nil, err
	}
	return fs.Lstat(a.FS, name)
}

func (a appFS) ReadLink(name string) (string, error) {
	if err := a.hidden("readlink", name); err != nil {
		return "", err
	}
	return fs.ReadLink(a.FS, name)
}

func (a appFS) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = a.ListDir(name, func(e fs.DirEntry) error {
		entries = append(entries, e)
		return nil
	})
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	return entries, err
}

// listChunk is how many entries of a folder are held at a time.
const listChunk = 1024

// ListDir implements detect.Lister.
func (a appFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	dir, err := a.open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	var own func(string) bool
	entries, err := dir.ReadDir(listChunk)
	for len(entries) > 0 {
		var next []fs.DirEntry
		if err == nil {
			next, err = dir.ReadDir(listChunk)
		}
		if own == nil { // where these are all, they tell whether there is a record
			if len(next) == 0 && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == dockerfile.RecordFile }) {
				a.written.none(name)
			}
			own = a.owned(name)
		}
		wrapped := make([]rootEntry, len(entries)) // in one piece: there are many
		for i, e := range entries {
			if own(e.Name()) {
				continue
			}
			wrapped[i] = rootEntry{e, a.root, name}
			if err := visit(&wrapped[i]); err != nil {
				return err
			}
		}
		entries = next
	}
	if err == io.EOF {
		err = nil
	}
	return err
}

// rootEntry asks for its state through the root.
type rootEntry struct {
	fs.DirEntry
	root *os.Root
	dir  string // slash-separated
}

func (e *rootEntry) Info() (fs.FileInfo, error) {
	return e.root.Lstat(filepath.FromSlash(path.Join(e.dir, e.Name())))
}

// ownIn lists the files of a job that are no part of the app: its configuration and
// what it builds, as far as they lie in the app folder, relative to it.
func (job Job) ownIn(app string) ([]string, error) {
	files := slices.Clone(job.Own)
	if b := job.Build; b != nil {
		files = append(files, b.IIDFile, b.MetadataFile)
		for _, o := range b.Outputs {
			files = append(files, o.Dest)
		}
	}
	var inside []string
	for _, file := range files {
		if file == "" {
			continue
		}
		absolute, err := filepath.Abs(file)
		if err != nil {
			return nil, Usagef("%q: %w", file, err)
		}
		// A link, and what it leads to.
		for _, path := range []string{filepath.Join(resolve(filepath.Dir(absolute)), filepath.Base(absolute)), resolve(absolute)} {
			rel, err := filepath.Rel(app, path)
			switch {
			case err != nil || !filepath.IsLocal(rel):
			case rel == ".":
				return nil, Usagef("-o would replace APP with the image: name another place than %q", file)
			case !slices.Contains(inside, filepath.ToSlash(rel)):
				inside = append(inside, filepath.ToSlash(rel))
			}
		}
	}
	return inside, nil
}
