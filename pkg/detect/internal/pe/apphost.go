package pe

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// AppHost is the native program that starts a .NET application. It knows its
// application by a path that publishing writes into it.
type AppHost struct {
	Markers []Span // the two half hashes that every host carries
	// Bound is false for a template that no application was written into.
	Bound bool
	// Candidates are the strings that may be the path of the application's dll,
	// relative to the host: the slot for it has no marker of its own.
	Candidates []Text
	// Bundle is set for a single-file program.
	Bundle *Bundle
}

// What hosts carry (dotnet/runtime, corehost.cpp and bundle_marker.cpp). The
// two halves stand one after the other only in a template.
const (
	hostFirstHalf   = "c3ab8ff13720e8ad9047dd39466b3c89"
	hostSecondHalf  = "74e592c2fa383d4a3960714caef0c4f2"
	bundleSignature = "\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32" +
		"\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae"
)

const (
	// maxSearch bounds the section data that is searched for markers. The data
	// sections of a host that holds the runtime have about 4 MB.
	maxSearch     = 16 << 20
	searchWindow  = 256 << 10
	hostSlot      = 1025 // bytes for the path, with its NUL
	maxCandidates = 64
	maxMarks      = 16

	sectionCode        = 0x20
	sectionExecute     = 0x20000000
	sectionInitialized = 0x40
	sectionWrite       = 0x80000000
)

// AppHost looks for the marks of a .NET host in the data sections; nil without
// an error for a file that is none. The error says why the bundle of a host
// could not be read.
func (f *File) AppHost() (*AppHost, error) {
	if f.HasCLR() {
		return nil, nil
	}
	var m marks
	left := int64(maxSearch)
	for _, writable := range []bool{true, false} { // the small sections first
		for _, s := range f.Sections {
			data := s.Characteristics&sectionInitialized != 0 && s.Characteristics&(sectionCode|sectionExecute) == 0
			if !data || s.Characteristics&sectionWrite != 0 != writable {
				continue
			}
			n := min(int64(s.Size), f.src.size-int64(s.Offset), left)
			if n <= 0 {
				continue
			}
			left -= n
			if err := m.search(f.src, int64(s.Offset), n, writable); err != nil {
				return nil, err
			}
		}
	}
	if len(m.first) == 0 || len(m.second) == 0 {
		if alone := slices.Concat(m.first, m.second, m.bundles); len(alone) > 0 && !m.template {
			return nil, broken(alone[0].Offset, "one mark of a .NET host stands here, and the others that belong to it are damaged or missing")
		}
		return nil, nil
	}
	h := &AppHost{Markers: []Span{m.first[0], m.second[0]}, Bound: !m.template}
	if h.Bound {
		h.Candidates = m.dlls
	}
	var err error
	h.Bundle, err = f.bundle(m.bundles)
	return h, err
}

// marks is what a search has found.
type marks struct {
	first, second, bundles []Span
	template               bool
	dlls                   []Text
}

// search reads n bytes at off by windows that overlap by the longest thing
// that is looked for, and keeps nothing of them.
func (m *marks) search(src *source, off, n int64, writable bool) error {
	buf := make([]byte, min(n, searchWindow))
	for {
		b := buf[:min(n, int64(len(buf)))]
		if got, err := src.r.ReadAt(b, off); got < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				return broken(off+int64(got), "the file ends here, before the size it was opened with")
			}
			return err
		}
		last := int64(len(b)) == n
		step := int64(len(b))
		if !last {
			step -= hostSlot + 64
		}
		m.find(b, off, int(step), writable)
		if last {
			return nil
		}
		off, n = off+step, n-step
	}
}

// find looks at what starts in the first step bytes of b.
func (m *marks) find(b []byte, off int64, step int, writable bool) {
	each := func(mark string, found func(i int)) {
		for i := 0; ; {
			j := bytes.Index(b[i:], []byte(mark))
			if j < 0 || i+j >= step {
				return
			}
			found(i + j)
			i += j + len(mark)
		}
	}
	each(hostFirstHalf, func(i int) {
		if bytes.HasPrefix(b[i+len(hostFirstHalf):], []byte(hostSecondHalf)) {
			m.template = true
		} else if len(m.first) < maxMarks {
			m.first = append(m.first, Span{off + int64(i), int64(len(hostFirstHalf))})
		}
	})
	each(hostSecondHalf, func(i int) {
		joined := i >= len(hostFirstHalf) && string(b[i-len(hostFirstHalf):i]) == hostFirstHalf
		if !joined && len(m.second) < maxMarks {
			m.second = append(m.second, Span{off + int64(i), int64(len(hostSecondHalf))})
		}
	})
	if !writable { // the slot and the bundle's offset are written to
		return
	}
	each(bundleSignature, func(i int) {
		if len(m.bundles) < maxMarks {
			m.bundles = append(m.bundles, Span{off + int64(i), int64(len(bundleSignature))})
		}
	})
	each(".dll\x00", func(i int) {
		start := i
		for start > 0 && b[start-1] != 0 && i-start < hostSlot {
			start--
		}
		name := string(b[start : i+4])
		if start < i && len(m.dlls) < maxCandidates && isPath(name) {
			m.dlls = append(m.dlls, Text{name, Span{off + int64(start), int64(len(name))}})
		}
	})
}

// isPath says whether text could be a relative path.
func isPath(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || strings.ContainsRune(`<>:"|?*`, r)
	})
}
