package build

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// contextFS shows a build context to BuildKit's file transfer.
type contextFS struct{ *sent }

// Walk implements fsutil.FS. Modes and owners are of no weight on Windows, and the
// same for every host.
func (c contextFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	target = strings.Trim(filepath.ToSlash(target), "/")
	skip := "" // what lies below it is not wanted
	err := c.walk(func(e winlayer.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if skip != "" && strings.HasPrefix(e.Path, skip) {
			return nil
		}
		if target != "" && target != "." && e.Path != target && !strings.HasPrefix(e.Path, target+"/") {
			return nil
		}
		stat := &types.Stat{Path: filepath.FromSlash(e.Path), Mode: uint32(0o644), ModTime: c.layer.Time().UnixNano()}
		switch {
		case e.Folder:
			stat.Mode = uint32(fs.ModeDir | 0o755)
		case e.Source == "":
			stat.Size = int64(len(e.Content))
		default:
			info, err := fs.Lstat(cmp.Or(e.FS, c.tree.app), e.Source)
			if err != nil {
				return err
			}
			stat.Size, stat.ModTime = info.Size(), c.layer.FileTime(info.ModTime()).UnixNano()
		}
		switch err := fn(stat.Path, &fsutil.DirEntryInfo{Stat: stat}, nil); {
		case err != fs.SkipDir:
			return err
		case e.Folder:
			skip = e.Path + "/"
		case path.Dir(e.Path) == ".": // of a file: the rest of its folder
			return fs.SkipAll
		default:
			skip = path.Dir(e.Path) + "/"
		}
		return nil
	})
	if err == fs.SkipAll {
		return nil
	}
	return contextError(err)
}

// Open implements fsutil.FS.
func (c contextFS) Open(name string) (io.ReadCloser, error) { return c.open(filepath.ToSlash(name)) }

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
