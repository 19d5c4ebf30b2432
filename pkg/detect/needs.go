package detect

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nativeOf is the native library that the assemblies of a folder find under a
// name: beside them, or in the folder of the runtime identifier.
func (t *Tree) nativeOf(dir, dll string) *image {
	for _, below := range []string{"", "runtimes/win-x64/native", "runtimes/win/native"} {
		if b := t.byName[strings.ToLower(path.Join(dir, below, dll))]; b != nil && b.native() {
			return b
		}
	}
	return nil
}

// moduleName is the DLL that DllImport("user32") means.
func moduleName(s string) string {
	s = windowsBase(s)
	if path.Ext(s) == "" {
		s += ".dll"
	}
	return s
}

func dependencyFacts(ref, family, about string, ev Evidence) []Fact {
	var facts []Fact
	if matchesAny(dllData().DirectX.Assemblies, ref) {
		facts = append(facts, directX(clean(ref), about, ev)...)
	}
	for _, d := range frameworkData().dependencies(ref) {
		if d.Applies != "any" && d.Applies != family {
			continue
		}
		why := ref + " does not work on Nano Server: " + d.Missing
		need := FamilyServerCore
		switch {
		case d.ServerCore == "no" && d.Server == "ok":
			need, why = FamilyServer, ref+" does not work on Server Core: "+d.Missing
		case d.Nano == "partial":
			why = ref + " is not proven on Nano Server: " + d.Missing
		}
		if family == "dotnet" || need == FamilyServer { // .NET Framework is on Server Core anyway
			facts = append(facts, Fact{Key: "assembly-need", Value: ref, about: about, Evidence: []Evidence{ev}, item: FamilyNeed{Family: need, Why: why, Evidence: []Evidence{ev}}})
		}
		if d.ServerCore != "ok" && d.Missing != "" || d.Server == "no" {
			key := "assembly-partial"
			if d.Server == "no" || d.ServerCore == "no" && d.Server != "ok" {
				key = "assembly-missing"
			}
			facts = append(facts, Fact{Key: key, Value: ref, about: about, Evidence: []Evidence{ev}, item: map[string]string{"missing": d.Missing, "remedy": d.Remedy}})
		}
	}
	return facts
}

// loads is where all that a file loads is said, whether it is judged or not.
func (b *image) loads(about string) []Fact {
	ev := []Evidence{at(b.path, b.head, "headers, which say where the tables of imports are")}
	if b.clr != nil {
		ev = []Evidence{at(b.path, b.clr.meta, namesLoads), at(b.path, b.clr.Span, "CLI header")}
	}
	if len(b.imports)+len(b.delayed) > 0 {
		ev = append(ev, b.linked("libraries and functions")...)
	}
	return []Fact{loadsFact(about, ev...)}
}

const namesLoads = "references and native calls of the metadata"

func loadsFact(about string, ev ...Evidence) Fact {
	return Fact{Key: "loads", Value: "what its files name", about: about, Evidence: ev}
}

// library judges one DLL that Windows or the application has to bring.
func (t *Tree) library(dll string, functions []pe.Function, about string, ev Evidence, how How) []Fact {
	if len(t.bases.list) > 0 {
		return t.learned(clean(dll), functions, about, ev, how)
	}
	return t.listed(clean(dll), functions, about, ev, how)
}

// listed judges a DLL by the lists of winpack.
func (t *Tree) listed(dll string, functions []pe.Function, about string, ev Evidence, how How) []Fact {
	need := func(family, why string) Fact {
		return Fact{Key: "import", Value: dll, about: about, Evidence: []Evidence{ev}, item: FamilyNeed{Family: family, Why: why, Evidence: []Evidence{ev}}}
	}
	find := func(key, remedy string) Fact {
		return Fact{Key: key, Value: dll, about: about, Evidence: []Evidence{ev}, item: map[string]string{"remedy": remedy, "when": how.when()}}
	}
	d := dllData()
	row, set := d.lookup(dll)
	switch set {
	case setCRT, setOneCore, setExtension:
		return nil // part of every image, or optional by design
	case setOther:
		return []Fact{need(FamilyServerCore, "the API set "+dll+" is not known on Nano Server")}
	}
	if row == nil {
		if t.anywhere(dll) {
			return nil
		}
		f := need(FamilyServerCore, dll+" is neither in the app folder nor known on Nano Server, so Nano Server is not proven")
		return []Fact{f, find("import-unknown", "")}
	}
	switch {
	case row.DirectX:
		return directX(dll, about, ev)
	case row.Forces == "redist", row.Forces == "app":
		if t.anywhere(dll) {
			return nil
		}
		f := find("import-"+row.Forces, row.Remedy)
		switch {
		case row.Redist != "":
			f.item = t.redistWords(row, ev.Path, how)
			if row.Core == "unknown" {
				f.Key = "import-redist-unsure"
			}
		case row.Driver:
			f.Key = "import-driver"
		case row.Core == "unknown":
			f.Key = "import-unsure"
		}
		if row.Core == "unknown" {
			return []Fact{need(FamilyServerCore, dll+" is not in the app folder and not proven to be in Nano Server"), f}
		}
		return []Fact{need(FamilyServerCore, dll+" is in no base image and not in the app folder, and its installer does not run on Nano Server"), f}
	case row.Forces == "server" && row.Core == "no":
		return []Fact{need(FamilyServer, dll+" is not in Server Core: "+row.Remedy)}
	case row.Forces == "feature", row.Forces == "step", row.Forces == "host", row.Forces == "error":
		return []Fact{need(FamilyServerCore, dll+" is not part of any base image"), find("import-"+row.Forces, row.Remedy)}
	case row.Nano == "no":
		f := need(FamilyServerCore, dll+" is not in Nano Server")
		if row.Core == "unknown" {
			return []Fact{f, find("import-unsure", row.Remedy)}
		}
		return []Fact{f}
	case row.Nano == "unknown":
		return []Fact{need(FamilyServerCore, dll+" is not proven to be in Nano Server")}
	}
	if why := missingFunctions(d, row, dll, functions, how); why != "" {
		return []Fact{need(FamilyServerCore, why)}
	}
	return nil
}

