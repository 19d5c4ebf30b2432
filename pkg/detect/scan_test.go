package detect

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
)

// What is cut off may not depend on which core was faster.
func TestScanCutsLargeFoldersAtTheSamePlace(t *testing.T) {
	app := fstest.MapFS{}
	for d := range 40 {
		for f := range 25 {
			app[fmt.Sprintf("d%02d/sub/f%02d", d, f)] = &fstest.MapFile{}
		}
	}
	seen := func(limit int64) (read, unread []string) {
		var walk func(d *dir)
		walk = func(d *dir) {
			if d.unread == wasRead {
				read = append(read, d.path)
			} else {
				unread = append(unread, d.path)
			}
			for _, sub := range d.below {
				walk(sub)
			}
		}
		walk(scan(app, Limits{Entries: limit}.WithDefaults()))
		return read, unread
	}
	if _, unread := seen(40 + 40*26); len(unread) > 0 {
		t.Errorf("cut at the limit itself: %v", unread)
	}
	// The root and its 40 folders, then 26 entries for each: 40+10*26 is over 299 with d09.
	want := []string{"."}
	for d := range 10 {
		want = append(want, fmt.Sprintf("d%02d", d), fmt.Sprintf("d%02d/sub", d))
	}
	for range 20 {
		read, unread := seen(299)
		if !slices.Equal(read, want) || len(unread) != 30 || unread[0] != "d10" {
			t.Fatalf("read %v, not read %v", read, unread)
		}
	}
	limits := Limits{Entries: 299}.WithDefaults()
	tree := Tree{byKey: map[string][]*dir{}, limits: limits}
	tree.collect(scan(app, limits))
	if len(tree.problems) != 1 || tree.problems[0].Path != "d10" {
		t.Errorf("problems %v", tree.problems)
	}
}
