package detect

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// detectSignals finds files that a container has no use for, or should not have, and
// what scripts of the application give away.
func detectSignals(t *Tree) []Fact {
	d := signalData()
	var facts []Fact
	seen := map[*signal]int{}
	add := func(s *signal, f file) {
		if seen[s] >= MaxEvidence || passedOver(f.dir.key) || ofEditor(f.dir.key) && s.ID != "build-leftovers" {
			return
		}
		if ev, ok := t.holds(f.path(), s.Content); ok {
			seen[s]++
			facts = append(facts, signalFact(s, f.base, "", ev))
		}
	}
	for f := range t.withExt(d.exts...) {
		d.file.find(f.base, func(s *signal) { add(s, f) })
	}
	for i := range d.Signal {
		s := &d.Signal[i]
		for _, p := range s.Paths {
			if found := t.find(p); found != "" {
				facts = append(facts, signalFact(s, found, "", Evidence{Path: found, Line: 1, Detail: "a file by that name"}))
			} else if t.hasDir(p) {
				facts = append(facts, signalFact(s, p, "", Evidence{Path: t.byKey[p][0].path, Detail: "a folder by that name"}))
			}
		}
	}
	facts = append(facts, t.exportSignals()...)
	facts = append(facts, t.oldPackages()...)
	return append(facts, t.scriptSignals()...)
}

// contentBytes is how much of a file is looked at for what it has to hold.
const contentBytes = 8 << 10

// holds says whether one of the texts stands at the start of a file, and where; without
// texts its name is enough.
func (t *Tree) holds(p string, texts []string) (Evidence, bool) {
	if len(texts) == 0 {
		return Evidence{Path: p, Line: 1, Detail: "a file by that name"}, true
	}
	head := t.start(p, contentBytes)
	for _, text := range texts {
		if digits, ok := strings.CutPrefix(text, "hex:"); ok {
			if want, err := hex.DecodeString(digits); err == nil && bytes.HasPrefix(head, want) {
				return Evidence{Path: p, Length: int64(len(want)), Detail: "the file starts as such files do"}, true
			}
		}
	}
	if text, err := decodeText(head); err == nil {
		head = text
	}
	low := bytes.ToLower(head)
	for _, text := range texts {
		if i := bytes.Index(low, []byte(text)); i >= 0 {
			return Evidence{Path: p, Line: lineAt(low, int64(i)), Detail: "holds " + text}, true
		}
	}
	return Evidence{}, false
}

// passedOver says whether a folder holds what others made: its samples and tests are
// no part of the application.
func passedOver(dir string) bool {
	low := "/" + dir + "/"
	return slices.ContainsFunc([]string{"/node_modules/", "/vendor/", "/.git/", "/packages/", "/bower_components/", "/site-packages/"}, func(part string) bool { return strings.Contains(low, part) })
}

// ofEditor says whether a folder is one where an editor keeps its own files.
func ofEditor(dir string) bool {
	low := "/" + dir + "/"
	return slices.ContainsFunc([]string{"/.vs/", "/.idea/", "/.vscode/", "/.svn/", "/.settings/"}, func(part string) bool { return strings.Contains(low, part) })
}

// signalFact is a signal that was seen; what says where.
func signalFact(s *signal, what, about string, ev Evidence) Fact {
	what = clean(what)
	f := Fact{Key: cmp.Or(s.Fact, "signal"), Value: s.ID, about: about, Evidence: []Evidence{ev}, item: map[string]string{"what": what}}
	if s.Fact != "" {
		f.Value = what
	}
	if s.Family != "" {
		f.item = signalNeed{map[string]string{"what": what}, FamilyNeed{Family: s.Family, Why: what + " does not work on a smaller image", Evidence: f.Evidence}}
	}
	return f
}

// signalNeed is a signal that forces a family.
type signalNeed struct {
	words map[string]string
	need  FamilyNeed
}

// what is the thing that a fact of a signal speaks of.
func (f *Fact) what() string {
	switch item := f.item.(type) {
	case map[string]string:
		return item["what"]
	case signalNeed:
		return item.words["what"]
	}
	return ""
}

// referenceSignals are those that a reference to an assembly gives.
func referenceSignals(name, about string, ev Evidence) []Fact {
	var facts []Fact
	signalData().ref.find(strings.ToLower(name), func(s *signal) { facts = append(facts, signalFact(s, name, about, ev)) })
	return facts
}

