package detect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// noDepth is deeper than any folder: the depth of what there is none of.
const noDepth = 1 << 20

// Tree is the folder as detectors see it: an index of its files, made once, that
// ignores case and never leaves the folder.
type Tree struct {
	Name string // of the application

	fsys   fs.FS
	limits Limits            // none is 0
	meter  *atomic.Int64     // bytes that were read
	spent  bool              // it was told that there are too many
	dirs   []*dir            // each before those below it, by name
	byKey  map[string][]*dir // by path in lower case
	open   map[string]string // path → path to open, for links inside the folder

	pages     pe.Pages // for binaries
	mu        sync.Mutex
	problems  []Problem
	xml       map[string]*element
	malformed map[string]int // line at which a file is no XML
	json      map[string]*node
	binaries  []*image            // sorted by path
	byName    map[string]*image   // by path in lower case
	byDir     map[string][]*image // by folder in lower case
	highest   int                 // see programDepth
	binders   map[string]*binder
	bases     *baseSet
	uses      map[string][]use // by the program that they are of; nil where no closure is asked for
	usesKept  int
	packaged  map[string]bool   // assemblies of packages, by name in lower case
	comNames  map[string]string // ProgIDs and CLSIDs that manifests name, and by which
	comFiles  map[string]bool   // DLLs whose COM classes manifests name, lower case
	// comSpelled are ProgIDs by their lower case.
	comSpelled map[string]string
	wrapped    *[]wrapped
	part       *view  // where it is a part of another one; nil for a folder of its own
	chosen     string // the program or project that is the app; empty where that is to be found
}

// newTree is newLimitedTree with the default limits.
func newTree(fsys fs.FS, name string) (*Tree, error) { return newLimitedTree(fsys, name, Limits{}) }

// newLimitedTree indexes the folder. The error is that of reading its root.
func newLimitedTree(fsys fs.FS, name string, limits Limits) (*Tree, error) {
	t := &Tree{
		Name: name, fsys: fsys, limits: limits.WithDefaults(), meter: new(atomic.Int64),
		byKey: map[string][]*dir{}, open: map[string]string{},
		xml: map[string]*element{}, malformed: map[string]int{}, json: map[string]*node{}, bases: &baseSet{},
	}
	t.pages.ReadBudget, t.pages.MaxRows = t.limits.Binary, t.limits.Rows
	top := scan(fsys, t.limits)
	if top.err != nil {
		return nil, fmt.Errorf("reading the app folder: %w", top.err)
	}
	t.collect(top)
	t.resolveLinks()
	t.nameIllegal()
	for _, d := range t.dirs {
		t.twice(d)
		d.below, d.illegal = nil, nil
	}
	return t, nil
}

// collect takes what scan found, up to the limit of files.
func (t *Tree) collect(top *dir) {
	files, full, cut := 0, false, false
	var take func(d *dir)
	take = func(d *dir) {
		t.dirs = append(t.dirs, d)
		t.byKey[d.key] = append(t.byKey[d.key], d)
		switch {
		case d.unread == tooDeep:
			t.problem(d.path, fmt.Sprintf("deeper than %d folders (limit depth): what lies below was not looked at", t.limits.Depth))
		case d.unread == tooMany && !cut: // which all later ones are too
			cut = true
			t.problem(d.path, fmt.Sprintf("more than %d files and folders come before (limit entries): this folder and later ones were not looked at", t.limits.Entries))
		case d.err != nil:
			t.problem(d.path, "the folder could not be read: "+reason(d.err)+"; what it holds is unknown")
		}
		for _, name := range d.odd {
			t.problem(d.in(name), "is neither a file nor a folder, so it was not read: take it out of the folder")
		}
		if d.long > 0 {
			t.problem(d.in(d.longest), fmt.Sprintf("its path has more than %d bytes (limit path), as have %d in all in this folder: they were not looked at", t.limits.Path, d.long))
		}
		if more := files + len(d.files) - int(t.limits.Files); more > 0 {
			if !full {
				full = true
				t.problem(d.in(d.files[len(d.files)-more].name), fmt.Sprintf("more than %d files (limit files): this one and later ones were not looked at", t.limits.Files))
			}
			d.files = d.files[:len(d.files)-more]
		}
		files += len(d.files)
		for _, sub := range d.below {
			take(sub)
		}
		d.odd = nil
	}
	take(top)
}

// list indexes a folder and those below it.
func (t *Tree) list(d *dir) {
	t.dirs = append(t.dirs, d)
	t.byKey[d.key] = append(t.byKey[d.key], d)
	for _, sub := range d.below {
		t.list(sub)
	}
}

// maxIllegal bounds how many names are told that an image cannot hold.
const maxIllegal = 100

// nameIllegal names what a Windows image cannot hold, which a build refuses.
func (t *Tree) nameIllegal() {
	count := 0
	for _, d := range t.dirs {
		for _, name := range d.illegal {
			if count++; count <= maxIllegal {
				t.problem(d.in(name.name), "cannot be in a Windows image: "+name.why+"; rename it or take it out of the folder")
			}
		}
	}
	if count > maxIllegal {
		t.problem(".", fmt.Sprintf("%d more names cannot be in a Windows image: rename them or take them out of the folder", count-maxIllegal))
	}
}

