package inventory

import (
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func TestColumnThatIsNearlyOneIsNamed(t *testing.T) {
	const near = `the column "ownr" is kept as a label and does nothing: is "owner" meant?`
	for name, test := range map[string]struct {
		file, text string
		want       []string
	}{
		"csv":          {"a.csv", "name,source,ownr\na,a,Ann\nb,b,Bob\n", []string{"IN:1: " + near}},
		"csv, unused":  {"a.csv", "name,source,ownr\na,a,\n", []string{"IN:1: " + near}},
		"jsonl":        {"a.jsonl", `{"name":"a","source":"a"}` + "\n" + `{"name":"b","source":"b","ownr":"Ann"}` + "\n" + `{"name":"c","source":"c","ownr":"Ann"}`, []string{"IN:2: " + near}},
		"toml":         {"a.toml", "[[app]]\nname = 'a'\nsource = 'a'\nownr = 'Ann'\n", []string{"IN:1: " + near}},
		"both":         {"a.csv", "name,source,ownr,owner\na,a,x,Ann\n", nil},
		"another word": {"a.csv", "name,source,wave,cost center,team\na,a,1,2,3\n", nil},
	} {
		rows, notes, err := readText(t, test.file, test.text, Options{})
		if err != nil || len(rows) == 0 || !slices.Equal(notes, test.want) {
			t.Errorf("%s: %v, %d rows\ngot  %q\nwant %q", name, err, len(rows), notes, test.want)
		}
	}
}

func TestSlipOfTheFingers(t *testing.T) {
	for word, want := range map[string]bool{
		"soruce": true, "sourc": true, "sources": true, "xsource": true, "sourge": true, "source": false,
		"sauces": false, "": false, "sourcing": false, "osurec": false,
	} {
		if slip(word, "source") != want || slip("source", word) != want {
			t.Errorf("%q: %v", word, !want)
		}
	}
}

func TestWindowsPathsElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has them")
	}
	dir := t.TempDir()
	inv := &Inventory{Dir: dir}
	for path, want := range map[string]bool{
		`C:\sites\a`: true, `d:/sites/a`: true, `\\server\share\a`: true, `sites\a`: false, `/srv/a`: false, `a`: false,
		filepath.ToSlash(dir): false,
	} {
		if inv.Elsewhere(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}
