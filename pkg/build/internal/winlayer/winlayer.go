// Package winlayer writes Windows container layers as a stream: a tar below
// Files, with the attributes, descriptors and times that the importers of Windows
// read (hcsshim pkg/ociwclayer/import.go, go-winio backuptar/tar.go), compressed
// on all cores.
//
// The bytes depend on names, contents, modification times and descriptors alone,
// not on the machine, the number of cores or the order of entries.
package winlayer

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// Entry is one file or folder of a layer.
type Entry struct {
	// Path is the Windows path below C:\, slash-separated: "inetpub/wwwroot/a.txt".
	Path   string
	Folder bool
	// Source is the file's name in Options.FS. Where it is empty, Content is the
	// file, and the file carries the newest time of the layer's sourced files.
	Source  string
	Content []byte
	// Size in bytes and ModTime are those of Source when it was listed; a source
	// that differs from them when it is read fails the layer.
	Size    int64
	ModTime time.Time
	// Descriptor is the security descriptor, which entries may share and nobody
	// changes. Nil stands for DefaultFolder or DefaultFile.
	Descriptor *sddl.Descriptor
}

// Options of a layer.
type Options struct {
	// FS holds the sources.
	FS fs.FS
	// Epoch is SOURCE_DATE_EPOCH: no time in the layer is later. Nil means no limit.
	Epoch *time.Time
	// Index, where it is not nil, gives the place of each entry by Fold of its path,
	// every folder above an entry being one too. The entries are then kept and
	// sorted in place instead of copied, which halves the memory for large apps.
	Index map[string]int32
	// MediaType is types.OCILayer (also when empty) or types.DockerLayer.
	MediaType types.MediaType
	// Progress is told the bytes of file content read so far, and their total. It
	// is called from the goroutine that reads, once a file or megabyte.
	Progress func(done, total int64)
}

// Layer is a Windows layer that is written each time it is read. It implements
// v1.Layer; Digest and Size are stream.ErrNotComputed until it was read to its
// end once, DiffID until then or until Hash. Two reads give the same bytes or an
// error. It is safe for use from several goroutines.
type Layer struct {
	entries []Entry
	opts    Options
	total   int64
	newest  time.Time
	sds     map[*sddl.Descriptor]string // encoded descriptors

	mu     sync.Mutex
	diffID *v1.Hash
	digest *v1.Hash
	size   int64
}

