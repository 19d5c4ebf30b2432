package winlayer

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Lengths in UTF-16 units. An import writes NAME.$wcidirs$ beside each folder, so
// folder names have ten units less (hcsshim internal/wclayer/legacy.go, Add).
const (
	maxName   = 255
	maxPath   = 32767
	dirSuffix = ".$wcidirs$"
	maxFolder = maxName - len(dirSuffix)
)

// CheckPath says why a path below C:\ cannot be in a layer, nil where it can.
func CheckPath(path string, folder bool) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("name %q cannot be in a Windows image: %s: rename it or take it out of the folder", path, fmt.Sprintf(format, args...))
	}
	if !utf8.ValidString(path) {
		return fail("it is not UTF-8")
	}
	if path == "" {
		return fail("it is empty")
	}
	total := len("Files/") + units(path)
	if folder {
		total += len(dirSuffix)
	}
	if total > maxPath {
		return fail("it has %d UTF-16 units, %d are possible", total, maxPath)
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return fail("%q is no name", part)
		}
		for _, c := range part {
			if c < ' ' {
				return fail("control character %U", c)
			}
			if strings.ContainsRune(`<>:"|?*\`, c) {
				return fail("character %q", c)
			}
		}
		if last := part[len(part)-1]; last == '.' || last == ' ' {
			return fail("%q ends with a dot or a space, and no Windows program can open that", part)
		}
		if device := deviceName(part); device != "" {
			return fail("%q is the device %s", part, device)
		}
		lower := strings.ToLower(part)
		if strings.HasPrefix(part, ".wh.") {
			return fail("%q means the removal of a file in a layer", part)
		}
		if strings.HasSuffix(lower, dirSuffix) {
			return fail("an import uses names that end with %s itself", dirSuffix)
		}
		limit := maxName
		if folder || i < len(parts)-1 {
			limit = maxFolder
		}
		if n := units(part); n > limit {
			return fail("%q has %d UTF-16 units, %d are possible", part, n, limit)
		}
	}
	return nil
}

// deviceName returns the DOS device that a name stands for: "NUL", also for
// "nul.txt" (Microsoft Learn, "Naming Files, Paths, and Namespaces").
func deviceName(name string) string {
	stem, _, dotted := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return stem
	case "CONIN$", "CONOUT$":
		if !dotted {
			return stem
		}
	}
	if number, ok := strings.CutPrefix(stem, "COM"); ok && strings.Contains("123456789¹²³", number) && units(number) == 1 {
		return stem
	}
	if number, ok := strings.CutPrefix(stem, "LPT"); ok && strings.Contains("123456789¹²³", number) && units(number) == 1 {
		return stem
	}
	return ""
}

func units(s string) int {
	n := 0
	for _, c := range s {
		n += utf16.RuneLen(c)
	}
	return n
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