// twice names what lies in a folder, or in one that is the same on Windows, under
// a name that differs in case only.
func (t *Tree) twice(d *dir) {
	same := t.byKey[d.key]
	report := func(p, first string) {
		t.problem(p, fmt.Sprintf("differs from %q in case only: Windows keeps one of the two, and which one is not known", first))
	}
	if same[0] != d {
		report(d.path, same[0].path)
		for _, f := range d.files {
			if first := t.find(d.in(f.name)); first != d.in(f.name) {
				report(d.in(f.name), first)
			}
		}
		return
	}
	first := 0 // of the names before, that one which this one is equal to
	for i, f := range d.files {
		if f.key != d.files[first].key {
			first = i
		} else if i > first {
			report(d.in(f.name), d.in(d.files[first].name))
		}
	}
}

// reason is the cause without the path, which the Problem names already.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func (t *Tree) problem(p, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if strings.Contains(message, errTotal.Error()) {
		return // it was told once
	}
	t.problems = append(t.problems, Problem{Path: p, Message: message})
}

// find returns the path of a file whatever its case, or "".
// Of several whose names differ in case only it is the first.
func (t *Tree) find(p string) string {
	dir, base := split(strings.ToLower(path.Clean(p)))
	for _, d := range t.byKey[dir] {
		if i, ok := d.search(base); ok {
			return d.in(d.files[i].name)
		}
	}
	return ""
}

func (t *Tree) hasDir(p string) bool { return t.byKey[strings.ToLower(path.Clean(p))] != nil }

// withExt yields the files whose names end in one of the lower-case extensions:
// those of a folder by name, then those below it.
func (t *Tree) withExt(exts ...string) iter.Seq[file] {
	return func(yield func(file) bool) {
		for _, d := range t.dirs {
			if !d.has(exts) {
				continue
			}
			for _, f := range d.files {
				if slices.Contains(exts, path.Ext(f.key)) && !yield(file{d, f.name, f.key}) {
					return
				}
			}
		}
	}
}

func (t *Tree) openFile(p string) (fs.File, int64, error) {
	asks, asked := t, p
	for t.part != nil {
		p, t = t.part.real(p), t.part.of
	}
	if t.meter.Load() >= t.limits.Total {
		return nil, 0, asks.overTotal(asked)
	}
	if to, ok := t.open[p]; ok {
		p = to
	}
	f, err := t.fsys.Open(p)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("changed into something that is no file")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return asks.metered(f, asked), info.Size(), nil
}

// read returns a text file, where its size is within the limit, decoded to UTF-8. A file
// that cannot be read is a Problem that names what stays unknown.
func (t *Tree) read(p, unknown string) ([]byte, bool) {
	f, size, err := t.openFile(p)
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; "+unknown)
		return nil, false
	}
	defer f.Close()
	if size > t.limits.Text {
		t.problem(p, fmt.Sprintf("larger than %s (limit text), so it was not read; %s", sizeText(t.limits.Text), unknown))
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(f, t.limits.Text+1))
	if err == nil && int64(len(data)) > t.limits.Text {
		err = errors.New("grew while it was read")
	}
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; "+unknown)
		return nil, false
	}
	text, err := decodeText(data)
	if err != nil {
		t.problem(p, err.Error()+"; "+unknown)
		return nil, false
	}
	return text, true
}

// head returns the first n bytes of a file, decoded to UTF-8, nil where it
// cannot be read.
func (t *Tree) head(p string, n int64) []byte {
	f, _, err := t.openFile(p)
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; what it declares is unknown")
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; what it declares is unknown")
		return nil
	}
	if text, err := decodeText(data); err == nil {
		return text
	}
	return data
}

// start returns the first n bytes of a file as they are, fewer where it is shorter or
// cannot be read.
func (t *Tree) start(p string, n int) []byte {
	f, size, err := t.openFile(p)
	if err != nil {
		return nil
	}
	defer f.Close()
	data := make([]byte, min(int64(n), size))
	got, _ := io.ReadFull(f, data)
	return data[:got]
}

// empty says that the folder holds no file, and that nothing of it is unknown.
func (t *Tree) empty() bool {
	return len(t.problems) == 0 && !slices.ContainsFunc(t.dirs, func(d *dir) bool { return len(d.files) > 0 })
}

// depth is the number of folders above what lies in dir.
func (t *Tree) depth(dir string) int {
	if dir == "." {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

// programDepth is the depth of the highest folder that holds a program, noDepth
// where none does.
func (t *Tree) programDepth() int { return t.highest }

// findPrograms notes what programDepth tells.
func (t *Tree) findPrograms() {
	best := noDepth
	for _, b := range t.binaries {
		program := !b.isDLL && (b.native() && t.helper(b) == "" || !b.native() && b.starts())
		if b.isDLL && !b.native() {
			program = t.find(strings.TrimSuffix(b.path, path.Ext(b.path))+runtimeConfigExt) != ""
		}
		if program {
			best = min(best, t.depth(b.dir))
		}
	}
	t.highest = best
}
