package detect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of what is read of one folder. An application beyond them is reported
// as a Problem; what lies within them is still looked at.
const (
	maxDepth = 64
	maxFiles = 500_000
	maxText  = 8 << 20
)

// Tree is the folder as detectors see it: an index of its files, made once, that
// ignores case and never leaves the folder.
type Tree struct {
	Name string // of the application

	fsys  fs.FS
	files []file            // sorted by path
	order []int32           // of files: by key, then by path
	dirs  map[string]bool   // lower case
	open  map[string]string // path → path to open, for links inside the folder

	mu       sync.Mutex
	problems []Problem
	xml      map[string]*element
	json     map[string]*node
	binaries []*image // sorted by path
	byName   map[string]*image
}

type file struct {
	path string
	key  string // path in lower case
}

// newTree indexes the folder. The error is that of reading its root.
func newTree(fsys fs.FS, name string) (*Tree, error) {
	t := &Tree{
		Name: name, fsys: fsys,
		dirs: map[string]bool{".": true}, open: map[string]string{},
		xml: map[string]*element{}, json: map[string]*node{},
	}
	root, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the app folder: %w", err)
	}
	var links []string
	t.walk(t.scan(".", root), &links)
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	if len(links) > 0 {
		t.resolveLinks(links)
	}
	t.order = make([]int32, len(t.files))
	for i := range t.order {
		t.order[i] = int32(i)
	}
	slices.SortFunc(t.order, func(a, b int32) int {
		return cmp.Or(strings.Compare(t.files[a].key, t.files[b].key), cmp.Compare(a, b))
	})
	first := ""
	for i, at := range t.order {
		f := t.files[at]
		if i == 0 || t.files[t.order[i-1]].key != f.key {
			first = f.path
			continue
		}
		t.problem(f.path, fmt.Sprintf("differs from %q in case only: Windows keeps one of the two, and which one is not known", first))
	}
	return t, nil
}

// folder is one that was read, with those below it.
type folder struct {
	path    string
	entries []dirEntry
	err     error
	below   map[string]*folder // by name
}

// dirEntry is what is kept of an fs.DirEntry: those of a large folder add up.
type dirEntry struct {
	name string
	mode fs.FileMode // the type bits
}

func kept(entries []fs.DirEntry) []dirEntry {
	out := make([]dirEntry, len(entries))
	for i, e := range entries {
		out[i] = dirEntry{e.Name(), e.Type()}
	}
	return out
}

// scan reads all folders on all cores, down to maxDepth and until more than
// maxFiles entries were seen.
func (t *Tree) scan(root string, entries []fs.DirEntry) *folder {
	var seen atomic.Int64
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var read func(f *folder, depth int)
	read = func(f *folder, depth int) {
		if seen.Add(int64(len(f.entries))) > 2*maxFiles || depth >= maxDepth {
			return
		}
		f.below = map[string]*folder{}
		for _, e := range f.entries {
			if !e.mode.IsDir() {
				continue
			}
			sub := &folder{path: path.Join(f.path, e.name)}
			f.below[e.name] = sub
			visit := func() {
				entries, err := fs.ReadDir(t.fsys, sub.path)
				sub.entries, sub.err = kept(entries), err
				read(sub, depth+1)
			}
			select {
			case slots <- struct{}{}:
				wg.Go(func() {
					visit()
					<-slots
				})
			default:
				visit()
			}
		}
	}
	top := &folder{path: root, entries: kept(entries)}
	read(top, 0)
	wg.Wait()
	return top
}

func (t *Tree) walk(f *folder, links *[]string) {
	dir := f.path
	for _, e := range f.entries {
		p := e.name
		if dir != "." {
			p = dir + "/" + p
		}
		switch mode := e.mode; {
		case mode.IsDir():
			t.dirs[strings.ToLower(p)] = true
			below := f.below[e.name]
			if below == nil {
				t.problem(p, fmt.Sprintf("deeper than %d folders or beyond %d files: what lies below was not looked at", maxDepth, maxFiles))
				continue
			}
			if below.err != nil {
				t.problem(p, "the folder could not be read: "+reason(below.err)+"; what it holds is unknown")
			}
			t.walk(below, links)
			below.entries = nil
		case mode&fs.ModeSymlink != 0:
			*links = append(*links, p)
		case mode.IsRegular():
			if len(t.files) == maxFiles {
				t.problem(p, fmt.Sprintf("more than %d files: this one and later ones were not looked at", maxFiles))
			}
			if len(t.files) > maxFiles-1 {
				return
			}
			t.files = append(t.files, file{p, strings.ToLower(p)})
		default:
			t.problem(p, "is neither a file nor a folder, so it was not read")
		}
	}
}

