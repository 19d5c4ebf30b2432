package build

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// walk implements winlayer.Walk: the steps' parts, laid over each other folder by
// folder. It may run several times at once.
func (t *tree) walk(visit func(winlayer.Entry) error) error {
	u := &union{tree: t, visit: visit, granted: map[grantKey]*sddl.Descriptor{}}
	return u.folder(folder{parts: t.root.parts, place: t.root})
}

// union is one walk.
type union struct {
	*tree
	visit   func(winlayer.Entry) error
	granted map[grantKey]*sddl.Descriptor
	seen    int
}

type grantKey struct {
	before *sddl.Descriptor
	grant  int
	folder bool
}

// folder is one of the image, whose entry was visited.
type folder struct {
	path   string
	parts  []part
	place  *place // nil where no step names it or something below it
	row    *aclRow
	grants []int
}

// item is a name in a folder of the image.
type item struct {
	name    string
	folder  bool
	source  string
	fsys    fs.FS // of source; nil for the app folder
	content []byte
	own     bool
	parts   []part
	place   *place
}

func (u *union) folder(dir folder) error {
	items, err := u.items(dir)
	if err != nil {
		return err
	}
	own := u.ownRows(dir.path)
	var list, leaf *sddl.Descriptor // of folders and of files here, but for those with rows
	for i := range items {
		for _, row := range own {
			if winlayer.Fold(path.Base(row.path)) == winlayer.Fold(items[i].name) {
				items[i].name = path.Base(row.path)
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	for _, it := range items {
		if u.seen++; u.seen > maxEntries {
			return fmt.Errorf("the app folder has more than %d files, at %q", maxEntries, it.source)
		}
		below := folder{path: path.Join(dir.path, it.name), parts: it.parts, place: it.place, row: dir.row, grants: dir.grants}
		if it.place != nil && len(it.place.grants) > 0 {
			below.grants = slices.Concat(dir.grants, it.place.grants)
			slices.Sort(below.grants)
		}
		e := winlayer.Entry{Path: below.path, Folder: it.folder, Source: it.source, FS: it.fsys, Content: it.content}
		at := slices.IndexFunc(own, func(row *aclRow) bool { return path.Base(row.path) == it.name })
		switch {
		case at >= 0:
			below.row = own[at]
			if below.row.SDDL == "" || !it.folder {
				return unknownFolder(e.Path)
			}
			e.Descriptor = u.grant(&below.row.self, below.grants, true)
		case dir.row != nil && dir.row.Closed:
			return unknownFolder(e.Path)
		case len(below.grants) != len(dir.grants):
			e.Descriptor = u.grant(inherited(dir.row, it.folder), below.grants, it.folder)
		case it.folder:
			if list == nil {
				list = u.grant(inherited(dir.row, true), dir.grants, true)
			}
			e.Descriptor = list
		default:
			if leaf == nil {
				leaf = u.grant(inherited(dir.row, false), dir.grants, false)
			}
			e.Descriptor = leaf
		}
		if err := u.visit(e); err != nil {
			return err
		}
		if it.folder {
			if err := u.folder(below); err != nil {
				return err
			}
		}
	}
	return nil
}

// items lists a folder: what its parts hold and the places below it, in the order
// of steps. The first spelling of a name stays and the last file wins. Names of one
// part that are one on Windows stay both here; the layer refuses them.
func (u *union) items(dir folder) ([]item, error) {
	var places []*place
	if dir.place != nil {
		places = dir.place.below
	}
	parts := dir.parts
	if len(places) == 0 && len(parts) == 1 { // nearly all folders
		return u.partItems(parts[0])
	}
	var m merge
	for len(parts) > 0 || len(places) > 0 {
		var next []item
		if len(places) > 0 && (len(parts) == 0 || places[0].step < parts[0].step) {
			p := places[0]
			places = places[1:]
			next = []item{{name: p.name, folder: true, parts: p.parts, place: p}}
		} else {
			p := parts[0]
			parts = parts[1:]
			var err error
			if next, err = u.partItems(p); err != nil {
				return nil, err
			}
		}
		if name := m.add(next); name != "" {
			return nil, fmt.Errorf("%s is put into the image twice", windowsName(path.Join(dir.path, name)))
		}
	}
	return m.items, nil
}

// merge lays what a folder holds over what earlier parts put there.
type merge struct {
	items []item
	index map[string]int // of items, by folded name
}

// add returns the name of what cannot be put there.
func (m *merge) add(items []item) string {
	before := len(m.items)
	for _, it := range items {
		i, there := m.index[winlayer.Fold(it.name)]
		if !there {
			m.items = append(m.items, it)
			continue
		}
		old := &m.items[i]
		switch {
		case it.place != nil && !old.folder && len(it.place.below) == 0 && len(it.place.parts) == 0:
			old.place = it.place // a grant on a file
		case old.folder != it.folder || it.own:
			return old.name
		case it.folder:
			old.parts = slices.Concat(old.parts, it.parts)
			slices.SortStableFunc(old.parts, func(a, b part) int { return a.step - b.step })
			if it.place != nil {
				old.place = it.place
			}
		default:
			old.source, old.fsys, old.content = it.source, it.fsys, it.content
		}
	}
	if m.index == nil {
		m.index = map[string]int{}
	}
	for i := before; i < len(m.items); i++ {
		m.index[winlayer.Fold(m.items[i].name)] = i
	}
	return ""
}

func (u *union) partItems(p part) ([]item, error) {
	if p.file != "" {
		it := item{name: p.file, source: p.dir.name, fsys: p.dir.fsys, content: p.content, own: p.own}
		return []item{it}, nil
	}
	all, err := list(cmp.Or(p.dir.fsys, u.app), p.dir)
	if err != nil {
		return nil, err
	}
	items := make([]item, len(all))
	for i, f := range all {
		items[i] = item{name: f.name, folder: f.folder, source: f.origin.name, fsys: p.dir.fsys}
		if f.folder {
			items[i].parts = []part{{step: p.step, dir: f.origin}}
		}
	}
	return items, nil
}

// ownRows are the folders of base images that lie directly in a folder.
func (t *tree) ownRows(dir string) []*aclRow {
	var own []*aclRow
	for i := range t.rows {
		above := path.Dir(t.rows[i].path)
		if above == dir || above == "." && dir == "" {
			own = append(own, &t.rows[i])
		}
	}
	return own
}

// inherited is the descriptor of what lies below the folder of a row.
func inherited(row *aclRow, folder bool) *sddl.Descriptor {
	switch {
	case row != nil && folder && row.BelowFolder != "":
		return &row.belowFolder
	case row != nil && !folder && row.BelowFile != "":
		return &row.belowFile
	}
	return winlayer.Default(folder)
}

// grant adds what grants let their trustees do.
func (u *union) grant(d *sddl.Descriptor, grants []int, folder bool) *sddl.Descriptor {
	for _, g := range grants {
		key := grantKey{d, g, folder}
		if u.granted[key] == nil {
			ace := sddl.ACE{Mask: modify, SID: u.grants[g]}
			if folder {
				ace.Flags = sddl.ObjectInherit | sddl.ContainerInherit
			}
			more := d
			if !slices.Contains(d.DACL, ace) {
				allowed := d.Allow(ace)
				more = &allowed
			}
			u.granted[key] = more
		}
		d = u.granted[key]
	}
	return d
}

func unknownFolder(p string) error {
	return fmt.Errorf("%s belongs to the base image, and which access list it has there is not known: put the app into a folder of its own", windowsName(p))
}

// windowsName is a path below C:\ in quotes, as Windows users write it.
func windowsName(p string) string {
	return strings.ReplaceAll(strconv.Quote(`C:\`+strings.ReplaceAll(p, "/", `\`)), `\\`, `\`)
}
