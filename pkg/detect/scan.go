package detect

import (
	"cmp"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect/winname"
)

// dir is a folder of the app. Of large apps it is most of what is kept, so a file
// is no more than its name.
type dir struct {
	path, key string   // "." for the app folder itself; key is path in lower case
	files     []leaf   // sorted by key, then by name
	exts      []string // of the files, in lower case
	anyExt    bool     // there are more than maxExts, which are not kept

	// Until they were looked at.
	below      []*dir
	links, odd []string // names of links, and of what is neither file nor folder
	illegal    []illegal
	long       int    // names whose path is too long
	longest    string // the first of them, by name
	err        error  // of reading it
	unread     unread // it was not read
}

// unread is why a folder was not read.
type unread int

const (
	wasRead unread = iota
	tooDeep        // it lies below too many others
	tooMany        // too many entries were seen before it
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
	if ext := path.Ext(f.key); !d.anyExt && !slices.Contains(d.exts, ext) {
		if d.exts = append(d.exts, ext); len(d.exts) > maxExts {
			d.exts, d.anyExt = nil, true
		}
	}
	d.files = append(d.files, f)
}

// has says whether there may be files of one of the extensions.
func (d *dir) has(exts []string) bool {
	return d.anyExt || slices.ContainsFunc(d.exts, func(ext string) bool { return slices.Contains(exts, ext) })
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

// scan reads all folders down to the limit of depth: those that come before the limit of
// entries is reached, each before those below it and by name.
func scan(fsys fs.FS, limits Limits) *dir {
	if top := scanAll(fsys, limits); top != nil {
		return top
	}
	top := newDir(".")
	seen := int64(0)
	var read func(d *dir, depth int64)
	read = func(d *dir, depth int64) {
		seen += d.read(fsys, limits.Path)
		for _, sub := range d.below {
			switch {
			case depth >= limits.Depth:
				sub.unread = tooDeep
			case seen > limits.Entries:
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
func scanAll(fsys fs.FS, limits Limits) *dir {
	top := newDir(".")
	s := scanner{fsys: fsys, limits: limits, todo: []depthOf{{top, 0}}}
	s.more.L = &s.mu
	var readers crew
	// Workers that take one folder after the other: a goroutine for each folder spent
	// more time on being woken than on reading.
	for range runtime.GOMAXPROCS(0) {
		readers.Go(s.work)
	}
	readers.Wait()
	if s.seen > limits.Entries {
		return nil
	}
	return top
}

// scanner is what workers share.
type scanner struct {
	fsys   fs.FS
	limits Limits

	mu   sync.Mutex
	more sync.Cond // todo has grown, or nobody is reading any more
	todo []depthOf
	busy int   // workers that read a folder
	seen int64 // entries
}

// depthOf is a folder and how many others it lies below.
type depthOf struct {
	dir   *dir
	depth int64
}

func (s *scanner) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.todo) == 0 && s.busy > 0 {
			s.more.Wait()
		}
		if len(s.todo) == 0 || s.seen > s.limits.Entries {
			s.more.Broadcast()
			return
		}
		next := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		entries := s.read(next.dir)
		s.seen += entries // not in one: others add to it meanwhile
		for _, sub := range next.dir.below {
			if next.depth >= s.limits.Depth {
				sub.unread = tooDeep
			} else {
				s.todo = append(s.todo, depthOf{sub, next.depth + 1})
			}
		}
		if len(next.dir.below) > 1 {
			s.more.Broadcast()
		}
	}
}

// read lets the others go on while it reads. Should it panic, they do not wait for it.
func (s *scanner) read(d *dir) (entries int64) {
	s.busy++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if s.busy--; s.busy == 0 {
			s.more.Broadcast()
		}
	}()
	return d.read(s.fsys, s.limits.Path)
}

func newDir(p string) *dir { return &dir{path: p, key: strings.ToLower(p)} }

// read lists the folder, and says how many entries it has. The names of files, which
// may be hundreds of thousands, lie in one string.
func (d *dir) read(fsys fs.FS, most int64) (entries int64) {
	var names strings.Builder
	var ends []int
	d.err = ListDir(fsys, d.path, func(e fs.DirEntry) error {
		entries++
		if name := e.Name(); int64(len(d.path)+1+len(name)) > most {
			if d.long++; d.long == 1 || name < d.longest {
				d.longest = strings.ToValidUTF8(name, "?")
			}
			return nil
		}
		if d.take(e) {
			names.WriteString(e.Name())
			ends = append(ends, names.Len())
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
	slices.Sort(d.links)
	slices.Sort(d.odd)
	slices.SortFunc(d.illegal, func(a, b illegal) int { return strings.Compare(a.name, b.name) })
	return entries
}

// take adds an entry by what it is, and says whether it is a file, which it leaves
// to the caller.
func (d *dir) take(e fs.DirEntry) (file bool) {
	name, mode := e.Name(), e.Type()
	if !winname.Plain(name) {
		if err := winname.Check(name, mode.IsDir()); err != nil {
			d.illegal = append(d.illegal, illegal{name, err.Error()})
		}
		if !utf8.ValidString(name) { // no path of a file system here
			return false
		}
	}
	switch {
	case mode.IsRegular():
		return true
	case mode.IsDir():
		d.below = append(d.below, newDir(d.in(name)))
	case mode&fs.ModeSymlink != 0:
		d.links = append(d.links, name)
	default:
		d.odd = append(d.odd, name)
	}
	return false
}
