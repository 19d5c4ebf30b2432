package detect

import (
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// image is a PE file with what every detector asks of it. What few ask is read
// again through Tree.withPE.
type image struct {
	path    string
	base    string // file name in lower case
	dir     string // folder as written, "." for the root
	isDLL   bool   // by its flag or its name: assemblies of .NET programs carry no flag
	gui     bool
	sub     pe.Span
	head    pe.Span   // of all headers
	links   []pe.Span // of the import tables, with the names in them
	x86     bool      // machine is 32-bit x86
	arch    pe.Architecture
	clr     *managed // nil for native code
	refs    []pe.Assembly
	imports []pe.Import   // of native and mixed-mode code
	natives []pe.Import   // whose functions managed code declares
	com     bool          // its code makes COM objects by their names
	coms    []pe.COMClass // of COM, that it describes
	typeLib bool          // it was made from a type library
	delayed []pe.Import
	host    *pe.AppHost // nil unless a .NET host
	exports []pe.Function
	data    []Evidence // of a site's assembly: where it names App_Data
	broken  bool       // what it imports could not be read
	wrapper string     // installer or wrapper that the section table gives away
	debug   pe.Span    // where it says that it was compiled without optimizations
	own     bool       // an assembly that is the application's, by its name
	uses    []Fact     // of its own assemblies: what their code gives away
}

// managed is what is kept of a CLI header and its metadata. A pe.CLR would keep
// the bytes of its file alive, which adds up over thousands of files.
type managed struct {
	pe.Span
	meta                            pe.Span // of the metadata
	Name, RuntimeVersion            pe.Text
	Version                         string
	TargetFramework, TargetPlatform pe.Text
	EntryPoint                      uint32
}

// starts says whether an .exe is a program rather than a library: it has an entry
// point in IL or, in C++/CLI, in native code.
func (b *image) starts() bool { return b.clr != nil && (b.clr.EntryPoint != 0 || b.arch.Mixed) }

func (b *image) native() bool { return b.clr == nil }

// name is the assembly's name, or the file's without extension.
func (b *image) name() string {
	if b.clr != nil && b.clr.Name.Value != "" {
		return b.clr.Name.Value
	}
	return strings.TrimSuffix(path.Base(b.path), path.Ext(b.path))
}

func at(p string, s pe.Span, detail string) Evidence {
	return Evidence{Path: p, Offset: s.Offset, Length: s.Length, Detail: clean(detail)}
}

// linked is the evidence for what the import tables do not name.
func (b *image) linked(detail string) []Evidence {
	var ev []Evidence
	for _, s := range b.links {
		ev = append(ev, at(b.path, s, "import table: "+detail))
	}
	return ev
}

func (b *image) ref(name string) *pe.Assembly {
	for i := range b.refs {
		if strings.EqualFold(b.refs[i].Name, name) {
			return &b.refs[i]
		}
	}
	return nil
}

// silverlightToken is the key of Silverlight's class library.
var silverlightToken = [8]byte{0x7c, 0xec, 0x85, 0xd7, 0xbe, 0xa7, 0x79, 0x8e}

// silverlight says whether an assembly is compiled for Silverlight, which runs in the
// browser: a site sends it, and nothing on the server loads it. Portable libraries ask
// for the same class library in a way that every runtime answers.
func (b *image) silverlight() bool {
	core := b.ref("mscorlib")
	return core != nil && core.Signed && core.Token == silverlightToken && !core.Retargetable
}

// readBinaries reads all .exe and .dll files on all cores. The result does not
// depend on the order in which they were read.
func (t *Tree) readBinaries() {
	var files []string
	t.packaged = t.foreign()
	for f := range t.withExt(".exe", ".dll", deployExt) {
		if strings.HasSuffix(f.dir.key, "/temppe") && strings.Contains("/"+f.dir.key, "/obj/") {
			continue // what Visual Studio compiles for its designers, empty or half
		}
		if p := f.path(); f.ext() != deployExt || installed(p) != p {
			files = append(files, p)
		}
	}
	slices.Sort(files)
	before, problems := t.meter.Load(), slices.Clone(t.problems)
	found := t.readAll(files, runtime.GOMAXPROCS(0))
	if t.full() { // which of them were read may not be chance
		t.meter.Store(before)
		t.spent, t.problems = false, problems
		found = t.readAll(files, 1)
	}
	t.index(slices.DeleteFunc(found, func(b *image) bool { return b == nil }))
}

// index takes binaries, sorted by path, for those of the tree.
func (t *Tree) index(binaries []*image) {
	t.binaries, t.byName, t.byDir = binaries, make(map[string]*image, len(binaries)), map[string][]*image{}
	for _, b := range binaries {
		t.byName[strings.ToLower(installed(b.path))] = b
		dir := strings.ToLower(b.dir)
		t.byDir[dir] = append(t.byDir[dir], b)
	}
	t.findPrograms()
}

// readAll reads binaries with that many workers.
func (t *Tree) readAll(files []string, workers int) []*image {
	found := make([]*image, len(files))
	var next atomic.Int64
	var native atomic.Bool
	var readers crew
	for range min(workers, len(files)) {
		readers.Go(func() {
			pages := pe.Pages{ReadBudget: t.limits.Binary, MaxRows: t.limits.Rows} // of its own: they are asked for several times a file
			names := map[string]string{}
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				b := t.readBinary(files[i], &pages, names)
				if found[i] = b; b != nil && (b.native() || b.host != nil || b.arch.Mixed) && native.CompareAndSwap(false, true) {
					go dllData() // which will be asked what of them is in an image
				}
			}
		})
	}
	readers.Wait()
	return found
}

