package detect

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Runtime is what runs an application that Windows cannot start by itself: scripts,
// byte code, the applications of a server.
type Runtime struct {
	// Name is one of the Runtime constants.
	Name string `json:"name"`
	// Path is its program where the folder brings it, slash-separated: "jre/bin/java.exe".
	Path string `json:"path,omitempty"`
	// Version is that of the runtime in the folder or, where there is none, the one
	// that the application asks for, as it is written; empty where nothing says it.
	// That of Java is the lowest that can read the classes.
	Version  string     `json:"version,omitempty"`
	Evidence []Evidence `json:"evidence"`
}

// Names of runtimes.
const (
	RuntimeNode   = "nodejs"
	RuntimePython = "python"
	RuntimeJava   = "java"
	RuntimePHP    = "php"
)

// stack is the item of a kind fact of an application that a runtime or a server
// of another maker runs.
type stack struct {
	program *Program
	runtime *Runtime // nil where the program is native
	source  *project // of a source tree
}

// stackFacts are those of an application that is proven to be of kind. p is nil for
// what IIS runs.
func stackFacts(kind Kind, source string, p *Program, rt *Runtime, ev []Evidence) []Fact {
	about := ""
	if p != nil {
		about = p.Path
	}
	facts := []Fact{{Key: "kind", Value: string(kind), source: source, about: about, Evidence: ev, item: &stack{program: p, runtime: rt}}}
	if rt != nil {
		value := strings.TrimSpace(rt.Name + " " + rt.Version)
		if rt.Path != "" {
			value += " in " + rt.Path
		}
		facts = append(facts, Fact{Key: "runtime", Value: value, about: about, Evidence: rt.Evidence, source: string(kind)})
	}
	return facts
}

// runtimeIn is a runtime that the folder brings: the program of that name nearest to
// the root, with what its version resource says.
func (t *Tree) runtimeIn(name, exe string) *Runtime {
	var best *image
	for _, b := range t.binaries {
		if b.base == exe && b.native() && !b.isDLL && !b.broken && (best == nil || t.depth(b.dir) < t.depth(best.dir)) {
			best = b
		}
	}
	if best == nil {
		return nil
	}
	rt := &Runtime{Name: name, Path: best.path, Evidence: []Evidence{at(best.path, best.sub, "the folder brings "+exe)}}
	if v, place := t.fileVersion(best); v != "" {
		rt.Version = v
		rt.Evidence = append(rt.Evidence, at(best.path, place, "version resource "+v))
	}
	return rt
}

// fileVersion is the file version of a binary's version resource without the
// build number, "20.11.1"; empty where it has none.
func (t *Tree) fileVersion(b *image) (version string, place pe.Span) {
	t.withPE(b.path, func(f *pe.File) error {
		v, err := f.FileVersion()
		if err == nil {
			version, place = v.Value, v.Span
		}
		return nil // what is broken there is a matter of the version alone
	})
	return version, place
}

// inFolder says whether p lies in dir, "." for the root.
func inFolder(p, dir string) bool {
	return dir == "." || strings.HasPrefix(strings.ToLower(p), strings.ToLower(dir)+"/")
}

// commandFile is the file of the folder that an argument of a command line names,
// relative to dir; empty for what is none.
func (t *Tree) commandFile(dir, arg string) string {
	arg = strings.Trim(arg, `"'`)
	for _, base := range []string{"%~dp0", "%BASE%", "%CD%", "$PSScriptRoot"} {
		if rest, ok := cutPrefixFold(arg, base); ok {
			arg = strings.TrimLeft(rest, `\/`)
		}
	}
	p, ok := relativeTo(dir, arg)
	if !ok {
		return ""
	}
	return t.find(p)
}

