package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// detectNative finds programs without .NET.
func detectNative(t *Tree) []Fact {
	var facts []Fact
	for _, b := range t.binaries {
		if !b.native() || b.isDLL || b.host != nil {
			continue
		}
		facts = append(facts, t.nativeProgram(b)...)
	}
	return facts
}

// createWindow are the functions of user32.dll that make a window or dialog.
var createWindow = []string{"CreateWindowExW", "CreateWindowExA", "DialogBoxParamW", "DialogBoxParamA", "DialogBoxIndirectParamW", "DialogBoxIndirectParamA", "CreateDialogParamW", "CreateDialogParamA"}

// guiLibraries are DLLs that only programs with windows import, by how their
// names start: MFC, Qt widgets, VCL packages, the Visual Basic runtimes.
var guiLibraries = []string{"mfc", "qt5widgets", "qt6widgets", "qt5gui", "qt6gui", "vcl", "msvbvm", "wxmsw"}

func (t *Tree) nativeProgram(b *image) []Fact {
	self := at(b.path, b.sub, "native program, no CLI header")
	source := "exe"
	if t.depth(b.dir) > t.programDepth() {
		source = "deeper"
	}
	if why := t.helper(b); why != "" {
		self.Detail = why
		return []Fact{{Key: "program", Value: b.path, source: "helper", about: b.path, Evidence: []Evidence{self}, item: &Program{Path: b.path, Form: FormNative}}}
	}
	var dispatcher, window []Evidence
	for _, im := range slices.Concat(b.imports, b.delayed) {
		dll := strings.ToLower(im.DLL)
		if slices.ContainsFunc(guiLibraries, func(p string) bool { return strings.HasPrefix(dll, p) }) {
			window = append(window, at(b.path, im.Span, "imports "+im.DLL))
		}
		for _, f := range im.Functions {
			switch {
			case f.Name == "StartServiceCtrlDispatcherW" || f.Name == "StartServiceCtrlDispatcherA":
				dispatcher = append(dispatcher, at(b.path, f.Span, "imports "+im.DLL+"!"+f.Name))
			case dll == "user32.dll" && slices.Contains(createWindow, f.Name):
				window = append(window, at(b.path, f.Span, "imports user32.dll!"+f.Name))
			}
		}
	}
	p := &Program{Path: b.path, Form: FormNative}
	kind, ev := KindNativeConsole, []Evidence{self}
	golang, mark := t.isGo(b)
	switch {
	case b.broken:
		kind = KindUnknown
	case len(dispatcher) > 0 && golang == "":
		kind, ev = KindNativeService, dispatcher
		p.Service = &Service{Evidence: dispatcher}
	case b.gui && len(window) > 0 && golang == "":
		kind, ev = KindNativeDesktop, window
	}
	facts := []Fact{
		{Key: "program", Value: b.path, source: source, about: b.path, Evidence: []Evidence{self}, item: p},
		{Key: "kind", Value: string(kind), source: "native", about: b.path, Evidence: ev},
	}
	if b.broken {
		facts = append(facts, brokenProgram(b.path, self))
	}
	if p.Service != nil {
		facts = append(facts, Fact{Key: "service-start", Value: "needs a service manager", about: b.path, Evidence: dispatcher})
	}
	if golang != "" {
		facts = append(facts, Fact{Key: "language", Value: "go", about: b.path, Evidence: []Evidence{at(b.path, mark, golang)}})
		if len(dispatcher) > 0 {
			facts = append(facts, Fact{Key: "sign", Value: "imports the service dispatcher, as golang.org/x/sys links it into any Go program", about: b.path, Evidence: dispatcher})
		}
	}
	for _, e := range b.exports {
		if e.Name == "DotNetRuntimeDebugHeader" {
			facts = append(facts, Fact{Key: "language", Value: "native-aot", about: b.path, Evidence: []Evidence{at(b.path, e.Span, "exports DotNetRuntimeDebugHeader: .NET compiled ahead of time")}})
		}
	}
	if b.gui && kind == KindNativeConsole {
		facts = append(facts, Fact{Key: "subsystem", Value: "linked as a GUI program, uses no window", about: b.path, Evidence: []Evidence{self}})
	}
	facts = append(facts, architectureFacts(b, b.path, "self")...)
	return append(facts, t.imports(b, b.path)...)
}

func brokenProgram(p string, ev Evidence) Fact {
	return signFact(p+" is a broken program", "Copy the file again from where it runs.", ev)
}

// isGo tells programs of the Go linker by what every one of them has: its own
// section table (".symtab" last, no ".idata$" parts of a C linker) or the build
// information at the start of its data.
func (t *Tree) isGo(b *image) (why string, mark pe.Span) {
	const buildInfo = "\xff Go buildinf:"
	t.withPE(b.path, func(f *pe.File) error {
		for _, s := range f.Sections {
			if s.Name == ".symtab" {
				why, mark = "section .symtab, which the Go linker writes", s.Header
				return nil
			}
		}
		for _, s := range f.Sections {
			if s.Name == ".data" || s.Name == ".go.buildinfo" {
				if i := t.index(b.path, int64(s.Offset), min(int64(s.Size), 64<<10), buildInfo); i >= 0 {
					why, mark = "Go build information", pe.Span{Offset: int64(s.Offset) + i, Length: int64(len(buildInfo))}
					return nil
				}
			}
		}
		return nil
	})
	return why, mark
}

// helper names the reason why a native program is not the application: it is
// part of a runtime or an installer. Names count only with what lies beside.
func (t *Tree) helper(b *image) string {
	beside := func(name string) bool { return t.find(path.Join(b.dir, name)) != "" }
	switch {
	case b.wrapper != "":
		return b.wrapper
	case b.base == "createdump.exe" && (beside("coreclr.dll") || beside("System.Private.CoreLib.dll")):
		return "createdump.exe beside coreclr.dll: part of the .NET runtime"
	case strings.HasPrefix(b.base, "unins0") && (beside(strings.TrimSuffix(path.Base(b.path), path.Ext(b.path)) + ".dat")):
		return "Inno Setup's uninstaller, with its .dat file"
	case b.base == "restartagent.exe" && beside("Microsoft.WindowsAppRuntime.dll"):
		return "part of the Windows App SDK"
	}
	return ""
}
