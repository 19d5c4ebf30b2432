package winlayer

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// As they stand in BuildKit v0.34.2, util/winlayers/differ.go.
const (
	buildkitFolder = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA"
	buildkitFile   = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)

// What a container's accounts may do with an app is decided by two constants, so
// they are held against another writer's bytes and against their meaning.
func TestDefaultDescriptorsLetUsersReadAndNotChangeWhatIsShipped(t *testing.T) {
	const users, everything, read = "S-1-5-32-545", 0x1f01ff, 0x1200a9
	for _, folder := range []bool{false, true} {
		d := Default(folder)
		for _, sid := range []sddl.SID{"S-1-5-32-544", "S-1-5-18"} {
			if !slices.ContainsFunc(d.DACL, func(a sddl.ACE) bool { return a.SID == sid && a.Mask == everything && !a.Deny }) {
				t.Errorf("folder %v: %s may not do everything: %s", folder, sid, d)
			}
		}
		reads := false
		for _, a := range d.DACL {
			if a.SID != users {
				continue
			}
			reads = reads || a.Mask == read && a.Flags&sddl.InheritOnly == 0
			if !folder && a.Mask != read {
				t.Errorf("Users have 0x%x on a file: %s", a.Mask, d)
			}
		}
		if !reads {
			t.Errorf("folder %v: Users may not read: %s", folder, d)
		}
	}
	if got := base64.StdEncoding.EncodeToString(Default(false).Binary()); got != buildkitFile {
		t.Errorf("the descriptor of a file is %s, BuildKit's is %s", got, buildkitFile)
	}
	if got := base64.StdEncoding.EncodeToString(Default(true).Binary()); got != buildkitFolder {
		t.Errorf("the descriptor of a folder is %s, BuildKit's is %s", got, buildkitFolder)
	}
}
