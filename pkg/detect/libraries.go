package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Bounds of how far the code of a program is followed into its libraries.
const (
	maxLibraries = 64
	maxRounds    = 6 // from one assembly into the next
)

// shownByLibraries are the calls that make a program one with windows where Main
// reaches them in a library. A message box is none of them: libraries show them
// where something went wrong.
var shownByLibraries = slices.DeleteFunc(slices.Clone(windowCalls), func(c string) bool { return strings.HasSuffix(c, "MessageBox::Show") })

// assembly is one whose code can be read: a file, or a part of a bundle.
type assembly struct {
	path  string          // for evidence
	entry *pe.BundleEntry // where it is a part of a bundle
	code  func(func(*pe.CLR) error)
}

func (a assembly) evidence(s pe.Span, detail string) Evidence {
	if a.entry == nil {
		return at(a.path, s, detail)
	}
	place := a.entry.Span // of what is compressed no place inside can be shown
	if a.entry.Compressed == 0 && s.Length > 0 {
		place = pe.Span{Offset: a.entry.Offset + s.Offset, Length: s.Length}
	}
	return at(a.path, place, a.entry.Path+" in the bundle: "+detail)
}

// codeOf is the assembly of a file.
func (t *Tree) codeOf(b *image) assembly {
	return assembly{path: b.path, code: func(f func(*pe.CLR) error) {
		t.withPE(b.path, func(file *pe.File) error {
			clr, err := file.CLR()
			if err != nil || clr == nil {
				return err
			}
			return f(clr)
		})
	}}
}

// codeIn is the assembly of an entry of a bundle.
func (t *Tree) codeIn(b *image, e pe.BundleEntry) assembly {
	return assembly{path: b.path, entry: &e, code: func(f func(*pe.CLR) error) {
		t.withPE(b.path, func(file *pe.File) error {
			in, err := file.OpenEntry(e)
			if err != nil {
				return err
			}
			clr, err := in.CLR()
			if err != nil || clr == nil {
				return err
			}
			return f(clr)
		})
	}}
}

// readLibraries follows what Main calls into the assemblies of the application
// beside it. What is reached there counts as if it stood in the entry assembly;
// what only stands there, and would show windows or run a service, is kept as
// tr.maybe.
func (t *Tree) readLibraries(entry *image, tr *traits) {
	if tr.mayLead() {
		tr.follow(t.libraries(entry))
	}
}

// readBundled is readLibraries for an entry assembly in a bundle.
func (t *Tree) readBundled(b *image, entry pe.BundleEntry, refs []pe.Assembly, tr *traits) {
	if tr.mayLead() {
		tr.follow(t.bundled(b, entry, refs))
	}
}

// mayLead says that the entry assembly does not tell what kind of program it is, so
// that its libraries may.
func (tr *traits) mayLead() bool { return len(tr.service) == 0 && len(tr.loop) == 0 }

// bundled is libraries for an entry assembly in a bundle.
func (t *Tree) bundled(b *image, entry pe.BundleEntry, refs []pe.Assembly) []assembly {
	entries := map[string]pe.BundleEntry{}
	for _, e := range b.host.Bundle.Entries {
		entries[strings.ToLower(e.Path)] = e
	}
	var out []assembly
	seen := map[string]bool{strings.ToLower(entry.Path): true}
	for queue := refs; len(queue) > 0 && len(out) < maxLibraries; queue = queue[1:] {
		name := strings.ToLower(queue[0].Name + ".dll")
		e, ok := entries[name]
		if !ok || seen[name] || vendor(queue[0].Name) {
			continue
		}
		seen[name] = true
		lib := t.codeIn(b, e)
		out = append(out, lib)
		lib.code(func(clr *pe.CLR) error {
			more, err := clr.AssemblyRefs()
			queue = append(queue, more...)
			return err
		})
	}
	return out
}

