package detect

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxLinks is how often links are followed on the way to one file, as a build does.
const maxLinks = 40

// links are those of the folder, which an image has as what they lead to: a build
// follows them inside the folder, and so does Tree.
type links struct {
	t       *Tree
	targets map[string]string // of each link, as it is written; slashes only
	dirs    map[string]*dir   // by path
	folders map[*dir][]folderLink
	below   map[*dir][]*dir // without what links lead to
	left    int             // how many files and folders may be added
	full    bool            // they were not enough
}

type folderLink struct {
	name string
	to   *dir
}

// resolveLinks puts in the place of links what they lead to, and names those that
// lead nowhere. Opening such a file passes no link, so it cannot leave the folder.
func (t *Tree) resolveLinks() {
	l := links{t: t, targets: map[string]string{}, left: int(t.limits.Entries)}
	for _, d := range t.dirs {
		for _, name := range d.links {
			p := d.in(name)
			target, err := fs.ReadLink(t.fsys, p)
			if err != nil {
				t.problem(p, "the link could not be read: "+reason(err)+"; where it leads is unknown")
				continue
			}
			l.targets[p] = strings.ReplaceAll(target, `\`, "/")
		}
		l.left -= 1 + len(d.files)
	}
	if len(l.targets) == 0 {
		return
	}
	l.dirs, l.folders = map[string]*dir{}, map[*dir][]folderLink{}
	for _, d := range t.dirs {
		l.dirs[d.path] = d
	}
	type fileLink struct {
		dir      *dir
		name, to string
	}
	var files []fileLink
	for _, d := range t.dirs {
		for _, name := range d.links {
			p := d.in(name)
			if _, ok := l.targets[p]; !ok {
				continue
			}
			switch to, folder, why := l.follow(p); {
			case why != "":
				t.problem(p, why+": take it out of the folder, or put a copy in its place")
			case folder:
				l.folders[d] = append(l.folders[d], folderLink{name, l.dirs[to]})
			default:
				files = append(files, fileLink{d, name, to})
			}
		}
		d.links = nil
	}
	for _, f := range files {
		t.open[f.dir.in(f.name)] = f.to
		f.dir.add(f.name)
		f.dir.sort()
	}
	if len(l.folders) == 0 {
		return
	}
	l.below = map[*dir][]*dir{}
	for _, d := range t.dirs {
		l.below[d] = d.below
	}
	top := t.dirs[0]
	l.expand(top, top, nil)
	t.dirs, t.byKey = nil, map[string][]*dir{}
	t.list(top)
}

// follow resolves a link inside the folder; why says why it leads nowhere.
func (l *links) follow(p string) (to string, folder bool, why string) {
	pending, at, count := strings.Split(p, "/"), ".", 0
	for len(pending) > 0 {
		part := pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", false, "is a link out of the app folder"
			}
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, part)
		if target, ok := l.targets[at]; ok {
			if count++; count > maxLinks {
				return "", false, "is a link that leads into a loop"
			}
			if strings.HasPrefix(target, "/") || len(target) > 1 && target[1] == ':' {
				return "", false, "is a link out of the app folder"
			}
			pending = append(strings.Split(target, "/"), pending...)
			at = path.Dir(at)
		} else if l.dirs[at] == nil && (len(pending) > 0 || !l.holds(at)) {
			return "", false, fmt.Sprintf("is a link to %q, which is not there", clean(at))
		}
	}
	return at, l.dirs[at] != nil, ""
}

// holds says whether there is a file that is spelled so, and is no link.
func (l *links) holds(p string) bool {
	dir, base := split(p)
	d := l.dirs[dir]
	return d != nil && slices.ContainsFunc(d.files, func(f leaf) bool { return f.name == base })
}

// expand adds to a folder, and to those below it, what links to folders lead to.
// real is the folder itself, or that which d is a copy of; above are the folders
// through which it was reached.
func (l *links) expand(d, real *dir, above []*dir) {
	above = append(slices.Clip(above), real)
	var below []*dir
	add := func(child, real *dir) {
		if child != nil {
			below = append(below, child)
			l.expand(child, real, above)
		}
	}
	for _, sub := range l.below[real] {
		if d == real {
			add(sub, sub)
		} else {
			add(l.copy(sub, d.in(path.Base(sub.path))), sub)
		}
	}
	for _, link := range l.folders[real] {
		if p := d.in(link.name); slices.Contains(above, link.to) {
			l.t.problem(p, fmt.Sprintf("is a link to the folder %q, in which it lies: take it out of the folder", clean(link.to.path)))
		} else {
			add(l.copy(link.to, p), link.to)
		}
	}
	slices.SortFunc(below, func(a, b *dir) int { return strings.Compare(a.path, b.path) })
	d.below = below
}

// copy is a folder under another path; nil where there would be too much.
func (l *links) copy(real *dir, p string) *dir {
	d := newDir(p)
	if int64(strings.Count(p, "/")) >= l.t.limits.Depth {
		l.t.problem(p, fmt.Sprintf("deeper than %d folders (limit depth): what lies below was not looked at", l.t.limits.Depth))
		return nil
	}
	if l.left -= 1 + len(real.files); l.left < 0 {
		if !l.full {
			l.full = true
			l.t.problem(p, fmt.Sprintf("with what links lead to, there are more than %d files and folders (limit entries): this folder and later ones were not looked at", l.t.limits.Entries))
		}
		return nil
	}
	d.files, d.exts, d.anyExt = real.files, real.exts, real.anyExt
	for _, f := range d.files {
		to := real.in(f.name)
		if further, ok := l.t.open[to]; ok {
			to = further
		}
		l.t.open[d.in(f.name)] = to
	}
	return d
}
