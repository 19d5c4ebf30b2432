package pe

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// counted counts what is read.
type counted struct {
	*bytes.Reader
	read int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read += int64(n)
	return n, err
}

// probe reads all of a file: it may not panic, and what is read grows no faster than
// the file. Each page is read once, data sections once more, and entries of a bundle
// for themselves.
func probe(t *testing.T, data []byte) {
	t.Helper()
	c := &counted{Reader: bytes.NewReader(data)}
	file, err := Open(c, int64(len(data)))
	if err == nil {
		everything(file)
	}
	if most := 8*int64(len(data)) + pageSize; c.read > most {
		t.Errorf("%d bytes were read of a file of %d", c.read, len(data))
	}
}

func FuzzOpen(f *testing.F) {
	for _, data := range seeds(f) {
		if len(data) > 16<<10 { // the engine does little with large inputs
			continue
		}
		f.Add(data, uint32(0), uint32(0))
		f.Add(data[:len(data)/2], uint32(60), uint32(0xffffffff))
	}
	f.Fuzz(func(t *testing.T, data []byte, at, v uint32) {
		if len(data) >= 4 {
			data = put(data, int64(at)%int64(len(data)-3), v)
		}
		probe(t, data)
	})
}

// shell is a PE32 file around the contents of a section at the virtual address 0x1000
// and the file offset 0x200. dirs are data directories by their numbers.
func shell(content []byte, characteristics uint32, dirs map[int][2]uint32) []byte {
	le := binary.LittleEndian
	h := make([]byte, 0x200)
	copy(h, "MZ")
	le.PutUint32(h[60:], 64)
	copy(h[64:], "PE\x00\x00")
	le.PutUint16(h[68:], MachineI386)
	le.PutUint16(h[70:], 1)
	le.PutUint16(h[84:], 224)
	opt := h[88:]
	le.PutUint16(opt, 0x10b)
	le.PutUint32(opt[28:], 0x400000)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[60:], 0x200)
	le.PutUint16(opt[68:], SubsystemConsole)
	le.PutUint32(opt[92:], 16)
	for n, d := range dirs {
		le.PutUint32(opt[96+8*n:], d[0])
		le.PutUint32(opt[100+8*n:], d[1])
	}
	s := h[88+224:]
	copy(s, ".data")
	size := uint32(len(content))
	le.PutUint32(s[8:], size)
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], size)
	le.PutUint32(s[20:], 0x200)
	le.PutUint32(s[36:], characteristics)
	return append(h, content...)
}

// managedShell is a file with this metadata, and code behind it.
func managedShell(metadata, code []byte) []byte {
	cli := make([]byte, 72)
	le := binary.LittleEndian
	le.PutUint32(cli, 72)
	le.PutUint32(cli[8:], 0x1000+72)
	le.PutUint32(cli[12:], uint32(len(metadata)))
	le.PutUint32(cli[16:], FlagILOnly)
	le.PutUint32(cli[20:], 0x06000001)
	content := append(append(cli, metadata...), code...)
	return shell(content, sectionInitialized|sectionCode, map[int][2]uint32{dirCLI: {0x1000, 72}})
}

// FuzzMetadata: the metadata of an assembly, and the code of its methods.
func FuzzMetadata(f *testing.F) {
	for _, data := range seeds(f) {
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			f.Fatal(err)
		}
		if c, err := file.CLR(); err == nil && c != nil && c.Metadata.Length < 16<<10 {
			f.Add(data[c.Metadata.Offset:c.Metadata.Offset+c.Metadata.Length], []byte{2<<2 | 2, 0x14, 0x2a})
		}
	}
	f.Fuzz(func(t *testing.T, metadata, code []byte) { probe(t, managedShell(metadata, code)) })
}

// TestShellsAreRead: what the targets put around their data is what they say.
func TestShellsAreRead(t *testing.T) {
	for name, data := range seeds(t) {
		c, err := open(t, data).CLR()
		if err != nil || c == nil {
			continue
		}
		again, err := open(t, managedShell(data[c.Metadata.Offset:c.Metadata.Offset+c.Metadata.Length], nil)).CLR()
		if err != nil || again.Name.Value != c.Name.Value || again.TargetFramework.Value != c.TargetFramework.Value {
			t.Errorf("%s: %v, %+v", name, err, again)
		}
	}
	host, err := open(t, hostShell(manifestOf(6), 0)).AppHost()
	if err != nil || host.Bundle == nil || len(host.Bundle.Entries) != 2 {
		t.Errorf("%v, %+v", err, host)
	}
	for _, major := range []uint32{1, 2} {
		if host, err := open(t, hostShell(manifestOf(major), 0)).AppHost(); err != nil || host.Bundle.Major != major {
			t.Errorf("%d: %v, %+v", major, err, host)
		}
	}
	if v, err := open(t, resourceShell(versionResource())).FileVersion(); err != nil || v.Value != "1.2.3" {
		t.Errorf("%q, %v", v.Value, err)
	}
}

