package pe

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// CLR flags (ECMA-335 II.25.3.3.1; the last one since .NET Framework 4.5, where
// it stands together with Flag32Required and then means prefer, not require).
const (
	FlagILOnly      = 0x1
	Flag32Required  = 0x2
	FlagILLibrary   = 0x4
	FlagStrongName  = 0x8
	FlagNativeEntry = 0x10
	Flag32Preferred = 0x20000
)

// Text is a string with the place where it stands.
type Text struct {
	Value string
	Span
}

// CLR is the managed side of a file: what its CLI header and metadata say.
type CLR struct {
	Span           // of the CLI header
	Flags          uint32
	FlagsSpan      Span
	Metadata       Span // of all that was found of the metadata: its root, tables and heaps
	Code           Span // of the methods whose code was read so far
	RuntimeVersion Text // metadata version: "v2.0.50727", "v4.0.30319"
	ReadyToRun     bool
	NGen           bool
	// EntryPoint is the token of the method that starts the program, 0 for none.
	EntryPoint uint32

	Name    Text   // of the assembly; empty for a module
	Version string // of the assembly: "1.2.3.4"
	// TargetFramework is the value of TargetFrameworkAttribute:
	// ".NETFramework,Version=v4.7.2". Empty where the assembly has none.
	TargetFramework Text
	// TargetPlatform is the value of TargetPlatformAttribute: "Windows7.0".
	TargetPlatform Text
	// Debug is where DebuggableAttribute turns optimizations off, as compilers write it
	// in the Debug configuration; empty where it does not.
	Debug Span

	file     *File
	md       metadata
	mdRVA    uint32
	mdSize   uint32
	mdRVAAt  int64
	starts   []uint32 // first method of each TypeDef
	outer    map[uint32]uint32
	inner    map[uint32][]uint32
	nestRead bool
	refNames map[uint32]string // of MemberRefs and MethodSpecs by token
}

// metadata is where the metadata streams stand.
type metadata struct {
	sorted  uint64 // bit mask of the tables that are sorted
	src     *source
	strings Span
	blobs   Span
	us      Span
	left    int64              // bytes of names that may still be made
	tables  *[tableCount]table // out of the pages of src
}

// noTables is a layout that has nothing.
var noTables [tableCount]table

// MaxRows is how many rows are read of one metadata table, where Pages says nothing
// else. The largest real ones have 40,000.
const MaxRows = 1 << 17

const (
	maxStreams = 16
	maxIdent   = 1024
	maxNesting = 16
	maxNames   = 64 << 20 // bytes of names made of one file's metadata
)

// header reads the CLI header.
func (f *File) header() (*CLR, error) {
	if !f.cliRead {
		f.cliRead = true
		f.cli, f.cliErr = f.readCLI()
	}
	return f.cli, f.cliErr
}

func (f *File) readCLI() (*CLR, error) {
	dir := f.dir(dirCLI)
	at, err := f.rva(dir.rva, dir.at, "the CLI header")
	if err != nil {
		return nil, err
	}
	h, err := f.src.at(at, 72)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if cb := le.Uint32(h); cb < 72 {
		return nil, broken(at, "a CLI header of %d bytes, fewer than 72", cb)
	}
	c := &CLR{
		Span: Span{at, 72}, Flags: le.Uint32(h[16:]), FlagsSpan: Span{at + 16, 4}, EntryPoint: le.Uint32(h[20:]),
		mdRVA: le.Uint32(h[8:]), mdSize: le.Uint32(h[12:]), mdRVAAt: at + 8,
	}
	if c.Flags&FlagNativeEntry != 0 {
		c.EntryPoint = 0
	}
	if native := le.Uint32(h[64:]); native != 0 {
		nat, err := f.rva(native, at+64, "the header of the native code")
		if err != nil {
			return nil, err
		}
		sig, err := f.src.u32(nat)
		if err != nil {
			return nil, err
		}
		// "RTR\0" (ReadyToRun format) and "NGE\0" of NGen.
		c.ReadyToRun, c.NGen = sig == 0x00525452, sig == 0x0045474e
	}
	c.md.src, c.md.left, c.md.tables = f.src, maxNames, &noTables
	return c, nil
}

// CLR returns the managed side of the file; nil without an error where it has
// none. With an error the result is nil where the CLI header could not be read;
// else the header's fields are set, and what the metadata would say is empty.
func (f *File) CLR() (*CLR, error) {
	if !f.HasCLR() {
		return nil, nil
	}
	c, err := f.header()
	if err != nil {
		return nil, err
	}
	if !f.mdRead {
		f.mdRead = true
		c.file = f
		if f.mdErr = c.readRoot(); f.mdErr == nil {
			f.mdErr = c.readIdentity()
		} else {
			c.md.tables = &noTables // nothing of a half-read layout may be used
		}
	}
	return c, f.mdErr
}

