package detect

import (
	_ "embed"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

//go:embed com.toml
var comTOML string

type comTable struct {
	Sources map[string]string `toml:"sources"`
	Class   []comClass        `toml:"class"`
}

// comClass is what is known of COM classes.
type comClass struct {
	IDs        []string `toml:"ids"`  // patterns of ProgIDs, or CLSIDs without braces
	Core       string   `toml:"core"` // yes or no
	What       string   `toml:"what"`
	Cure       string   `toml:"cure"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

var comData = sync.OnceValue(func() *comTable { return must(parse[comTable]("com.toml", comTOML)) })

// class is the row about a ProgID or CLSID; nil for none.
func (t *comTable) class(id string) *comClass {
	if i := slices.IndexFunc(t.Class, func(c comClass) bool { return matchesAny(c.IDs, id) }); i >= 0 {
		return &t.Class[i]
	}
	return nil
}

// Members that make COM objects by a name or number.
const (
	byProgID = "System.Type::GetTypeFromProgID"
	byCLSID  = "System.Type::GetTypeFromCLSID"
	byCLSID2 = "System.Runtime.InteropServices.Marshal::GetTypeFromCLSID" // newer compilers, for embedded types
	newGUID  = "System.Guid::.ctor"
	aGUID    = "System.Guid::Parse"
	byVB     = "Microsoft.VisualBasic.Interaction::CreateObject"
)

var (
	progID = pattern(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+){1,3}$`)
	clsid  = pattern(`^\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?$`)
)

// comCalls says which COM classes the code of an assembly makes, where it names them
// by a literal.
func (w walker) comCalls(code assembly) []Fact {
	var facts []Fact
	code.code(func(clr *pe.CLR) error {
		calls, err := clr.CallsTo(byProgID, byCLSID, byCLSID2, newGUID, aGUID, byVB)
		ids := map[string]bool{} // callers that ask by a CLSID
		for _, c := range calls {
			ids[c.Caller] = ids[c.Caller] || c.Member == byCLSID || c.Member == byCLSID2
		}
		for _, c := range calls {
			id := ""
			switch c.Member {
			case byProgID, byVB:
				if id = c.Literal; !c.Loaded || id == "" || !isID(progID(), id) {
					id = c.Earlier // the last argument is the server, or whether to throw
				}
				if !isID(progID(), id) {
					continue
				}
			case newGUID, aGUID:
				if !ids[c.Caller] || !isID(clsid(), c.Literal) {
					continue
				}
				id = strings.ToUpper(strings.Trim(c.Literal, "{}"))
			default:
				continue
			}
			facts = append(facts, w.comClass(id, "", code.evidence(c.Span, c.Caller+" makes the COM object "+id))...)
		}
		return err
	})
	return facts
}

// comLibrary is what an assembly makes of the COM classes of a type library that it
// refers to. known says that it makes some, and that each is known.
func (w walker) comLibrary(b *image, r *pe.Assembly, library *image) (facts []Fact, known bool) {
	known = true
	count := 0
	code := w.codeOf(b)
	code.code(func(clr *pe.CLR) error {
		types, err := clr.NewFrom(r.Name)
		for _, made := range types {
			i := slices.IndexFunc(library.coms, func(c pe.COMClass) bool { return c.Name == made.Name })
			if i < 0 || count == maxComs {
				continue
			}
			count++
			more := w.comClass(library.coms[i].CLSID, comName(made.Name), code.evidence(made.Span, "makes the COM object "+made.Name+" of "+r.Name))
			known = known && !slices.ContainsFunc(more, func(f Fact) bool { return f.Key == "com-unknown" })
			facts = append(facts, more...)
		}
		return err
	})
	return facts, known && count > 0
}

// withLibrary completes the signals of a reference by what the code makes of the type
// library that it leads to: where all of it is known, the general word on wrappers of
// COM components says less.
func (w walker) withLibrary(b *image, r *pe.Assembly, library *image, signals []Fact) []Fact {
	if library == nil || !library.typeLib {
		return signals
	}
	facts, known := w.comLibrary(b, r, library)
	general := func(f Fact) bool { return f.Key == "signal" && f.Value == "com-interop" }
	if known {
		signals = slices.DeleteFunc(signals, general)
	} else if slices.ContainsFunc(signals, general) {
		facts = slices.DeleteFunc(facts, func(f Fact) bool { return f.Key == "com-unknown" })
	}
	return append(signals, facts...)
}

