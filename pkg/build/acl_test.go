package build

import (
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

func TestEveryRowOfTheFolderTableIsWellFormed(t *testing.T) {
	rows, err := folderACLs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		for what, d := range map[string]sddl.Descriptor{"self": r.self, "below_folder": r.belowFolder, "below_file": r.belowFile} {
			if d.DACL == nil {
				continue
			}
			back, err := sddl.Decode(d.Binary())
			if err != nil || back.String() != d.String() {
				t.Errorf("%s %s is read back as %s, %v", r.Path, what, back, err)
			}
		}
		for _, a := range r.belowFile.DACL {
			if a.Flags != 0 {
				t.Errorf("%s: below_file passes on %s, and a file has nothing below it", r.Path, a)
			}
		}
		if (r.BelowFile == "") != (r.BelowFolder == "") {
			t.Errorf("%s: below_file and below_folder come together", r.Path)
		}
	}
}

func TestBadRowsAreRefused(t *testing.T) {
	const good = "ti = 'S-1-5-80-1'\n[[folder_acl]]\npath = 'C:\\a'\nwhere = 'host'\nsource = 's'\nconfidence = 'low'\nowner = 'O:TIG:SY'\nsddl = 'D:(A;;FA;;;TI)'\n"
	if _, err := parseACLs(good); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"unknown key":  good + "owmer = 'x'\n",
		"no TOML":      "[[",
		"no C:":        strings.Replace(good, `C:\a`, `D:\a`, 1),
		"bad name":     strings.Replace(good, `C:\a`, `C:\a?`, 1),
		"no source":    strings.Replace(good, "source = 's'", "", 1),
		"no owner":     strings.Replace(good, "O:TIG:SY", "", 1),
		"bad list":     strings.Replace(good, "(A;;FA;;;TI)", "(A;;XX;;;TI)", 1),
		"no list":      strings.Replace(good, "sddl =", "note =", 1),
		"listed twice": good + strings.SplitN(strings.ReplaceAll(good, `C:\a`, `C:\A`), "\n", 2)[1],
	} {
		if _, err := parseACLs(text); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
