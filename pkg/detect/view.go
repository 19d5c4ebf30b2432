package detect

import (
	"path"
	"slices"
	"strings"
)

// Mount is a folder of those that an app is put together from. A site of IIS may have
// its virtual directories elsewhere; all other apps are one folder.
type Mount struct {
	At   string `json:"at"`   // where the app has it, slash-separated; "." for the app itself
	From string `json:"from"` // where it lies in the folder that was inspected, "." for that itself
}

// outside begins the path of evidence that lies in no mount of a view, but in the
// folder that was inspected. No file of Windows is called so.
const outside = ":/"

// view is a part of a Tree that looks like a folder of its own: detectors see paths as
// the app has them, and what they found is told by the paths of the whole.
type view struct {
	of     *Tree
	mounts []Mount // the deepest At first
}

// real is the path, in the whole folder, of one in the view.
func (v *view) real(p string) string {
	if rest, ok := strings.CutPrefix(p, outside); ok {
		return rest
	}
	for _, m := range v.mounts {
		if rest, ok := within(p, m.At); ok {
			return path.Join(m.From, rest)
		}
	}
	return p
}

// within is the path of p in the folder dir, "." for that itself; ok is false where it
// lies elsewhere. Case does not count.
func within(p, dir string) (rest string, ok bool) {
	switch {
	case dir == ".":
		return p, true
	case len(p) == len(dir) && strings.EqualFold(p, dir):
		return ".", true
	case len(p) > len(dir) && p[len(dir)] == '/' && strings.EqualFold(p[:len(dir)], dir):
		return p[len(dir)+1:], true
	}
	return "", false
}

// view makes a Tree of what the mounts hold, but for the folders of except, which are
// paths of the whole. Nothing is read again: names and binaries are those of t.
func (t *Tree) view(name string, mounts []Mount, except []string) *Tree {
	mounts = slices.Clone(mounts)
	depth := func(m Mount) int {
		if m.At == "." {
			return 0
		}
		return len(m.At)
	}
	slices.SortStableFunc(mounts, func(a, b Mount) int { return depth(b) - depth(a) })
	v := &Tree{
		Name: name, fsys: t.fsys, limits: t.limits, meter: t.meter, part: &view{t, mounts},
		byKey: map[string][]*dir{}, open: map[string]string{},
		xml: map[string]*element{}, malformed: map[string]int{}, json: map[string]*node{},
	}
	var binaries []*image
	// place is where the view has a path of the whole, as seen from one mount.
	place := func(p string, m Mount) (string, bool) {
		rest, ok := within(p, m.From)
		if !ok || slices.ContainsFunc(except, func(e string) bool { _, in := within(p, e); return in }) {
			return "", false
		}
		at := path.Join(m.At, rest)
		for _, other := range mounts { // a mount hides what the one around it has there
			if _, in := within(at, other.At); in && depth(other) > depth(m) {
				return "", false
			}
		}
		return at, true
	}
	for _, m := range mounts {
		for _, d := range t.dirs {
			if at, ok := place(d.path, m); ok {
				c := newDir(at)
				c.files, c.exts, c.anyExt = d.files, d.exts, d.anyExt
				v.dirs = append(v.dirs, c)
			}
		}
		for _, b := range t.binaries {
			if at, ok := place(b.path, m); ok {
				c := *b
				c.path, c.dir = at, path.Dir(at)
				c.data = moved(b.data, at)
				c.uses = movedFacts(b.uses, at)
				binaries = append(binaries, &c)
			}
		}
	}
	v.pages.ReadBudget, v.pages.MaxRows = t.limits.Binary, t.limits.Rows
	v.bases = t.bases.unused()
	if t.uses != nil {
		v.uses = map[string][]use{}
	}
	v.fillFolders()
	slices.SortFunc(binaries, func(a, b *image) int { return strings.Compare(a.path, b.path) })
	v.index(binaries)
	return v
}

// moved is the evidence of a file under another path.
func moved(all []Evidence, p string) []Evidence {
	all = slices.Clone(all)
	for i := range all {
		all[i].Path = p
	}
	return all
}

// fillFolders adds the folders above mounts that the app does not have itself, and
// brings all into the order of a scan: each before those below it, by name.
func (t *Tree) fillFolders() {
	known := map[string]bool{}
	for _, d := range t.dirs {
		known[d.key] = true
	}
	for _, d := range slices.Clone(t.dirs) {
		for p := d.path; p != "."; {
			p = path.Dir(p)
			if low := strings.ToLower(p); !known[low] {
				known[low] = true
				t.dirs = append(t.dirs, newDir(p))
			}
		}
	}
	if len(t.dirs) == 0 {
		t.dirs = append(t.dirs, newDir("."))
	}
	order := func(d *dir) string {
		if d.path == "." {
			return ""
		}
		return strings.ReplaceAll(d.path, "/", "\x00")
	}
	slices.SortStableFunc(t.dirs, func(a, b *dir) int { return strings.Compare(order(a), order(b)) })
	for _, d := range t.dirs {
		t.byKey[d.key] = append(t.byKey[d.key], d)
	}
}

// tell gives a report of a view the paths of the whole folder, but for those of
// programs, folders and the like that the app itself goes by.
func (v *view) tell(r *Report) {
	place := func(all []Evidence) []Evidence {
		out := make([]Evidence, len(all))
		for i, e := range all {
			e.Path = v.real(e.Path)
			out[i] = e
		}
		return out
	}
	for i := range r.Facts {
		r.Facts[i].Evidence = place(r.Facts[i].Evidence)
	}
	for i := range r.Findings {
		r.Findings[i].Evidence = place(r.Findings[i].Evidence)
	}
	for i := range r.Problems {
		r.Problems[i].Path = v.real(r.Problems[i].Path)
	}
	n := &r.Needs
	for i := range n.SharedFrameworks {
		n.SharedFrameworks[i].Evidence = place(n.SharedFrameworks[i].Evidence)
	}
	for i := range n.Families {
		n.Families[i].Evidence = place(n.Families[i].Evidence)
	}
	for i := range n.Writes {
		n.Writes[i].Evidence = place(n.Writes[i].Evidence)
	}
	if n.Runtime != nil {
		rt := *n.Runtime
		rt.Evidence = place(rt.Evidence)
		n.Runtime = &rt
	}
	if iis := n.IIS; iis != nil {
		c := *iis
		c.AppPool.Evidence = place(c.AppPool.Evidence)
		for _, list := range []*[]Need{&c.Unlock, &c.Features, &c.Modules} {
			*list = slices.Clone(*list)
			for i := range *list {
				(*list)[i].Evidence = place((*list)[i].Evidence)
			}
		}
		n.IIS = &c
	}
	if c := r.Closure; c != nil {
		for i := range c.Modules {
			m := &c.Modules[i]
			if m.Provider == FromApp {
				m.From = v.real(m.From)
			}
			for j := range m.Askers {
				m.Askers[j].Path = v.real(m.Askers[j].Path)
			}
		}
	}
	if p := r.App.Program; p != nil && p.Service != nil {
		program, service := *p, *p.Service
		service.Evidence = place(service.Evidence)
		program.Service = &service
		r.App.Program = &program
	}
}