// relativeTo is a path of a script in dir, in the app folder; ok is false for one that
// is absolute or leads out of it.
func relativeTo(dir, s string) (p string, ok bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), `\`, "/")
	if s == "" || strings.HasPrefix(s, "/") || strings.ContainsAny(s, ":%") {
		return "", false
	}
	p = path.Join(dir, s)
	return p, p != ".." && !strings.HasPrefix(p, "../")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// chooseStack settles which of several stacks the application is of. Stacks of the
// same rank and different kinds leave it open: what is returned is then nil, with the
// facts between which nothing decides.
func (r *resolution) chooseStack(winner *Fact) (*Fact, []*Fact) {
	var tied []*Fact
	r.each("kind", func(f *Fact) {
		if _, ok := f.item.(*stack); ok && rank("kind", f.source) == rank("kind", winner.source) && (r.chosen == "" || f.about == r.chosen) {
			tied = append(tied, f)
		}
	})
	if !slices.ContainsFunc(tied, func(f *Fact) bool { return f.Value != winner.Value || f.about != winner.about }) {
		return winner, nil
	}
	return nil, tied
}

// anyManaged says whether one of several programs is managed: then it is open which of
// them the application is.
func (r *resolution) anyManaged(programs []*Fact) bool {
	found := false
	r.each("kind", func(k *Fact) {
		found = found || (k.source == "managed" || k.source == "aspnetcore") && slices.ContainsFunc(programs, func(p *Fact) bool { return p.Value == k.about })
	})
	return found
}

// severalStacks leaves open what the application is.
func (r *resolution) severalStacks(tied []*Fact) {
	r.tied = tied
	var names []string
	var ev []Evidence
	for _, f := range tied {
		name := f.Value
		if f.about != "" {
			name += " (" + f.about + ")"
		}
		names = append(names, name)
		ev = mergeEvidence(ev, f.Evidence[:min(1, len(f.Evidence))])
	}
	why := "unknown: several applications are equally likely (" + few(slices.Clone(names)) + ")"
	r.each("kind", func(f *Fact) { f.OverruledBy = why })
	slices.Sort(names)
	names = slices.Compact(names)
	r.derive("several-programs", strings.Join(names[:min(len(names), 8)], ", "), "", ev, nil)
}

// takeStack makes the application that of a stack.
func (r *resolution) takeStack(s *stack, winner *Fact) {
	r.app.Program, r.needs.Runtime = s.program, s.runtime
	if x := s.source; x != nil {
		r.takeSource(x)
	}
	if s.program == nil {
		r.each("program", func(f *Fact) {
			if f.OverruledBy == "" {
				f.OverruledBy = winner.Value + ": it starts no program of the folder"
			}
		})
		return
	}
	known := false
	r.each("program", func(f *Fact) {
		if f.Value == s.program.Path {
			f.OverruledBy, known = "", true
		} else if f.OverruledBy == "" {
			f.OverruledBy = s.program.Path + ": it is what starts"
		}
	})
	if !known {
		r.facts = append(r.facts, Fact{Key: "program", Value: s.program.Path, Detector: winner.Detector, about: s.program.Path, Evidence: winner.Evidence, item: s.program})
	}
}

// runtimeTable is what is known of runtimes and servers of other makers.
type runtimeTable struct {
	AsOf    time.Time    `toml:"as_of"`
	Runtime []runtimeRow `toml:"runtime"`
}

type runtimeRow struct {
	Name      string               `toml:"name"` // of the runtime, or of the kind of a server
	Title     string               `toml:"title"`
	Ended     map[string]time.Time `toml:"ended"` // releases without support
	Supported []string             `toml:"supported"`
	// Stop is what to do where it does not hear that the container stops; empty where
	// it does, or nothing is known.
	Stop string `toml:"stop"`
}

func (t *runtimeTable) row(name string) *runtimeRow {
	for i := range t.Runtime {
		if t.Runtime[i].Name == name {
			return &t.Runtime[i]
		}
	}
	return nil
}

// describeRuntime derives whether what runs the application has support, and hears
// that the container stops.
func (r *resolution) describeRuntime() {
	if rt := r.needs.Runtime; rt != nil {
		r.runtimeEnded(rt.Name, rt.Version, rt.Evidence)
	}
	r.each("server-version", func(f *Fact) {
		if name, version, ok := strings.Cut(f.Value, " "); ok && f.OverruledBy == "" {
			defer r.runtimeEnded(strings.ToLower(name), version, f.Evidence)
		}
	})
	if r.needs.Runtime == nil && !slices.Contains([]Kind{KindNginx, KindRedis}, r.app.Kind) {
		return // whose table most apps need not read
	}
	if row := runtimeData().row(string(r.app.Kind)); row != nil && row.Stop != "" {
		r.derive("stop-unheard", row.Title, "", r.evidenceOf("kind", string(r.app.Kind)), map[string]string{"remedy": row.Stop})
	}
}

func (r *resolution) runtimeEnded(name, version string, ev []Evidence) {
	row := runtimeData().row(name)
	if row == nil || !plainVersion().MatchString(version) {
		return // a range says what would do, not what runs
	}
	next := ""
	if len(row.Supported) > 0 {
		next = " (" + strings.Join(row.Supported, ", ") + ")"
	}
	for _, release := range sortedKeys(row.Ended) {
		if version != release && !strings.HasPrefix(version, release+".") {
			continue
		}
		r.derive("runtime-ended", row.Title+" "+release, "", ev, map[string]string{"ended": row.Ended[release].Format(time.DateOnly), "next": next})
		return
	}
	if later := row.endedBefore(version); later != "" {
		r.derive("runtime-ended", row.Title+" "+version, "", ev, map[string]string{"ended": "before " + row.Ended[later].Format(time.DateOnly), "next": next})
	}
}

// endedBefore is the first release without support that came after a version which is
// none of those that the table knows; empty where there is none.
func (row *runtimeRow) endedBefore(version string) string {
	first := ""
	for release := range row.Ended {
		if strings.Count(version, ".") >= strings.Count(release, ".") && newer(release, version) && (first == "" || newer(first, release)) {
			first = release
		}
	}
	for _, release := range row.Supported {
		if version == release || strings.HasPrefix(version, release+".") {
			return ""
		}
	}
	return first
}

var plainVersion = pattern(`^\d{1,3}(\.\d{1,5}){0,3}$`)

// programName is the name of a program on a command line, in lower case and without
// folder and .exe.
func programName(word string) string {
	return strings.TrimSuffix(windowsBase(strings.Trim(word, `"`)), ".exe")
}

// windowsBase is the last part of a path of Windows, in lower case.
func windowsBase(p string) string { return strings.ToLower(path.Base(strings.ReplaceAll(p, `\`, "/"))) }
