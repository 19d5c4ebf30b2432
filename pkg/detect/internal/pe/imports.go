package pe

import (
	"encoding/binary"
	"fmt"
)

// Bounds on the import and export tables. The largest real ones have about 100
// libraries and 20,000 exports.
const (
	maxImports   = 1024
	maxFunctions = 1 << 15 // of all libraries together
	maxExports   = 1 << 16
	maxName      = 512
)

// Function is an imported or exported function.
type Function struct {
	Name string // "#12" where it has an ordinal only
	Span        // of the name, or of the table entry with the ordinal
}

// Import is a library that the loader looks for, with the functions taken from it.
type Import struct {
	DLL       string // as written
	Functions []Function
	Span      // of the DLL's name
}

// Imports returns the libraries that the file needs to start, in file order.
func (f *File) Imports() ([]Import, error) {
	return f.imports(f.dir(dirImport), 20, &f.ImportSpan, func(d []byte) (name, thunks uint32) {
		thunks = binary.LittleEndian.Uint32(d) // import lookup table
		if thunks == 0 {
			thunks = binary.LittleEndian.Uint32(d[16:]) // import address table
		}
		return binary.LittleEndian.Uint32(d[12:]), thunks
	})
}

// DelayImports returns the libraries that are loaded at their first use.
func (f *File) DelayImports() ([]Import, error) {
	return f.imports(f.dir(dirDelayImport), 32, &f.DelaySpan, func(d []byte) (name, thunks uint32) {
		name, thunks = binary.LittleEndian.Uint32(d[4:]), binary.LittleEndian.Uint32(d[16:])
		// Visual C++ 6 wrote addresses instead of relative ones: attribute bit 0 is clear.
		if binary.LittleEndian.Uint32(d)&1 == 0 && uint64(name) >= f.imageBase {
			name -= uint32(f.imageBase)
			thunks -= uint32(f.imageBase)
		}
		return name, thunks
	})
}

// reach widens a span to one that holds n bytes at off too.
func (s *Span) reach(off, n int64) {
	if s.Length == 0 {
		*s = Span{off, n}
		return
	}
	end := max(s.Offset+s.Length, off+n)
	s.Offset = min(s.Offset, off)
	s.Length = end - s.Offset
}

// With is the smallest span that holds both; one without length is none.
func (s Span) With(o Span) Span {
	if o.Length > 0 {
		s.reach(o.Offset, o.Length)
	}
	return s
}

func (f *File) imports(dir directory, size int64, all *Span, fields func([]byte) (name, thunks uint32)) ([]Import, error) {
	if dir.rva == 0 {
		return nil, nil
	}
	at, err := f.rva(dir.rva, dir.at, "the import table")
	if err != nil {
		return nil, err
	}
	var out []Import
	left := maxFunctions
	for ; ; at += size {
		d, err := f.src.at(at, int(size))
		if err != nil {
			return out, err
		}
		all.reach(at, size)
		name, thunks := fields(d)
		if name == 0 {
			return out, nil
		}
		if len(out) == maxImports {
			return out, broken(at, "more than %d imported libraries", maxImports)
		}
		nameAt, err := f.rva(name, at, "the name of an imported library")
		if err != nil {
			return out, err
		}
		dll, err := f.src.cstring(nameAt, maxName)
		if err != nil {
			return out, err
		}
		all.reach(nameAt, int64(len(dll))+1)
		imp := Import{DLL: dll, Span: Span{nameAt, int64(len(dll))}}
		if thunks != 0 {
			imp.Functions, err = f.thunks(thunks, at, &left, all)
		}
		out = append(out, imp)
		if err != nil {
			return out, err
		}
	}
}

// thunks reads an import lookup table.
func (f *File) thunks(rva uint32, from int64, left *int, all *Span) ([]Function, error) {
	at, err := f.rva(rva, from, "the function table of an imported library")
	if err != nil {
		return nil, err
	}
	size := int64(4)
	if f.PE32Plus {
		size = 8
	}
	var out []Function
	for ; ; at += size {
		b, err := f.src.at(at, int(size))
		if err != nil {
			return out, err
		}
		all.reach(at, size)
		v, ordinal := uint64(binary.LittleEndian.Uint32(b)), false
		if f.PE32Plus {
			v = binary.LittleEndian.Uint64(b)
		}
		ordinal = v>>(8*size-1) != 0
		if v == 0 {
			return out, nil
		}
		if *left--; *left < 0 {
			return out, broken(at, "more than %d imported functions", maxFunctions)
		}
		if ordinal {
			out = append(out, Function{fmt.Sprintf("#%d", v&0xffff), Span{at, size}})
			continue
		}
		hint, err := f.rva(uint32(v), at, "the name of an imported function")
		if err != nil {
			return out, err
		}
		name, err := f.src.cstring(hint+2, maxName)
		if err != nil {
			return out, err
		}
		all.reach(hint+2, int64(len(name))+1)
		out = append(out, Function{name, Span{hint + 2, int64(len(name))}})
	}
}

// Exports returns the exported functions that have a name, in file order.
func (f *File) Exports() ([]Function, error) {
	dir := f.dir(dirExport)
	if dir.rva == 0 {
		return nil, nil
	}
	at, err := f.rva(dir.rva, dir.at, "the export table")
	if err != nil {
		return nil, err
	}
	d, err := f.src.at(at, 40)
	if err != nil {
		return nil, err
	}
	count := binary.LittleEndian.Uint32(d[24:])
	if count == 0 {
		return nil, nil
	}
	names, err := f.rva(binary.LittleEndian.Uint32(d[32:]), at+32, "the table of exported names")
	if err != nil {
		return nil, err
	}
	var out []Function
	for i := range int64(min(count, maxExports)) {
		rva, err := f.src.u32(names + 4*i)
		if err != nil {
			return out, err
		}
		nameAt, err := f.rva(rva, names+4*i, "the name of an exported function")
		if err != nil {
			return out, err
		}
		name, err := f.src.cstring(nameAt, maxName)
		if err != nil {
			return out, err
		}
		out = append(out, Function{name, Span{nameAt, int64(len(name))}})
	}
	if count > maxExports {
		return out, broken(at+24, "%d exported names, more than the %d that are read", count, maxExports)
	}
	return out, nil
}
