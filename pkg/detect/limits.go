package detect

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Limits bound what is read of one application. What lies beyond one is a Problem that
// names it; what lies within is still looked at. A field that is 0 is the default.
type Limits struct {
	Files    int64 // files of the folder
	Entries  int64 // files and folders, with what links lead to
	Depth    int64 // folders in folders
	Path     int64 // bytes of the path of a file
	Text     int64 // bytes of a text file: one that is larger is not read
	Binary   int64 // bytes that are read of a binary, but for the search for the marks of a .NET host (at most 16 MB)
	Rows     int64 // rows of one metadata table
	Nesting  int64 // levels of XML and JSON
	Elements int64 // elements of an XML file, values of a JSON file
	// ZipEntries and ZipRatio bound the list of files of an archive and, where it is
	// the application, how often its size a file of it may have.
	ZipEntries int64
	ZipRatio   int64
	Memory     int64 // bytes of a file that has to be held as a whole, as one that is packed
	Total      int64 // bytes that are read of all files together
}

// limit is one of them.
type limit struct {
	name  string
	field func(*Limits) *int64
	size  bool // in bytes
	usual int64
	most  int64
}

func limitTable() []limit {
	const many, large = 1 << 31, 1 << 44
	return []limit{
		{"files", func(l *Limits) *int64 { return &l.Files }, false, 500_000, many},
		{"entries", func(l *Limits) *int64 { return &l.Entries }, false, 1_000_000, many},
		{"depth", func(l *Limits) *int64 { return &l.Depth }, false, 64, 1024},
		{"path", func(l *Limits) *int64 { return &l.Path }, true, 4 << 10, 1 << 20},
		{"text", func(l *Limits) *int64 { return &l.Text }, true, 8 << 20, 1 << 30},
		{"binary", func(l *Limits) *int64 { return &l.Binary }, true, pe.ReadBudget, 1 << 30},
		{"rows", func(l *Limits) *int64 { return &l.Rows }, false, pe.MaxRows, 1 << 24},
		{"nesting", func(l *Limits) *int64 { return &l.Nesting }, false, 200, 9_000},
		{"elements", func(l *Limits) *int64 { return &l.Elements }, false, 200_000, many},
		{"zip-entries", func(l *Limits) *int64 { return &l.ZipEntries }, false, 500_000, many},
		{"zip-ratio", func(l *Limits) *int64 { return &l.ZipRatio }, false, 1000, 1 << 20},
		{"memory", func(l *Limits) *int64 { return &l.Memory }, true, 64 << 20, 1 << 32},
		{"total", func(l *Limits) *int64 { return &l.Total }, true, 8 << 30, large},
	}
}

// LimitNames are the names of the limits as Set takes them.
func LimitNames() []string {
	var names []string
	for _, row := range limitTable() {
		names = append(names, row.name)
	}
	return names
}

// WithDefaults is l with the default in the place of each 0.
func (l Limits) WithDefaults() Limits {
	for _, row := range limitTable() {
		if f := row.field(&l); *f == 0 {
			*f = row.usual
		}
	}
	return l
}

// UnknownLimit is the error of Set for a name that no limit has.
type UnknownLimit struct{ Name string }

func (e *UnknownLimit) Error() string { return fmt.Sprintf("%q is no limit", e.Name) }

// Set takes a limit from its text: a number, or for sizes one with KB, MB or GB (of
// 1024). The error is an *UnknownLimit, or says what is wrong with the value.
func (l *Limits) Set(name, value string) error {
	for _, row := range limitTable() {
		if row.name != name {
			continue
		}
		number, unit := strings.TrimSpace(value), int64(1)
		if row.size {
			for _, u := range []struct {
				name string
				size int64
			}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"B", 1}} {
				if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
					number, unit = strings.TrimSpace(number[:n]), u.size
					break
				}
			}
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 1 || n > row.most/unit {
			what, most := "a number", fmt.Sprint(row.most)
			if row.size {
				what, most = "a size like 16MB", sizeText(row.most)
			}
			return fmt.Errorf("%s is %s from 1 to %s, not %q", name, what, most, value)
		}
		*row.field(l) = n * unit
		return nil
	}
	return &UnknownLimit{name}
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// errTotal is why a file is not read any more. What Problems say of it is one.
var errTotal = fmt.Errorf("the limit total of what is read is reached")

// overTotal tells once that nothing more is read.
func (t *Tree) overTotal(p string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.spent {
		t.spent = true
		t.problems = append(t.problems, Problem{Path: p, Message: fmt.Sprintf("more than %s of the app would be read (limit total): of this file and later ones nothing more was read, and what they say is unknown", sizeText(t.limits.Total))})
	}
	return errTotal
}

// full says whether as much was read as may be. Of what was read at the same time none
// need have been refused.
func (t *Tree) full() bool { return t.meter.Load() >= t.limits.Total }

// metered is a file whose bytes are counted.
type metered struct {
	fs.File
	t    *Tree // that asked for it
	path string
}

func (m *metered) count(n int) { m.t.meter.Add(int64(n)) }

func (m *metered) full() bool { return m.t.full() }

func (m *metered) Read(p []byte) (int, error) {
	if m.full() {
		return 0, m.t.overTotal(m.path)
	}
	n, err := m.File.Read(p)
	m.count(n)
	return n, err
}

// meteredAt is one that can be read at random.
type meteredAt struct {
	*metered
	at io.ReaderAt
}

func (m meteredAt) ReadAt(p []byte, off int64) (int, error) {
	if m.full() {
		return 0, m.t.overTotal(m.path)
	}
	n, err := m.at.ReadAt(p, off)
	m.count(n)
	return n, err
}

func (t *Tree) metered(f fs.File, p string) fs.File {
	m := &metered{f, t, p}
	if at, ok := f.(io.ReaderAt); ok {
		return meteredAt{m, at}
	}
	return m
}
