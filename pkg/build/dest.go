package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dest is where a file goes that a person named. A regular file is replaced, as one
// that links lead to, once the new one is whole. A device or a pipe is written as it
// is and stays what it is.
type dest struct {
	name   string // as it was given
	path   string // without links
	direct bool
	mode   fs.FileMode // of the regular file that is there, else 0
	isOurs bool        // it is stdout of this process, which is neither opened nor closed
}

// fileAt finds out what stands at a path, and whether a file can go there.
func fileAt(name string) (dest, error) {
	d := dest{name: name, path: filepath.Clean(name)}
	if err := checkParent(d.path); err != nil {
		return dest{}, err
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(name); err == nil {
			return dest{}, errors.New("it is a link to something that is not there: remove it, or name another file")
		}
		return d, nil
	case err != nil:
		return dest{}, pathCause(err)
	case info.IsDir():
		return dest{}, errFolder
	case info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe) != 0:
		d.direct = true
	case !info.Mode().IsRegular():
		return dest{}, errors.New("it is neither a file nor a pipe nor a device: name another file")
	}
	// A redirected stdout is written where it stands: it may have a file's content
	// already, and what is printed later comes behind.
	if stdout, err := os.Stdout.Stat(); err == nil && os.SameFile(info, stdout) {
		d.direct, d.isOurs = true, true
	}
	if !d.direct {
		d.mode = info.Mode().Perm()
		if d.path, err = filepath.EvalSymlinks(name); err != nil {
			return dest{}, pathCause(err)
		}
	}
	return d, nil
}

var errFolder = errors.New("it is a folder: name a file")

// checkParent says whether the folder of a path is there.
func checkParent(path string) error {
	parent := filepath.Dir(path)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %q does not exist: make it first", parent)
	case err != nil:
		return pathCause(err)
	case !info.IsDir():
		return fmt.Errorf("%q is no folder", parent)
	}
	return nil
}

// tempMark is in the name of everything that winpack writes until it is whole.
const tempMark = ".winpack-"

// IsTemporary says whether a name is what a file or folder of this name is called
// until it is whole, also what a build left behind that was killed.
func IsTemporary(name, of string) bool {
	rest, ok := strings.CutPrefix(name, "."+of+tempMark)
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

// tempPattern is IsTemporary's for os.MkdirTemp.
func tempPattern(of string) string { return "." + of + tempMark + "*" }

// destFile is a file on its way to a dest.
type destFile struct {
	*os.File
	dest
}

// create opens a dest for writing; commit or abort follow. A named pipe waits for
// somebody who reads it, until ctx ends.
func (d dest) create(ctx context.Context) (*destFile, error) {
	if d.direct {
		f, err := d.openDirect(ctx)
		return &destFile{f, d}, placeError(err)
	}
	dir, base := filepath.Split(d.path)
	for {
		temp := filepath.Join(dir, "."+base+tempMark+strconv.FormatUint(uint64(rand.Uint32()), 10))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil && d.mode != 0 {
			err = f.Chmod(d.mode)
		}
		if !errors.Is(err, fs.ErrExist) {
			return &destFile{f, d}, placeError(err)
		}
	}
}

func (d dest) openDirect(ctx context.Context) (*os.File, error) {
	if d.isOurs {
		return os.Stdout, nil
	}
	info, err := os.Stat(d.name)
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return os.OpenFile(d.name, os.O_WRONLY, 0)
	}
	for {
		f, err := os.OpenFile(d.name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) { // nobody reads
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// commit puts the file in its place.
func (f *destFile) commit() error {
	if f.isOurs {
		return nil
	}
	err := f.Close()
	if !f.direct {
		if err = cmp.Or(err, os.Rename(f.Name(), f.path)); err != nil {
			os.Remove(f.Name())
		}
	}
	return placeError(err)
}

// abort removes what was written, which a pipe has gone through already.
func (f *destFile) abort() {
	if f.isOurs {
		return
	}
	f.Close()
	if !f.direct {
		os.Remove(f.Name())
	}
}

// CheckFile says whether a file can be written at a path, as far as that can be told
// without writing: nil, or why not.
func CheckFile(path string) error {
	_, err := fileAt(path)
	return err
}

// TryFile finds out by writing whether a file can be written at a path, and leaves
// nothing behind.
func TryFile(path string) error {
	d, err := fileAt(path)
	if err == nil && !d.direct {
		var f *destFile
		if f, err = d.create(context.Background()); err == nil {
			f.abort()
		}
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return nil
}

// WriteFile writes a file whole or not at all, and follows links to it. What is a
// device or a pipe stays one and is written to; a named pipe waits for a reader until
// ctx ends.
func WriteFile(ctx context.Context, path string, data []byte) error {
	return writeTo(ctx, path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// writeTo is WriteFile for what write gives.
func writeTo(ctx context.Context, path string, write func(io.Writer) error) error {
	d, err := fileAt(path)
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	f, err := d.create(ctx)
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	if err := write(f); err != nil {
		f.abort()
		return fmt.Errorf("writing %q: %w", path, pathCause(err))
	}
	if err := f.commit(); err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return nil
}

// placeError is why something could not be made where it was wanted.
func placeError(err error) error {
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		err = link.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: name a place that you may write to", pathCause(err))
	}
	return pathCause(err)
}
