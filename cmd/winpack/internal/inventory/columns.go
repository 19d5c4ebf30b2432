package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// columns are those that are no labels.
var columns = []string{"name", "source", "app", "tag", "os", "base", "config", "owner"}

// label tells once of a column that is nearly one that counts, and so becomes a
// label where another was meant. has says which columns stand beside it.
func (x *reader) label(line int, key string, has func(column string) bool) {
	low := strings.ToLower(key)
	if low == "" || x.labels[low] || slices.Contains(columns, low) || x.opt.Note == nil {
		return
	}
	x.labels[low] = true
	for _, column := range columns {
		if slip(low, column) && !has(column) {
			x.opt.Note(Problem{x.Path, line, fmt.Sprintf("the column %q is kept as a label and does nothing: is %q meant?", short(report.Safe(key)), column)})
			return
		}
	}
}

// slip says whether a differs from b as by one slip of the fingers: a letter too
// many, one missing, one wrong, or two swapped.
func slip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

var windowsPath = regexp.MustCompile(`^([A-Za-z]:[\\/]|\\\\)`)

// Elsewhere says whether a path of the inventory is one of a Windows machine, with
// a drive or a server, and this machine has no such paths.
func (inv *Inventory) Elsewhere(name string) bool {
	if filepath.Separator != '/' || !windowsPath.MatchString(name) {
		return false
	}
	_, err := os.Lstat(inv.Resolve(name))
	return err != nil
}
