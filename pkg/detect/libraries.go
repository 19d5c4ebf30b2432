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

// readLibraries follows what Main calls into the assemblies of the application
// beside it. What is reached there counts as if it stood in the entry assembly;
// what only stands there, and would show windows or run a service, is kept as
// tr.maybe.
func (t *Tree) readLibraries(entry *image, tr *traits) {
	if len(tr.service) > 0 || len(tr.loop) > 0 {
		return
	}
	libraries := t.libraries(entry)
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
			t.readLibrary(lib, tr, called)
		}
		if len(called) == before {
			break
		}
	}
	if len(tr.service) > 0 {
		t.readFallbacks(slices.Concat([]*image{entry}, libraries), tr, called)
	}
	if len(tr.service) > 0 || len(tr.window) > 0 {
		tr.maybe = nil
	}
}

// readFallbacks looks in the entry assembly and in the libraries that Main
// reaches for a fall-back to a console.
func (t *Tree) readFallbacks(assemblies []*image, tr *traits, called map[string]bool) {
	code := func(b *image, f func(*pe.CLR) error) {
		t.withPE(b.path, func(file *pe.File) error {
			clr, err := file.CLR()
			if err != nil || clr == nil {
				return err
			}
			return f(clr)
		})
	}
	everywhere := func(member func(string) bool) (all []pe.Call, first error) {
		for _, b := range assemblies {
			code(b, func(clr *pe.CLR) error {
				calls, err := clr.CallsFromMembers(member)
				all = append(all, calls...)
				return err
			})
		}
		return all, nil
	}
	for i, b := range assemblies {
		code(b, func(clr *pe.CLR) error {
			calls, err := tr.calls, error(nil)
			if i > 0 {
				calls, err = clr.CallsFromMembers(func(name string) bool { return called[name] })
			}
			if err != nil {
				return err
			}
			return tr.readFallback(calls, everywhere, func(s pe.Span, detail string) Evidence { return at(b.path, s, detail) })
		})
	}
}

// libraries are the assemblies of the application that the entry assembly
// refers to, directly or not, the nearest first.
func (t *Tree) libraries(entry *image) []*image {
	var out []*image
	seen := map[*image]bool{entry: true}
	for queue := []*image{entry}; len(queue) > 0 && len(out) < maxLibraries; queue = queue[1:] {
		for _, r := range queue[0].refs {
			lib := t.byName[strings.ToLower(path.Join(entry.dir, r.Name+".dll"))]
			if lib == nil || lib.clr == nil || seen[lib] || vendor(lib.name()) {
				continue
			}
			seen[lib] = true
			out = append(out, lib)
			queue = append(queue, lib)
		}
	}
	return out[:min(len(out), maxLibraries)]
}

// readLibrary reads what the called methods of a library reach, and adds what
// they call.
func (t *Tree) readLibrary(lib *image, tr *traits, called map[string]bool) {
	t.withPE(lib.path, func(f *pe.File) error {
		clr, err := f.CLR()
		if err != nil || clr == nil {
			return err
		}
		ev := func(s pe.Span, detail string) Evidence { return at(lib.path, s, detail) }
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
			if e := ev(c.Span, c.Caller+" calls "+c.Member); !slices.Contains(tr.maybe, e) && len(tr.maybe) < maxEvidence {
				tr.maybe = append(tr.maybe, e)
			}
		}
		if first == nil {
			first = err
		}
		return first
	})
}
