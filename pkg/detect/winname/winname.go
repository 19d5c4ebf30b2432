// Package winname says which names of files and folders a Windows image can hold.
package winname

import (
	"errors"
	"fmt"
	"strings"
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

// Check says why a slash-separated path below C:\ cannot be in an image, nil where
// it can. The error is the reason alone.
func Check(path string, folder bool) error {
	if !utf8.ValidString(path) {
		return errors.New("it is not UTF-8")
	}
	if path == "" {
		return errors.New("it is empty")
	}
	total := len("Files/") + units(path)
	if folder {
		total += len(dirSuffix)
	}
	if total > maxPath {
		return fmt.Errorf("it has %d UTF-16 units, %d are possible", total, maxPath)
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if err := check(part, folder || i < len(parts)-1); err != nil {
			return err
		}
	}
	return nil
}

func check(part string, folder bool) error {
	if part == "" || part == "." || part == ".." {
		return fmt.Errorf("%q is no name", part)
	}
	for _, c := range part {
		if c < ' ' {
			return fmt.Errorf("control character %U", c)
		}
		if strings.ContainsRune(`<>:"|?*\`, c) {
			return fmt.Errorf("character %q", c)
		}
	}
	if last := part[len(part)-1]; last == '.' || last == ' ' {
		return fmt.Errorf("%q ends with a dot or a space, and no Windows program can open that", part)
	}
	if device := deviceName(part); device != "" {
		return fmt.Errorf("%q is the device %s", part, device)
	}
	if strings.HasPrefix(part, ".wh.") {
		return fmt.Errorf("%q means the removal of a file in a layer", part)
	}
	if strings.HasSuffix(strings.ToLower(part), dirSuffix) {
		return fmt.Errorf("an import uses names that end with %s itself", dirSuffix)
	}
	limit := maxName
	if folder {
		limit = maxFolder
	}
	if n := units(part); n > limit {
		return fmt.Errorf("%q has %d UTF-16 units, %d are possible", part, n, limit)
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

// Plain says quickly that one name is surely fine, for a file and for a folder.
// Where it is false, Check knows.
func Plain(name string) bool {
	if name == "" || len(name) > maxFolder || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == '<' || c == '>' || c == ':' || c == '"' || c == '|' || c == '?' || c == '*' || c == '\\' || c == '/' || c == '$' {
			return false
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return false
	}
	if len(name) < 3 || name[1]|0x20 != 'o' && name[1]|0x20 != 'r' && name[1]|0x20 != 'u' && name[1]|0x20 != 'p' {
		return true
	}
	switch string([]byte{name[0] | 0x20, name[1] | 0x20, name[2] | 0x20}) {
	case "con", "prn", "aux", "nul", "com", "lpt":
		return deviceName(name) == ""
	}
	return true
}
