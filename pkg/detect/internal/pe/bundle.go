package pe

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bundle is the manifest of a single-file program (dotnet/runtime, bundle/header.h).
type Bundle struct {
	Major, Minor  uint32 // 1 of .NET Core 3, 2 of .NET 5, 6 since .NET 6
	ID            string
	ExtractAll    bool // extracts its files to a folder below TEMP at start
	Entries       []BundleEntry
	RuntimeConfig []byte // embedded NAME.runtimeconfig.json, nil for none
	DepsJSON      []byte // embedded NAME.deps.json, nil for none
	// Where those two stand.
	RuntimeConfigSpan, DepsSpan Span
	Manifest                    Span // with the list of files, as far as it was read
	Span                             // of the manifest's fixed header
}

// Types of bundle entries (bundle/file_type.h).
const (
	EntryUnknown       = 0
	EntryAssembly      = 1
	EntryNativeBinary  = 2
	EntryDepsJSON      = 3
	EntryRuntimeConfig = 4
	EntrySymbols       = 5
)

// BundleEntry is a file inside a single-file program.
type BundleEntry struct {
	Path       string // as written
	Type       uint8  // always EntryUnknown in bundles of .NET Core 3
	Size       int64  // unpacked
	Compressed int64  // 0 for a stored entry
	Span              // of the stored bytes
}

const (
	maxEntries       = 1 << 14
	maxEntryPath     = 4096
	maxRuntimeConfig = 1 << 20
	maxDepsJSON      = 8 << 20
	maxInflated      = 32 << 20
)

// bundle reads the manifest that the first signature with an offset points to.
func (f *File) bundle(signatures []Span) (*Bundle, error) {
	for _, s := range signatures {
		if s.Offset < 8 {
			continue
		}
		b, err := f.src.at(s.Offset-8, 8)
		if err != nil {
			return nil, err
		}
		at := int64(binary.LittleEndian.Uint64(b))
		if at == 0 {
			continue
		}
		if at < 0 || at >= f.src.size {
			return nil, broken(s.Offset-8, "the bundle's manifest is said to be at 0x%x, beyond the end of the file at 0x%x", uint64(at), f.src.size)
		}
		return f.readBundle(at)
	}
	return nil, nil
}

// cursor reads the manifest forwards; the first error sticks.
type cursor struct {
	src *source
	at  int64
	err error
}

func (c *cursor) take(n int) []byte {
	if c.err != nil {
		return make([]byte, min(n, 8))
	}
	b, err := c.src.at(c.at, n)
	if err != nil {
		c.err = err
		return make([]byte, min(n, 8))
	}
	c.at += int64(n)
	return b
}

func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) i64() int64  { return int64(binary.LittleEndian.Uint64(c.take(8))) }

// text reads a string with its length before it, as BinaryWriter writes it.
func (c *cursor) text() string {
	start, n := c.at, 0
	for shift := 0; ; shift += 7 {
		b := c.take(1)[0]
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 14 {
			c.fail(start, "a string of the bundle is longer than %d bytes", maxEntryPath)
			return ""
		}
	}
	if n > maxEntryPath {
		c.fail(start, "a string of the bundle is longer than %d bytes", maxEntryPath)
		return ""
	}
	if b := c.take(n); c.err == nil {
		return string(b)
	}
	return ""
}

func (c *cursor) fail(at int64, format string, args ...any) {
	if c.err == nil {
		c.err = broken(at, format, args...)
	}
}

// place reads offset and size of bytes in the file.
func (c *cursor) place() Span {
	at := c.at
	s := Span{c.i64(), c.i64()}
	if s.Offset < 0 || s.Length < 0 || s.Offset > c.src.size || s.Length > c.src.size-s.Offset {
		c.fail(at, "%d bytes of the bundle are said to be at 0x%x, and the file has %d bytes", s.Length, s.Offset, c.src.size)
	}
	return s
}

