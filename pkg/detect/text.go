package detect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path"
	"regexp"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// pattern is a regular expression that is compiled when it is first used: most apps
// use a few, and compiling all was a part of the start of every process.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// decodeText removes a byte order mark and turns UTF-16 into UTF-8. UTF-16
// without a mark is told by the zero byte in its first character, as XML 1.0
// appendix F does.
func decodeText(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return b[3:], nil
	case bytes.HasPrefix(b, []byte{0xff, 0xfe, 0, 0}), bytes.HasPrefix(b, []byte{0, 0, 0xfe, 0xff}):
		return nil, errors.New("is written in UTF-32, which .NET and IIS configuration never is: save it as UTF-8")
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return fromUTF16(b[2:], binary.LittleEndian), nil
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return fromUTF16(b[2:], binary.BigEndian), nil
	case len(b) >= 4 && b[0] == '<' && b[1] == 0:
		return fromUTF16(b, binary.LittleEndian), nil
	case len(b) >= 4 && b[0] == 0 && b[1] == '<':
		return fromUTF16(b, binary.BigEndian), nil
	}
	return b, nil
}

func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	out := make([]byte, 0, len(units))
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// lineAt returns the line, from 1, of a byte offset.
func lineAt(b []byte, offset int64) int {
	offset = min(offset, int64(len(b)))
	return 1 + bytes.Count(b[:offset], []byte{'\n'})
}

// winPath makes a relative Windows path slash-separated and clean; ok is false
// for one that is absolute or leaves its folder.
func winPath(s string) (p string, ok bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), `\`, "/")
	if s == "" || strings.HasPrefix(s, "/") || strings.Contains(s, ":") || strings.Contains(s, "%") {
		return "", false
	}
	p = path.Clean(strings.TrimPrefix(s, "~/"))
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return p, true
}
