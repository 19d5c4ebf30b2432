package build

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

//go:embed acl.toml
var aclText string

// aclRow is a folder that base images own. A layer that has an entry for it
// replaces its descriptor, so a layer's entry repeats it.
type aclRow struct {
	Path  string `toml:"path"`  // C:\...
	SDDL  string `toml:"sddl"`  // the access list
	Owner string `toml:"owner"` // SDDL of owner and group, which the source does not have
	// BelowFolder and BelowFile are for what an app puts below the folder, the
	// closest row counts. Empty means winlayer's defaults.
	BelowFolder string `toml:"below_folder"`
	BelowFile   string `toml:"below_file"`
	// Closed: the folders below it are the image's own too and not known, so an
	// app goes elsewhere, but for the folders that have a row themselves.
	Closed bool `toml:"closed"`
	// Everywhere: each base image has it, so that a plan that only wants it to be
	// there needs no entry.
	Everywhere bool   `toml:"everywhere"`
	Where      string `toml:"where"`
	Source     string `toml:"source"`
	Confidence string `toml:"confidence"`
	Note       string `toml:"note"`

	path                         string // slash-separated, below C:\
	self, belowFolder, belowFile sddl.Descriptor
}

type aclTable struct {
	// TI is the SID that stands as TI in the rows.
	TI  string   `toml:"ti"`
	Row []aclRow `toml:"folder_acl"`
}

// BaseFolders are folders that base images have, as C:\...
func BaseFolders() ([]string, error) {
	rows, err := folderACLs()
	var paths []string
	for _, r := range rows {
		paths = append(paths, r.Path)
	}
	return paths, err
}

var folderACLs = sync.OnceValues(func() ([]aclRow, error) { return parseACLs(aclText) })

func parseACLs(text string) ([]aclRow, error) {
	var t aclTable
	meta, err := toml.Decode(text, &t)
	if err != nil {
		return nil, fmt.Errorf("parsing acl.toml: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("parsing acl.toml: unknown key %q", unknown[0])
	}
	seen := map[string]bool{}
	for i := range t.Row {
		r := &t.Row[i]
		rest, ok := strings.CutPrefix(r.Path, `C:\`)
		r.path = strings.ReplaceAll(rest, `\`, "/")
		if !ok || winlayer.CheckPath(r.path, true) != nil || seen[winlayer.Fold(r.path)] {
			return nil, fmt.Errorf("parsing acl.toml: path %q", r.Path)
		}
		seen[winlayer.Fold(r.path)] = true
		if r.Source == "" || r.Where == "" || r.Confidence == "" {
			return nil, fmt.Errorf("parsing acl.toml: %q has no source, where or confidence", r.Path)
		}
		if r.SDDL == "" && !r.Closed {
			return nil, fmt.Errorf("parsing acl.toml: %q has no descriptor and is not closed", r.Path)
		}
		sid := strings.NewReplacer(";TI)", ";"+t.TI+")", "O:TI", "O:"+t.TI, "G:TI", "G:"+t.TI)
		parse := func(text string) sddl.Descriptor {
			d, perr := sddl.Parse(sid.Replace(text))
			if perr != nil && err == nil {
				err = fmt.Errorf("parsing acl.toml: %q: %w", r.Path, perr)
			}
			return d
		}
		r.self = parse(r.Owner + r.SDDL)
		r.belowFolder, r.belowFile = parse(r.BelowFolder), parse(r.BelowFile)
		if err != nil {
			return nil, err
		}
		if r.SDDL != "" && (r.self.Owner.IsZero() || r.self.Group.IsZero() || len(r.self.DACL) == 0) {
			return nil, fmt.Errorf("parsing acl.toml: %q has no owner, group or list", r.Path)
		}
	}
	return t.Row, nil
}
