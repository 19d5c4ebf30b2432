package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures"
)

// everything asks all questions that there are.
func everything(f *File) (errs []error) {
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	_, err := f.Imports()
	add(err)
	_, err = f.DelayImports()
	add(err)
	_, err = f.Exports()
	add(err)
	_, err = f.FileVersion()
	add(err)
	_, err = f.Architecture()
	add(err)
	h, err := f.AppHost()
	add(err)
	if h != nil && h.Bundle != nil {
		for _, e := range h.Bundle.Entries[:min(len(h.Bundle.Entries), 4)] {
			if !strings.HasSuffix(e.Path, ".dll") {
				continue
			}
			if in, err := f.OpenEntry(e); err != nil {
				add(err)
			} else if in.HasCLR() {
				_, err := in.CLR()
				add(err)
			}
		}
	}
	c, err := f.CLR()
	add(err)
	if c == nil {
		return errs
	}
	_, err = c.AssemblyRefs()
	add(err)
	_, err = c.TypeRefs()
	add(err)
	_, err = c.TypeDefs()
	add(err)
	members, err := c.MemberRefs()
	add(err)
	_, err = c.PInvokes()
	add(err)
	_, _, err = c.COMClasses()
	add(err)
	_, err = c.NewFrom("mscorlib")
	add(err)
	_, err = c.CallsFrom(c.EntryPoint)
	add(err)
	_, err = c.CallsFromMembers(func(name string) bool { return strings.HasSuffix(name, "::Main") })
	add(err)
	_, _, err = c.FindString("App_Data")
	add(err)
	if len(members) > 0 {
		_, err = c.CallsTo(members[0].Name)
		add(err)
	}
	return errs
}

// seeds are whole files of each sort.
func seeds(tb testing.TB) map[string][]byte {
	out := map[string][]byte{}
	for _, p := range []string{"netfx-service/Spooler.exe", "dotnet-console/Report.exe", "dotnet-console-singlefile/Report.exe",
		"dotnet-singlefile-v1/Report.exe", "dotnet-winforms/Viewer.dll", "native-service/clock.exe", "native-console-x86/sum.exe"} {
		name, file, _ := strings.Cut(p, "/")
		data, err := os.ReadFile(filepath.Join(fixtures.App(tb, name), file))
		if err != nil {
			tb.Fatal(err)
		}
		out[p] = data
	}
	return out
}

