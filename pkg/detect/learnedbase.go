package detect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
	"github.com/winpack/winpack/pkg/detect/learned"
)

// Base is an image whose contents were learned.
type Base struct {
	LearnedBase
	// Contents gives what the image holds. It is called where that decides something.
	Contents func() (*learned.Contents, error)
}

// baseSet are the learned images that an application is judged by.
type baseSet struct {
	list         []Base
	os, releases []string
	used         []bool
}

func newBaseSet(opt Options) *baseSet {
	s := &baseSet{list: slices.Clone(opt.Bases), os: opt.OS, releases: opt.Releases, used: make([]bool, len(opt.Bases))}
	slices.SortStableFunc(s.list, func(a, b Base) int {
		return cmp.Or(strings.Compare(a.OS, b.OS), strings.Compare(a.Family, b.Family), strings.Compare(a.Reference, b.Reference), strings.Compare(a.Digest, b.Digest))
	})
	for _, os := range s.os {
		if !slices.Contains(s.releases, os) {
			s.releases = append(slices.Clip(s.releases), os)
		}
	}
	return s
}

// unused is the set for another application, of which nothing was asked yet.
func (s *baseSet) unused() *baseSet {
	return &baseSet{list: s.list, os: s.os, releases: s.releases, used: make([]bool, len(s.list))}
}

// joinLearned are the images that decided something for one of two applications.
func joinLearned(a, b []LearnedBase) []LearnedBase {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y LearnedBase) int {
		return cmp.Or(strings.Compare(x.OS, y.OS), strings.Compare(x.Family, y.Family), strings.Compare(x.Reference, y.Reference), strings.Compare(x.Digest, y.Digest))
	})
	return slices.Compact(all)
}

// asked are the images whose contents decided something.
func (s *baseSet) asked() []LearnedBase {
	var out []LearnedBase
	for i, used := range s.used {
		if used {
			out = append(out, s.list[i].LearnedBase)
		}
	}
	return out
}

// loaded is an image with its contents.
type loaded struct {
	LearnedBase
	*learned.Contents
}

func (l loaded) name() string { return l.Reference + "@" + l.LearnedBase.Digest }

// contents are the learned images of a release and family. One that cannot be read is a
// Problem, and the lists decide.
func (t *Tree) contents(release, family string) []loaded {
	var out []loaded
	for i, b := range t.bases.list {
		if b.OS != release || b.Family != family {
			continue
		}
		c, err := b.Contents()
		if err != nil {
			t.problem(".", "what was learned of "+b.Reference+" cannot be read: "+reason(err)+"; winpack's lists decide in its place")
			continue
		}
		t.bases.used[i] = true
		out = append(out, loaded{b.LearnedBase, c})
	}
	return out
}

// presence is what learned images say of a DLL.
type presence struct {
	learned bool // there are such images
	has     bool
	missing []string // functions that it is there without
	by      loaded   // that decided: the first that has it, else the first
}

// present looks for a DLL and its functions in the learned images of a release and
// family. Larger images are made of smaller ones: where any may become the base, one that
// has all of it is enough; else the smallest decides, which is in all of them.
func (t *Tree) present(dll string, functions []string, how How, x86 bool, release, family string, anyImage bool) presence {
	var p presence
	images := t.contents(release, family)
	if len(images) > 1 && !anyImage {
		images = []loaded{slices.MinFunc(images, func(a, b loaded) int { return cmp.Compare(a.Count(), b.Count()) })}
	}
	for _, b := range images {
		file, _ := b.DLL(dll, x86)
		var missing []string
		if file != nil {
			for _, f := range functions {
				if !exports(file, f, how) {
					missing = append(missing, clean(f))
				}
			}
		}
		switch {
		case file != nil && len(missing) == 0:
			return presence{learned: true, has: true, by: b}
		case !p.learned || file != nil && p.missing == nil:
			p = presence{learned: true, missing: missing, by: b}
		}
	}
	return p
}

// exports says whether a file is not known to lack a function. Of a P/Invoke the runtime
// tries the names for texts too; of an ordinal no name is known.
func exports(file *learned.File, function string, how How) bool {
	names := []string{function}
	if how == HowPInvoke {
		names = append(names, function+"W", function+"A")
	}
	for _, n := range names {
		if has, known := file.Exports(n); has || !known {
			return true
		}
	}
	return strings.HasPrefix(function, "#")
}

// without says why learned images do not do.
func (p presence) without(dll string) string {
	if len(p.missing) > 0 {
		return dll + " in " + p.by.name() + ", whose contents were learned, is without " + few(slices.Clone(p.missing))
	}
	return dll + " is not in " + p.by.name() + ", whose contents were learned"
}

// learned judges a DLL by the learned contents of images, release by release; where
// none is learned of a family the lists say what is known of it.
func (t *Tree) learned(dll string, functions []pe.Function, about string, ev Evidence, how How) []Fact {
	row, set := dllData().lookup(dll)
	if set == setCRT || set == setOneCore || set == setExtension || row != nil && row.DirectX {
		return t.listed(dll, functions, about, ev, how)
	}
	if set == setNone && (row == nil || row.ofProduct()) && t.anywhere(dll) {
		return nil
	}
	var names []string
	for _, f := range functions {
		names = append(names, f.Name)
	}
	x86 := t.asks32(ev.Path)
	listed := t.listed(dll, functions, about, ev, how)
	var needs, findings []Fact
	for _, release := range t.bases.releases {
		need, more := t.verdict(dll, names, about, ev, how, x86, release, row, listed)
		if need != nil {
			need.Release = release
			needs = append(needs, Fact{Key: "import", Value: dll, about: about, Evidence: []Evidence{ev}, item: *need})
		}
		if slices.Contains(t.bases.os, release) {
			findings = append(findings, more...)
		}
	}
	return append(sameForAll(needs, len(t.bases.releases)), uniqueFacts(findings)...)
}

