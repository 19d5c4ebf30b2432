package pipeline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// lookFS is the app folder for one that opens thousands of files to look at a part
// of each: it keeps of a file its descriptor and of a folder the names, with none of
// what os.File does beside, which took a fifth of the time of looking.
type lookFS struct {
	appFS
	top   int        // descriptor of the folder, open as long as this is in use
	lists *sync.Pool // of *listing
}

// look is the app folder to look at, as long as top, which is its folder, is open.
func (a appFS) look(top *os.File) fs.FS {
	l := lookFS{appFS: a, top: -1, lists: &sync.Pool{New: func() any { return new(listing) }}}
	conn, err := top.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) { l.top = int(fd) })
	}
	if err != nil {
		return a
	}
	return l
}

// openRaw opens as appFS.open does.
func (l lookFS) openRaw(name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(l.top, name, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (l lookFS) Open(name string) (fs.File, error) {
	if err := l.hidden("open", name); err != nil {
		return nil, err
	}
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := l.openRaw(name, unix.O_NONBLOCK) // a pipe that took a file's place keeps nobody waiting
	if err != nil {
		return l.appFS.open(name) // whose errors say more, and who knows older kernels
	}
	f := &lookFile{fd: fd, lookInfo: lookInfo{name: name}}
	if err := unix.Fstat(fd, &f.st); err != nil || f.IsDir() {
		f.Close()
		return l.appFS.open(name)
	}
	return f, nil
}

// lookFile is an open file.
type lookFile struct {
	fd int
	lookInfo
}

func (f *lookFile) fail(op string, err error) error {
	if f.fd < 0 {
		err = fs.ErrClosed
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *lookFile) Close() error {
	if f.fd < 0 {
		return f.fail("close", nil)
	}
	err := unix.Close(f.fd)
	if f.fd = -1; err != nil {
		return &fs.PathError{Op: "close", Path: f.name, Err: err}
	}
	return nil
}

func (f *lookFile) Read(b []byte) (int, error) {
	return f.read(b, func(b []byte) (int, error) { return unix.Read(f.fd, b) })
}

func (f *lookFile) read(b []byte, read func([]byte) (int, error)) (int, error) {
	for {
		switch n, err := read(b); {
		case err == unix.EINTR:
		case err != nil:
			return 0, f.fail("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// ReadAt implements io.ReaderAt.
func (f *lookFile) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, f.fail("read", errors.New("negative offset"))
	}
	for n < len(b) {
		m, err := f.read(b[n:], func(b []byte) (int, error) { return unix.Pread(f.fd, b, off+int64(n)) })
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Stat is the state that the file had when it was opened.
func (f *lookFile) Stat() (fs.FileInfo, error) {
	if f.fd < 0 {
		return nil, f.fail("stat", nil)
	}
	return &f.lookInfo, nil
}

// lookInfo is the state of a file.
type lookInfo struct {
	name string // its path
	st   unix.Stat_t
}

func (i *lookInfo) Name() string       { return path.Base(i.name) }
func (i *lookInfo) Size() int64        { return i.st.Size }
func (i *lookInfo) ModTime() time.Time { return time.Unix(i.st.Mtim.Unix()) }
func (i *lookInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i *lookInfo) Sys() any           { return &i.st }

func (i *lookInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.st.Mode&0o777) | modeOf(uint8(i.st.Mode>>12&0xf))
	if i.st.Mode&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if i.st.Mode&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if i.st.Mode&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// modeOf is what the four bits of a type mean, in st_mode as in d_type.
func modeOf(kind uint8) fs.FileMode {
	switch kind {
	case unix.DT_REG:
		return 0
	case unix.DT_DIR:
		return fs.ModeDir
	case unix.DT_LNK:
		return fs.ModeSymlink
	case unix.DT_FIFO:
		return fs.ModeNamedPipe
	case unix.DT_SOCK:
		return fs.ModeSocket
	case unix.DT_BLK:
		return fs.ModeDevice
	case unix.DT_CHR:
		return fs.ModeDevice | fs.ModeCharDevice
	}
	return fs.ModeIrregular
}

// listing is memory to list a folder with, or a piece of a large one.
type listing struct {
	buf   [8 << 10]byte
	names []byte // one after the other
	found []listed
}

// maxPiece is about how many bytes of names a piece has.
const maxPiece = 64 << 10

// listed is an entry of a folder: a few bytes, for there are many.
type listed struct {
	start uint64 // the first eight bytes of its name, by which most are told apart
	at    uint32 // where the name stands in names
	size  uint16
	kind  uint8
}

// lookEntry is an entry of a folder.
type lookEntry struct {
	name string
	mode fs.FileMode
	root *os.Root
	dir  string
}

func (e *lookEntry) Name() string      { return e.name }
func (e *lookEntry) IsDir() bool       { return e.mode.IsDir() }
func (e *lookEntry) Type() fs.FileMode { return e.mode }
func (e *lookEntry) Info() (fs.FileInfo, error) {
	return e.root.Lstat(filepath.FromSlash(path.Join(e.dir, e.name)))
}

// ListDir implements detect.Lister. It gives entries by name, those of a large folder
// piece by piece, each as good as long as it is visited: the next one takes its place.
func (l lookFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := l.openRaw(name, unix.O_DIRECTORY)
	if err != nil { // it says more, and knows older kernels
		return l.appFS.ListDir(name, visit)
	}
	defer unix.Close(fd)
	list := l.lists.Get().(*listing)
	defer l.lists.Put(list)
	var own func(string) bool
	e := lookEntry{root: l.root, dir: name}
	for more := true; more; {
		if more, err = list.read(fd); err != nil {
			return &fs.PathError{Op: "readdir", Path: name, Err: err}
		}
		names := string(list.names)
		list.sort(names)
		if own == nil { // where these are all, they tell whether there is a record
			if !more && !list.has(names, dockerfile.RecordFile) {
				l.written.none(name)
			}
			own = l.owned(name)
		}
		for _, f := range list.found {
			if e.name, e.mode = f.in(names), modeOf(f.kind); own(e.name) {
				continue
			}
			if err := visit(&e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l lookFS) ReadDir(name string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	err := l.ListDir(name, func(e fs.DirEntry) error {
		if raw, ok := e.(*lookEntry); ok {
			kept := *raw
			e = &kept
		}
		entries = append(entries, e)
		return nil
	})
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	return entries, err
}

func (f listed) in(names string) string { return names[f.at : f.at+uint32(f.size)] }

// sort orders what was found by name.
func (list *listing) sort(names string) {
	for i := range list.found {
		f := &list.found[i]
		var b [8]byte
		copy(b[:], f.in(names))
		f.start = binary.BigEndian.Uint64(b[:]) // sorts as the bytes do
	}
	slices.SortFunc(list.found, func(a, b listed) int {
		if a.start != b.start {
			return cmp.Compare(a.start, b.start)
		}
		return strings.Compare(a.in(names), b.in(names))
	})
}

// has says whether one of the sorted entries has the name.
func (list *listing) has(names, name string) bool {
	_, found := slices.BinarySearchFunc(list.found, name, func(f listed, name string) int { return strings.Compare(f.in(names), name) })
	return found
}

// read lists the next piece of an open folder, and says whether there may be more.
func (list *listing) read(fd int) (more bool, err error) {
	list.names, list.found = list.names[:0], list.found[:0]
	for len(list.names) < maxPiece {
		n, err := unix.Getdents(fd, list.buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false, err
		}
		// struct linux_dirent64, getdents64(2): inode and offset, then two bytes of
		// length, one of type, and the name with its NUL.
		for b := list.buf[:n]; len(b) > 19; {
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size < 20 || size > len(b) {
				return false, syscall.EIO
			}
			name := b[19:size]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			kind := b[18]
			b = b[size:]
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if kind == unix.DT_UNKNOWN { // of file systems that do not say it
				var st unix.Stat_t
				switch err := unix.Fstatat(fd, string(name), &st, unix.AT_SYMLINK_NOFOLLOW); {
				case err == unix.ENOENT:
					continue
				case err != nil:
					return false, err
				}
				kind = uint8(st.Mode >> 12 & 0xf)
			}
			list.found = append(list.found, listed{at: uint32(len(list.names)), size: uint16(len(name)), kind: kind})
			list.names = append(list.names, name...)
		}
	}
	return true, nil
}