// settleSignals overrules what a signal that won makes superfluous: signals that say
// less of the same cause, and the general word on an assembly or a DLL.
func (r *resolution) settleSignals() {
	d := signalData()
	won := map[string]bool{}
	type place struct {
		path           string
		offset, length int64
	}
	places := map[place]string{}
	named := map[string]string{} // what a signal speaks of
	r.each("signal", func(f *Fact) {
		if f.OverruledBy == "" {
			won[f.Value] = true
			named[strings.ToLower(f.what())] = f.Value
			for _, e := range f.Evidence {
				if e.Line == 0 {
					places[place{e.Path, e.Offset, e.Length}] = f.Value
				}
			}
		}
	})
	r.each("directx", func(f *Fact) {
		if f.OverruledBy == "" {
			for _, e := range f.Evidence {
				places[place{e.Path, e.Offset, e.Length}] = "directx"
			}
		}
	})
	if len(won) == 0 && len(places) == 0 {
		return
	}
	if r.app.Kind == KindUnknown { // nothing else starts: the scripts are the application
		r.each("signal", func(f *Fact) {
			if f.Value == "role-install" && f.OverruledBy == "" && coreRole().MatchString(f.what()) {
				f.Value = "server-role"
				won["server-role"] = true
			}
		})
	}
	if won["transactions"] && r.app.Framework.Name == NETCoreApp {
		r.each("signal", func(f *Fact) {
			if f.Value == "transactions" && f.OverruledBy == "" {
				f.OverruledBy = NETCoreApp + ": it makes no distributed transaction unless the code turns that on"
			}
		})
	}
	covers := map[string]string{} // assembly → signal
	for _, id := range sortedKeys(won) {
		s := d.byID[id]
		for _, c := range s.Covers {
			covers[strings.ToLower(c)] = id
		}
		for _, u := range s.Unless {
			if won[u] || d.byID[u] == nil && r.has(u, "") {
				r.each("signal", func(f *Fact) {
					if f.Value == id && f.OverruledBy == "" {
						f.OverruledBy = u + ": it says more of the same cause"
					}
				})
			}
		}
	}
	for i := range r.facts {
		f := &r.facts[i]
		if id := cmp.Or(named[strings.ToLower(f.Value)], comServerOf(f, named), covers[strings.ToLower(f.what())]); strings.HasPrefix(f.Key, "com-") && id != "" && f.OverruledBy == "" {
			f.OverruledBy = id + ": it says more of the same cause"
		}
		if f.OverruledBy != "" || !strings.HasPrefix(f.Key, "assembly-") && !strings.HasPrefix(f.Key, "import-") || f.Key == "assembly-need" {
			continue
		}
		by := ""
		for _, c := range sortedKeys(covers) {
			if strings.HasPrefix(f.Key, "assembly-") && matchesAny([]string{c}, f.Value) {
				by = covers[c]
			}
		}
		for _, e := range f.Evidence {
			by = cmp.Or(by, places[place{e.Path, e.Offset, e.Length}])
		}
		if by != "" {
			f.OverruledBy = by + ": it says more of the same cause"
		}
	}
}

// comServerOf is com-server where a class, of which nothing else is known, has the name
// of a DLL that registers itself: "Acme.Tax" is of a project Acme, whose file Visual
// Basic and others call acme.dll.
func comServerOf(f *Fact, named map[string]string) string {
	if f.Key == "com-unknown" {
		if id := named[firstPart(strings.ToLower(f.Value))+".dll"]; id == "com-server" {
			return id
		}
	}
	return ""
}

// ownAssembly says whether an assembly is the application's by its name: none of .NET, of
// a library that many carry, or of a package.
func ownAssembly(name string, foreign map[string]bool) bool {
	low := strings.ToLower(name)
	return !vendor(low) && !foreign[low] && !signalData().other.has(low)
}

// foreign are the libraries of the folder that others made, by name in lower case:
// packages that packages.config or deps.json list, but for those that are named as the
// application's own assemblies are.
func (t *Tree) foreign() map[string]bool {
	names := map[string]bool{}
	own := map[string]bool{}
	for f := range t.withExt(".config") {
		if f.base != "packages.config" || t.depth(f.dir.path) > 1 {
			continue
		}
		root := t.readXML(f.path(), "which packages the application was built with is unknown")
		if root == nil {
			continue
		}
		for _, e := range root.children {
			names[strings.ToLower(e.attr("id"))] = true
		}
	}
	for f := range t.withExt(".json") {
		if strings.HasSuffix(f.base, ".deps.json") {
			t.readPackages(f.path(), names, own)
		}
	}
	if len(names) == 0 {
		return names
	}
	for f := range t.withExt(".exe", ".dll") {
		if name := strings.TrimSuffix(f.base, path.Ext(f.base)); !names[name] && !vendor(name) && !signalData().other.has(name) {
			own[firstPart(name)] = true
		}
	}
	for name := range names {
		if own[firstPart(name)] {
			delete(names, name)
		}
	}
	return names
}