// sameForAll joins needs of all releases that say the same into one.
func sameForAll(needs []Fact, releases int) []Fact {
	if len(needs) != releases || releases == 0 {
		return needs
	}
	first := needs[0].item.(FamilyNeed)
	for _, f := range needs[1:] {
		if n := f.item.(FamilyNeed); n.Family != first.Family || n.Why != first.Why {
			return needs
		}
	}
	first.Release = ""
	needs[0].item = first
	return needs[:1]
}

// verdict is what one release asks for, and what is missing there.
func (t *Tree) verdict(dll string, functions []string, about string, ev Evidence, how How, x86 bool, release string, row *dllRow, listed []Fact) (*FamilyNeed, []Fact) {
	var byList *FamilyNeed
	var findings []Fact
	for _, f := range listed {
		if n, ok := f.item.(FamilyNeed); ok {
			byList = &n
		} else {
			findings = append(findings, f)
		}
	}
	need := func(family, why string) *FamilyNeed {
		return &FamilyNeed{Family: family, Why: why, Evidence: []Evidence{ev}}
	}
	var nano presence
	bind := t.binders[about]
	onCore := bind != nil && bind.family == "netfx" // which Nano Server is not asked for
	if !onCore {
		nano = t.present(dll, functions, how, x86, release, FamilyNanoServer, false)
	}
	switch {
	case onCore:
		if byList == nil {
			byList = need(FamilyServerCore, "Nano Server has no .NET Framework")
		}
	case nano.has, !nano.learned && byList == nil:
		return nil, nil
	case nano.learned:
		if byList == nil || byList.Family == FamilyServerCore {
			byList = need(FamilyServerCore, nano.without(dll))
		}
	}
	core := t.present(dll, functions, how, x86, release, FamilyServerCore, onCore)
	switch {
	case !core.learned:
		return byList, findings
	case core.has:
		if row == nil || row.Forces != "host" && row.Forces != "error" {
			findings = nil
		}
		if byList.Family == FamilyServer {
			byList = need(FamilyServerCore, dll+" is not in Nano Server")
		}
		return byList, findings
	}
	server := t.present(dll, functions, how, x86, release, FamilyServer, onCore)
	ofWindows := row != nil && row.Forces == "server" && !row.ofProduct()
	if server.has || !server.learned && ofWindows {
		return need(FamilyServer, core.without(dll)), nil
	}
	if byList.Family == FamilyServer { // where it is not either
		byList = need(FamilyServerCore, core.without(dll))
	}
	if len(findings) > 0 && !slices.ContainsFunc(findings, func(f Fact) bool {
		return f.Key == "import-unknown" || f.Key == "import-unsure" || f.Key == "import-redist-unsure"
	}) {
		return byList, findings // which have the cure
	}
	words := map[string]string{"base": core.by.name(), "when": how.when(), "functions": few(slices.Clone(core.missing))}
	f := Fact{Key: "import-nowhere", Value: dll, about: about, Evidence: []Evidence{ev}, item: words}
	switch {
	case len(core.missing) > 0 && how == HowImport:
		f.Key = "import-function-nowhere"
	case len(core.missing) > 0:
		f.Key = "call-function-nowhere"
	case how != HowImport:
		f.Key = "call-nowhere"
	}
	return byList, []Fact{f}
}

// fromLearned is windows by the learned contents of the images that are wanted. Where
// releases differ, the worst counts.
func (t *Tree) fromLearned(u use, family func(release string) string, anyImage bool) (p Provider, from, why string) {
	rank := []Provider{FromBase, FromUnknown, FromNowhere}
	_, set := dllData().lookup(u.name)
	for i, release := range t.bases.os {
		q, f, w := fromList(u.name, family(release))
		if set == setNone || set == setOther {
			switch got := t.present(u.name, u.functions, u.asker.How, u.x86, release, family(release), anyImage); {
			case got.has:
				q, f, w = FromBase, got.by.Reference, "in its learned contents, "+got.by.LearnedBase.Digest
			case got.learned && set == setNone:
				q, f, w = FromNowhere, "", got.without(u.name)
			}
		}
		if i == 0 || slices.Index(rank, q) > slices.Index(rank, p) {
			p, from, why = q, f, w
		}
	}
	return p, from, why
}

// inGlobalCache looks for an assembly in the global caches of the learned images of
// Server Core, where .NET Framework runs. learned says that there are such images for
// all releases that are wanted.
func (t *Tree) inGlobalCache(r *pe.Assembly) (reference, at string, isLearned bool) {
	if len(t.bases.os) == 0 || len(t.bases.list) == 0 || !r.Signed {
		return "", "", false
	}
	for _, release := range t.bases.os {
		images := t.contents(release, FamilyServerCore)
		if len(images) == 0 {
			return "", "", false
		}
		found := ""
		for _, b := range images {
			if p := b.Assembly(r.Name, r.PublicKeyToken()); p != "" {
				found, reference = p, b.Reference
				break
			}
		}
		if found == "" {
			return images[0].name(), "", true
		}
		at = found
	}
	return reference, at, true
}
