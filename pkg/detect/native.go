package detect

import (
	"bytes"
	"io"
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
	self := at(b.path, b.head, "PE headers of a native program: no CLI header")
	source := "exe"
	if t.depth(b.dir) > t.programDepth() {
		source = "deeper"
	}
	if slices.Contains(hosts, b.base) {
		source = "helper" // by itself it is no application
	}
	if why := t.helper(b); why != "" {
		self.Detail = why
		return []Fact{helperFact(b, FormNative, self)}
	}
	does := b.nativeTraits()
	t.visualBasic(b, &does)
	p := &Program{Path: b.path, Form: FormNative}
	kind, ev := KindNativeConsole, append([]Evidence{self}, b.linked("it tells neither a service nor a program with windows")...)
	golang, mark := t.isGo(b)
	var names goNames
	if golang != "" { // which links all of golang.org/x/sys by name, used or not
		names = t.goNames(b)
		does = nativeTraits{linked: does.dispatcher, dispatcher: names.service}
	}
	switch {
	case b.broken:
		kind = KindUnknown
	case len(does.dispatcher) > 0:
		kind, ev = KindNativeService, does.dispatcher
		p.Service = &Service{Evidence: does.dispatcher}
	case b.gui && len(does.window) > 0:
		kind, ev = KindNativeDesktop, does.window
	}
	facts := []Fact{
		{Key: "program", Value: b.path, source: source, about: b.path, Evidence: []Evidence{self}, item: p},
		{Key: "kind", Value: string(kind), source: "native", about: b.path, Evidence: ev},
	}
	if b.broken {
		facts = append(facts, brokenProgram(b.path, self))
	}
	if p.Service != nil {
		facts = append(facts, Fact{Key: "service-start", Value: "needs a service manager", about: b.path, Evidence: does.dispatcher})
	}
	if golang != "" {
		facts = append(facts, Fact{Key: "language", Value: "go", about: b.path, Evidence: []Evidence{at(b.path, mark, golang)}})
		if len(does.linked) > 0 {
			facts = append(facts, Fact{Key: "sign", Value: "imports the service dispatcher, as golang.org/x/sys links it into any Go program", about: b.path, Evidence: does.linked})
		}
	}
	if golang == "" {
		facts = append(facts, t.language(b)...)
	}
	if kind == KindNativeConsole {
		facts = append(facts, consoleFacts(b.gui, b.path, does.message, self)...)
	}
	facts = append(facts, architectureFacts(b, b.path, "self")...)
	facts = append(facts, t.loadsNetapi(b, names.netapi)...)
	return append(facts, t.imports(b, b.path)...)
}

// nativeTraits is what the imports of native code give away.
type nativeTraits struct {
	dispatcher []Evidence // runs a service
	window     []Evidence // makes windows
	message    []Evidence // shows message boxes
	linked     []Evidence // names the dispatcher without running a service
}

func (b *image) nativeTraits() nativeTraits {
	var n nativeTraits
	for _, im := range slices.Concat(b.imports, b.delayed) {
		dll := strings.ToLower(im.DLL)
		if slices.ContainsFunc(guiLibraries, func(p string) bool { return strings.HasPrefix(dll, p) }) {
			n.window = append(n.window, at(b.path, im.Span, "imports "+im.DLL))
		}
		for _, f := range im.Functions {
			switch {
			case f.Name == "StartServiceCtrlDispatcherW" || f.Name == "StartServiceCtrlDispatcherA":
				n.dispatcher = append(n.dispatcher, at(b.path, f.Span, "imports "+im.DLL+"!"+f.Name))
			case dll == "user32.dll" && slices.Contains(createWindow, f.Name):
				n.window = append(n.window, at(b.path, f.Span, "imports user32.dll!"+f.Name))
			case dll == "user32.dll" && isMessageBox(f.Name):
				n.message = append(n.message, at(b.path, f.Span, "imports user32.dll!"+f.Name))
			}
		}
	}
	return n
}

// isMessageBox says whether a function of user32.dll shows a message and waits until
// somebody closes it.
func isMessageBox(function string) bool {
	return slices.Contains([]string{"MessageBox", "MessageBoxEx", "MessageBoxIndirect"}, strings.TrimRight(function, "AW"))
}

// consoleFacts are those of a program without windows of its own.
func consoleFacts(gui bool, about string, message []Evidence, self Evidence) []Fact {
	var facts []Fact
	if gui {
		facts = append(facts, Fact{Key: "subsystem", Value: "linked as a GUI program, not seen to make a window", about: about, Evidence: []Evidence{self}})
	}
	if len(message) > 0 {
		facts = append(facts, Fact{Key: "message-box", Value: about, about: about, Evidence: message})
	}
	return facts
}

