package detect_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// sharedPlaces are pairs of rules that may speak of one place, each with the reason: the
// place has two causes, each with a remedy of its own.
var sharedPlaces = map[string]string{
	"WP1101 WP1210": "the version is out of support, and beside it no machineKey stands",
	"WP1213 WP1217": "impersonation asks for an account, and for a classic app pool",
	"WP1204 WP1206": "a section asks for a feature, and has to be unlocked",
	"WP1201 WP1206": "a section asks for a feature, and has to be unlocked",
	"WP1206 WP1745": "a section asks for a feature, and has to be unlocked",
	"WP1206 WP1752": "a section asks for a feature, and has to be unlocked",
	"WP1206 WP1673": "a section is about certificates of clients, and has to be unlocked",
	"WP1206 WP1751": "a section names an extension, and has to be unlocked",
	"WP1210 WP1215": "that no machineKey is set is told where the site is proven",
	"WP1108 WP1112": "a service needs a manager, and there are several of them",
	"WP1009 WP1010": "a project has to be compiled, and does not say all",
	"WP1501 WP1504": "a list of packages names a server, and its packages are missing",
	"WP1501 WP1510": "what starts the application does not hear of a stop, and its packages are missing",
	"WP1501 WP1514": "a package of the application is missing, and what would be built with it is too",
	"WP1505 WP1510": "what starts the application does not hear of a stop, and its server is missing",
	"WP1508 WP1510": "the configuration says where a server listens, and that it is one",
	"WP1660 WP1661": "one word of the header says both: C++/CLI, and 32-bit",
}

// doubles lists pairs of findings of different rules about the same place.
func doubles(findings []detect.Finding) []string {
	type place struct {
		path           string
		line           int
		offset, length int64
	}
	by := map[place][]string{}
	for _, f := range findings {
		for _, e := range f.Evidence {
			p := place{e.Path, e.Line, e.Offset, e.Length}
			if e.Line == 0 && e.Length == 0 { // a folder
				continue
			}
			if !slices.Contains(by[p], f.Rule) {
				by[p] = append(by[p], f.Rule)
			}
		}
	}
	var out []string
	for p, ids := range by {
		slices.Sort(ids)
		for i, a := range ids {
			for _, b := range ids[i+1:] {
				if pair := a + " " + b; sharedPlaces[pair] == "" {
					out = append(out, fmt.Sprintf("%s at %s:%d (0x%x)", pair, p.path, p.line, p.offset))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestNoTwoFindingsAreOfOneCause(t *testing.T) {
	e := []detect.Evidence{{Path: "a", Line: 2}}
	if got := doubles([]detect.Finding{{Rule: "WP2", Evidence: e}, {Rule: "WP1", Evidence: e}, {Rule: "WP1", Evidence: e}}); len(got) != 1 || !strings.HasPrefix(got[0], "WP1 WP2") {
		t.Fatalf("the check finds %v", got)
	}
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	apps := map[string]fs.FS{}
	for _, name := range names {
		apps[name] = os.DirFS(fixtures.App(t, name))
	}
	for id, c := range ruleCases(t) {
		apps["the case of "+id] = c.fires(t)
		apps["the near miss of "+id] = c.near(t)
	}
	seen := map[string]bool{}
	for name, fsys := range apps {
		for _, d := range doubles(whole(look(t, fsys)).Findings) {
			if pair, _, _ := strings.Cut(d, " at "); !seen[pair] {
				seen[pair] = true
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}