func (f *File) readBundle(at int64) (*Bundle, error) {
	c := &cursor{src: f.src, at: at}
	b := &Bundle{Major: c.u32(), Minor: c.u32()}
	count := c.u32()
	b.ID = c.text()
	if c.err != nil {
		return nil, c.err
	}
	switch b.Major {
	case 1, 2, 6:
	default:
		return nil, broken(at, "a bundle of version %d.%d; 1, 2 and 6 are known", b.Major, b.Minor)
	}
	var config, deps Span
	if b.Major >= 2 {
		deps, config = c.place(), c.place()
		b.ExtractAll = c.i64()&1 != 0
	} else {
		b.ExtractAll = true
	}
	b.Span = Span{at, c.at - at}
	if c.err != nil {
		return nil, c.err
	}
	if count > maxEntries {
		return nil, broken(at+8, "%d files in the bundle, more than the %d that are read", count, maxEntries)
	}
	for range count {
		e := f.readEntry(c, b.Major)
		if c.err != nil {
			break
		}
		b.Entries = append(b.Entries, e)
		b.Manifest = Span{at, c.at - at}
		if b.Major == 1 { // the types are not written: the names say it
			switch {
			case strings.HasSuffix(e.Path, ".runtimeconfig.json"):
				config = e.Span
			case strings.HasSuffix(e.Path, ".deps.json"):
				deps = e.Span
			}
		}
	}
	b.RuntimeConfigSpan, b.DepsSpan = config, deps
	err := c.err
	for _, part := range []struct {
		span  Span
		limit int64
		name  string
		out   *[]byte
	}{
		{config, maxRuntimeConfig, "runtimeconfig.json", &b.RuntimeConfig},
		{deps, maxDepsJSON, "deps.json", &b.DepsJSON},
	} {
		if part.span.Offset == 0 || part.span.Length == 0 {
			continue
		}
		if part.span.Length > part.limit {
			err = errors.Join(err, broken(part.span.Offset, "the bundle's %s has %d bytes, more than the %d that are read", part.name, part.span.Length, part.limit))
			continue
		}
		data, e := f.src.at(part.span.Offset, int(part.span.Length))
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		*part.out = bytes.Clone(data)
	}
	return b, err
}

func (f *File) readEntry(c *cursor, major uint32) BundleEntry {
	at := c.at
	e := BundleEntry{Span: Span{Offset: c.i64()}, Size: c.i64()}
	if major >= 6 {
		e.Compressed = c.i64()
	}
	e.Type = c.take(1)[0]
	e.Path = c.text()
	if e.Length = e.Size; e.Compressed != 0 {
		e.Length = e.Compressed
	}
	if e.Size < 0 || e.Offset < 0 || e.Length < 0 || e.Offset > c.src.size || e.Length > c.src.size-e.Offset {
		c.fail(at, "a file of the bundle is said to have %d bytes at 0x%x, and there are %d bytes", e.Length, e.Offset, c.src.size)
	}
	return e
}

// OpenEntry opens a PE that a bundle holds. Places in it count from the start
// of the entry, unpacked; for a stored entry e.Offset has to be added.
func (f *File) OpenEntry(e BundleEntry) (*File, error) {
	pages := &Pages{ReadBudget: f.src.from.budget(), MaxRows: int64(f.src.from.rows())}
	stored := io.NewSectionReader(f.src.r, e.Offset, e.Length)
	if e.Compressed == 0 {
		return pages.Open(stored, e.Length)
	}
	if e.Size > maxInflated {
		return nil, fmt.Errorf("unpacking %q: %w", e.Path, broken(e.Offset, "%d bytes, more than the %d that are unpacked", e.Size, maxInflated))
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(stored), e.Size+1))
	if err == nil && int64(len(data)) != e.Size {
		err = broken(e.Offset, "%d bytes unpacked in place of %d", len(data), e.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking %q: %w", e.Path, err)
	}
	return pages.Open(bytes.NewReader(data), e.Size)
}