// readRoot reads the metadata root and its stream headers (II.24.2.1).
func (c *CLR) readRoot() error {
	src := c.md.src
	root, err := c.file.rva(c.mdRVA, c.mdRVAAt, "the metadata")
	if err != nil {
		return err
	}
	h, err := src.at(root, 16)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	if le.Uint32(h) != 0x424a5342 {
		return broken(root, "no metadata signature BSJB, though the CLI header points here")
	}
	n := le.Uint32(h[12:])
	if n > 256 {
		return broken(root+12, "a runtime version of %d bytes", n)
	}
	c.Metadata = Span{root, min(max(int64(c.mdSize), 16), src.size-root)}
	v, err := src.at(root+16, int(n))
	if err != nil {
		return err
	}
	version := cut(v)
	c.RuntimeVersion = Text{version, Span{root + 16, int64(len(version))}}
	at := root + 16 + int64(n)
	count, err := src.u16(at + 2)
	if err != nil {
		return err
	}
	if count > maxStreams {
		return broken(at+2, "%d metadata streams", count)
	}
	at += 4
	var tables Span
	for range count {
		off, err := src.u32(at)
		if err != nil {
			return err
		}
		size, err := src.u32(at + 4)
		if err != nil {
			return err
		}
		name, err := src.cbytes(at+8, 32)
		if err != nil {
			return err
		}
		s := Span{root + int64(off), int64(size)}
		if s.Offset+s.Length > src.size {
			return broken(at, "the metadata stream %q ends at 0x%x, beyond the end of the file at 0x%x", name, s.Offset+s.Length, src.size)
		}
		c.Metadata.reach(s.Offset, s.Length)
		switch string(name) {
		case "#~", "#-":
			tables = s
		case "#Strings":
			c.md.strings = s
		case "#Blob":
			c.md.blobs = s
		case "#US":
			c.md.us = s
		}
		at += 8 + int64(len(name)+4)&^3
	}
	if tables.Length == 0 {
		return broken(root, "no metadata tables")
	}
	c.md.tables = c.md.src.from.takeTables()
	return c.md.readTables(tables)
}

func cut(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// search returns how many rows of a table that is sorted by its first column come
// before the first one with v or more.
func (m *metadata) search(table int, v uint32) (uint32, error) {
	low, high := uint32(0), m.tables[table].rows
	for low < high {
		mid := low + (high-low)/2
		r, err := m.row(table, mid+1)
		if err != nil {
			return 0, err
		}
		if r.col(0) < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// str returns a string of the #Strings heap.
func (m *metadata) str(i uint32) (Text, error) {
	if int64(i) >= m.strings.Length {
		if i == 0 {
			return Text{}, nil
		}
		return Text{}, broken(m.strings.Offset, "string %d of a heap of %d bytes", i, m.strings.Length)
	}
	at := m.strings.Offset + int64(i)
	s, err := m.src.cstring(at, maxIdent)
	if err == nil {
		err = m.charge(at, len(s)+16)
	}
	return Text{s, Span{at, int64(len(s))}}, err
}

// charge counts n bytes of names that were made.
func (m *metadata) charge(at int64, n int) error {
	if m.left -= int64(n); m.left < 0 {
		return broken(at, "more than %d MB of names", maxNames>>20)
	}
	return nil
}

// heap returns the blob at index i of a heap, at most limit bytes of it.
func (m *metadata) heap(heap Span, i uint32, limit int64) ([]byte, Span, error) {
	if int64(i) >= heap.Length {
		return nil, Span{}, broken(heap.Offset, "blob %d of a heap of %d bytes", i, heap.Length)
	}
	at := heap.Offset + int64(i)
	head, err := m.src.upTo(at, 4)
	if err != nil {
		return nil, Span{}, err
	}
	n, w := compressed(head)
	if w == 0 || int64(n) > heap.Length-int64(i)-int64(w) {
		return nil, Span{}, broken(at, "a blob of %d bytes runs over the end of its heap", n)
	}
	s := Span{at + int64(w), int64(n)}
	b, err := m.src.at(s.Offset, int(min(s.Length, limit)))
	return b, s, err
}

// attribute returns the string that a custom attribute's constructor was given.
func (m *metadata) attribute(i uint32) (Text, error) {
	b, s, err := m.heap(m.blobs, i, 4096)
	if err != nil {
		return Text{}, err
	}
	if len(b) < 3 || b[0] != 1 || b[1] != 0 {
		return Text{}, broken(s.Offset, "the value of an attribute does not start with 0x0001")
	}
	if b[2] == 0xff { // a null string
		return Text{}, nil
	}
	n, w := compressed(b[2:])
	if w == 0 || int(n) > len(b)-2-w {
		return Text{}, broken(s.Offset+2, "the string of an attribute runs over its end")
	}
	return Text{string(b[2+w : 2+w+int(n)]), Span{s.Offset + 2 + int64(w), int64(n)}}, nil
}

// compressed decodes an unsigned integer (II.23.2); w is 0 where it is cut off.
func compressed(b []byte) (n uint32, w int) {
	switch {
	case len(b) >= 1 && b[0]&0x80 == 0:
		return uint32(b[0]), 1
	case len(b) >= 2 && b[0]&0xc0 == 0x80:
		return uint32(b[0]&0x3f)<<8 | uint32(b[1]), 2
	case len(b) >= 4 && b[0]&0xe0 == 0xc0:
		return uint32(b[0]&0x1f)<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), 4
	}
	return 0, 0
}

// maxStrings bounds how much of the user strings is looked through.
const maxStrings = 4 << 20

// FindString looks for text in the strings of the code (the #US heap) and
// returns the place of the first one that holds it; ok is false where none does.
func (c *CLR) FindString(text string) (place Span, ok bool, err error) {
	var want []byte
	for _, u := range utf16.Encode([]rune(text)) {
		want = binary.LittleEndian.AppendUint16(want, u)
	}
	const piece = 256 << 10
	for at := int64(0); at < min(c.md.us.Length, maxStrings); at += piece {
		n := min(piece+int64(len(want)), c.md.us.Length-at)
		b, err := c.md.src.at(c.md.us.Offset+at, int(n))
		if err != nil {
			return Span{}, false, err
		}
		if i := bytes.Index(b, want); i >= 0 {
			return Span{c.md.us.Offset + at + int64(i), int64(len(want))}, true, nil
		}
	}
	return Span{}, false, nil
}
