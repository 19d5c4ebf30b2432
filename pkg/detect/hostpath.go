package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Map says that a folder of the server is found as another one in the folder that is
// inspected.
type Map struct {
	From string // of Windows: `D:\sites`, `\\files\web`
	To   string // slash-separated, relative to the folder that is inspected
}

// exportBase is the folder that holds what was drive C: of a server, or the folders of
// its drives, by where its applicationHost.config lies in the export.
func exportBase(p string) string {
	dir := path.Dir(p)
	for _, tail := range []string{"windows/system32/inetsrv/config", "system32/inetsrv/config", "inetsrv/config", "config"} {
		if rest, ok := cutTail(dir, tail); ok {
			dir = rest
			break
		}
	}
	for _, drive := range []string{"c", "c$"} {
		if rest, ok := cutTail(dir, drive); ok {
			return rest
		}
	}
	return dir
}

// cutTail takes the last folders off a path.
func cutTail(dir, tail string) (string, bool) {
	low := strings.ToLower(dir)
	switch {
	case low == tail:
		return ".", true
	case strings.HasSuffix(low, "/"+tail):
		return dir[:len(dir)-len(tail)-1], true
	}
	return dir, false
}

// windowsFolders are the variables of the environment that paths of a server are
// written with, where Windows has them unless it was installed elsewhere.
var windowsFolders = map[string]string{
	"systemdrive":             `C:`,
	"homedrive":               `C:`,
	"systemroot":              `C:\Windows`,
	"windir":                  `C:\Windows`,
	"programfiles":            `C:\Program Files`,
	"programw6432":            `C:\Program Files`,
	"programfiles(x86)":       `C:\Program Files (x86)`,
	"commonprogramfiles":      `C:\Program Files\Common Files`,
	"commonprogramfiles(x86)": `C:\Program Files (x86)\Common Files`,
	"programdata":             `C:\ProgramData`,
	"allusersprofile":         `C:\ProgramData`,
	"public":                  `C:\Users\Public`,
}

var envVariable = pattern(`%([^%\\/:]+)%`)

// expanded is a path with its variables replaced; unknown names the first that has no
// fixed value.
func expanded(s string) (out, unknown string) {
	out = envVariable().ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := windowsFolders[strings.ToLower(strings.Trim(m, "%"))]; ok {
			return v
		}
		if unknown == "" {
			unknown = m
		}
		return m
	})
	return out, unknown
}

// locate is the folder that a path of the server has in the folder that is inspected;
// why says why there is none.
func (t *Tree) locate(physical, base string, maps []Map) (dir, why string) {
	full, unknown := expanded(strings.TrimSpace(physical))
	if unknown != "" {
		return "", "the value of " + clean(unknown) + " is not known"
	}
	full = strings.TrimRight(strings.ReplaceAll(full, "/", `\`), `\`)
	if full == "" {
		return "", "it is empty"
	}
	var tried []string
	look := func(p string) bool {
		if p == "" { // a drive as a whole
			p = "."
		}
		p = path.Clean(p)
		if p == ".." || strings.HasPrefix(p, "../") || path.IsAbs(p) {
			return false
		}
		if ds := t.byKey[strings.ToLower(p)]; ds != nil {
			dir = ds[0].path
			return true
		}
		if !slices.Contains(tried, p) {
			tried = append(tried, p)
		}
		return false
	}
	slashes := func(s string) string { return strings.Trim(strings.ReplaceAll(s, `\`, "/"), "/") }
	best := Map{}
	for _, m := range maps {
		from := strings.TrimRight(strings.ReplaceAll(m.From, "/", `\`), `\`)
		if (strings.EqualFold(full, from) || len(full) > len(from) && full[len(from)] == '\\' && strings.EqualFold(full[:len(from)], from)) && len(from) > len(best.From) {
			best = Map{from, m.To}
		}
	}
	if best.From != "" {
		if look(path.Join(best.To, slashes(full[len(best.From):]))) {
			return dir, ""
		}
		return "", fmt.Sprintf("%s, which --map names for it, is no folder of the app folder", clean(tried[0]))
	}
	switch {
	case strings.HasPrefix(full, `\\`):
		return "", "it is a share of another server: bring its files along, and name their folder with --map"
	case len(full) < 2 || full[1] != ':':
		return "", "it is no path of a drive"
	}
	drive, rest := full[:1], slashes(full[2:])
	for _, above := range []string{base, "."} {
		for _, p := range []string{drive + "/" + rest, drive + "$/" + rest} {
			if look(path.Join(above, p)) {
				return dir, ""
			}
		}
	}
	if rest != "" {
		for _, above := range []string{base, "."} {
			if look(path.Join(above, rest)) {
				return dir, ""
			}
		}
		// The folder that is inspected may itself be the one that the path begins with.
		if first, below, _ := strings.Cut(rest, "/"); strings.EqualFold(first, t.Name) && look(below) {
			return dir, ""
		}
	}
	return "", "it is none of " + clean(few(slices.Clone(tried))) + " in the app folder: bring it along, or name its folder with --map"
}
