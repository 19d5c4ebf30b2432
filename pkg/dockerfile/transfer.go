package dockerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/util/system"
	mode "github.com/tonistiigi/dchapes-mode"
)

// transfer is a COPY or an ADD, expanded.
type transfer struct {
	what         instructions.SourcesAndDest
	exclude      []string
	parents      bool
	unpack       bool // of ADD: an archive is unpacked
	chown, chmod string
	link         bool
}

// copy does what BuildKit does (dockerfile2llb's dispatchCopy, the file operation
// of its solver, fsutil's copy), one source after the other.
func (e *evaluator) copy(t transfer) error {
	dest, err := e.destination(t.what.DestPath)
	if err != nil {
		return err
	}
	if err := t.checkFlags(); err != nil {
		return err
	}
	if t.chown != "" || t.chmod != "" {
		e.note("--chown and --chmod say nothing to Windows: winpack leaves them out, as BuildKit does")
	}
	before := len(e.plan.Steps)
	for _, source := range t.what.SourcePaths {
		if err := e.copySource(t, source, dest); err != nil {
			return err
		}
	}
	for _, c := range t.what.SourceContents {
		name, err := system.CheckSystemDriveAndRemoveDriveLetter(c.Path, "windows", false)
		if err != nil || strings.Contains(name, "/") {
			return fmt.Errorf("%q is no name of a file", c.Path)
		}
		to, name := e.fileAt(dest, name)
		e.add(Step{Kind: StepWrite, To: windows(to), Name: name, Text: c.Data}, to)
	}
	e.tellReplaced(e.plan.Steps[before:])
	return nil
}

