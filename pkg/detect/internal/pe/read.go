package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Span is a place in the file, for evidence.
type Span struct {
	Offset int64 // from the start of the file
	Length int64 // in bytes
}

// FormatError says which bytes of a file lied. Functions that return results
// together with a FormatError return what could be read before it.
type FormatError struct {
	Offset int64  // where the value stands that cannot be true
	What   string // "section 2 ends at 0x9000, beyond the end of the file at 0x400"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("at offset 0x%x: %s", e.Offset, e.What)
}

func broken(off int64, format string, args ...any) *FormatError {
	return &FormatError{Offset: off, What: fmt.Sprintf(format, args...)}
}

const (
	pageSize = 8 << 10
	// ReadBudget is how many bytes are read and kept of one file, where Pages says
	// nothing else. The metadata of the largest framework assemblies is about 8 MB.
	ReadBudget = 32 << 20
)

// Pages is memory that files take and give back when they are closed: to get it
// anew for each was half of the time of reading a folder. It is safe for use from
// several goroutines; the zero value is empty.
type Pages struct {
	// ReadBudget and MaxRows are in the place of the constants of these names; 0 is
	// for those. They are not changed while files are open.
	ReadBudget, MaxRows int64

	mu     sync.Mutex
	free   [][]byte
	tables []*[tableCount]table // as many as files are read at a time
}

func (p *Pages) budget() int64 {
	if p == nil || p.ReadBudget == 0 {
		return ReadBudget
	}
	return p.ReadBudget
}

func (p *Pages) rows() uint32 {
	if p == nil || p.MaxRows == 0 {
		return MaxRows
	}
	return uint32(p.MaxRows)
}

func (p *Pages) takeTables() *[tableCount]table {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.tables); n > 0 {
			t := p.tables[n-1]
			p.tables = p.tables[:n-1]
			*t = [tableCount]table{}
			return t
		}
	}
	return new([tableCount]table)
}

func (p *Pages) giveTables(t *[tableCount]table) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tables = append(p.tables, t)
}

// maxFree bounds what is kept: 4 MB.
const maxFree = 4 << 20 / pageSize

func (p *Pages) take() []byte {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.free); n > 0 {
			page := p.free[n-1]
			p.free = p.free[:n-1]
			return page
		}
	}
	return make([]byte, pageSize)
}

func (p *Pages) give(pages ...[]byte) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, page := range pages {
		if page != nil && len(p.free) < maxFree {
			p.free = append(p.free, page[:pageSize])
		}
	}
}

// source gives bytes of the file out of a cache of pages.
type source struct {
	r     io.ReaderAt
	size  int64
	from  *Pages
	first [fewPages][]byte // the first of the file, which are most of what is read of most
	pages map[int64][]byte // the others
	count int64            // of pages
	left  int64
	lastN int64
	last  []byte
}

const fewPages = 2

func newSource(r io.ReaderAt, size int64, from *Pages) source {
	return source{r: r, size: size, from: from, left: from.budget(), lastN: -1}
}

func (s *source) close() {
	s.from.give(s.first[:]...)
	for _, p := range s.pages {
		s.from.give(p)
	}
	s.first, s.pages, s.last, s.lastN, s.left = [fewPages][]byte{}, nil, nil, -1, 0
}

func (s *source) held(n int64) []byte {
	if n < fewPages {
		return s.first[n]
	}
	return s.pages[n]
}

func (s *source) hold(n int64, page []byte) {
	s.count++
	if n < fewPages {
		s.first[n] = page
		return
	}
	if s.pages == nil {
		s.pages = map[int64][]byte{}
	}
	s.pages[n] = page
}

// at returns n bytes at off. The caller must not change them.
func (s *source) at(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > s.size || int64(n) > s.size-off {
		return nil, broken(off, "%d bytes are expected here and the file has %d bytes", n, s.size)
	}
	if n == 0 {
		return nil, nil
	}
	first, last := off/pageSize, (off+int64(n)-1)/pageSize
	if first == last {
		p, err := s.page(first)
		if err != nil {
			return nil, err
		}
		i := int(off - first*pageSize)
		return p[i : i+n : i+n], nil
	}
	if int64(n) > s.left+s.count*pageSize {
		return nil, s.overBudget(off)
	}
	out := make([]byte, 0, n)
	for pn := first; pn <= last; pn++ {
		p, err := s.page(pn)
		if err != nil {
			return nil, err
		}
		lo, hi := 0, len(p)
		if pn == first {
			lo = int(off - first*pageSize)
		}
		if pn == last {
			hi = int(off + int64(n) - pn*pageSize)
		}
		out = append(out, p[lo:hi]...)
	}
	return out, nil
}

// upTo returns up to n bytes at off: fewer where the file ends, none beyond it.
func (s *source) upTo(off int64, n int) ([]byte, error) {
	if off < 0 || off >= s.size {
		return nil, nil
	}
	return s.at(off, int(min(int64(n), s.size-off)))
}

func (s *source) overBudget(off int64) error {
	return broken(off, "more than the %d bytes that are read of one file (limit binary) would be needed", s.from.budget())
}

func (s *source) page(n int64) ([]byte, error) {
	if n == s.lastN {
		return s.last, nil
	}
	p := s.held(n)
	if p == nil {
		off := n * pageSize
		want := min(int64(pageSize), s.size-off)
		if want > s.left {
			return nil, s.overBudget(off)
		}
		p = s.from.take()[:want]
		if got, err := s.r.ReadAt(p, off); got < len(p) {
			s.from.give(p)
			if err == nil || errors.Is(err, io.EOF) {
				return nil, broken(off+int64(got), "the file ends here, before the size it was opened with")
			}
			return nil, err
		}
		s.left -= want
		s.hold(n, p)
	}
	s.lastN, s.last = n, p
	return p, nil
}

func (s *source) u16(off int64) (uint16, error) {
	b, err := s.at(off, 2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(b), nil
}

func (s *source) u32(off int64) (uint32, error) {
	b, err := s.at(off, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// cstring returns the NUL-terminated bytes at off, without the NUL. A string
// that does not end within limit bytes is an error.
func (s *source) cstring(off int64, limit int) (string, error) {
	b, err := s.cbytes(off, limit)
	return string(b), err
}

// cbytes is cstring without a copy: the caller must not change the bytes.
func (s *source) cbytes(off int64, limit int) ([]byte, error) {
	for n := 64; ; n *= 4 {
		n = min(n, limit)
		b, err := s.upTo(off, n)
		if err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return b[:i], nil
		}
		if len(b) < n {
			return nil, broken(off, "a name runs over the end of the file")
		}
		if n == limit {
			return nil, broken(off, "a name is longer than %d bytes", limit)
		}
	}
}
