package winname

import (
	"strings"
	"testing"
)

func TestNamesThatAnImageCannotHold(t *testing.T) {
	for name, bad := range map[string]string{
		"a?b": "character '?'", `a\b`: `character '\\'`, "aux": "device AUX", "aux.txt": "device AUX", "Com1 .log": "device COM1", "LPT²": "device LPT²",
		"x.": "dot or a space", "x ": "dot or a space", "a\xff": "not UTF-8", "a\x01": "control character", "": "empty", "a//b": "no name", "../a": "no name",
		".wh.x": "removal", "a.$WCIDIRS$": "itself", strings.Repeat("n", 256): "256 UTF-16 units", strings.Repeat("dir/", 9000) + "x": "32767 are possible",
		"com1/x": "device COM1", "CONOUT$": "device CONOUT$",
	} {
		if err := Check(name, false); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v, want %q", name, err, bad)
		}
	}
	if Check(strings.Repeat("n", 250), false) != nil || Check(strings.Repeat("n", 250), true) == nil {
		t.Error("the name of a folder has other limits than that of a file")
	}
	for _, name := range []string{"web.config", "auxiliary", "com", "com10", "lpt", "cone.txt", "é.txt", ".git", "a b", "CONOUT$.txt", "a/b/c"} {
		if err := Check(name, true); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Plain may doubt, and never takes a bad name for a good one.
func TestPlainNamesAreFine(t *testing.T) {
	plain := 0
	for _, stem := range []string{"", "a", "con", "COM1", "com0", "coma", "aux", "lpt9", "nul", "prn", "prune", "up", "CONIN$", "x.", "x ", ".wh.", "a?", "é", "a\\b", "a/b", "\x7f", "\xff", "web", strings.Repeat("n", 245), strings.Repeat("n", 246)} {
		for _, ext := range []string{"", ".", ".txt", " ", ".$wcidirs$", " .x"} {
			name := stem + ext
			if Plain(name) {
				plain++
				if err := Check(name, true); err != nil {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
	}
	for _, name := range []string{"web.config", "Default.aspx", "Lib100.dll", "com0", "controller.cs", "prune.txt"} {
		if !Plain(name) {
			t.Errorf("%q is doubted", name)
		}
	}
	if plain < 20 {
		t.Errorf("only %d plain names", plain)
	}
}
