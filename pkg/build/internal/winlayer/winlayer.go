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
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// Format numbers the bytes of layers: the same entries with the same content give the
// same layer, compressed and not, as long as it stays. Whoever changes a byte raises
// it; a test holds both together.
const Format = 1

// Entry is one file or folder of a layer.
type Entry struct {
	// Path is the Windows path below C:\, slash-separated: "inetpub/wwwroot/a.txt".
	Path   string
	Folder bool
	// Source is the file's name in FS, or in that of the options where FS is nil; of a
	// folder it only stands in errors.
	// Where a file has none, Content is the file, and it carries the newest time of
	// the layer's sourced files.
	Source  string
	FS      fs.FS
	Content []byte
	// Descriptor is the security descriptor, which entries may share and nobody
	// changes. Nil stands for that of Default.
	Descriptor *sddl.Descriptor
}

// Walk calls visit with each entry of a layer: a folder before what lies in it, all
// of that before the next name, and the names in a folder in ascending order of
// their bytes. It ends with visit's first error. It is called each time the layer
// is read, from several goroutines at once if they read, and gives the same each
// time unless the app has changed.
type Walk func(visit func(Entry) error) error

// Options of a layer.
type Options struct {
	// FS holds the sources.
	FS fs.FS
	// Epoch is SOURCE_DATE_EPOCH: no time in the layer is later. Nil means no limit.
	Epoch *time.Time
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
//
// It keeps twelve bytes for each entry, so that an app of any size can be written.
type Layer struct {
	walk   Walk
	opts   Options
	total  int64 // bytes of content
	newest time.Time
	marks  []mark // in the order of walk
	seed   maphash.Seed

	mu     sync.Mutex
	diffID *v1.Hash
	digest *v1.Hash
	size   int64
}

// mark is what is remembered of an entry, to see whether it has changed.
type mark struct {
	path, state uint32
	content     uint32 // checksum of a file that was read, 0 until then; atomic
}

// FallbackTime is the time of a layer without sourced files or epoch, and of
// files whose file system knows no times.
var FallbackTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// New walks the layer once: it checks names and order, and asks for the state of
// every file. The error is that of the first name that cannot be in a layer, or of
// reading.
func New(ctx context.Context, walk Walk, opts Options) (*Layer, error) {
	switch opts.MediaType {
	case "":
		opts.MediaType = types.OCILayer
	case types.OCILayer, types.DockerLayer:
	default:
		return nil, fmt.Errorf("media type %q is no gzip layer", opts.MediaType)
	}
	l := &Layer{walk: walk, opts: opts, seed: maphash.MakeSeed()}
	names := order{seed: l.seed}
	found := false
	err := walk(func(e Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := names.next(e); err != nil {
			return err
		}
		m := mark{path: l.pathMark(e)}
		switch {
		case e.Folder:
		case e.Source == "":
			l.total += int64(len(e.Content))
		default:
			info, err := fs.Lstat(cmp.Or(e.FS, opts.FS), e.Source)
			if err != nil {
				return ReadError(e.Source, err)
			}
			if !info.Mode().IsRegular() {
				return changed(e.Source)
			}
			t := l.FileTime(info.ModTime())
			if y := t.Year(); y < firstYear || y > lastYear {
				return fmt.Errorf("%q is dated %d: a layer can hold the years %d to %d; correct the file's time", e.Source, y, firstYear, lastYear)
			}
			if !found || t.After(l.newest) {
				l.newest, found = t, true
			}
			l.total += info.Size()
			m.state = l.stateMark(info)
		}
		l.marks = append(l.marks, m)
		return nil
	})
	if err == nil && names.end() {
		err = names.find(ctx, walk)
	}
	if err != nil {
		return nil, err
	}
	if !found {
		l.newest = FallbackTime
		if opts.Epoch != nil {
			l.newest = time.Unix(opts.Epoch.Unix(), 0).UTC()
		}
	}
	return l, nil
}

// Len is the number of files and folders.
func (l *Layer) Len() int { return len(l.marks) }

func (l *Layer) pathMark(e Entry) uint32 {
	h := maphash.String(l.seed, e.Path)
	if e.Folder {
		h++
	}
	return uint32(h)
}

func (l *Layer) stateMark(info fs.FileInfo) uint32 {
	return uint32(maphash.Comparable(l.seed, [2]int64{info.Size(), info.ModTime().UnixNano()}))
}

// order checks the entries of a walk, one after the other. Of the names in a folder it
// keeps hashes alone: where two are equal, find looks for the names in another walk.
type order struct {
	seed   maphash.Seed
	levels []level
	equal  map[string]map[uint64]bool // by folder: hashes that were there twice
}

// level is a folder that the walk is in, the first one being C:\.
type level struct {
	path  string
	last  string
	names []uint64 // hashes of the folded names
}

func (o *order) next(e Entry) error {
	if err := CheckPath(e.Path, e.Folder); err != nil {
		if e.Source != "" {
			return fmt.Errorf("%q: %w", e.Source, err)
		}
		return err
	}
	if o.levels == nil {
		o.levels = []level{{}}
	}
	above, base := split(e.Path)
	for len(o.levels) > 1 && o.levels[len(o.levels)-1].path != above {
		o.leave()
	}
	at := &o.levels[len(o.levels)-1]
	if at.path != above {
		return fmt.Errorf("%q lies in no folder of the layer", e.Path)
	}
	if len(at.names) > 0 && base == at.last {
		return fmt.Errorf("%q is there twice", cmp.Or(e.Source, e.Path))
	}
	if base < at.last {
		return fmt.Errorf("%q comes after %q", e.Path, at.last)
	}
	at.names, at.last = append(at.names, FoldHash(o.seed, base)), base
	if e.Folder {
		o.levels = append(o.levels, level{path: e.Path})
	}
	return nil
}

func split(path string) (above, base string) {
	slash := strings.LastIndexByte(path, '/')
	return path[:max(slash, 0)], path[slash+1:]
}

// leave notes which hashes the last folder has twice.
func (o *order) leave() {
	last := len(o.levels) - 1
	at := o.levels[last]
	o.levels = o.levels[:last]
	slices.Sort(at.names)
	for i := 1; i < len(at.names); i++ {
		if at.names[i] != at.names[i-1] {
			continue
		}
		if o.equal == nil {
			o.equal = map[string]map[uint64]bool{}
		}
		if o.equal[at.path] == nil {
			o.equal[at.path] = map[uint64]bool{}
		}
		o.equal[at.path][at.names[i]] = true
	}
}

// end says whether names may be equal.
func (o *order) end() bool {
	for len(o.levels) > 0 {
		o.leave()
	}
	return len(o.equal) > 0
}

// find names the first two that are one on Windows.
func (o *order) find(ctx context.Context, walk Walk) error {
	type first struct{ folded, shown string }
	seen := map[string][]first{} // by folder and hash
	return walk(func(e Entry) error {
		above, base := split(e.Path)
		hash := FoldHash(o.seed, base)
		if !o.equal[above][hash] {
			return ctx.Err()
		}
		key, shown := fmt.Sprint(above, "\x00", hash), cmp.Or(e.Source, e.Path)
		for _, other := range seen[key] {
			if other.folded == Fold(base) {
				return fmt.Errorf("%q and %q are one name on Windows, which does not tell case apart: rename one or take it out of the folder", other.shown, shown)
			}
		}
		seen[key] = append(seen[key], first{Fold(base), shown})
		return nil
	})
}

// The FILETIMEs that go-winio makes come from time.Time.UnixNano, which is
// defined for these years.
const firstYear, lastYear = 1678, 2261

// FileTime cuts a file's time to whole seconds, not after the epoch.
func (l *Layer) FileTime(t time.Time) time.Time {
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
