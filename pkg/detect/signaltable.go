package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// signalTable is signals.toml: what gives away a need that a container does not meet.
type signalTable struct {
	Sources map[string]string `toml:"sources"`
	Signal  []signal          `toml:"signal"`
	// Others are assemblies of libraries that many applications carry. What one of
	// them could do says nothing of the application.
	Others struct {
		Names      []string `toml:"names"`
		Source     string   `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"others"`
	// Package are libraries whose older versions should no longer be used.
	Package []struct {
		Name       string `toml:"name"`   // of the assembly, or of the file up to the version
		Before     string `toml:"before"` // the version that the assembly or the file has from then on
		Fixed      string `toml:"fixed"`  // the first version without the fault, as it is known
		Fault      string `toml:"fault"`
		Jar        bool   `toml:"jar"`
		Source     string `toml:"source"`
		Confidence string `toml:"confidence"`
	} `toml:"package"`
}

// signal is one cause and all the places that give it away.
type signal struct {
	ID      string   `toml:"id"`
	Files   []string `toml:"files"`   // patterns of base names, lower case
	Content []string `toml:"content"` // one of them, lower case, stands at the start of such a file
	Paths   []string `toml:"paths"`   // files or folders by their whole path, lower case
	Refs    []string `toml:"refs"`    // patterns of assembly names: "X", or "X*"
	Types   []string `toml:"types"`   // "Namespace.Type", "Namespace.*", "Namespace.Type::Member"
	Natives []string `toml:"natives"` // "dll", "prefix*.dll" or "dll!Function"; without the A or W of its two forms
	ProgIDs []string `toml:"progids"` // of COM, in code and scripts: "X.Y", or "X.*"
	Strings []string `toml:"strings"` // in strings of code and in scripts, lower case; "^" at the start: begins with
	Scripts []string `toml:"scripts"` // in scripts only
	Config  []string `toml:"config"`  // "element/element@attribute=value|value", "element" or "@attribute": see configMatch
	Keys    []string `toml:"keys"`    // of settings, lower case, as .NET joins them: "kestrel:*:certificate:subject"
	Values  []string `toml:"values"`  // in values of configuration, lower case, and in strings of code and scripts

	Covers []string `toml:"covers"` // assemblies of frameworks.toml about which it says more
	Unless []string `toml:"unless"` // signals beside which this one says nothing new
	Code   bool     `toml:"code"`   // code finds it, beside what is listed
	Fact   string   `toml:"fact"`   // the key of its facts, if it is another one than "signal"
	Quiet  bool     `toml:"quiet"`  // it has no rule: others ask for it
	Family string   `toml:"family"` // the smallest that has it, where one is forced

	Source     string `toml:"source"`
	Confidence string `toml:"confidence"`
}

// sourceOf is where the reason of a signal can be read; empty where the table only
// remembers it.
func (t *signalTable) sourceOf(s *signal) string {
	var out []string
	for id := range strings.SplitSeq(s.Source, ";") {
		if ref := t.Sources[strings.TrimSpace(id)]; ref != "" {
			out = append(out, ref)
		}
	}
	return strings.Join(out, "; ")
}

// signalIndex finds the rows of a name without trying each of them.
type signalIndex struct {
	*signalTable
	byID map[string]*signal

	ref     namePatterns
	ofType  map[string][]typePattern // by the simple name of the type; those of a whole namespace by "" and the namespace
	spaces  map[string][]*signal     // namespaces that count whole
	native  map[string][]nativePattern
	natives []nativePattern // by a pattern of the DLL
	file    namePatterns
	exts    []string // of files
	config  map[string][]configMatch
	keys    []keyPattern
	other   namePatterns
}

type typePattern struct {
	sig               *signal
	namespace, member string
}

type nativePattern struct {
	sig           *signal
	dll, function string
}

type keyPattern struct {
	sig     *signal
	pattern string
}

// namePatterns are names and "X*", in lower case.
type namePatterns struct {
	exact    map[string][]*signal
	globs    []globPattern
	suffixes map[string][]*signal // "*.ext"
}

type globPattern struct {
	sig     *signal
	pattern string
	prefix  string // before the first star
}

func (n *namePatterns) add(pattern string, s *signal) {
	if n.exact == nil {
		n.exact, n.suffixes = map[string][]*signal{}, map[string][]*signal{}
	}
	before, after, star := strings.Cut(pattern, "*")
	switch {
	case !star:
		n.exact[pattern] = append(n.exact[pattern], s)
	case before == "" && path.Ext(after) == after:
		n.suffixes[after] = append(n.suffixes[after], s)
	default:
		n.globs = append(n.globs, globPattern{s, pattern, before})
	}
}

// find calls f for the rows of a name in lower case.
func (n *namePatterns) find(low string, f func(*signal)) {
	for _, s := range n.exact[low] {
		f(s)
	}
	for _, s := range n.suffixes[path.Ext(low)] {
		f(s)
	}
	for i := range n.globs {
		g := &n.globs[i]
		if strings.HasPrefix(low, g.prefix) {
			if ok, _ := path.Match(g.pattern, low); ok {
				f(g.sig)
			}
		}
	}
}

func (n *namePatterns) has(low string) bool {
	found := false
	n.find(low, func(*signal) { found = true })
	return found
}

// newSignalIndex makes the index, or says what of the table is malformed.
func newSignalIndex(t *signalTable) (*signalIndex, error) {
	x := &signalIndex{signalTable: t, byID: map[string]*signal{}, ofType: map[string][]typePattern{}, spaces: map[string][]*signal{},
		native: map[string][]nativePattern{}, config: map[string][]configMatch{}}
	for i := range t.Signal {
		s := &t.Signal[i]
		x.byID[s.ID] = s
		for _, f := range s.Files {
			x.file.add(f, s)
			if ext := path.Ext(f); !slices.Contains(x.exts, ext) {
				x.exts = append(x.exts, ext)
			}
		}
		for _, r := range s.Refs {
			x.ref.add(strings.ToLower(r), s)
		}
		for _, name := range s.Types {
			name, member, _ := strings.Cut(name, "::")
			dot := strings.LastIndexByte(name, '.')
			if dot < 0 {
				return nil, fmt.Errorf("signal %s: type %q has no namespace", s.ID, name)
			}
			space, simple := name[:dot], name[dot+1:]
			if simple == "*" {
				x.spaces[space] = append(x.spaces[space], s)
				continue
			}
			x.ofType[simple] = append(x.ofType[simple], typePattern{s, space, member})
		}
		for _, name := range s.Natives {
			dll, function, _ := strings.Cut(name, "!")
			n := nativePattern{s, dll, function}
			if strings.Contains(dll, "*") {
				x.natives = append(x.natives, n)
			} else {
				x.native[dll] = append(x.native[dll], n)
			}
		}
		for _, c := range s.Config {
			m, err := parseConfigMatch(s, c)
			if err != nil {
				return nil, err
			}
			x.config[m.last()] = append(x.config[m.last()], m)
		}
		for _, k := range s.Keys {
			x.keys = append(x.keys, keyPattern{s, strings.ReplaceAll(k, ":", "/")})
		}
	}
	for _, name := range t.Others.Names {
		x.other.add(strings.ToLower(name), &signal{})
	}
	return x, nil
}

var signalData = sync.OnceValue(func() *signalIndex {
	return must(newSignalIndex(must(parse[signalTable]("signals.toml", signalsTOML))))
})
