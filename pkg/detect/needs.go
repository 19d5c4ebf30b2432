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

// dependencies are what the references of an assembly, and of those in the
// folder that it reaches, ask of an image. about is the program, or empty for a
// site.
func (t *Tree) dependencies(start *image, family, about string) []Fact {
	var facts []Fact
	seen := map[*image]bool{start: true}
	natives := map[string]bool{}
	for queue := []*image{start}; len(queue) > 0; queue = queue[1:] {
		b := queue[0]
		if b != start && vendor(b.name()) {
			continue // what a framework library could use is not what the application uses
		}
		for _, r := range b.refs {
			facts = append(facts, referenceSignals(b, r, about)...)
			if len(frameworkData().dependencies(r.Name)) > 0 {
				facts = append(facts, dependencyFacts(r.Name, family, about, at(b.path, r.Span, "refers to "+r.Name+" "+r.Version))...)
			}
			if about != "" { // a site's assemblies are all looked at anyway
				if next := t.byName[strings.ToLower(path.Join(b.dir, r.Name+".dll"))]; next != nil && next.clr != nil && !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
		if family == "dotnet" && b.clr != nil {
			t.withPE(b.path, func(f *pe.File) error {
				clr, err := f.CLR()
				if err != nil || clr == nil {
					return err
				}
				calls, err := clr.PInvokes()
				for _, c := range calls {
					dll := moduleName(c.Module)
					if natives[dll] {
						continue
					}
					natives[dll] = true
					if local := t.nativeOf(b.dir, dll); local != nil {
						facts = append(facts, t.imports(local, about)...)
						continue
					}
					facts = append(facts, t.library(dll, nil, about, at(b.path, c.Span, "calls the native "+c.Module+"!"+c.Function))...)
				}
				return err
			})
		}
		if b.arch.Mixed && family == "dotnet" {
			facts = append(facts, t.imports(b, about)...)
		}
	}
	return facts
}

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
	s = strings.ToLower(path.Base(strings.ReplaceAll(s, `\`, "/")))
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

// imports judges what a native file needs to start, following the DLLs that lie
// in the application's folder.
func (t *Tree) imports(start *image, about string) []Fact {
	var facts []Fact
	if start.x86 {
		ev := []Evidence{at(start.path, start.arch.Span, "machine is x86")}
		facts = append(facts, Fact{Key: "needs-wow64", Value: start.path, about: about, Evidence: ev,
			item: FamilyNeed{Family: FamilyServerCore, Why: "a 32-bit program needs WOW64, which Nano Server lacks", Evidence: ev}})
	}
	seen := map[*image]bool{start: true}
	for queue := []*image{start}; len(queue) > 0; queue = queue[1:] {
		b := queue[0]
		for _, im := range b.imports {
			dll := strings.ToLower(im.DLL)
			if local := t.byName[strings.ToLower(path.Join(start.dir, dll))]; local != nil {
				if !seen[local] {
					seen[local] = true
					queue = append(queue, local)
				}
				continue
			}
			facts = append(facts, t.library(dll, im.Functions, about, at(b.path, im.Span, "imports "+im.DLL))...)
		}
		for _, im := range b.delayed {
			row := dllData().byName[strings.ToLower(im.DLL)]
			if row != nil && row.Nano == "no" && t.find(path.Join(start.dir, im.DLL)) == "" {
				facts = append(facts, Fact{Key: "delay-import", Value: clean(strings.ToLower(im.DLL)), about: about,
					Evidence: []Evidence{at(b.path, im.Span, "loads "+im.DLL+" at its first use")}, item: map[string]string{"remedy": row.Remedy}})
			}
		}
	}
	return facts
}

// library judges one DLL that Windows or the application has to bring.
func (t *Tree) library(dll string, functions []pe.Function, about string, ev Evidence) []Fact {
	dll = clean(dll)
	need := func(family, why string) Fact {
		return Fact{Key: "import", Value: dll, about: about, Evidence: []Evidence{ev}, item: FamilyNeed{Family: family, Why: why, Evidence: []Evidence{ev}}}
	}
	d := dllData()
	if set, ok := strings.CutSuffix(dll, ".dll"); ok && strings.HasPrefix(dll, "api-ms-win-") {
		if strings.HasPrefix(dll, "api-ms-win-crt-") {
			return nil // the Universal C Runtime, part of every image
		}
		if i := strings.LastIndexByte(set, '-'); i > 0 && slices.Contains(d.APISets.OneCore, set[:i]) {
			return nil
		}
		return []Fact{need(FamilyServerCore, "the API set "+dll+" is not known on Nano Server")}
	}
	if strings.HasPrefix(dll, "ext-ms-") {
		return nil // optional by design
	}
	row := d.byName[dll]
	if row == nil {
		if t.anywhere(dll) {
			return nil
		}
		f := need(FamilyServerCore, dll+" is neither in the app folder nor known on Nano Server, so Nano Server is not proven")
		return []Fact{f, {Key: "import-unknown", Value: dll, about: about, Evidence: []Evidence{ev}}}
	}
	switch {
	case row.DirectX:
		return directX(dll, about, ev)
	case row.Forces == "redist", row.Forces == "app":
		if t.anywhere(dll) {
			return nil
		}
		return []Fact{need(FamilyServerCore, dll+" is in no base image and not in the app folder, and its installer does not run on Nano Server"),
			{Key: "import-" + row.Forces, Value: dll, about: about, Evidence: []Evidence{ev}, item: map[string]string{"remedy": row.Remedy}}}
	case row.Forces == "server" && row.Core == "no":
		return []Fact{need(FamilyServer, dll+" is not in Server Core: "+row.Remedy)}
	case row.Forces == "feature", row.Forces == "step", row.Forces == "host", row.Forces == "error":
		return []Fact{need(FamilyServerCore, dll+" is not part of any base image"),
			{Key: "import-" + row.Forces, Value: dll, about: about, Evidence: []Evidence{ev}, item: map[string]string{"remedy": row.Remedy}}}
	case row.Nano == "no":
		f := need(FamilyServerCore, dll+" is not in Nano Server")
		if row.Core == "unknown" {
			return []Fact{f, {Key: "import-unsure", Value: dll, about: about, Evidence: []Evidence{ev}, item: map[string]string{"remedy": row.Remedy}}}
		}
		return []Fact{f}
	case row.Nano == "unknown":
		return []Fact{need(FamilyServerCore, dll+" is not proven to be in Nano Server")}
	}
	if why := missingFunctions(d, row, dll, functions); why != "" {
		return []Fact{need(FamilyServerCore, why)}
	}
	return nil
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
func missingFunctions(d *dllTable, row *dllRow, dll string, functions []pe.Function) string {
	if row.Subset == "" {
		return ""
	}
	listed := func(rows []functionRow, name string) bool {
		return slices.ContainsFunc(rows, func(r functionRow) bool { return r.DLL == dll && slices.Contains(r.Functions, name) })
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

func fewBy(names []string, separator string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], separator), len(names)-3)
	}
	return strings.Join(names, separator)
}

// anywhere says whether a file of that name lies anywhere in the folder.
func (t *Tree) anywhere(name string) bool {
	for _, d := range t.dirs {
		if _, ok := d.search(name); ok {
			return true
		}
	}
	return false
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