// resolveLinks keeps links to files that were indexed, and names the others.
// Opening such a target passes no link, so it cannot leave the folder.
func (t *Tree) resolveLinks(links []string) {
	real := make(map[string]bool, len(t.files))
	for _, f := range t.files {
		real[f.path] = true
	}
	for _, l := range links {
		target, err := fs.ReadLink(t.fsys, l)
		if err != nil {
			t.problem(l, "the link could not be read: "+reason(err)+"; where it leads is unknown")
			continue
		}
		target = strings.ReplaceAll(target, `\`, "/")
		to := path.Join(path.Dir(l), target)
		switch {
		case path.IsAbs(target) || (len(target) > 1 && target[1] == ':') || !fs.ValidPath(to):
			t.problem(l, "is a link out of the app folder: it was not followed, and what the application finds there is unknown")
		case real[to]:
			t.open[l] = to
			t.files = append(t.files, file{l, strings.ToLower(l)})
		case t.dirs[strings.ToLower(to)]:
			t.problem(l, "is a link to a folder: it was not followed; copy the folder in its place")
		default:
			t.problem(l, "is a link that leads to no file of the app folder (broken, or in a loop): it was not followed")
		}
	}
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
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
	t.problems = append(t.problems, Problem{Path: p, Message: message})
}

// find returns the path of a file whatever its case, or "".
// Of several whose names differ in case only it is the first.
func (t *Tree) find(p string) string {
	key := strings.ToLower(path.Clean(p))
	i, ok := slices.BinarySearchFunc(t.order, key, func(at int32, key string) int { return strings.Compare(t.files[at].key, key) })
	if !ok {
		return ""
	}
	return t.files[t.order[i]].path
}

func (t *Tree) hasDir(p string) bool { return t.dirs[strings.ToLower(path.Clean(p))] }

// withExt yields the files whose names end in one of the lower-case extensions.
func (t *Tree) withExt(exts ...string) []file {
	var found []file
	for _, f := range t.files {
		if slices.Contains(exts, path.Ext(f.key)) {
			found = append(found, f)
		}
	}
	return found
}

func (t *Tree) openFile(p string) (fs.File, int64, error) {
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
	return f, info.Size(), nil
}

// read returns a text file of at most maxText bytes, decoded to UTF-8. A file
// that cannot be read is a Problem that names what stays unknown.
func (t *Tree) read(p, unknown string) ([]byte, bool) {
	f, size, err := t.openFile(p)
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; "+unknown)
		return nil, false
	}
	defer f.Close()
	if size > maxText {
		t.problem(p, fmt.Sprintf("larger than %d MB, so it was not read; %s", maxText>>20, unknown))
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(data) > maxText {
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

// hasBytes says whether n bytes of a file from offset on hold what.
func (t *Tree) hasBytes(p string, offset, n int64, what string) bool {
	f, _, err := t.openFile(p)
	if err != nil {
		return false
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return false
	}
	buf := make([]byte, n)
	got, _ := r.ReadAt(buf, offset)
	return strings.Contains(string(buf[:got]), what)
}

// depth is the number of folders above what lies in dir.
func (t *Tree) depth(dir string) int {
	if dir == "." {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

// programDepth is the depth of the highest folder that holds a program.
func (t *Tree) programDepth() int {
	best := maxDepth
	for _, b := range t.binaries {
		program := !b.isDLL && (b.native() && t.helper(b) == "" || !b.native() && b.clr.EntryPoint != 0)
		if b.isDLL && !b.native() {
			program = t.find(strings.TrimSuffix(b.path, path.Ext(b.path))+runtimeConfigExt) != ""
		}
		if program {
			best = min(best, t.depth(b.dir))
		}
	}
	return best
}
