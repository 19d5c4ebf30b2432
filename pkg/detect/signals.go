package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// signalTable are files and references that give something away.
type signalTable struct {
	Signal []signal `toml:"signal"`
}

type signal struct {
	ID         string   `toml:"id"`
	Files      []string `toml:"files"` // patterns of base names, lower case
	Refs       []string `toml:"refs"`  // patterns of assembly names
	Family     string   `toml:"family"`
	Source     string   `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// detectSignals finds files that a container has no use for, or should not have.
func detectSignals(t *Tree) []Fact {
	d := signalData()
	var exts []string
	for _, s := range d.Signal {
		for _, f := range s.Files {
			if ext := path.Ext(f); !slices.Contains(exts, ext) {
				exts = append(exts, ext)
			}
		}
	}
	var facts []Fact
	seen := map[string]int{}
	for f := range t.withExt(exts...) {
		for i := range d.Signal {
			s := &d.Signal[i]
			if seen[s.ID] >= MaxEvidence || !matchesAny(s.Files, f.base) || passedOver(f.dir.key) {
				continue
			}
			seen[s.ID]++
			facts = append(facts, signalFact(s, f.base, "", Evidence{Path: f.path(), Line: 1, Detail: "a file by that name"}))
		}
	}
	return facts
}

// passedOver says whether a folder holds what others made: its samples and tests are
// no part of the application.
func passedOver(dir string) bool {
	low := "/" + dir + "/"
	return slices.ContainsFunc([]string{"/node_modules/", "/vendor/", "/.git/", "/packages/"}, func(part string) bool { return strings.Contains(low, part) })
}

// signalFact is a signal that was seen; what says where.
func signalFact(s *signal, what, about string, ev Evidence) Fact {
	f := Fact{Key: "signal", Value: s.ID, about: about, Evidence: []Evidence{ev}, item: map[string]string{"what": clean(what)}}
	if s.Family != "" {
		f.item = signalNeed{map[string]string{"what": clean(what)}, FamilyNeed{Family: s.Family, Why: what + " does not work on a smaller image", Evidence: f.Evidence}}
	}
	return f
}

// signalNeed is a signal that forces a family.
type signalNeed struct {
	words map[string]string
	need  FamilyNeed
}

// referenceSignals are those that a reference to an assembly gives.
func referenceSignals(b *image, r pe.Assembly, about string) []Fact {
	var facts []Fact
	d := signalData()
	for i := range d.Signal {
		if s := &d.Signal[i]; len(s.Refs) > 0 && matchesAny(s.Refs, r.Name) {
			facts = append(facts, signalFact(s, r.Name, about, at(b.path, r.Span, "refers to "+r.Name+" "+r.Version)))
		}
	}
	return facts
}