// sections are where the sections of that name lie in a file, or all of them for "".
func (t *Tree) sections(b *image, name string) []pe.Span {
	var all []pe.Span
	t.withPE(b.path, func(f *pe.File) error {
		for _, s := range f.Sections {
			if name == "" || s.Name == name {
				all = append(all, pe.Span{Offset: int64(s.Offset), Length: int64(s.Size)})
			}
		}
		return nil
	})
	return all
}

// maxNames bounds how much of a program is searched for names.
const maxNames = 64 << 20

// findIn is where texts stand in parts of a file, -1 for each that does not.
func (t *Tree) findIn(p string, parts []pe.Span, texts ...string) []int64 {
	places := slices.Repeat([]int64{-1}, len(texts))
	f, size, err := t.openFile(p)
	if err != nil {
		return places
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return places
	}
	longest := 0
	for _, text := range texts {
		longest = max(longest, len(text))
	}
	most := int64(0) // of which the buffer need not be larger
	for _, part := range parts {
		most = max(most, min(part.Length, size))
	}
	buf := make([]byte, max(min(most, 256<<10), int64(2*longest)))
	step := int64(len(buf) - longest)
	left := int64(maxNames)
	for _, part := range parts {
		for from := part.Offset; from < min(part.Offset+part.Length, size) && left > 0; from, left = from+step, left-step {
			n, _ := r.ReadAt(buf[:min(int64(len(buf)), part.Offset+part.Length-from)], from)
			for i, text := range texts {
				if places[i] < 0 {
					if at := bytes.Index(buf[:n], []byte(text)); at >= 0 {
						places[i] = from + int64(at)
					}
				}
			}
		}
	}
	return places
}

func brokenProgram(p string, ev Evidence) Fact {
	return signFact(p+" is a broken program", "Copy the file again from where it runs.", ev)
}

// helperFact is that of a program which helps others and is no application.
func helperFact(b *image, form Form, self Evidence) Fact {
	return Fact{Key: "program", Value: b.path, source: "helper", about: b.path, Evidence: []Evidence{self}, item: &Program{Path: b.path, Form: form}}
}

// helper names the reason why a native program is not the application: it is
// part of a runtime or an installer. Names count only with what lies beside.
func (t *Tree) helper(b *image) string {
	beside := func(name string) bool { return t.find(path.Join(b.dir, name)) != "" }
	switch wrapper := t.wrapperOf(b); {
	case b.wrapper != "":
		return b.wrapper
	case wrapper != "":
		return wrapper
	case t.bootstrapper(b):
		return "setup.exe of a ClickOnce deployment"
	case t.inPyInstaller(b.dir):
		return b.base + ": of a package that PyInstaller brought along"
	case t.vsBootstrapper(b):
		return "setup.exe of Visual Studio, which installs what its configuration names"
	case strings.HasPrefix(b.base, "setup") && (beside("data1.cab") || beside("setup.inx") || beside("setup.ins")):
		return b.base + " beside the cabinet of InstallShield"
	case strings.HasPrefix(b.base, "setup") && t.installerBeside(b.dir):
		return b.base + " beside an .msi, which it installs"
	case b.base == "createdump.exe" && (beside("coreclr.dll") || beside("System.Private.CoreLib.dll")):
		return "createdump.exe beside coreclr.dll: part of the .NET runtime"
	case strings.HasPrefix(b.base, "unins0") && (beside(strings.TrimSuffix(path.Base(b.path), path.Ext(b.path)) + ".dat")):
		return "Inno Setup's uninstaller, with its .dat file"
	case strings.HasPrefix(b.base, "wininst-") && strings.HasSuffix("/"+strings.ToLower(b.dir), "/distutils/command"), strings.Contains("/"+strings.ToLower(b.path), "/site-packages/"):
		return b.base + " of a package of Python"
	case b.base == "restartagent.exe" && beside("Microsoft.WindowsAppRuntime.dll"):
		return "part of the Windows App SDK"
	}
	return ""
}

// inPyInstaller says whether a folder is one of the packages that PyInstaller puts below
// its base_library.zip: the program itself lies beside that, or above _internal
// (pyinstaller.org/en/stable/operating-mode.html).
func (t *Tree) inPyInstaller(dir string) bool {
	if strings.EqualFold(path.Base(dir), "_internal") && t.find(path.Join(dir, "base_library.zip")) != "" {
		return true
	}
	for dir != "." {
		if dir = path.Dir(dir); t.find(path.Join(dir, "base_library.zip")) != "" {
			return true
		}
	}
	return false
}

// installerBeside says whether a folder holds a package of Windows Installer.
func (t *Tree) installerBeside(dir string) bool {
	for f := range t.withExt(".msi") {
		if f.dir.path == dir {
			return true
		}
	}
	return false
}
