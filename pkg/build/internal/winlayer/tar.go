package winlayer

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// FILE_ATTRIBUTE_DIRECTORY and FILE_ATTRIBUTE_ARCHIVE, [MS-FSCC] 2.6.
const (
	attrDirectory = 0x10
	attrArchive   = 0x20
)

// File type bits that go-winio and BuildKit put into Mode; no importer reads them.
const (
	modeDir  = 0o040000
	modeFile = 0o100000
)

const copyChunk = 1 << 20

// writeTar writes the layer uncompressed. Hives and Files have no descriptor, as
// in the layers of BuildKit: they are no folders of the container.
func (l *Layer) writeTar(ctx context.Context, w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, root := range []string{"Hives", "Files"} {
		if err := tw.WriteHeader(header(root, true, 0, l.newest, "")); err != nil {
			return fmt.Errorf("writing %q: %w", root, err)
		}
	}
	c := copier{Layer: l, ctx: ctx, tw: tw, buf: make([]byte, copyChunk), sds: map[*sddl.Descriptor]string{}}
	if err := l.walk(c.entry); err != nil {
		return err
	}
	if c.at != len(l.marks) {
		return errNotSame
	}
	return tw.Close()
}

// copier is one writing of a layer.
type copier struct {
	*Layer
	ctx  context.Context
	tw   *tar.Writer
	buf  []byte
	sds  map[*sddl.Descriptor]string // encoded
	at   int                         // in marks
	done int64                       // bytes of content
}

// entry writes one entry, which must be what New saw in its place.
func (c *copier) entry(e Entry) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.at == len(c.marks) || c.marks[c.at].path != c.pathMark(e) {
		return fmt.Errorf("files were added or removed near %q while the app was read: build again when nothing writes to it", cmp.Or(e.Source, e.Path))
	}
	was := &c.marks[c.at]
	c.at++
	if !e.Folder && e.Source != "" {
		return c.file(e, was)
	}
	if err := c.header(e, int64(len(e.Content)), c.newest); err != nil {
		return err
	}
	if _, err := c.tw.Write(e.Content); err != nil {
		return fmt.Errorf("writing %q: %w", e.Path, err)
	}
	c.progress(int64(len(e.Content)))
	return nil
}

func (c *copier) header(e Entry, size int64, t time.Time) error {
	d := e.Descriptor
	if d == nil {
		d = Default(e.Folder)
	}
	raw, ok := c.sds[d]
	if !ok {
		raw = base64.StdEncoding.EncodeToString(d.Binary())
		c.sds[d] = raw
	}
	if err := c.tw.WriteHeader(header("Files/"+e.Path, e.Folder, size, t, raw)); err != nil {
		return fmt.Errorf("writing %q: %w", e.Path, err)
	}
	return nil
}

func (c *copier) progress(more int64) {
	c.done += more
	if c.opts.Progress != nil && more > 0 {
		c.opts.Progress(c.done, c.total)
	}
}

func header(name string, folder bool, size int64, t time.Time, rawsd string) *tar.Header {
	attr, mode, flag := attrArchive, int64(modeFile|0o644), byte(tar.TypeReg)
	if folder {
		attr, mode, flag = attrDirectory, modeDir|0o755, tar.TypeDir
	}
	hdr := &tar.Header{
		Format: tar.FormatPAX, Typeflag: flag, Name: name, Size: size, Mode: mode,
		ModTime: t, AccessTime: t, ChangeTime: t,
		PAXRecords: map[string]string{
			"MSWINDOWS.fileattr": strconv.Itoa(attr),
			// The fraction is padded on the right by readers, so it has all nine digits.
			"LIBARCHIVE.creationtime": fmt.Sprintf("%d.%09d", t.Unix(), 0),
		},
	}
	if rawsd != "" {
		hdr.PAXRecords["MSWINDOWS.rawsd"] = rawsd
	}
	return hdr
}

func changed(name string) error {
	return fmt.Errorf("%q changed while it was read: build again when nothing writes to it", name)
}

// file writes a file as it was when New saw it and is when it was read, or fails by
// its name.
func (c *copier) file(e Entry, was *mark) error {
	f, err := cmp.Or(e.FS, c.opts.FS).Open(e.Source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading %q: it was there and is gone: build again when nothing writes to it", e.Source)
		}
		return ReadError(e.Source, err)
	}
	defer f.Close()
	state := func() (fs.FileInfo, error) {
		info, err := f.Stat()
		if err != nil {
			return nil, ReadError(e.Source, err)
		}
		if !info.Mode().IsRegular() || c.stateMark(info) != was.state {
			return nil, changed(e.Source)
		}
		return info, nil
	}
	info, err := state()
	if err != nil {
		return err
	}
	if err := c.header(e, info.Size(), c.FileTime(info.ModTime())); err != nil {
		return err
	}
	sum := uint32(0)
	for left := info.Size(); left > 0; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(c.buf[:min(left, int64(len(c.buf)))])
		if n > 0 {
			if _, err := c.tw.Write(c.buf[:n]); err != nil {
				return fmt.Errorf("writing %q: %w", e.Source, err)
			}
			left -= int64(n)
			sum = crc32.Update(sum, castagnoli(), c.buf[:n])
			c.progress(int64(n))
		}
		if err == io.EOF && left > 0 {
			return changed(e.Source)
		}
		if err != nil && err != io.EOF {
			return ReadError(e.Source, err)
		}
	}
	if _, err = state(); err != nil {
		return err
	}
	// Size and time may be those of before. Of two readings the second one tells.
	if sum = max(sum, 1); !atomic.CompareAndSwapUint32(&was.content, 0, sum) && atomic.LoadUint32(&was.content) != sum {
		return fmt.Errorf("%q changed between two readings: build again when nothing writes to it", e.Source)
	}
	return nil
}

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// ReadError is an error of reading what has this path below the app folder, and what
// to do about it.
func ReadError(name string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("reading %q: %w: run winpack as a user that may read it, or take it out of the folder", name, err)
	}
	return fmt.Errorf("reading %q: %w", name, err)
}
