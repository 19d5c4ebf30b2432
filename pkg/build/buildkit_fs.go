package build

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// contextFS shows a build context to BuildKit's file transfer.
type contextFS struct {
	*sent
	failed *firstError
}

// firstError is the first error of reading the context. It ends the build: the daemon
// tells it in other words, or waits for the rest of a file for ever.
type firstError struct {
	end context.CancelFunc
	mu  sync.Mutex
	err error
}

func (f *firstError) note(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = cmp.Or(f.err, err)
	f.end()
	return err
}

func (f *firstError) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// caught makes the first error of a panic, which would be in a goroutine of the transfer.
func (f *firstError) caught(err *error) {
	if p := recover(); p != nil {
		*err = f.note(internalError(p))
	}
}

// Walk implements fsutil.FS. Modes and owners are of no weight on Windows, and the
// same for every host.
func (c contextFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) (err error) {
	defer c.failed.caught(&err)
	target = strings.Trim(filepath.ToSlash(target), "/")
	skip := "" // what lies below it is not wanted
	var theirs error
	err = c.walk(func(e winlayer.Entry) error {
		if theirs = ctx.Err(); theirs != nil {
			return theirs
		}
		if skip != "" && strings.HasPrefix(e.Path, skip) {
			return nil
		}
		if target != "" && target != "." && e.Path != target && !strings.HasPrefix(e.Path, target+"/") {
			return nil
		}
		stat := &types.Stat{Path: filepath.FromSlash(e.Path), Mode: uint32(c.mode), ModTime: c.layer.Time().UnixNano()}
		switch {
		case e.Folder:
			stat.Mode = uint32(fs.ModeDir | 0o755)
		case e.Source == "":
			stat.Size = int64(len(e.Content))
		default:
			info, err := fs.Lstat(cmp.Or(e.FS, c.tree.app), e.Source)
			if err != nil {
				return fmt.Errorf("reading %q: %w", e.Source, pathCause(err))
			}
			stat.Size, stat.ModTime = info.Size(), c.layer.FileTime(info.ModTime()).UnixNano()
		}
		switch err := fn(stat.Path, &fsutil.DirEntryInfo{Stat: stat}, nil); {
		case err != fs.SkipDir:
			theirs = err
			return err
		case e.Folder:
			skip = e.Path + "/"
		case path.Dir(e.Path) == ".": // of a file: the rest of its folder
			theirs = fs.SkipAll
			return fs.SkipAll
		default:
			skip = path.Dir(e.Path) + "/"
		}
		return nil
	})
	switch {
	case err == fs.SkipAll:
		return nil
	case err != nil && theirs == nil:
		return c.failed.note(contextError(err))
	}
	return contextError(err)
}

// Open implements fsutil.FS. An error waits in what it returns: the transfer makes an
// empty file of one that can't be opened, without a word.
func (c contextFS) Open(name string) (_ io.ReadCloser, err error) {
	defer c.failed.caught(&err)
	f := &sentFile{name: filepath.ToSlash(name), left: -1, failed: c.failed}
	f.file, f.err = c.open(f.name)
	if file, ok := f.file.(fs.File); ok && f.err == nil {
		var info fs.FileInfo
		if info, f.err = file.Stat(); f.err == nil {
			f.left = info.Size()
		}
	}
	return f, nil
}

// sentFile is a file on its way: as much of it as there was when it was opened.
type sentFile struct {
	name   string
	file   io.ReadCloser
	left   int64 // negative where it is not known
	err    error
	failed *firstError
}

func (f *sentFile) Read(p []byte) (n int, err error) {
	defer f.failed.caught(&err)
	switch {
	case f.err != nil:
		err = f.err
	case f.left == 0:
		return 0, io.EOF
	default:
		if f.left > 0 {
			p = p[:min(int64(len(p)), f.left)]
		}
		n, err = f.file.Read(p)
		f.left -= int64(n)
	}
	switch {
	case err == nil || err == io.EOF && f.left <= 0:
		return n, err
	case err == io.EOF:
		return n, f.failed.note(fmt.Errorf("%q changed while it was read: build again when nothing writes to it", f.name))
	}
	return n, f.failed.note(fmt.Errorf("reading %q: %w", f.name, pathCause(err)))
}

func (f *sentFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// textFS holds a few small files.
type textFS map[string][]byte

// Walk implements fsutil.FS.
func (t textFS) Walk(_ context.Context, target string, fn fs.WalkDirFunc) error {
	target = strings.Trim(filepath.ToSlash(target), "/")
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if target != "" && target != "." && target != name {
			continue
		}
		stat := &types.Stat{Path: name, Mode: 0o644, Size: int64(len(t[name]))}
		if err := fn(name, &fsutil.DirEntryInfo{Stat: stat}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Open implements fsutil.FS.
func (t textFS) Open(name string) (io.ReadCloser, error) {
	data, ok := t[name]
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(string(data))), nil
}
