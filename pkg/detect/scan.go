package detect

import (
	"cmp"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect/winname"
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
	illegal    []illegal
	err        error  // of reading it
	unread     unread // it was not read
}

// unread is why a folder was not read.
type unread int

const (
	wasRead unread = iota
	tooDeep        // it lies below maxDepth others
	tooMany        // maxEntries were seen before it
)

// illegal is a name that a Windows image cannot hold.
type illegal struct{ name, why string }

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

// in is the path of a name in the folder. It may outlive the tree, and is no part of
// the string that has all names.
func (d *dir) in(name string) string {
	if d.path == "." {
		return strings.Clone(name)
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

// scan reads all folders down to maxDepth: those that come before the limit of
// entries is reached, each before those below it and by name.
func scan(fsys fs.FS, limit int64) *dir {
	if top := scanAll(fsys, limit); top != nil {
		return top
	}
	top := newDir(".")
	seen := int64(0)
	var read func(d *dir, depth int)
	read = func(d *dir, depth int) {
		seen += d.fill(fsys)
		for _, sub := range d.below {
			switch {
			case depth >= maxDepth:
				sub.unread = tooDeep
			case seen > limit:
				sub.unread = tooMany
			default:
				read(sub, depth+1)
			}
		}
	}
	read(top, 0)
	return top
}

// scanAll is scan on all cores, in no order; nil where there are more entries than
// the limit, since it may not be chance which of them are seen.
func scanAll(fsys fs.FS, limit int64) *dir {
	var seen atomic.Int64
	var readers crew
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var read func(d *dir, depth int)
	read = func(d *dir, depth int) {
		seen.Add(d.fill(fsys))
		for _, sub := range d.below {
			if depth >= maxDepth {
				sub.unread = tooDeep
				continue
			}
			if seen.Load() > limit {
				return
			}
			select {
			case slots <- struct{}{}:
				readers.Go(func() {
					defer func() { <-slots }()
					read(sub, depth+1)
				})
			default:
				read(sub, depth+1)
			}
		}
	}
	top := newDir(".")
	read(top, 0)
	readers.Wait()
	if seen.Load() > limit {
		return nil
	}
	return top
}

func newDir(p string) *dir { return &dir{path: p, key: strings.ToLower(p)} }

// fill reads a folder, sorts its entries by what they are, and returns how many there
// are. The names of files, which may be hundreds of thousands, lie in one string.
func (d *dir) fill(fsys fs.FS) (entries int64) {
	var names strings.Builder
	var ends []int
	d.err = ListDir(fsys, d.path, func(e fs.DirEntry) error {
		entries++
		name := e.Name()
		if !winname.Plain(name) {
			if err := winname.Check(name, e.IsDir()); err != nil {
				d.illegal = append(d.illegal, illegal{name, err.Error()})
			}
			if !utf8.ValidString(name) { // no path of a file system here
				return nil
			}
		}
		switch mode := e.Type(); {
		case mode.IsRegular():
			names.WriteString(name)
			ends = append(ends, names.Len())
		case mode.IsDir():
			d.below = append(d.below, newDir(d.in(name)))
		case mode&fs.ModeSymlink != 0:
			d.links = append(d.links, name)
		default:
			d.odd = append(d.odd, name)
		}
		return nil
	})
	d.files = make([]leaf, 0, len(ends))
	start, text := 0, names.String()
	for _, end := range ends {
		d.add(text[start:end])
		start = end
	}
	d.sort()
	slices.SortFunc(d.below, func(a, b *dir) int { return strings.Compare(a.path, b.path) })
	slices.SortFunc(d.illegal, func(a, b illegal) int { return strings.Compare(a.name, b.name) })
	slices.Sort(d.links)
	slices.Sort(d.odd)
	return entries
}