func TestSeedsAreReadWithoutAnError(t *testing.T) {
	for name, data := range seeds(t) {
		f := open(t, data)
		if len(f.Defects) > 0 {
			t.Errorf("%s: defects %v", name, f.Defects)
		}
		for _, err := range everything(f) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileCutAtEveryByteOfItsHeaders(t *testing.T) {
	for name, data := range seeds(t) {
		whole := open(t, data)
		end := int(whole.sections) + 40*len(whole.Sections)
		for n := range end {
			f, err := Open(bytes.NewReader(data[:n]), int64(n))
			if err == nil {
				t.Fatalf("%s: cut to %d of %d header bytes it opens: %+v", name, n, end, f)
			}
			if n < 2 != errors.Is(err, ErrNotPE) {
				t.Fatalf("%s: cut to %d bytes: %v", name, n, err)
			}
			if bad := (*FormatError)(nil); n >= 2 && !errors.As(err, &bad) {
				t.Fatalf("%s: cut to %d bytes: %v is no FormatError", name, n, err)
			}
		}
		for n := end; n < len(data); n += max(1, (len(data)-end)/400) {
			f, err := Open(bytes.NewReader(data[:n]), int64(n))
			if err != nil {
				t.Fatalf("%s: cut to %d bytes, behind the headers: %v", name, n, err)
			}
			everything(f)
			last := whole.Sections[len(whole.Sections)-1]
			if n < int(last.Offset) && len(f.Defects) == 0 {
				t.Fatalf("%s: cut to %d bytes, before a section at %d: no defect", name, n, last.Offset)
			}
		}
	}
}

func TestOtherFormatsAreNotPE(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "text": "This is a text file", "elf": "\x7fELF\x02", "zip": "PK\x03\x04",
		"16-bit": "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00" + "NE" + strings.Repeat("\x00", 62),
	} {
		if _, err := Open(strings.NewReader(data), int64(len(data))); !errors.Is(err, ErrNotPE) {
			t.Errorf("%s: %v", name, err)
		}
	}
	data := "MZ is how this text starts, and it goes on for more than the sixty-four bytes of a header."
	if _, err := Open(strings.NewReader(data), int64(len(data))); err == nil || errors.Is(err, ErrNotPE) {
		t.Errorf("a text that starts with MZ: %v", err)
	}
}

// put returns data with a little-endian value written over it.
func put(data []byte, at int64, v uint32) []byte {
	out := bytes.Clone(data)
	binary.LittleEndian.PutUint32(out[at:], v)
	return out
}

func TestLyingHeadersAreNamed(t *testing.T) {
	data := seeds(t)["netfx-service/Spooler.exe"]
	f := open(t, data)
	c, err := f.CLR()
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.rva(c.mdRVA, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	tables := int64(bytes.Index(data, []byte("#~\x00\x00"))) - 8
	stream := root + int64(binary.LittleEndian.Uint32(data[tables:]))
	entry, err := c.md.row(tMethodDef, c.EntryPoint&maxRows)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		name string
		at   int64
		v    uint32
		want string
	}{
		{"PE header beyond the file", 60, 0x7fffffff, "beyond the end of the file"},
		{"PE header in itself", 60, 2, "no PE signature"},
		{"import table", f.dir(dirImport).at, 0x7fff0000, "the import table is said to be at the virtual address 0x7fff0000"},
		{"CLI header", f.dir(dirCLI).at, 0x7fff0000, "the CLI header is said to be"},
		{"metadata", c.Offset + 8, 0x7fff0000, "the metadata is said to be"},
		{"metadata signature", root, 0, "no metadata signature"},
		{"version length", root + 12, 0xffffffff, "a runtime version of 4294967295 bytes"},
		{"stream offset", tables, 0xfffffff0, "beyond the end of the file"},
		{"row count", stream + 24, 0xffffffff, "4294967295 rows"},
		{"large row count", stream + 24, 1 << 23, "beyond their stream's end"},
		{"unknown table", stream + 12, 0xffffffff, "some of which ECMA-335 does not know"},
		{"code of Main", entry.at, 0x7fff0000, "the code of a method is said to be"},
		{"token of Main", c.Offset + 20, 0x06ffffff, "row 16777215 of metadata table 0x6"},
	} {
		changed := put(data, bad.at, bad.v)
		f, err := Open(bytes.NewReader(changed), int64(len(changed)))
		errs := []error{err}
		if err == nil {
			errs = everything(f)
		}
		if all := errors.Join(errs...); all == nil || !strings.Contains(all.Error(), bad.want) {
			t.Errorf("%s: %v, want %q", bad.name, all, bad.want)
		}
	}
}

func TestOverlappingSectionsAreADefect(t *testing.T) {
	data := seeds(t)["native-service/clock.exe"]
	f := open(t, data)
	f = open(t, put(data, f.sections+40+20, f.Sections[0].Offset))
	if len(f.Defects) == 0 || !strings.Contains(f.Defects[0].Error(), "share the same bytes") {
		t.Errorf("defects %v", f.Defects)
	}
	everything(f)
}

func TestTooManySectionsAreRefused(t *testing.T) {
	data := bytes.Clone(seeds(t)["native-service/clock.exe"])
	f := open(t, data)
	binary.LittleEndian.PutUint16(data[f.MachineSpan.Offset+2:], 0xffff)
	if _, err := Open(bytes.NewReader(data), int64(len(data))); err == nil || !strings.Contains(err.Error(), "65535 sections") {
		t.Errorf("Open: %v", err)
	}
}

func TestLyingBundlesAreNamed(t *testing.T) {
	data := seeds(t)["dotnet-console-singlefile/Report.exe"]
	f := open(t, data)
	h, err := f.AppHost()
	if err != nil {
		t.Fatal(err)
	}
	at := h.Bundle.Offset
	sig := int64(bytes.Index(data, []byte(bundleSignature)))
	for _, bad := range []struct {
		name string
		at   int64
		v    uint32
		want string
	}{
		{"manifest beyond the file", sig - 8, 0x7fffffff, "the bundle's manifest is said to be"},
		{"negative offset", sig - 4, 0xffffffff, "the bundle's manifest is said to be"},
		{"version", at, 77, "a bundle of version 77.0"},
		{"file count", at + 8, 0xffffffff, "4294967295 files"},
		{"more files than there are", at + 8, 9999, ""},
		{"id length", at + 12, 0xffffffff, "a string of the bundle is longer"},
		{"deps.json size", at + h.Bundle.Length - 8 - 24, 0x7fffffff, "bytes of the bundle are said"},
		{"runtimeconfig.json offset", at + h.Bundle.Length - 8 - 16 + 4, 0xffffffff, "bytes of the bundle are said"},
	} {
		f := open(t, put(data, bad.at, bad.v))
		if _, err := f.AppHost(); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v, want %q", bad.name, err, bad.want)
		}
	}
	e := h.Bundle.Entries[0]
	for _, size := range []int64{e.Size - 1, e.Size + 1, 1 << 40} {
		lied := e
		lied.Size = size
		if _, err := f.OpenEntry(lied); err == nil {
			t.Errorf("an entry of %d bytes that says %d opens", e.Size, size)
		}
	}
}

