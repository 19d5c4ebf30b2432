package build

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/detect/learned"
)

// folderRows are the folders of the base images: nil for those of acl.toml, or, where
// the contents of all bases were learned, those that they really have.
func (j *job) folderRows() ([]aclRow, error) {
	if j.learned == nil {
		return nil, nil
	}
	var all []*learned.Contents
	var lacking string
	for _, s := range j.sources {
		c, err := j.learned(s.Digest)
		if err != nil {
			return nil, err
		}
		if c == nil {
			lacking = s.Reference + "@" + s.Digest
			continue
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, nil
	}
	if lacking != "" { // one layer serves all
		j.say("layer", "app", "the contents of %s were not learned: the access lists of all folders are those that winpack knows", lacking)
		return nil, nil
	}
	rows, err := learnedRows(all)
	for _, s := range j.sources {
		j.say("layer", "app", "access lists of folders are those of %s, whose contents were learned", s.Reference+"@"+s.Digest)
	}
	return rows, err
}

// learnedRows joins what images have with what acl.toml says of what an app puts there.
// Where images differ in the descriptor of a folder, acl.toml decides.
func learnedRows(images []*learned.Contents) ([]aclRow, error) {
	table, err := folderACLs()
	if err != nil {
		return nil, err
	}
	known := map[string]*aclRow{}
	for i := range table {
		known[winlayer.Fold(table[i].path)] = &table[i]
	}
	type found struct {
		row    aclRow
		in     int
		text   string
		differ bool
	}
	seen := map[string]*found{}
	for _, c := range images {
		for _, f := range c.AllFolders() {
			d, ok := descriptorOf(f)
			if f.Path == "" || !ok || winlayer.CheckPath(f.Path, true) != nil {
				continue
			}
			key, text := winlayer.Fold(f.Path), string(d.Binary())
			at := seen[key]
			if at == nil {
				at = &found{row: aclRow{Path: windowsPathOf(f.Path), path: f.Path, self: d, SDDL: d.String()}, text: text}
				seen[key] = at
			}
			at.in++
			at.differ = at.differ || at.text != text
		}
	}
	var rows []aclRow
	for key, f := range seen {
		if f.differ {
			continue
		}
		row := f.row
		row.Everywhere = f.in == len(images)
		// Of what an app puts below it, the closest row that says something.
		for p := key; p != ""; p = above(p) {
			if k := known[p]; k != nil && (k.BelowFolder != "" || k.BelowFile != "") {
				row.BelowFolder, row.BelowFile, row.belowFolder, row.belowFile = k.BelowFolder, k.BelowFile, k.belowFolder, k.belowFile
				break
			}
		}
		rows = append(rows, row)
	}
	for key, k := range known {
		if f := seen[key]; f == nil || f.differ {
			rows = append(rows, *k)
		}
	}
	slices.SortFunc(rows, func(a, b aclRow) int { return strings.Compare(a.path, b.path) })
	return rows, nil
}

func above(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func windowsPathOf(p string) string { return `C:\` + strings.ReplaceAll(p, "/", `\`) }

// descriptorOf is the descriptor of a learned folder; ok is false where it has none that
// says who may do what.
func descriptorOf(f *learned.Folder) (d sddl.Descriptor, ok bool) {
	var err error
	switch {
	case f.Descriptor != "":
		var raw []byte
		if raw, err = base64.StdEncoding.DecodeString(f.Descriptor); err == nil {
			d, err = sddl.Decode(raw)
		}
	case f.SDDL != "":
		d, err = sddl.Parse(f.SDDL)
	default:
		return d, false
	}
	return d, err == nil && !d.Owner.IsZero() && !d.Group.IsZero() && len(d.DACL) > 0
}
