package detect

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
)

// Options are what Inspect cannot see in the folder.
type Options struct {
	// Name is the name of the application in the report.
	Name string
	// Closure asks for Report.Closure.
	Closure bool
	// Limits bound what is read.
	Limits Limits
	// Maps say where folders of the server lie, that applicationHost.config names.
	Maps []Map
	// Bases are images whose contents were learned. They decide in place of the lists
	// where they are of the family and release in question.
	Bases []Base
	// OS are the Windows releases that images are wanted for, and Releases all that a
	// need may name. They are asked for with Bases only.
	OS, Releases []string
}

// Detector is one way of looking at the folder. It reads the tree and nothing
// else, reports what it saw and never chooses.
type Detector struct {
	Name string
	Run  func(*Tree) []Fact
}

// detectors is the table of all of them. Every one always runs.
func detectors() []Detector {
	return []Detector{
		{"iis", detectIIS},
		{"pages", detectPages},
		{"framework", detectFramework},
		{"dotnet", detectDotNet},
		{"native", detectNative},
		{"project", detectProjects},
		{"wrapper", detectWrappers},
		{"clickonce", detectClickOnce},
		{"servers", detectServers},
		{"java", detectJava},
		{"nodejs", detectNode},
		{"python", detectPython},
		{"php", detectPHP},
		{"classic-asp", detectASP},
		{"signals", detectSignals},
		{"static", detectStatic},
		{"config", detectConfig},
	}
}

// Inspect says what the application in fsys is and needs, or the applications where
// there are several. The error is that of reading the root of fsys; whatever else
// cannot be read is a Problem in the report. An empty folder is of kind unknown.
func Inspect(fsys fs.FS, opt Options) (Report, error) {
	go load() // while folders are read
	t, err := newLimitedTree(fsys, opt.Name, opt.Limits)
	if err != nil {
		return Report{}, err
	}
	if len(t.webConfigs()) > 0 {
		go iisData() // while binaries are read
	}
	if opt.Closure {
		t.uses = map[string][]use{}
	}
	t.readBinaries()
	t.bases = newBaseSet(opt)
	if s := t.findServer(); s != nil {
		r := t.server(s, opt)
		if !t.marked(t.dirs[0]) || slices.ContainsFunc(r.Apps, func(a Report) bool { return len(a.Source) > 0 }) {
			return r, nil
		}
		t.problem(s.path, "none of its sites lies in the folder, which looks like an app itself: it was left out; --map names folders of the server")
	}
	before := slices.Clone(t.problems)
	r := t.inspect(nil)
	if parts := t.parts(r); len(parts) > 0 {
		t.problems = before // what detectors of the whole met, those of its parts meet again
		return t.several(parts, r, opt.Name), nil
	}
	return r, nil
}

// inspect runs all detectors on a tree, and settles what they found and what is known
// of it beside that.
func (t *Tree) inspect(known []Fact) Report {
	var facts []Fact
	for _, d := range detectors() {
		for _, f := range d.Run(t) {
			f.Detector = d.Name
			facts = append(facts, f)
		}
	}
	facts = append(t.dropImpossible(facts), known...)
	sortFacts(facts)
	r := resolve(t.Name, t.chosen, facts)
	report := Report{
		App: r.app, Needs: r.needs, Facts: r.facts,
		Findings: judge(r.app, r.facts),
		tied:     r.tied,
	}
	if t.uses != nil {
		report.Closure = t.closure(r.app, r.needs)
	}
	report.Learned = t.bases.asked()
	report.Problems = sortedProblems(t.problems)
	sortFacts(report.Facts)
	report.Facts = uniqueFacts(report.Facts)
	return report
}

func sortedProblems(all []Problem) []Problem {
	all = append([]Problem{}, all...)
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(all)
}

// sortFacts orders facts by key, winners first, then by program and place.
func sortFacts(facts []Fact) {
	// By number: a fact is large, and a stable sort moves what it sorts often.
	order := make([]int, len(facts))
	for i := range order {
		order[i] = i
	}
	lost := func(f *Fact) int { return min(len(f.OverruledBy), 1) }
	slices.SortFunc(order, func(i, j int) int {
		a, b := &facts[i], &facts[j]
		if c := cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(lost(a), lost(b)), strings.Compare(a.about, b.about), strings.Compare(a.Value, b.Value)); c != 0 {
			return c
		}
		return cmp.Or(comparePlaces(a.Evidence, b.Evidence), cmp.Compare(i, j))
	})
	sorted := make([]Fact, len(facts))
	for to, from := range order {
		sorted[to] = facts[from]
	}
	copy(facts, sorted)
}

func comparePlaces(a, b []Evidence) int {
	return slices.CompareFunc(a, b, func(x, y Evidence) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Offset, y.Offset), strings.Compare(x.Detail, y.Detail))
	})
}

// MaxEvidence bounds how many places one fact or finding names.
const MaxEvidence = 5

// uniqueFacts joins facts that say the same and keeps their places.
func uniqueFacts(facts []Fact) []Fact {
	out := []Fact{}
	for _, f := range facts {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.Key == f.Key && last.Value == f.Value && last.Detector == f.Detector && last.OverruledBy == f.OverruledBy {
				last.Evidence = mergeEvidence(last.Evidence, f.Evidence)
				continue
			}
		}
		f.Evidence = mergeEvidence(nil, f.Evidence)
		out = append(out, f)
	}
	return out
}

func mergeEvidence(a, b []Evidence) []Evidence {
	out := slices.Clone(a)
	for _, e := range b {
		if len(out) < MaxEvidence && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}
