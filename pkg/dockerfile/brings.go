package dockerfile

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// checkEntrypoint looks for what the user's entrypoint names in the app's folder of the
// image: a file there that no step brings is a slip of the fingers, and the container
// would end at once. A folder that can't be read is told elsewhere.
func (p *planner) checkEntrypoint() {
	if p.opt.App == nil {
		return
	}
	for i, word := range p.opt.Entrypoint {
		name, ok := p.below(word)
		if !ok || i > 0 && !runs(name) {
			continue
		}
		names := []string{name}
		if i == 0 && path.Ext(name) == "" {
			names = append(names, name+".exe") // as CreateProcess adds it
		}
		if p.brings(names) {
			continue
		}
		message := "the entrypoint names " + printable(word) + ", which neither the app nor [[files]] brings"
		const remedy = "name a file that is there, or bring this one by [[files]] in winpack.toml"
		if p.rows[0] == nil {
			p.findAt(RuleNoProgram, detect.LevelNote, message+"; the given base may have it", remedy, p.place("entrypoint"))
			continue
		}
		if near := p.nearestFile(name); near != "" {
			message += ": did you mean " + printable(near) + "?"
		}
		p.findAt(RuleNoProgram, detect.LevelError, message, remedy, p.place("entrypoint"))
	}
}

// below is a path of the image in the app's folder, slash-separated and without drive.
func (p *planner) below(word string) (string, bool) {
	to, err := absoluteWindows(word)
	if err != nil {
		return "", false
	}
	root := appDir
	if p.hosted() {
		root = siteDir
	}
	if len(to) <= len(root) || !strings.EqualFold(to[:len(root)+1], root+`\`) {
		return "", false
	}
	return imagePath(to), true
}

// imagePath is an absolute Windows path of drive C, slash-separated and without it.
func imagePath(to string) string {
	return strings.Trim(strings.ReplaceAll(strings.TrimPrefix(to, "C:"), `\`, "/"), "/")
}

// runs says whether an argument is a program or a script, rather than a file that it
// may write.
func runs(name string) bool {
	return slices.Contains([]string{".exe", ".com", ".dll", ".cmd", ".bat", ".ps1"}, strings.ToLower(path.Ext(name)))
}

// source is what a step copies: a file or folder of a file system, and where that lands,
// slash-separated and without drive.
type source struct {
	fsys     fs.FS
	from, to string
	exclude  []string // below from
}

func (p *planner) sources() []source {
	var all []source
	for _, s := range p.plan.Steps {
		if s.Kind != StepCopy {
			continue
		}
		x := source{p.opt.App, s.From, imagePath(s.To), s.Exclude}
		if s.Tree != "" {
			x.fsys = p.opt.Trees[s.Tree]
		}
		if s.From != "." && !s.Folder {
			x.to = path.Join(x.to, cmp.Or(s.Name, path.Base(s.From)))
		}
		if x.fsys != nil {
			all = append(all, x)
		}
	}
	return all
}

// brings says whether a step brings one of some files. Case does not count.
func (p *planner) brings(names []string) bool {
	for _, s := range p.sources() {
		for _, name := range names {
			rel := "."
			if !strings.EqualFold(name, s.to) {
				if len(name) <= len(s.to) || !strings.EqualFold(name[:len(s.to)+1], s.to+"/") {
					continue
				}
				rel = name[len(s.to)+1:]
			}
			if isFileFold(s.fsys, s.from, rel) {
				return true
			}
		}
	}
	return false
}

// isFileFold says whether there is a file below a folder, whatever the case of its name.
func isFileFold(fsys fs.FS, at, rel string) bool {
	for part := range strings.SplitSeq(rel, "/") {
		if _, err := fs.Stat(fsys, path.Join(at, part)); err == nil { // spares reading the folder
			at = path.Join(at, part)
			continue
		}
		found := ""
		err := detect.ListDir(fsys, at, func(d fs.DirEntry) error {
			if strings.EqualFold(d.Name(), part) {
				found = d.Name()
			}
			return nil
		})
		if found == "" {
			return errors.Is(err, fs.ErrPermission) // it may be there
		}
		at = path.Join(at, found)
	}
	info, err := fs.Stat(fsys, at)
	return err == nil && !info.IsDir()
}

// nearestFile is the path in the image of the file whose name is nearest to one that is
// not there; empty where none is near.
func (p *planner) nearestFile(name string) string {
	want := strings.ToLower(path.Base(name))
	best, least := "", len(want)/3+2
	for _, s := range p.sources() {
		s.walk(".", func(rel string) {
			full := path.Join(s.to, rel)
			base := strings.ToLower(path.Base(full))
			far := distance(want, base)
			if path.Ext(base) != path.Ext(want) {
				far++ // rather another program than the configuration of one
			}
			if far < least || far == least && best != "" && (len(full) < len(best) || len(full) == len(best) && full < best) {
				best, least = full, far
			}
		})
	}
	if best == "" {
		return ""
	}
	return `C:\` + strings.ReplaceAll(best, "/", `\`)
}

// walk visits the files of a source, in no order.
func (s source) walk(rel string, visit func(rel string)) {
	at := path.Join(s.from, rel)
	info, err := fs.Stat(s.fsys, at)
	switch {
	case err != nil:
		return
	case !info.IsDir():
		visit(rel)
		return
	}
	_ = detect.ListDir(s.fsys, at, func(d fs.DirEntry) error {
		below := path.Join(rel, d.Name())
		switch {
		case slices.Contains(s.exclude, below):
		case d.IsDir():
			s.walk(below, visit)
		default:
			visit(below)
		}
		return nil
	})
}
