package winlayer

import (
	"archive/tar"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"
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
		if err := tw.WriteHeader(l.header(root, true, 0, l.newest, "")); err != nil {
			return fmt.Errorf("writing %q: %w", root, err)
		}
	}
	buf := make([]byte, copyChunk)
	done := int64(0)
	for _, e := range l.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr := l.header("Files/"+e.Path, e.Folder, e.Size, l.fileTime(e), l.descriptor(e))
		if err := tw.WriteHeader(hdr); err != nil {
			return fmt.Errorf("writing %q: %w", e.Path, err)
		}
		var err error
		switch {
		case e.Folder:
		case e.Source == "":
			_, err = tw.Write(e.Content)
		default:
			err = l.copyFile(ctx, tw, e, buf, done)
		}
		if err != nil {
			return err
		}
		done += e.Size
		if l.opts.Progress != nil && !e.Folder {
			l.opts.Progress(done, l.total)
		}
	}
	return tw.Close()
}

func (l *Layer) header(name string, folder bool, size int64, t time.Time, rawsd string) *tar.Header {
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

// descriptor returns an entry's descriptor as it stands in the header.
func (l *Layer) descriptor(e Entry) string {
	d := e.Descriptor
	if d == nil {
		d = Default(e.Folder)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text, ok := l.sds[d]
	if !ok {
		text = base64.StdEncoding.EncodeToString(d.Binary())
		l.sds[d] = text
	}
	return text
}

func changed(name string) error {
	return fmt.Errorf("%q changed while it was read: build again when nothing writes to it", name)
}

// copyFile writes exactly the bytes that were announced, or fails by the file's name.
func (l *Layer) copyFile(ctx context.Context, w io.Writer, e Entry, buf []byte, done int64) (err error) {
	f, err := l.opts.FS.Open(e.Source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading %q: it was there and is gone: build again when nothing writes to it", e.Source)
		}
		return fmt.Errorf("reading %q: %w", e.Source, cause(err))
	}
	defer f.Close()
	same := func() error {
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("reading %q: %w", e.Source, cause(err))
		}
		if !info.Mode().IsRegular() || info.Size() != e.Size || !info.ModTime().Equal(e.ModTime) {
			return changed(e.Source)
		}
		return nil
	}
	if err := same(); err != nil {
		return err
	}
	left := e.Size
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf[:min(left, int64(len(buf)))])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return fmt.Errorf("writing %q: %w", e.Source, err)
			}
			left -= int64(n)
			if l.opts.Progress != nil && left > 0 {
				l.opts.Progress(done+e.Size-left, l.total)
			}
		}
		if err == io.EOF && left > 0 {
			return changed(e.Source)
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading %q: %w", e.Source, cause(err))
		}
	}
	return same()
}

// cause takes the path off an error that is about to be named by its path below
// the app folder.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
