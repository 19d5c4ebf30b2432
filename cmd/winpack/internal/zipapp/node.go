package zipapp

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

func (n *node) list() []fs.DirEntry {
	entries := make([]fs.DirEntry, 0, len(n.kids))
	for _, k := range n.kids {
		entries = append(entries, fs.FileInfoToDirEntry(k))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// A node is its own fs.FileInfo.

func (n *node) Name() string       { return n.name }
func (n *node) ModTime() time.Time { return n.modTime }
func (n *node) IsDir() bool        { return n.kids != nil }
func (n *node) Sys() any           { return nil }

func (n *node) Size() int64 {
	if n.entry == nil {
		return 0
	}
	return int64(n.entry.UncompressedSize64)
}

func (n *node) Mode() fs.FileMode {
	if n.kids != nil {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// folder is an opened folder.
type folder struct {
	*node
	rest []fs.DirEntry
	read bool
}

func (d *folder) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *folder) Close() error               { return nil }
func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a folder")}
}

func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.rest, d.read = d.list(), true
	}
	if n <= 0 {
		all := d.rest
		d.rest = nil
		return all, nil
	}
	if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	some := d.rest[:n]
	d.rest = d.rest[n:]
	return some, nil
}

// file is an opened file. It is unpacked as it is read, and into memory where it is
// read at random.
type file struct {
	*node
	zip    *os.File
	memory uint64 // bytes that may be unpacked at once
	stream io.ReadCloser

	once   sync.Once
	random io.ReaderAt
	err    error
}

func (f *file) Stat() (fs.FileInfo, error) { return f.node, nil }

func (f *file) Close() error {
	if f.stream != nil {
		return f.stream.Close()
	}
	return nil
}

func (f *file) Read(p []byte) (int, error) {
	if f.stream == nil {
		var err error
		if f.stream, err = f.entry.Open(); err != nil {
			return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
		}
	}
	n, err := f.stream.Read(p)
	if err != nil && err != io.EOF {
		err = &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.once.Do(f.unpack)
	if f.err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: f.err}
	}
	return f.random.ReadAt(p, off)
}

func (f *file) unpack() {
	e := f.entry
	if e.Method == zip.Store && e.CompressedSize64 == e.UncompressedSize64 {
		off, err := e.DataOffset()
		f.random, f.err = io.NewSectionReader(f.zip, off, int64(e.UncompressedSize64)), err
		return
	}
	if e.UncompressedSize64 > f.memory {
		f.err = fmt.Errorf("larger than the %d bytes that are unpacked at once (limit memory), and packed in a zip: unpack it, and name the folder", f.memory)
		return
	}
	r, err := e.Open()
	if err != nil {
		f.err = err
		return
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, int64(f.memory)))
	f.random, f.err = bytes.NewReader(data), err
}