// follow reads the libraries until no call leads further.
func (tr *traits) follow(libraries []assembly) {
	if len(libraries) == 0 {
		return
	}
	called := map[string]bool{}
	for _, c := range tr.calls {
		called[c.Member] = true
	}
	followed := make([]int, len(libraries)) // how many calls were known when a library was read
	for range maxRounds {
		before := len(called)
		for i, lib := range libraries {
			if followed[i] == len(called) {
				continue
			}
			followed[i] = len(called)
			tr.readLibrary(lib, called)
		}
		if len(called) == before {
			break
		}
	}
	if len(tr.service) > 0 || len(tr.window) > 0 {
		tr.maybe = nil
	}
}

// libraries are the assemblies of the application that the entry assembly
// refers to, directly or not, the nearest first.
func (t *Tree) libraries(entry *image) []assembly {
	var out []assembly
	seen := map[*image]bool{entry: true}
	for queue := []*image{entry}; len(queue) > 0 && len(out) < maxLibraries; queue = queue[1:] {
		for _, r := range queue[0].refs {
			lib := t.byName[strings.ToLower(path.Join(entry.dir, r.Name+".dll"))]
			if lib == nil || lib.clr == nil || seen[lib] || vendor(lib.name()) {
				continue
			}
			seen[lib] = true
			out = append(out, t.codeOf(lib))
			queue = append(queue, lib)
		}
	}
	return out[:min(len(out), maxLibraries)]
}

// readLibrary reads what the called methods of a library reach, and adds what
// they call.
func (tr *traits) readLibrary(lib assembly, called map[string]bool) {
	lib.code(func(clr *pe.CLR) error {
		ev := lib.evidence
		defer func() {
			look := ev(clr.Metadata.With(clr.Code), "metadata and code of a library that Main may call")
			same := func(e Evidence) bool {
				return e.Path == look.Path && e.Offset <= look.Offset && e.Offset+e.Length >= look.Offset
			}
			if i := slices.IndexFunc(tr.looked, same); i >= 0 {
				tr.looked[i] = look
			} else if len(tr.looked) < maxLooked {
				tr.looked = append(tr.looked, look)
			}
		}()
		defs, first := clr.TypeDefs()
		for _, d := range defs {
			if _, ok := tr.types[d.Name]; !ok {
				tr.types[d.Name] = d.Base
			}
		}
		calls, err := clr.CallsFromMembers(func(name string) bool { return called[name] })
		if first == nil {
			first = err
		}
		hits := func(to *[]Evidence, members []string) {
			for _, c := range calls {
				if e := ev(c.Span, c.Caller+" calls "+c.Member+", and Main reaches it"); slices.Contains(members, c.Member) && !slices.Contains(*to, e) {
					*to = append(*to, e)
				}
			}
		}
		for _, c := range calls {
			called[c.Member] = true
		}
		hits(&tr.window, shownByLibraries)
		hits(&tr.loop, loopCalls)
		hits(&tr.service, slices.Concat(serviceRuns, hostedServiceCalls, topshelfCalls))
		hits(&tr.foreground, slices.Concat(hostedServiceCalls, topshelfCalls))
		for _, row := range programFlavors {
			var found []Evidence
			hits(&found, row.calls)
			tr.addFlavor(row.flavor, found)
		}
		if len(tr.service) > 0 {
			own, err := clr.CallsTo(sortedKeys(nameSetters)...)
			if first == nil {
				first = err
			}
			if len(tr.names) == 0 {
				tr.readNames(own, ev)
			}
			tr.readSeveral(calls, ev)
		}
		standing, err := clr.CallsTo(slices.Concat(loopCalls, serviceRuns)...)
		for _, c := range standing[:min(len(standing), 2)] {
			if e := ev(c.Span, c.Caller+" calls "+c.Member); !slices.Contains(tr.maybe, e) && len(tr.maybe) < MaxEvidence {
				tr.maybe = append(tr.maybe, e)
			}
		}
		if first == nil {
			first = err
		}
		return first
	})
}
