package detect

import (
	"cmp"
	"slices"
	"strings"
)

// Closure is what the application loads, as far as its bytes tell, and where each
// thing comes from: the proof of the choice of a base image.
type Closure struct {
	Modules []Module `json:"modules"` // by name, then kind, provider and from
	// Bases are the images whose contents decided, from images learn; empty where the
	// lists of winpack did.
	Bases []LearnedBase `json:"bases"`
	// Cut says that there are more modules than are listed.
	Cut bool `json:"cut,omitempty"`
}

// LearnedBase is an image whose contents were learned.
type LearnedBase struct {
	OS        string `json:"os"`     // "ltsc2022"
	Family    string `json:"family"` // FamilyNanoServer, ...
	Reference string `json:"reference"`
	Digest    string `json:"digest"` // of the image, not of an index
}

// Module is one thing that is loaded.
type Module struct {
	Name     string     `json:"name"` // of the file, of the assembly without extension, or the ProgID or CLSID
	Kind     ModuleKind `json:"kind"`
	Provider Provider   `json:"provider"`
	// From says more: the path in the application, the framework's name, or the base
	// image or list that has it.
	From   string  `json:"from,omitempty"`
	Why    string  `json:"why"` // how that is known
	Askers []Asker `json:"askers"`
	// More is how many askers there are beyond those listed.
	More int `json:"more,omitempty"`
}

// ModuleKind tells what a module is.
type ModuleKind string

const (
	ModuleNative   ModuleKind = "native"   // a DLL or another file of native code
	ModuleAssembly ModuleKind = "assembly" // of .NET
	ModuleCOM      ModuleKind = "com"      // a COM class, by ProgID or CLSID
)

// Provider is where a module comes from.
type Provider string

const (
	FromApp       Provider = "app"
	FromFramework Provider = "framework"
	FromBase      Provider = "base"
	FromNowhere   Provider = "nowhere" // that it is absent is known
	FromUnknown   Provider = "unknown"
)

// How is the way in which a module is asked for.
type How string

const (
	HowImport    How = "import"       // before the program starts
	HowDelay     How = "delay import" // at the first use
	HowPInvoke   How = "P/Invoke"     // at the first call
	HowLoad      How = "LoadLibrary"  // by the program itself, at the first call
	HowReference How = "reference"
	HowDeps      How = "deps.json"
	HowCOM       How = "COM"
)

// Asker is a file that asks for a module.
type Asker struct {
	Path    string `json:"path"`
	How     How    `json:"how"`
	Version string `json:"version,omitempty"` // that a reference names
	Token   string `json:"token,omitempty"`   // of its public key
	Line    int    `json:"line,omitempty"`
	Offset  int64  `json:"offset,omitempty"`
	Length  int64  `json:"length,omitempty"`
}

// Bounds of what a closure lists.
const (
	maxModules = 20_000
	maxAskers  = 10
)

// use is one asking, before it is known which program starts.
type use struct {
	kind     ModuleKind
	name     string
	asker    Asker
	provider Provider // empty for a DLL of Windows, which depends on the base
	from     string
	why      string
	// functions are those that are taken from a DLL of Windows.
	functions []string
	x86       bool // a process of 32 bits asks
}

// maxUses bounds what is kept of one application.
const maxUses = 400_000

// record keeps a use for the closure, where one is asked for.
func (t *Tree) record(about string, u use) {
	if t.uses != nil && t.usesKept < maxUses {
		t.usesKept++
		t.uses[about] = append(t.uses[about], u)
	}
}

func askerAt(ev Evidence, how How) Asker {
	return Asker{Path: ev.Path, How: how, Line: ev.Line, Offset: ev.Offset, Length: ev.Length}
}