// FallbackTime is the time of a layer without sourced files or epoch, and of
// files whose file system knows no times.
var FallbackTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// New checks every name, adds the folders that are missing above the entries and
// sorts. Folders may be listed twice when they are the same in everything.
func New(entries []Entry, opts Options) (*Layer, error) {
	switch opts.MediaType {
	case "":
		opts.MediaType = types.OCILayer
	case types.OCILayer, types.DockerLayer:
	default:
		return nil, fmt.Errorf("media type %q is no gzip layer", opts.MediaType)
	}
	l := &Layer{opts: opts, sds: map[*sddl.Descriptor]string{}}
	if opts.Index != nil {
		if err := l.keep(entries, opts.Index); err != nil {
			return nil, err
		}
		l.opts.Index = nil
	} else {
		l.entries = make([]Entry, 0, len(entries))
		seen := make(map[string]int32, len(entries)) // by folded path
		for _, e := range entries {
			if err := l.add(seen, e); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(l.entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	if err := l.setTimes(); err != nil {
		return nil, err
	}
	return l, nil
}

// keep takes entries that are complete, after it has checked that they are.
func (l *Layer) keep(entries []Entry, index map[string]int32) error {
	if len(index) != len(entries) {
		return fmt.Errorf("%d entries have %d names", len(entries), len(index))
	}
	for i := range entries {
		e := &entries[i]
		if err := CheckPath(e.Path, e.Folder); err != nil {
			return err
		}
		if at, ok := index[Fold(e.Path)]; !ok || at != int32(i) {
			return fmt.Errorf("%q is not where the index has it", e.Path)
		}
		if slash := strings.LastIndexByte(e.Path, '/'); slash >= 0 {
			at, ok := index[Fold(e.Path[:slash])]
			if !ok || !entries[at].Folder || entries[at].Path != e.Path[:slash] {
				return fmt.Errorf("%q lies in no folder of the layer", e.Path)
			}
		}
		e.settle()
		l.total += e.Size
	}
	l.entries = entries
	return nil
}

// settle takes away what does not belong to an entry of its kind.
func (e *Entry) settle() {
	if e.Folder {
		e.Source, e.Content, e.Size = "", nil, 0
	} else if e.Source == "" {
		e.Size = int64(len(e.Content))
	}
}

func (l *Layer) add(seen map[string]int32, e Entry) error {
	if err := CheckPath(e.Path, e.Folder); err != nil {
		return err
	}
	for i, c := range e.Path {
		if c != '/' {
			continue
		}
		parent := e.Path[:i]
		if at, ok := seen[Fold(parent)]; ok {
			if l.entries[at].Path != parent {
				return collision(l.entries[at], Entry{Path: parent, Folder: true})
			}
			if !l.entries[at].Folder {
				return fmt.Errorf("%q is a file, and %q lies below it", parent, e.Path)
			}
			continue
		}
		if err := CheckPath(parent, true); err != nil {
			return err
		}
		seen[Fold(parent)] = int32(len(l.entries))
		l.entries = append(l.entries, Entry{Path: parent, Folder: true})
	}
	e.settle()
	key := Fold(e.Path)
	at, ok := seen[key]
	if !ok {
		seen[key] = int32(len(l.entries))
		l.entries = append(l.entries, e)
		l.total += e.Size
		return nil
	}
	old := &l.entries[at]
	if old.Path != e.Path || !old.Folder || !e.Folder {
		return collision(*old, e)
	}
	if e.Descriptor != nil {
		if old.Descriptor != nil && old.Descriptor.String() != e.Descriptor.String() {
			return fmt.Errorf("folder %q is given two descriptors", e.Path)
		}
		old.Descriptor = e.Descriptor
	}
	return nil
}

func collision(a, b Entry) error {
	if a.Path == b.Path {
		return fmt.Errorf("%q is there twice", a.Path)
	}
	return fmt.Errorf("%q and %q are one name on Windows, which does not tell case apart: rename one or take it out of the folder", name(a), name(b))
}

func name(e Entry) string { return cmp.Or(e.Source, e.Path) }

// The FILETIMEs that go-winio makes come from time.Time.UnixNano, which is
// defined for these years.
const firstYear, lastYear = 1678, 2261

// setTimes cuts the files' times to whole seconds, not after the epoch, and finds
// the newest.
func (l *Layer) setTimes() error {
	found := false
	for i := range l.entries {
		e := &l.entries[i]
		if e.Source == "" {
			continue
		}
		t := l.fileTime(*e)
		if y := t.UTC().Year(); y < firstYear || y > lastYear {
			return fmt.Errorf("%q is dated %d, which no Windows file can be", e.Source, y)
		}
		if !found || t.After(l.newest) {
			l.newest, found = t, true
		}
	}
	if !found {
		l.newest = FallbackTime
		if l.opts.Epoch != nil {
			l.newest = time.Unix(l.opts.Epoch.Unix(), 0).UTC()
		}
	}
	return nil
}

func (l *Layer) fileTime(e Entry) time.Time {
	if e.Source == "" {
		return l.newest
	}
	t := e.ModTime
	if t.IsZero() {
		t = FallbackTime
	}
	t = time.Unix(t.Unix(), 0).UTC()
	if l.opts.Epoch != nil && t.After(*l.opts.Epoch) {
		t = time.Unix(l.opts.Epoch.Unix(), 0).UTC()
	}
	return t
}

// Time is the newest time of the layer, for created and history of the image.
func (l *Layer) Time() time.Time { return l.newest }

// Default descriptors: those of BuildKit (util/winlayers/differ.go), which are
// what C:\ of a server image passes on. Users can read everything and add files
// and folders, and cannot change what is there.
const (
	DefaultFolder = "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
	DefaultFile   = "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
)

// Default returns the descriptor of a file or folder for which nothing else was
// said. It is shared: nobody changes it.
func Default(folder bool) *sddl.Descriptor {
	if folder {
		return defaultFolder()
	}
	return defaultFile()
}

var (
	defaultFolder = sync.OnceValue(func() *sddl.Descriptor { return mustParse(DefaultFolder) })
	defaultFile   = sync.OnceValue(func() *sddl.Descriptor { return mustParse(DefaultFile) })
)

func mustParse(text string) *sddl.Descriptor {
	d, err := sddl.Parse(text)
	if err != nil {
		panic(err) // a constant of this file, which a test reads
	}
	return &d
}

// Below says whether path is folder or lies below it, as Windows compares names.
// Both are slash-separated and below C:\.
func Below(path, folder string) bool {
	path, folder = Fold(path), Fold(folder)
	return path == folder || strings.HasPrefix(path, folder+"/")
}