// TestCyclesEnd nests types in themselves.
func TestCyclesEnd(t *testing.T) {
	data := compile(t, "class A { class B { class C {} } static void Main() { System.Environment.GetFolderPath((System.Environment.SpecialFolder)0); } }",
		".cs", nil, "mcs", "-out:OUT", "IN")
	f := open(t, data)
	c, err := f.CLR()
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.md.row(tNestedClass, 1)
	if err != nil {
		t.Fatal(err)
	}
	self := bytes.Clone(data)
	copy(self[r.at+2:], self[r.at:r.at+2])
	c, err = open(t, self).CLR()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.TypeDefs(); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("a type nested in itself: %v", err)
	}
	if _, err := c.CallsFrom(c.EntryPoint); err != nil && !strings.Contains(err.Error(), "nested deeper") {
		t.Error(err)
	}

	refs := bytes.Clone(data)
	for n := uint32(1); n <= c.md.tables[tTypeRef].rows; n++ {
		r, err := c.md.row(tTypeRef, n)
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint16(refs[r.at:], uint16(n<<2|3)) // scope: the same TypeRef
	}
	if c, err = open(t, refs).CLR(); err == nil {
		_, err = c.TypeRefs()
	}
	if err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("a TypeRef that is its own scope: %v", err)
	}
}

// sparse is a file of zeros behind a real one, as a 3 GB .dll with a hole is.
type sparse struct {
	data []byte
	size int64
	read int64
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	s.read += int64(len(p))
	clear(p)
	if off < int64(len(s.data)) {
		copy(p, s.data[off:])
	}
	if off+int64(len(p)) > s.size {
		return int(max(0, s.size-off)), io.EOF
	}
	return len(p), nil
}

func TestHugeFilesAreNotRead(t *testing.T) {
	for name, data := range seeds(t) {
		f := open(t, data)
		last := len(f.Sections) - 1
		data = put(data, f.sections+int64(40*last)+16, 0xf0000000) // the last section fills the file
		s := &sparse{data: data, size: 5 << 30}
		f, err := Open(s, s.size)
		if err != nil {
			t.Fatal(err)
		}
		everything(f)
		if limit := int64(ReadBudget + 2*maxSearch); s.read > limit {
			t.Errorf("%s: read %d bytes of a huge file, more than %d", name, s.read, limit)
		}
	}
}

// TestDamagedBytesNeitherPanicNorHang writes telling values over real files,
// the same ones in every run.
func TestDamagedBytesNeitherPanicNorHang(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	values := []uint32{0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff}
	for name, data := range seeds(t) {
		random := rand.New(rand.NewPCG(uint64(len(data)), 1))
		for range rounds {
			bad := bytes.Clone(data)
			for range 1 + random.IntN(4) {
				// Headers and metadata stand in the first KBs and the bundle's manifest in the last.
				at := random.IntN(min(len(bad)-4, 4096))
				if random.IntN(4) == 0 {
					at = len(bad) - 4 - at
				}
				binary.LittleEndian.PutUint32(bad[at:], values[random.IntN(len(values))])
			}
			start := time.Now()
			if f, err := Open(bytes.NewReader(bad), int64(len(bad))); err == nil {
				everything(f)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: a damaged file took %v", name, d)
			}
		}
	}
}