func firstPart(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

// readPackages takes the assemblies of packages that a deps.json lists, and the first
// parts of the names of projects.
func (t *Tree) readPackages(p string, names, own map[string]bool) {
	root := t.readJSON(p, "which packages the program was published with is unknown")
	libraries := root.get("libraries")
	if libraries == nil || libraries.kind != '{' {
		return
	}
	isPackage := map[string]bool{}
	for i, key := range libraries.keys {
		switch libraries.values[i].get("type").string() {
		case "package":
			isPackage[key] = true
		case "project":
			own[firstPart(strings.ToLower(key))] = true
		}
	}
	targets := root.get("targets")
	if targets == nil {
		return
	}
	for _, target := range targets.values {
		if target.kind != '{' {
			continue
		}
		for i, key := range target.keys {
			files := target.values[i].get("runtime")
			if !isPackage[key] || files == nil || files.kind != '{' {
				continue
			}
			for _, f := range files.keys {
				base := strings.ToLower(path.Base(f))
				names[strings.TrimSuffix(base, path.Ext(base))] = true
			}
		}
	}
}

// oldPackages are libraries of the folder that should no longer be used in that version.
func (t *Tree) oldPackages() []Fact {
	d := signalData()
	var facts []Fact
	add := func(name, version, fixed, fault string, ev Evidence) {
		facts = append(facts, Fact{Key: "old-package", Value: name + " " + version, Evidence: []Evidence{ev},
			item: map[string]string{"fault": fault, "fixed": fixed}})
	}
	for _, row := range d.Package {
		if row.Jar {
			continue
		}
		for _, b := range t.binaries {
			if dir := strings.ToLower(b.dir); passedOver(dir) || strings.Contains("/"+dir+"/", "/obj/") {
				continue
			}
			if b.clr != nil && b.clr.Version != "" && strings.EqualFold(b.clr.Name.Value, row.Name) && newer(row.Before, b.clr.Version) {
				add(row.Name, b.clr.Version, row.Fixed, row.Fault, at(b.path, b.clr.Name.Span, "is "+row.Name+" "+b.clr.Version))
			}
		}
	}
	for f := range t.withExt(".jar") {
		for _, row := range d.Package {
			version, ok := strings.CutPrefix(strings.TrimSuffix(f.base, ".jar"), row.Name+"-")
			if row.Jar && ok && isVersion(version) && newer(row.Before, version) {
				add(row.Name, version, row.Fixed, row.Fault, Evidence{Path: f.path(), Line: 1, Detail: "a file by that name"})
			}
		}
	}
	return facts
}

// pluginExports are functions by which the services of a server role load a DLL: the
// DHCP server, the DNS server, the password filters of a domain controller, the network
// policy server. All are documented at learn.microsoft.com/windows/win32.
var pluginExports = map[string]string{
	"DhcpServerCalloutEntry": "a callout of the DHCP server", "DnsPluginInitialize": "a plug-in of the DNS server",
	"PasswordChangeNotify": "a password filter of a domain controller", "RadiusExtensionInit": "an extension of the network policy server",
}

// maxPlugins bounds the DLLs whose exports are looked at.
const maxPlugins = 64

// exportSignals are DLLs that a server role of Windows loads, and those that register
// themselves as servers of COM (learn.microsoft.com/windows/win32/api/olectl,
// DllRegisterServer), but for those that a manifest names.
func (t *Tree) exportSignals() []Fact {
	var facts []Fact
	count := 0
	for _, b := range t.binaries {
		name := strings.TrimSuffix(b.base, ".dll")
		if !b.isDLL || !b.native() || t.depth(b.dir) > 1 || signalData().other.has(name) {
			continue
		}
		if count++; count > maxPlugins {
			break
		}
		t.withPE(b.path, func(f *pe.File) error {
			exports, err := f.Exports()
			for _, e := range exports {
				if what := pluginExports[e.Name]; what != "" {
					facts = append(facts, signalFact(signalData().byID["server-role"], what, "", at(b.path, e.Span, "exports "+e.Name)))
				}
				if e.Name == "DllRegisterServer" && !vendor(name) && !t.registrationFree(b.base) {
					facts = append(facts, signalFact(signalData().byID["com-server"], path.Base(b.path), "", at(b.path, e.Span, "exports DllRegisterServer")))
				}
			}
			return err
		})
	}
	return facts
}

// describeSignals derives what follows from signals together with what the application
// is: sessions that nothing configures, and the default of TLS.
func (r *resolution) describeSignals() {
	if ev := r.evidenceOf("signal", "session-used"); len(ev) > 0 && (r.app.Kind == KindASPNET || r.app.Kind == KindWCF) && !r.has("session-state", "") && !r.has("section-unknown", "system.web/sessionState") {
		r.derive("session-state", "InProc", "", ev, nil)
	}
	fw := r.app.Framework
	if ev := r.evidenceOf("signal", "outgoing-tls"); len(ev) > 0 && fw.Name == NETFramework && fw.Version != "" && newer("4.7", fw.Version) && !newer("4.0", fw.Version) && !r.has("signal", "tls-set") {
		var what []string
		r.each("signal", func(f *Fact) {
			if f.Value == "outgoing-tls" && f.OverruledBy == "" {
				what = append(what, f.what())
			}
		})
		r.derive("default-tls", fw.Version, "", ev, map[string]string{"what": few(what)})
	}
}
