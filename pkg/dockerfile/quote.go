package dockerfile

import "strings"

// Quote makes one word of s for the person that copies a printed command: for a
// POSIX shell or, with windows, for cmd.exe and PowerShell. What needs no quotes
// stays as it is.
func Quote(s string, windows bool) string {
	special := "_-./:,+=@%"
	if windows {
		special = `_-./:+=@\~` // a comma or percent sign is none of these to cmd.exe
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(special, r)
	}
	switch {
	case s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }):
		return s
	case !windows:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	// A name on Windows holds no quote; of backslashes those before the last one count.
	end := s[len(strings.TrimRight(s, `\`)):]
	return `"` + strings.ReplaceAll(s, `"`, "") + end + `"`
}
