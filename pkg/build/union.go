package build

import (
	"bytes"
	"fmt"
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

func (u *union) folder(dir folder) error {
	s, err := u.shelf(dir)
	if err != nil {
		return err
	}
	own := u.ownRows(dir.path)
	var list, leaf *sddl.Descriptor // of folders and of files here, but for those with rows
	for _, row := range own {
		for i := range s.items {
			if base := path.Base(row.path); winlayer.Fold(base) == winlayer.Fold(s.name(s.items[i])) {
				if s.name(s.items[i]) == base {
					continue
				}
				x := s.extra(s.items[i])
				x.source = s.origin(s.items[i]).name
				s.set(&s.items[i], x)
				if err := s.spell(&s.items[i], base); err != nil {
					return err
				}
			}
		}
	}
	slices.SortFunc(s.items, func(a, b item) int { return bytes.Compare(s.bytes(a), s.bytes(b)) })
	for _, it := range s.items {
		name, x := s.name(it), s.extra(it)
		at := s.origin(it)
		if u.seen++; u.seen > maxEntries {
			return fmt.Errorf("the app folder has more than %d files, at %q", maxEntries, at.name)
		}
		below := folder{path: path.Join(dir.path, name), place: x.place, row: dir.row, grants: dir.grants}
		if x.place != nil && len(x.place.grants) > 0 {
			below.grants = slices.Concat(dir.grants, x.place.grants)
			slices.Sort(below.grants)
		}
		e := winlayer.Entry{Path: below.path, Folder: it.folder, Source: at.name, FS: at.fsys}
		if it.part != noPart && s.parts[it.part].content != nil {
			e.Source, e.FS, e.Content = "", nil, s.parts[it.part].content
		}
		row := slices.IndexFunc(own, func(row *aclRow) bool { return path.Base(row.path) == name })
		switch {
		case row >= 0:
			below.row = own[row]
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
			below.parts = s.below(it)
			if err := u.folder(below); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownRows are the folders of base images that lie directly in a folder.
func (t *tree) ownRows(dir string) []*aclRow { return t.below[winlayer.Fold(dir)] }

// rowsBelow are the rows by the folder that each lies in, "" for C:\ itself.
func rowsBelow(rows []aclRow) map[string][]*aclRow {
	below := map[string][]*aclRow{}
	for i := range rows {
		above := path.Dir(rows[i].path)
		if above == "." {
			above = ""
		}
		above = winlayer.Fold(above)
		below[above] = append(below[above], &rows[i])
	}
	return below
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