// shareNames keeps each name once: thousands of assemblies refer to the same few others.
// Of vendors' native functions, which only a closure lists, first says to keep one.
func (b *image) shareNames(names map[string]string, first bool) {
	share := func(s *string) {
		if kept, ok := names[*s]; ok {
			*s = kept
		} else {
			names[*s] = *s
		}
	}
	b.refs = slices.Clip(b.refs)
	for i := range b.refs {
		share(&b.refs[i].Name)
		share(&b.refs[i].Version)
	}
	b.natives = slices.Clip(b.natives)
	for i := range b.natives {
		im := &b.natives[i]
		share(&im.DLL)
		if first && len(im.Functions) > 1 {
			im.Functions = im.Functions[:1]
		}
		im.Functions = slices.Clone(im.Functions)
		for j := range im.Functions {
			share(&im.Functions[j].Name)
		}
	}
}

// withPE opens a binary again and calls f. What cannot be read is a Problem.
func (t *Tree) withPE(p string, f func(*pe.File) error) { t.withPages(p, &t.pages, f) }

func (t *Tree) withPages(p string, pages *pe.Pages, f func(*pe.File) error) {
	file, size, err := t.openFile(p)
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; what it is and needs is unknown")
		return
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		if size > t.limits.Memory {
			t.problem(p, fmt.Sprintf("larger than %s (limit memory) in a file system without random access: what it is and needs is unknown", sizeText(t.limits.Memory)))
			return
		}
		data, err := io.ReadAll(io.LimitReader(file, t.limits.Memory))
		if err != nil {
			t.problem(p, "could not be read: "+reason(err)+"; what it is and needs is unknown")
			return
		}
		r, size = strings.NewReader(string(data)), int64(len(data))
	}
	img, err := pages.Open(r, size)
	if err == nil {
		defer img.Close()
		if n := len(img.Defects); n > 0 {
			more := ""
			if n > 1 {
				more = fmt.Sprintf(" (and %d more defects like it)", n-1)
			}
			t.problem(p, clean(img.Defects[0].Error())+more+"; what lies there is unknown")
		}
		err = f(img)
	}
	switch {
	case errors.Is(err, pe.ErrNotPE):
		t.problem(p, "has the name of a Windows binary and is none: it was left out")
	case err != nil:
		t.problem(p, clean(reason(err))+"; what it is and needs is known in part at most")
	}
}

func (t *Tree) readBinary(p string, pages *pe.Pages, names map[string]string) (b *image) {
	t.withPages(p, pages, func(f *pe.File) error {
		b = &image{
			path: p, base: strings.ToLower(path.Base(installed(p))), dir: path.Dir(p),
			isDLL: f.IsDLL() || strings.HasSuffix(strings.ToLower(installed(p)), ".dll"), gui: f.Subsystem == pe.SubsystemGUI, sub: f.SubsystemSpan, head: f.HeaderSpan,
			x86: f.Machine == pe.MachineI386,
		}
		for _, s := range f.Sections {
			switch s.Name {
			case ".wixburn":
				b.wrapper = "a WiX installer bundle (section .wixburn)"
			case ".ndata":
				b.wrapper = "an installer of NSIS (section .ndata)"
			}
		}
		if f.IsDLL() && !f.HasCLR() && strings.HasSuffix(b.base, ".exe") {
			t.problem(p, "has the name of a program and the mark of a library in its header, so that Windows does not start it: what it is for is unknown")
		}
		var first error
		keep := func(err error) {
			if first == nil {
				first = err
			}
		}
		var err error
		b.arch, err = f.Architecture()
		keep(err)
		if err == nil && !f.KnownMachine(b.arch) {
			t.problem(p, fmt.Sprintf("its machine is 0x%04x, which is none that Windows runs on: as what it runs is unknown", f.Machine))
		}
		clr, err := f.CLR()
		keep(err)
		if clr != nil {
			b.clr = &managed{clr.Span, clr.Metadata, clr.Name, clr.RuntimeVersion, clr.Version, clr.TargetFramework, clr.TargetPlatform, clr.EntryPoint}
			b.debug = clr.Debug
			b.refs, err = clr.AssemblyRefs()
			keep(err)
			b.natives, err = clr.NativeModules()
			keep(err)
			ofVendor := vendor(b.name())
			b.shareNames(names, t.uses == nil && !b.starts() && ofVendor)
			if !ofVendor {
				b.com = clr.UsesMember("GetTypeFromProgID", "GetTypeFromCLSID", "CreateObject")
				b.coms, b.typeLib, err = clr.COMClasses()
				keep(err)
			}
			if b.ref("System.Web") != nil {
				b.data, err = dataFolder(p, clr)
				keep(err)
			}
			if b.own = ownAssembly(b.name(), t.packaged); b.own {
				b.uses, err = uses(t.codeOf(b).evidence, clr)
				keep(err)
			}
		}
		if b.clr == nil || b.arch.Mixed {
			b.imports, err = f.Imports()
			keep(err)
			b.broken = err != nil || len(f.Defects) > 0
			b.delayed, err = f.DelayImports()
			keep(err)
			for _, s := range []pe.Span{f.ImportSpan, f.DelaySpan} {
				if s.Length > 0 {
					b.links = append(b.links, s)
				}
			}
		}
		if b.clr == nil && !b.isDLL {
			b.host, err = f.AppHost()
			keep(err)
			b.exports, err = f.Exports()
			keep(err)
		}
		return first
	})
	return b
}
