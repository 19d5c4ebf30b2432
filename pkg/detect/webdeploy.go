package detect

import (
	"path"
	"slices"
	"strings"
)

// InsideApp says whether a folder of that name, in any case, belongs to an application
// rather than around it: in a package of Web Deploy it ends the path that only leads there.
func InsideApp(name string) bool {
	return slices.Contains([]string{"bin", "app_data", "app_code", "views", "wwwroot", "web-inf", "webapps", "conf", "node_modules", "standalone"}, strings.ToLower(name))
}

// unpacked is the folder of the application in an unpacked package of Web Deploy; empty
// where the folder is none. The package keeps the path of the machine that made it below
// Content: a folder that holds one folder and nothing else is passed through, as in a
// package that is still a .zip.
func (t *Tree) unpacked() string {
	manifest := func(name string) bool {
		p := t.find(name)
		if p == "" {
			return false
		}
		_, ok := t.holds(p, []string{"msdeploy."})
		return ok
	}
	if t.marked(t.dirs[0]) || !manifest("archive.xml") && !manifest("manifest.xml") {
		return ""
	}
	at := t.byKey["content"]
	for len(at) == 1 && len(at[0].files) == 0 {
		only := t.below(at[0])
		if len(only) != 1 || InsideApp(path.Base(only[0].key)) {
			break
		}
		at = only
	}
	if len(at) != 1 {
		return ""
	}
	return at[0].path
}

// below are the folders in one.
func (t *Tree) below(d *dir) []*dir {
	var out []*dir
	for _, sub := range t.dirs[1:] {
		if rest, ok := strings.CutPrefix(sub.path, d.path+"/"); ok && !strings.Contains(rest, "/") {
			out = append(out, sub)
		}
	}
	return out
}