// when says at what time a module is missed.
func (h How) when() string {
	if h == HowImport {
		return "to start"
	}
	return "at the first call into it"
}

// redistWords name the package of a runtime DLL, for the file that asks for it.
func (t *Tree) redistWords(row *dllRow, asker string, how How) map[string]string {
	words := map[string]string{"remedy": row.Remedy, "when": how.when(), "product": "redistributable", "arch": "x64"}
	if t.asks32(asker) {
		words["arch"] = X86
	}
	for _, r := range dllData().Redist {
		if r.ID == row.Redist {
			words["product"], words["remedy"] = r.Product, strings.ReplaceAll(r.Cure, "{arch}", words["arch"])
		}
	}
	return words
}

// sideBySide says where a runtime of Visual C++ 2005 or 2008 lies beside the program
// without the manifest that makes it a private assembly: it ends the program with
// R6034, since it takes no process that did not find it through a manifest.
func (t *Tree) sideBySide(dll *image, about string, ev Evidence) []Fact {
	row := dllData().byName[dll.base]
	if row == nil || row.Manifest == "" || t.find(path.Join(dll.dir, row.Manifest)) != "" {
		return nil
	}
	return []Fact{{Key: "manifest-missing", Value: clean(dll.base), about: about, Evidence: []Evidence{ev, at(dll.path, dll.sub, "without "+row.Manifest+" beside it")},
		item: map[string]string{"manifest": row.Manifest}}}
}

// directX says that a graphics card is used, which takes an image that has all of
// DirectX (Microsoft Learn, "GPU Acceleration in Windows containers").
func directX(what, about string, ev Evidence) []Fact {
	return []Fact{
		{Key: "import", Value: what, about: about, Evidence: []Evidence{ev}, item: FamilyNeed{
			Family: FamilyServer, Why: what + " is DirectX, and only the Windows and Server images have it for a graphics card", Evidence: []Evidence{ev}}},
		{Key: "directx", Value: what, about: about, Evidence: []Evidence{ev}},
	}
}

// missingFunctions names functions that the DLL is not known to have on Nano Server.
func missingFunctions(d *dllTable, row *dllRow, dll string, functions []pe.Function, how How) string {
	if row.Subset == "" {
		return ""
	}
	listed := func(rows []functionRow, name string) bool {
		return slices.ContainsFunc(rows, func(r functionRow) bool {
			return r.DLL == dll && (slices.Contains(r.Functions, name) || how == HowPInvoke && (slices.Contains(r.Functions, name+"W") || slices.Contains(r.Functions, name+"A")))
		}) // of a P/Invoke the runtime tries the names for texts too
	}
	var missing, unproven []string
	for _, f := range functions {
		switch {
		case listed(d.Present, f.Name):
		case listed(d.Missing, f.Name):
			missing = append(missing, clean(f.Name))
		case row.Subset == "functions":
			unproven = append(unproven, clean(f.Name))
		}
	}
	if len(missing) > 0 {
		return fmt.Sprintf("%s on Nano Server was seen without %s", dll, few(missing))
	}
	if len(unproven) > 0 {
		return fmt.Sprintf("%s on Nano Server has a part of its functions only, and %s is not proven to be among them", dll, few(unproven))
	}
	return ""
}

func few(names []string) string { return fewBy(names, ", ") }

func fewBy(names []string, separator string) string { return mostOf(names, separator, 3) }

// mostOf names each thing once, and counts those beyond so many.
func mostOf(names []string, separator string, most int) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if n := len(names) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], separator), n)
	}
	return strings.Join(names, separator)
}

// anywhere says whether a file of that name lies anywhere in the folder.
func (t *Tree) anywhere(name string) bool { return t.whereIs(name) != "" }

// whereIs is the path of the first file of that name in the folder, "" for none.
func (t *Tree) whereIs(name string) string {
	for _, d := range t.dirs {
		if i, ok := d.search(name); ok {
			return d.in(d.files[i].name)
		}
	}
	return ""
}

// newer compares versions of numbers separated by dots.
func newer(a, b string) bool { return compareVersions(a, b) > 0 }

func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 && (x != "0" || y != "") && (x != "" || y != "0") {
			return c
		}
	}
	return 0
}
