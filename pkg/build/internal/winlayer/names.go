package winlayer

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect/winname"
)

// CheckPath says why a path below C:\ cannot be in a layer, nil where it can.
func CheckPath(path string, folder bool) error {
	if err := winname.Check(path, folder); err != nil {
		return fmt.Errorf("name %q cannot be in a Windows image: %w: rename it or take it out of the folder", path, err)
	}
	return nil
}

// FoldHash is a hash of Fold's result.
func FoldHash(seed maphash.Seed, name string) uint64 {
	var room [256]byte
	folded := room[:0]
	for _, c := range name {
		switch {
		case c < utf8.RuneSelf && (c < 'a' || c > 'z'):
			folded = append(folded, byte(c))
		case c < utf8.RuneSelf:
			folded = append(folded, byte(c)-('a'-'A'))
		default:
			folded = utf8.AppendRune(folded, foldRune(c))
		}
	}
	return maphash.Bytes(seed, folded)
}

// Fold maps names that are one name on NTFS to one string. NTFS maps each UTF-16
// unit by a table to its upper case, so characters above U+FFFF and those whose
// upper case is longer (ß) stay. The table follows Unicode's simple mapping but for
// the dotless i and the long s, which stay as well.
func Fold(path string) string { return strings.Map(foldRune, path) }

func foldRune(c rune) rune {
	if c > 0xffff || c == 'ı' || c == 'ſ' {
		return c
	}
	return unicode.ToUpper(c)
}
