package detect

import (
	"cmp"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
)

// dir is a folder of the app. Of large apps it is most of what is kept, so a file
// is no more than its name.
type dir struct {
	path, key string   // "." for the app folder itself; key is path in lower case
	files     []leaf   // sorted by key, then by name
	exts      []string // of the files, in lower case; nil where there are more than maxExts

	// Until they were looked at.
	below      []*dir
	links, odd []string // names of links, and of what is neither file nor folder
	err        error    // of reading it
	unread     bool     // for it is too deep, or there are too many files
}

// leaf is a file in its folder. Its key is the name in lower case.
type leaf struct{ name, key string }

// file is a file in the whole.
type file struct {
	dir  *dir
	name string
	base string // name in lower case
}

func (f file) path() string { return f.dir.in(f.name) }
func (f file) ext() string  { return path.Ext(f.base) }
func (f file) top() bool    { return f.dir.path == "." }

// in is the path of a name in the folder.
func (d *dir) in(name string) string {
	if d.path == "." {
		return name
	}
	return d.path + "/" + name
}

// maxExts is how many different ones a folder has at most for it to be worth while
// to look at them first.
const maxExts = 16

func (d *dir) add(name string) {
	f := leaf{name, strings.ToLower(name)}
	if ext := path.Ext(f.key); (d.exts != nil || len(d.files) == 0) && !slices.Contains(d.exts, ext) {
		if d.exts = append(d.exts, ext); len(d.exts) > maxExts {
			d.exts = nil
		}
	}
	d.files = append(d.files, f)
}

// has says whether there may be files of one of the extensions.
func (d *dir) has(exts []string) bool {
	return d.exts == nil || slices.ContainsFunc(d.exts, func(ext string) bool { return slices.Contains(exts, ext) })
}

func (d *dir) sort() {
	slices.SortFunc(d.files, func(a, b leaf) int { return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.name, b.name)) })
}

func (d *dir) search(key string) (int, bool) {
	return slices.BinarySearchFunc(d.files, key, func(f leaf, key string) int { return strings.Compare(f.key, key) })
}

func split(p string) (dir, base string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return ".", p
}

// scan reads all folders on all cores, down to maxDepth and until more than twice
// maxFiles entries were seen.
func scan(fsys fs.FS, root []fs.DirEntry) *dir {
	var seen atomic.Int64
	var readers crew
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var read func(d *dir, entries []fs.DirEntry, depth int)
	read = func(d *dir, entries []fs.DirEntry, depth int) {
		full := seen.Add(int64(len(entries))) > 2*maxFiles || depth >= maxDepth
		d.fill(entries)
		for _, sub := range d.below {
			if sub.unread = full; full {
				continue
			}
			visit := func() {
				var entries []fs.DirEntry
				entries, sub.err = fs.ReadDir(fsys, sub.path)
				read(sub, entries, depth+1)
			}
			select {
			case slots <- struct{}{}:
				readers.Go(func() {
					defer func() { <-slots }()
					visit()
				})
			default:
				visit()
			}
		}
	}
	top := &dir{path: ".", key: "."}
	read(top, root, 0)
	readers.Wait()
	return top
}

// fill sorts the entries of a folder by what they are.
func (d *dir) fill(entries []fs.DirEntry) {
	files := 0
	for _, e := range entries {
		if e.Type().IsRegular() {
			files++
		}
	}
	d.files = make([]leaf, 0, files)
	for _, e := range entries {
		name := e.Name()
		switch mode := e.Type(); {
		case mode.IsRegular():
			d.add(name)
		case mode.IsDir():
			p := d.in(name)
			d.below = append(d.below, &dir{path: p, key: strings.ToLower(p)})
		case mode&fs.ModeSymlink != 0:
			d.links = append(d.links, name)
		default:
			d.odd = append(d.odd, name)
		}
	}
	d.sort()
}
