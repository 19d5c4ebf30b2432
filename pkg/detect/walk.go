package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// walker follows what one application loads: references, imports and P/Invokes. What
// it meets becomes facts, and, where a closure is asked for, uses.
type walker struct {
	*Tree
	family string // "netfx", "dotnet", or "native"
	about  string // the program, or empty for a site
	bind   *binder
}

// dependencies are what the references of an assembly, and of those in the
// folder that it reaches, ask of an image. about is the program, or empty for a
// site.
func (t *Tree) dependencies(start *image, family, about string) []Fact {
	if t.binders == nil {
		t.binders = map[string]*binder{}
	}
	bind := t.binders[about]
	switch {
	case bind != nil:
	case about == "":
		bind = t.siteBinder()
	default:
		bind = t.programBinder(family, start)
	}
	t.binders[about] = bind
	w := walker{t, family, about, bind}
	facts := w.assemblies(start)
	if about != "" {
		facts = append(facts, missingAssets(bind.assets, about)...)
		w.recordAssets()
	}
	return facts
}

// assemblies follows the assemblies that the start reaches.
func (w walker) assemblies(start *image) []Fact {
	var facts []Fact
	var vendors []*image // what those could use is not what the application uses
	seen := map[*image]bool{start: true}
	natives := map[string]bool{}
	for queue := []*image{start}; len(queue) > 0; queue = queue[1:] {
		b := queue[0]
		if b != start && vendor(b.name()) {
			vendors = append(vendors, b)
			continue
		}
		if b.silverlight() {
			continue
		}
		facts = append(facts, speaksOf(w.about, b.uses)...)
		if b.own && b.debug.Length > 0 {
			facts = append(facts, Fact{Key: "debug-build", Value: b.path, about: w.about, Evidence: []Evidence{at(b.path, b.debug, "DebuggableAttribute turns optimizations off")}})
		}
		for i := range b.refs {
			r := &b.refs[i]
			ev := at(b.path, r.Span, "refers to "+r.Name+" "+r.Version)
			told := false // what is missing with it
			got := w.reference(r, ev)
			if signals := referenceSignals(r.Name, w.about, ev); b.own {
				told = len(signals) > 0
				facts = append(facts, w.withLibrary(b, r, got.image, signals)...)
			}
			if len(frameworkData().dependencies(r.Name)) > 0 {
				more := dependencyFacts(r.Name, w.family, w.about, ev)
				told = told || slices.ContainsFunc(more, func(f Fact) bool { return f.Key == "assembly-missing" || f.Key == "assembly-partial" })
				if !b.own { // which may never come to use it
					more = slices.DeleteFunc(more, func(f Fact) bool { return f.Key == "assembly-partial" })
				}
				facts = append(facts, more...)
			}
			if got.miss != "" && !told && !vendor(b.name()) {
				facts = append(facts, Fact{Key: got.miss, Value: clean(r.Name + " " + r.Version), about: w.about, Evidence: []Evidence{ev}, item: got.words})
			}
			// A site's assemblies are all looked at anyway.
			if next := got.image; w.about != "" && next != nil && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
		if w.family == "dotnet" { // of .NET Framework the base is Server Core anyway
			facts = append(facts, b.loads(w.about)...)
		}
		called := w.natives(b, placeIn(b.path), natives)
		if !b.own && (b != start || w.about == "") {
			called = ofLibrary(called)
		}
		facts = append(facts, called...)
		if b.com {
			calls := w.comCalls(w.codeOf(b))
			if !b.own {
				calls = slices.DeleteFunc(calls, func(f Fact) bool { return f.Key == "com-unknown" })
			}
			facts = append(facts, calls...)
		}
		if b.own && !b.typeLib {
			facts = append(facts, w.comDeclared(b)...)
		}
	}
	if w.uses == nil {
		return facts
	}
	for ; len(vendors) > 0; vendors = vendors[1:] {
		b := vendors[0]
		for i := range b.refs {
			r := &b.refs[i]
			if next := w.reference(r, at(b.path, r.Span, "")).image; w.about != "" && next != nil && !seen[next] {
				seen[next] = true
				vendors = append(vendors, next)
			}
		}
		w.natives(b, placeIn(b.path), natives) // for the closure alone
	}
	return facts
}

// ofLibrary leaves of the facts about native calls those that hold for a library which
// others made: it names much for what an application may never ask of it, so that only
// the choice of a base, runtimes and database drivers count.
func ofLibrary(called []Fact) []Fact {
	return slices.DeleteFunc(called, func(f Fact) bool {
		switch f.Key {
		case "import-unknown", "import-unsure", "import-app", "import-feature", "import-step", "import-host", "import-error", "import-not-in-core", "delay-import":
			return true
		}
		return false
	})
}

// bundled follows the assemblies of a bundle from its entry on.
func (w walker) bundled(host *image, entry pe.BundleEntry) []Fact {
	var facts []Fact
	seen := map[string]bool{strings.ToLower(path.Base(entry.Path)): true}
	natives := map[string]bool{}
	read := 0
	for queue := []pe.BundleEntry{entry}; len(queue) > 0; queue = queue[1:] {
		e := queue[0]
		own := read == 0 || !vendor(strings.TrimSuffix(path.Base(e.Path), path.Ext(e.Path)))
		if !own && w.uses == nil || read == maxBundled {
			continue // what those could use is not what the application uses
		}
		read++
		code := w.codeIn(host, e)
		code.code(func(clr *pe.CLR) error {
			refs, first := clr.AssemblyRefs()
			for i := range refs {
				r := &refs[i]
				ev := code.evidence(r.Span, "refers to "+r.Name+" "+r.Version)
				got := w.reference(r, ev)
				if got.miss != "" && own {
					facts = append(facts, Fact{Key: got.miss, Value: clean(r.Name + " " + r.Version), about: w.about, Evidence: []Evidence{ev}, item: got.words})
				}
				if name := strings.ToLower(r.Name) + ".dll"; !seen[name] {
					if next, ok := w.bind.bundle[name]; ok {
						seen[name] = true
						queue = append(queue, next)
					}
				}
			}
			b := image{path: host.path, dir: host.dir}
			var err error
			if b.natives, err = clr.NativeModules(); first == nil {
				first = err
			}
			if more := w.natives(&b, code.evidence, natives); own {
				facts = append(facts, loadsFact(w.about, code.evidence(clr.Metadata, namesLoads)))
				facts = append(facts, more...)
			}
			return first
		})
	}
	return facts
}

// maxBundled bounds how many assemblies of a bundle are followed.
const maxBundled = 512

// reference says where a reference leads, and keeps it.
func (w walker) reference(r *pe.Assembly, ev Evidence) bound {
	got := w.bind.find(r)
	if w.uses != nil {
		asker := askerAt(ev, HowReference)
		asker.Version, asker.Token = r.Version, r.PublicKeyToken()
		w.record(w.about, use{kind: ModuleAssembly, name: r.Name, asker: asker, provider: got.provider, from: got.from, why: got.why})
	}
	return got
}

// recordAssets keeps what deps.json lists.
func (w walker) recordAssets() {
	if w.uses == nil {
		return
	}
	for _, file := range sortedKeys(w.bind.assets) {
		a := w.bind.assets[file]
		u := use{kind: ModuleAssembly, name: strings.TrimSuffix(path.Base(a.asset), path.Ext(a.asset)), asker: Asker{Path: a.path, How: HowDeps, Line: a.line},
			provider: FromApp, from: a.found, why: "an asset of " + a.library}
		if a.kind != "runtime" && w.bind.managed(a.found) == nil {
			u.kind, u.name = ModuleNative, path.Base(a.asset)
		}
		switch {
		case a.found == "" && a.stored:
			u.provider, u.why = FromUnknown, "not in the folder; a runtime store may have it"
		case a.found == "":
			u.provider, u.why = FromNowhere, a.library+" is to bring it, and it is not in the folder"
		}
		w.record(w.about, u)
	}
}

// placeIn makes evidence of places in a file.
func placeIn(file string) func(pe.Span, string) Evidence {
	return func(s pe.Span, detail string) Evidence { return at(file, s, detail) }
}

// natives follows the native libraries that an assembly calls. seen are modules that
// were followed before.
func (w walker) natives(b *image, place func(pe.Span, string) Evidence, seen map[string]bool) []Fact {
	var facts []Fact
	for _, im := range b.natives {
		dll := moduleName(im.DLL)
		if len(im.Functions) == 0 || notWindows(im.DLL) {
			continue
		}
		ev := place(im.Functions[0].Span, "calls the native "+im.DLL+"!"+im.Functions[0].Name)
		local := w.nativeOf(b.dir, dll)
		where := ""
		if local != nil {
			where = local.path
		} else if a, ok := w.bind.assets[dll]; ok && a.found != "" {
			where = a.found
		} else if _, ok := w.bind.bundle[dll]; ok {
			where = w.bind.host
		}
		if w.uses != nil {
			u := use{kind: ModuleNative, name: dll, asker: askerAt(ev, HowPInvoke)}
			if where != "" {
				u.provider, u.from, u.why = FromApp, where, "where the runtime looks for it"
			} else {
				w.elsewhere(&u, im.Functions)
			}
			w.record(w.about, u)
		}
		if seen[dll] {
			continue
		}
		seen[dll] = true
		switch {
		case local != nil:
			facts = append(facts, w.Tree.imports(local, w.about)...)
		case where == "":
			facts = append(facts, w.library(dll, im.Functions, w.about, ev, HowPInvoke)...)
		}
	}
	if b.arch.Mixed {
		facts = append(facts, w.Tree.imports(b, w.about)...)
	}
	if w.family == "netfx" {
		facts = onServerCore(facts)
	}
	return facts
}

// onServerCore leaves of the facts about DLLs those that hold where the base is Server
// Core anyway. What only Server has does not choose that image: it has no .NET
// Framework or IIS, and a function may never be called.
func onServerCore(facts []Fact) []Fact {
	var out []Fact
	for _, f := range facts {
		switch need, ok := f.item.(FamilyNeed); {
		case !ok && f.Key != "delay-import":
			out = append(out, f)
		case ok && need.Family == FamilyServer && f.Key == "import":
			remedy := ""
			if row, _ := dllData().lookup(f.Value); row != nil && !row.DirectX {
				remedy = row.Remedy
			}
			if remedy != "" {
				out = append(out, Fact{Key: "import-not-in-core", Value: f.Value, about: f.about, Evidence: f.Evidence, item: map[string]string{"remedy": remedy}})
			}
		}
	}
	return out
}

// notWindows says whether a library that code declares functions of is one of another
// system: portable assemblies name those of each.
func notWindows(module string) bool {
	low := windowsBase(module)
	if module == "" || low == "*" || low == "qcall" || strings.HasPrefix(low, "__") {
		return true
	}
	if strings.HasSuffix(low, ".dll") {
		return false
	}
	for _, mark := range []string{".so", ".dylib"} {
		if strings.HasSuffix(low, mark) || strings.Contains(low, mark+".") {
			return true
		}
	}
	return slices.Contains([]string{"libc", "libdl", "libm", "libpthread", "libobjc", "librt", "libutil", "libxml2", "libssl", "libcrypto", "libsecret-1"}, low) ||
		strings.HasPrefix(low, "libsystem.") || strings.HasPrefix(module, "/")
}

// imports judges what a native file needs to start, following the DLLs that lie
// in the application's folder.
func (t *Tree) imports(start *image, about string) []Fact {
	var facts []Fact
	if start.x86 {
		ev := []Evidence{at(start.path, start.arch.Span, "machine is x86")}
		facts = append(facts, Fact{Key: "needs-wow64", Value: start.path, about: about, Evidence: ev,
			item: FamilyNeed{Family: FamilyServerCore, Why: "a 32-bit program needs WOW64, which Nano Server lacks", Evidence: ev}})
	}
	seen := map[*image]bool{start: true}
	follow := func(local *image, queue []*image) []*image {
		if !seen[local] {
			seen[local] = true
			queue = append(queue, local)
		}
		return queue
	}
	for queue := []*image{start}; len(queue) > 0; queue = queue[1:] {
		b := queue[0]
		facts = append(facts, b.loads(about)...)
		if b == start || !signalData().other.has(strings.TrimSuffix(b.base, path.Ext(b.base))) {
			facts = append(facts, importSignals(b, about)...)
		}
		for _, im := range b.imports {
			dll := strings.ToLower(im.DLL)
			ev := at(b.path, im.Span, "imports "+im.DLL)
			if local := t.byName[strings.ToLower(path.Join(start.dir, dll))]; local != nil {
				t.recordNative(about, dll, local.path, ev, HowImport, nil)
				facts = append(facts, t.sideBySide(local, about, ev)...)
				queue = follow(local, queue)
				continue
			}
			t.recordNative(about, dll, "", ev, HowImport, im.Functions)
			facts = append(facts, t.library(dll, im.Functions, about, ev, HowImport)...)
		}
		for _, im := range b.delayed {
			dll := strings.ToLower(im.DLL)
			ev := at(b.path, im.Span, "loads "+im.DLL+" at its first use")
			if local := t.byName[strings.ToLower(path.Join(start.dir, dll))]; local != nil {
				t.recordNative(about, dll, local.path, ev, HowDelay, nil)
				continue
			}
			t.recordNative(about, dll, "", ev, HowDelay, im.Functions)
			row := dllData().byName[dll]
			if row != nil && row.Nano == "no" && t.find(path.Join(start.dir, im.DLL)) == "" {
				facts = append(facts, Fact{Key: "delay-import", Value: clean(dll), about: about,
					Evidence: []Evidence{ev}, item: map[string]string{"remedy": row.Remedy}})
			}
		}
	}
	return facts
}

// recordNative keeps that a DLL is asked for; where is its path in the application.
func (t *Tree) recordNative(about, dll, where string, ev Evidence, how How, functions []pe.Function) {
	if t.uses == nil {
		return
	}
	u := use{kind: ModuleNative, name: dll, asker: askerAt(ev, how)}
	if where != "" {
		u.provider, u.from, u.why = FromApp, where, "beside the program, where the loader looks first"
	} else {
		t.elsewhere(&u, functions)
	}
	t.record(about, u)
}

// elsewhere completes a use of a DLL that does not lie where it is looked for.
func (t *Tree) elsewhere(u *use, functions []pe.Function) {
	if row, set := dllData().lookup(u.name); set == setNone && (row == nil || row.ofProduct()) {
		if p := t.whereIs(u.name); p != "" {
			u.provider, u.from, u.why = FromApp, p, "in another folder, which the application has to name"
			return
		}
	}
	u.x86 = t.asks32(u.asker.Path)
	for _, f := range functions {
		u.functions = append(u.functions, f.Name)
	}
}

// asks32 says whether a file runs in a process of 32 bits.
func (t *Tree) asks32(file string) bool {
	b := t.byName[strings.ToLower(file)]
	return b != nil && (b.native() && b.x86 || b.arch.Name == X86)
}
