package detect_test

import (
	"slices"
	"testing"
)

// What packages bring for their own tests is no file of the application.
func TestFilesOfPackagesAreNotTold(t *testing.T) {
	r := look(t, files("index.html", html, "node_modules/x/test/key.pfx", "x"))
	if slices.Contains(rules(r), "WP1601") {
		t.Error("a key of a package's own tests is told")
	}
}