// tellReplaced says where files of one instruction become the same file: BuildKit
// keeps the last one without a word.
func (e *evaluator) tellReplaced(steps []Step) {
	for i, s := range steps {
		same := func(o Step) bool {
			return !o.Folder && strings.EqualFold(o.To, s.To) && strings.EqualFold(o.Name, s.Name)
		}
		if i > 0 && !s.Folder && slices.ContainsFunc(steps[:i], same) {
			e.note("%s is written more than once, and the last one stays: end a folder with a separator", strings.TrimSuffix(s.To, `\`)+`\`+s.Name)
			return
		}
	}
}

// destination is where a COPY goes: absolute, slash-separated, without a drive, and
// with a slash at the end where it says that it is a folder.
func (e *evaluator) destination(dest string) (string, error) {
	dest, err := system.CheckSystemDriveAndRemoveDriveLetter(dest, "windows", true)
	if err != nil {
		return "", err
	}
	dir := e.dir
	if system.IsAbs(dest, "windows") {
		dir = "/"
	} else if dest == "." || dest == "" {
		dest = "./"
	}
	return system.NormalizePath(dir, dest, "windows", true)
}

func (t transfer) checkFlags() error {
	if t.chmod != "" {
		bits, err := strconv.ParseUint(t.chmod, 8, 32)
		if err == nil && bits > 0o7777 {
			err = errors.New("too large")
		} else if err != nil {
			_, err = mode.Parse(t.chmod)
		}
		if err != nil {
			return fmt.Errorf("--chmod=%s is neither an octal number up to 07777 nor like u+x: leave it out", t.chmod)
		}
	}
	user, group, _ := strings.Cut(t.chown, ":")
	for _, id := range []string{user, group} {
		if _, err := strconv.ParseUint(id, 10, 32); err != nil && id != "" && t.link {
			return fmt.Errorf("--chown=%s and --link exclude each other", t.chown)
		}
	}
	return nil
}

func (e *evaluator) copySource(t transfer, source, dest string) error {
	if remoteSource.MatchString(source) {
		if t.unpack {
			return &UnsupportedError{e.name, e.line, "ADD", "it fetches its source from elsewhere", []string{builderBuildKit, builderWindowsDocker}}
		}
		return errors.New("an address can't be copied from: take ADD, with BuildKit")
	}
	var include []string
	if t.parents {
		root, pattern, pivot := strings.Cut(source, "/./")
		if !pivot {
			root, pattern = "/", source
		}
		pattern, err := system.NormalizePath("/", pattern, "windows", false)
		if err != nil {
			return err
		}
		source, include = root, []string{strings.TrimPrefix(pattern, "/")}
		if !hasWildcard(root) && !hasWildcard(pattern) {
			if err := e.exists(path.Join("/", root, pattern), source); err != nil {
				return err
			}
		}
	}
	if strings.Contains(source, ":") {
		return fmt.Errorf("%q is no path in the context, which has no drives", source)
	}
	source, err := system.NormalizePath("/", source, "windows", false)
	if err != nil {
		return err
	}
	found, err := e.match(source)
	if err != nil {
		return err
	}
	for _, name := range found {
		info, err := fs.Stat(e.opt.Context, name)
		if err != nil {
			return fmt.Errorf("reading %q: %w", name, causeOf(err))
		}
		if info.IsDir() {
			to := strings.TrimSuffix(path.Clean(dest), "/")
			e.add(Step{Kind: StepCopy, From: name, To: windows(to), Folder: true, Include: include, Ignore: t.exclude}, to)
			continue
		}
		if t.unpack {
			archive, err := isArchive(e.opt.Context, name)
			if err != nil {
				return fmt.Errorf("reading %q: %w", name, causeOf(err))
			}
			if archive {
				return &UnsupportedError{e.name, e.line, "ADD", fmt.Sprintf("%q is an archive, which ADD unpacks (COPY does not)", name), []string{builderBuildKit, builderWindowsDocker}}
			}
		}
		to, base := e.fileAt(dest, path.Base(name))
		e.add(Step{Kind: StepCopy, From: name, To: windows(to), Name: base}, to)
	}
	return nil
}

// fileAt says in which folder a file lands, and what it is called there.
func (e *evaluator) fileAt(dest, name string) (to, base string) {
	clean := path.Clean(dest)
	if strings.HasSuffix(dest, "/") || strings.HasSuffix(dest, "/.") || e.isFolder(clean) {
		return clean, name
	}
	to, base = path.Dir(clean), path.Base(clean)
	if !strings.EqualFold(path.Ext(base), path.Ext(name)) || path.Ext(base) == "" && !strings.EqualFold(base, name) {
		e.note("%s is a file here; where the base has a folder of that name, end it with a separator: the direct builder does not look into the base", windows(clean))
	}
	return to, base
}

// match lists what a source names, slash-separated: a pattern what it matches in
// the order of names, without what lies below a match.
func (e *evaluator) match(source string) ([]string, error) {
	source = strings.TrimPrefix(path.Clean(source), "/")
	if source == "" {
		return []string{"."}, nil
	}
	parts := strings.Split(source, "/")
	first := slices.IndexFunc(parts, hasWildcard)
	if first < 0 {
		return []string{source}, e.exists(source, source)
	}
	root, pattern := path.Join(parts[:first]...), path.Join(parts[first:]...)
	if root == "" {
		root = "."
	} else if err := e.exists(root, source); err != nil {
		return nil, err
	}
	var found []string
	err := fs.WalkDir(e.opt.Context, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading %q: %w", name, causeOf(err))
		}
		rel := name
		if root != "." {
			rel = strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
		}
		if name == root {
			return nil
		}
		matches, err := path.Match(pattern, rel)
		if err != nil {
			return fmt.Errorf("%q is no pattern: a [ begins a class, like [ab]", source)
		}
		if matches {
			found = append(found, name)
		}
		if d.IsDir() && (matches || strings.Count(rel, "/") >= strings.Count(pattern, "/")) {
			return fs.SkipDir
		}
		return nil
	})
	return found, err
}

func hasWildcard(name string) bool { return strings.ContainsAny(name, "*?[") }

// exists says what is wrong where a source names nothing.
func (e *evaluator) exists(name, source string) error {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if name == "" {
		return nil
	}
	_, err := fs.Stat(e.opt.Context, name)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading %q: %w", name, causeOf(err))
	}
	if other, ok := lookFold(e.opt.Context, name); ok {
		return fmt.Errorf("%q is not in the context; there is %q, and case counts", source, other)
	}
	return fmt.Errorf("%q is not in the context: nothing is called so, or the ignore file leaves it out", source)
}

func causeOf(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// lookFold finds a name as Windows does, whatever its case.
func lookFold(fsys fs.FS, name string) (string, bool) {
	at := "."
	for part := range strings.SplitSeq(name, "/") {
		entries, err := fs.ReadDir(fsys, at)
		if err != nil {
			return "", false
		}
		i := slices.IndexFunc(entries, func(d fs.DirEntry) bool { return d.Name() == part })
		if i < 0 {
			i = slices.IndexFunc(entries, func(d fs.DirEntry) bool { return strings.EqualFold(d.Name(), part) })
		}
		if i < 0 {
			return "", false
		}
		at = path.Join(at, entries[i].Name())
	}
	return at, true
}

// windows writes a path below the root as one of drive C.
func windows(slash string) string {
	if slash == "" || slash == "/" {
		return `C:\`
	}
	return "C:" + strings.ReplaceAll(slash, "/", `\`)
}

// add takes a step over, and notes the folders that it makes.
func (e *evaluator) add(s Step, folder string) {
	s.Source = fmt.Sprintf("%s:%d", e.name, e.line)
	e.plan.Steps = append(e.plan.Steps, s)
	if e.places == nil {
		e.places = map[string]bool{}
	}
	for dir := folder; dir != "/" && dir != "." && dir != ""; dir = path.Dir(dir) {
		e.places[strings.ToLower(dir)] = true
	}
}

// folder makes a folder, where it is not there.
func (e *evaluator) folder(dir string) error {
	switch folder, known := e.made(dir); {
	case known && !folder:
		return fmt.Errorf("%s is a file", windows(dir))
	case !known:
		e.add(Step{Kind: StepFolder, To: windows(dir)}, dir)
	}
	return nil
}

// isFolder says whether a folder is known to be in the image: because a step made
// it, or the base has it.
func (e *evaluator) isFolder(dir string) bool {
	if folder, known := e.made(dir); known {
		return folder
	}
	return slices.ContainsFunc(e.opt.Folders, func(f string) bool { return strings.EqualFold(f, windows(dir)) })
}

// made says whether the steps so far made what has a name, and whether that is a
// folder.
func (e *evaluator) made(name string) (folder, known bool) {
	if name == "/" || e.places[strings.ToLower(name)] {
		return true, true
	}
	for _, s := range slices.Backward(e.plan.Steps) {
		to := strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(s.To, "C:"), `\`, "/"), "/")
		if s.Name != "" {
			if strings.EqualFold(to+"/"+s.Name, name) {
				return false, true
			}
			continue
		}
		if s.Kind != StepCopy || len(name) <= len(to)+1 || !strings.EqualFold(name[:len(to)+1], to+"/") {
			continue
		}
		left, err := s.Filtered(e.opt.Context, s.From)
		if err != nil {
			continue // the builder says so
		}
		if found, ok := lookFold(left, path.Join(s.From, name[len(to)+1:])); ok {
			info, err := fs.Stat(left, found)
			return err == nil && info.IsDir(), true
		}
	}
	return false, false
}