// hostShell is an application host with a bundle: the manifest stands at skip in the
// data behind the host.
func hostShell(data []byte, skip uint32) []byte {
	const size = 0x200
	content := make([]byte, size)
	copy(content, hostFirstHalf)
	copy(content[64:], hostSecondHalf)
	copy(content[136:], bundleSignature)
	at := uint64(0x200 + size)
	if len(data) > 0 {
		at += uint64(skip) % uint64(len(data))
	}
	binary.LittleEndian.PutUint64(content[128:], at)
	return append(shell(content, sectionInitialized|sectionWrite, nil), data...)
}

// manifestOf is a manifest of two small files, which lie in the host.
func manifestOf(major uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, major)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, 2)
	b = append(b, "\x03abc"...)
	if major >= 2 {
		for range 2 { // deps.json and runtimeconfig.json
			b = le.AppendUint64(b, 0x200)
			b = le.AppendUint64(b, 2)
		}
		b = le.AppendUint64(b, 1)
	}
	for _, name := range []string{"a.dll", "a.runtimeconfig.json"} {
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, 0x400)
		if major >= 6 {
			b = le.AppendUint64(b, 0)
		}
		b = append(b, EntryAssembly, byte(len(name)))
		b = append(b, name...)
	}
	return b
}

// FuzzBundle: the manifest of a single-file program, and what lies around it.
func FuzzBundle(f *testing.F) {
	for _, major := range []uint32{1, 2, 6, 7} {
		f.Add(manifestOf(major), uint32(0))
		f.Add(append([]byte("MZ, or not"), manifestOf(major)...), uint32(10))
	}
	f.Fuzz(func(t *testing.T, data []byte, skip uint32) { probe(t, hostShell(data, skip)) })
}

// resourceShell is a program with these resources.
func resourceShell(resources []byte) []byte {
	return shell(resources, sectionInitialized, map[int][2]uint32{dirResource: {0x1000, uint32(len(resources))}})
}

// versionResource is the directory of one version resource.
func versionResource() []byte {
	le := binary.LittleEndian
	var b []byte
	for level, id := range []uint32{rtVersion, 1, 1033} {
		dir := make([]byte, 24)
		le.PutUint16(dir[14:], 1)
		le.PutUint32(dir[16:], id)
		to := uint32(24 * (level + 1))
		if level < 2 {
			to |= subdirectory
		}
		le.PutUint32(dir[20:], to)
		b = append(b, dir...)
	}
	b = le.AppendUint32(b, 0x1000+24*3+16)
	b = append(b, make([]byte, 12)...)
	info := make([]byte, 6+2*16+2+52)
	le.PutUint32(info[40:], 0xfeef04bd)
	le.PutUint32(info[48:], 1<<16|2)
	le.PutUint32(info[52:], 3<<16)
	return append(b, info...)
}

// FuzzResources: the resource section.
func FuzzResources(f *testing.F) {
	f.Add(versionResource())
	f.Add(versionResource()[:60])
	f.Fuzz(func(t *testing.T, resources []byte) { probe(t, resourceShell(resources)) })
}

// FuzzImports: tables of imports, delay imports and exports, wherever they are said to be.
func FuzzImports(f *testing.F) {
	le := binary.LittleEndian
	b := make([]byte, 128)
	le.PutUint32(b, 0x1000+64) // thunks
	le.PutUint32(b[12:], 0x1000+100)
	le.PutUint32(b[64:], 0x1000+80)
	copy(b[80:], "\x00\x00WriteFile\x00")
	copy(b[100:], "KERNEL32.dll\x00")
	f.Add(b, uint32(0x1000), uint32(0), uint32(0))
	f.Add(b, uint32(0x1000), uint32(0x1000), uint32(0x1010))
	f.Fuzz(func(t *testing.T, content []byte, imports, delayed, exports uint32) {
		data := shell(content, sectionInitialized, map[int][2]uint32{dirImport: {imports, 40}, dirDelayImport: {delayed, 64}, dirExport: {exports, 40}})
		probe(t, data)
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		found, _ := file.Imports()
		for _, im := range found { // evidence holds what was read
			if s := file.ImportSpan; im.Offset < s.Offset || im.Offset+im.Length > s.Offset+s.Length || s.Offset+s.Length > int64(len(data)) {
				t.Errorf("%v is not in %v of %d bytes", im.Span, s, len(data))
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for name, data := range seeds(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.CLR(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