// closure joins what the chosen program, or the site, loads. family is that which the
// application needs.
func (t *Tree) closure(app App, needs Needs) *Closure {
	c := &Closure{Modules: []Module{}, Bases: []LearnedBase{}}
	about := []string{""}
	if app.Program != nil {
		about = append(about, app.Program.Path)
	}
	if rt := needs.Runtime; rt != nil && rt.Path != "" && !slices.Contains(about, rt.Path) {
		about = append(about, rt.Path)
	}
	type key struct {
		name     string
		kind     ModuleKind
		provider Provider
		from     string
	}
	index := map[key]int{}
	asked := map[key]map[Asker]bool{}
	for _, a := range about {
		for _, u := range t.uses[a] {
			if u.provider == "" {
				u.provider, u.from, u.why = t.windows(u, needs.family, t.binders[a] != nil && t.binders[a].family == "netfx")
			}
			k := key{strings.ToLower(u.name), u.kind, u.provider, u.from}
			i, ok := index[k]
			if !ok {
				if len(c.Modules) == maxModules {
					c.Cut = true
					continue
				}
				i = len(c.Modules)
				index[k], asked[k] = i, map[Asker]bool{}
				c.Modules = append(c.Modules, Module{Name: clean(u.name), Kind: u.kind, Provider: u.provider, From: u.from, Why: clean(u.why)})
			}
			if !asked[k][u.asker] {
				asked[k][u.asker] = true
				c.Modules[i].Askers = append(c.Modules[i].Askers, u.asker)
			}
		}
	}
	c.Cut = c.Cut || t.usesKept >= maxUses
	for i := range c.Modules {
		m := &c.Modules[i]
		slices.SortFunc(m.Askers, func(x, y Asker) int {
			return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(string(x.How), string(y.How)), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Offset, y.Offset), strings.Compare(x.Version, y.Version))
		})
		if n := len(m.Askers); n > maxAskers {
			m.Askers, m.More = m.Askers[:maxAskers], n-maxAskers
		}
	}
	c.Bases = append(c.Bases, t.bases.asked()...)
	slices.SortFunc(c.Modules, compareModules)
	return c
}

// compareModules orders modules as a closure lists them.
func compareModules(x, y Module) int {
	return cmp.Or(strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)), strings.Compare(string(x.Kind), string(y.Kind)),
		strings.Compare(string(x.Provider), string(y.Provider)), strings.Compare(x.From, y.From), strings.Compare(x.Name, y.Name))
}

// family is the smallest that does for a release; for "" the smallest for all of them.
func (n *Needs) family(release string) string {
	for _, f := range n.Families { // the largest comes first
		if f.Release == "" || release == "" || f.Release == release {
			return f.Family
		}
	}
	return FamilyNanoServer
}

// windows says where a DLL that is not in the application comes from, where the base
// image is of the family that family gives for a release; anyImage says that each image of
// it may be that.
func (t *Tree) windows(u use, family func(release string) string, anyImage bool) (p Provider, from, why string) {
	if len(t.bases.list) > 0 && len(t.bases.os) > 0 {
		return t.fromLearned(u, family, anyImage)
	}
	return fromList(u.name, family(""))
}

// fromList is windows by the lists of winpack.
func fromList(dll, family string) (p Provider, from, why string) {
	d := dllData()
	what := familyName(family)
	switch row, set := d.lookup(dll); {
	case set == setCRT:
		return FromBase, "Windows", "the Universal C Runtime, part of every image"
	case set == setOneCore:
		return FromBase, "Windows", "an API set of OneCore, which every image has"
	case set == setExtension:
		return FromUnknown, "", "an API set that is optional by design"
	case set == setOther && family != FamilyNanoServer:
		return FromBase, "Windows", "an API set, which the full Windows API has"
	case set == setOther:
		return FromUnknown, "", "an API set that is not known on Nano Server"
	case row == nil:
		return FromUnknown, "", "not in the folder, and on no list of the base images' files"
	default:
		switch has := row.on(family); {
		case has == "yes":
			return FromBase, what, "on the list of DLLs (" + row.Confidence + " confidence)"
		case has == "no":
			return FromNowhere, "", cmp.Or(row.Remedy, "not in "+what)
		default:
			return FromUnknown, "", "whether " + what + " has it is not known"
		}
	}
}

// on says what is known of the DLL in images of a family: "yes", "no" or "unknown".
func (r *dllRow) on(family string) string {
	switch family {
	case FamilyNanoServer:
		return r.Nano
	case FamilyServerCore:
		return r.Core
	}
	if r.Core == "yes" || r.Forces == "server" && !r.ofProduct() {
		return "yes"
	}
	return r.Core
}

// ofProduct says that the DLL is not of Windows.
func (r *dllRow) ofProduct() bool {
	return r.Forces == "redist" || r.Forces == "app" || r.Product != ""
}

func familyName(family string) string {
	switch family {
	case FamilyNanoServer:
		return "Nano Server"
	case FamilyServerCore:
		return "Server Core"
	}
	return "Server"
}