// comDeclared is what an assembly describes of COM classes itself, to make them.
func (w walker) comDeclared(b *image) []Fact {
	var facts []Fact
	for i, c := range b.coms {
		if i == maxComs {
			break
		}
		facts = append(facts, w.comClass(c.CLSID, comName(c.Name), at(b.path, c.Span, "describes the COM class "+c.Name))...)
	}
	return facts
}

// maxComs bounds the COM classes of one assembly.
const maxComs = 64

// comName is the name that a type library gave to a class: its importer adds "Class"
// (learn.microsoft.com/dotnet/framework/interop/imported-type-conversion).
func comName(class string) string { return strings.TrimSuffix(class, "Class") }

func isID(re *regexp.Regexp, s string) bool { return len(s) < 200 && re.MatchString(s) }

// comClass judges one COM class, by ProgID or CLSID. alias is the name that a type library
// gives to a CLSID, empty where none is known.
func (w walker) comClass(id, alias string, ev Evidence) []Fact {
	shown, row := w.spelled(id), comData().class(id)
	if alias != "" {
		shown = alias + " {" + id + "}"
		if row == nil {
			row = comData().class(alias)
		}
	}
	u := use{kind: ModuleCOM, name: shown, asker: askerAt(ev, HowCOM)}
	var facts []Fact
	switch manifest := w.manifestOf(id); {
	case manifest != "":
		u.provider, u.from, u.why = FromApp, manifest, "the manifest names the class, so that it needs no registration"
	case row != nil && row.Core == "yes":
		u.provider, u.from, u.why = FromBase, "Server Core", "part of "+row.What+" ("+row.Confidence+" confidence)"
		if w.family != "netfx" { // which is on Server Core anyway
			facts = append(facts, Fact{Key: "com-class", Value: clean(shown), about: w.about, Evidence: []Evidence{ev}, item: FamilyNeed{
				Family: FamilyServerCore, Why: "the COM class " + clean(shown) + " is not known on Nano Server", Evidence: []Evidence{ev}}})
		}
	case row != nil:
		u.provider, u.why = FromNowhere, "it comes with "+row.What
		facts = append(facts, Fact{Key: "com-missing", Value: clean(shown), about: w.about, Evidence: []Evidence{ev},
			item: map[string]string{"what": row.What, "cure": row.Cure}})
	default:
		u.provider, u.why = FromUnknown, "no registration of it is in the folder"
		facts = append(facts, Fact{Key: "com-unknown", Value: clean(shown), about: w.about, Evidence: []Evidence{ev}})
	}
	w.record(w.about, u)
	return facts
}

// spelled is the first spelling of a ProgID that was met, since case does not count.
func (t *Tree) spelled(id string) string {
	low := strings.ToLower(id)
	if t.comSpelled == nil {
		t.comSpelled = map[string]string{}
	}
	if t.comSpelled[low] == "" {
		t.comSpelled[low] = id
	}
	return t.comSpelled[low]
}

// maxManifests bounds the manifests that are looked through for COM classes.
const maxManifests = 64

// manifestOf is the manifest of the application that names a COM class, by ProgID or
// CLSID, "" for none (learn.microsoft.com/windows/win32/sbscs/assembly-manifests, comClass).
func (t *Tree) manifestOf(id string) string {
	t.readManifests()
	return t.comNames[strings.ToLower(id)]
}

// registrationFree says whether a manifest names the COM classes of a DLL.
func (t *Tree) registrationFree(dll string) bool {
	t.readManifests()
	return t.comFiles[strings.ToLower(dll)]
}

func (t *Tree) readManifests() {
	if t.comNames != nil {
		return
	}
	t.comNames, t.comFiles = map[string]string{}, map[string]bool{}
	count := 0
	for f := range t.withExt(".manifest") {
		if ofEditor(f.dir.key) {
			continue
		}
		if count++; count > maxManifests {
			break
		}
		p := f.path()
		t.comOf(t.readXML(p, "which COM classes it brings is unknown"), p)
	}
}

// comOf collects the classes of a manifest.
func (t *Tree) comOf(e *element, p string) {
	if e == nil {
		return
	}
	if e.name == "comClass" || e.name == "clrClass" {
		for _, id := range []string{e.attr("progid"), strings.Trim(e.attr("clsid"), "{}")} {
			if id != "" {
				t.comNames[strings.ToLower(id)] = p
			}
		}
		for _, c := range e.children {
			if c.name == "progid" {
				t.comNames[strings.ToLower(strings.TrimSpace(c.text))] = p
			}
		}
	}
	for _, c := range e.children {
		if e.name == "file" && c.name == "comClass" {
			t.comFiles[strings.ToLower(path.Base(e.attr("name")))] = true
		}
		t.comOf(c, p)
	}
}
