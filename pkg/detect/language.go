package detect

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// maxMark bounds how much of a program's constants is searched for the mark of a compiler.
const maxMark = 4 << 20

// language says which compiler made a native program, where it leaves a mark; that of
// Go is read before, for it decides more.
func (t *Tree) language(b *image) []Fact {
	fact := func(language string, place pe.Span, detail string) []Fact {
		return []Fact{{Key: "language", Value: language, about: b.path, Evidence: []Evidence{at(b.path, place, detail)}}}
	}
	for _, e := range b.exports {
		if e.Name == "DotNetRuntimeDebugHeader" {
			return fact("native-aot", e.Span, "exports DotNetRuntimeDebugHeader: .NET compiled ahead of time")
		}
	}
	if im := b.visualBasicRuntime(); im != nil {
		return fact("vb6", im.Span, "imports "+im.DLL+", the runtime of Visual Basic")
	}
	var found []Fact
	var constants []pe.Span
	t.withPE(b.path, func(f *pe.File) error {
		// The run-time library of Delphi and C++Builder lists the units and options of a
		// program there (System.SysUtils, GetPackageInfo; Embarcadero, "RCDATA").
		names, _ := f.ResourceNames(10)
		for _, n := range names {
			if n.Value == "PACKAGEINFO" || n.Value == "DVCLAL" {
				found = fact("delphi", n.Span, "resource "+n.Value+" of the Delphi run-time library")
				return nil
			}
		}
		borland := map[string]pe.Span{}
		for _, s := range f.Sections {
			borland[s.Name] = s.Header
			if s.Name == ".rdata" {
				constants = append(constants, pe.Span{Offset: int64(s.Offset), Length: min(int64(s.Size), maxMark)})
			}
		}
		if code, ok := borland["CODE"]; ok && borland["DATA"].Length > 0 && borland["BSS"].Length > 0 {
			found = fact("delphi", code, "sections CODE, DATA and BSS, as Delphi up to 2005 writes them")
		}
		return nil
	})
	if found != nil || len(constants) == 0 {
		return found
	}
	const mark = "/rustc/" // of the paths in messages of the standard library
	if place := t.findIn(b.path, constants, mark)[0]; place >= 0 {
		return fact("rust", pe.Span{Offset: place, Length: int64(len(mark))}, "paths of the compiler of Rust")
	}
	return nil
}

// visualBasicRuntime is the import of the runtime of Visual Basic 5 or 6, nil where
// there is none.
func (b *image) visualBasicRuntime() *pe.Import {
	i := slices.IndexFunc(b.imports, func(im pe.Import) bool {
		dll := strings.ToLower(im.DLL)
		return dll == "msvbvm60.dll" || dll == "msvbvm50.dll"
	})
	if i < 0 {
		return nil
	}
	return &b.imports[i]
}

// visualBasic reads how many forms a program of Visual Basic has: one without any is
// started by Sub Main and shows no window of its own. They are counted in the header
// that the program hands to its runtime ("VB5!", the word at 0x44; A. Ionescu, "Visual
// Basic Image Internal Structure Format").
func (t *Tree) visualBasic(b *image, does *nativeTraits) {
	im := b.visualBasicRuntime()
	if im == nil {
		return
	}
	var parts []pe.Span
	t.withPE(b.path, func(f *pe.File) error {
		for _, s := range f.Sections {
			parts = append(parts, pe.Span{Offset: int64(s.Offset), Length: min(int64(s.Size), maxMark)})
		}
		return nil
	})
	place := t.findIn(b.path, parts, "VB5!")[0]
	if place < 0 {
		return // packed: what it is made of is not seen
	}
	file, _, err := t.openFile(b.path)
	if err != nil {
		return
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		return
	}
	var word [2]byte
	const forms = 0x44
	if _, err := r.ReadAt(word[:], place+forms); err != nil || binary.LittleEndian.Uint16(word[:]) != 0 {
		return
	}
	does.window = slices.DeleteFunc(does.window, func(e Evidence) bool { return e.Offset == im.Span.Offset })
}
