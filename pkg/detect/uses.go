package detect

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Bounds of what is looked at in one assembly of the application.
const (
	maxUserStrings = 1 << 20 // bytes of the heap of strings
	maxString      = 2 << 10 // bytes of one: what is longer is a page or a picture
	maxCodeSigns   = 256     // facts of one assembly
)

// uses are what the code of an assembly gives away: the types and members that it
// uses, native functions that it declares, its strings. They say nothing of whose
// code it is, and name no program.
func uses(evidence func(pe.Span, string) Evidence, clr *pe.CLR) ([]Fact, error) {
	var facts []Fact
	counts := map[*signal]int{}
	add := func(s *signal, what string, at pe.Span, detail string) {
		if counts[s]++; counts[s] <= MaxEvidence && len(facts) < maxCodeSigns {
			facts = append(facts, signalFact(s, what, "", evidence(at, detail)))
		}
	}
	first := typeUses(clr, add)
	first = firstError(first, callUses(clr, counts, add))
	d := signalData()
	natives, err := clr.PInvokes()
	first = firstError(first, err)
	for _, n := range natives {
		call := func(s *signal) {
			add(s, n.Module+"!"+n.Function, n.Span, "calls the native "+n.Module+"!"+n.Function)
		}
		d.eachNative(moduleName(n.Module), "", call)
		d.eachNative(moduleName(n.Module), n.Function, call)
	}
	index := literalData()
	_, err = clr.UserStrings(maxUserStrings, func(text []byte, at pe.Span) {
		if len(text) > maxString || len(facts) >= maxCodeSigns || !index.inUTF16(text) {
			return
		}
		for _, f := range textFacts(string(fromUTF16(text, binary.LittleEndian)), false, nil, func(detail string) Evidence { return evidence(at, "a string of the code "+detail) }) {
			if len(facts) < maxCodeSigns {
				facts = append(facts, f)
			}
		}
	})
	return facts, firstError(first, err)
}

// callUses looks at what the calls of a few members are given.
func callUses(clr *pe.CLR, counts map[*signal]int, add func(s *signal, what string, at pe.Span, detail string)) error {
	const installer = "System.ServiceProcess.ServiceProcessInstaller::"
	const tls12, tls13 = 0xc00, 0x3000 // of SecurityProtocolType
	d := signalData()
	var first error
	if counts[d.byID["service-user"]] > 0 {
		calls, err := clr.CallsTo(installer+"set_Username", installer+"set_Account")
		first = err
		for _, c := range calls {
			switch { // 3 is ServiceAccount.User
			case c.Loaded && c.Literal != "":
				add(d.byID["service-account"], "an account that its installer names", c.Span, c.Caller+" sets the name of the account")
			case c.HasNumber && c.Number == 3 && strings.HasSuffix(c.Member, "set_Account"):
				add(d.byID["service-account"], "ServiceAccount.User", c.Span, c.Caller+" sets Account to User")
			}
		}
	}
	if counts[d.byID["tls-set"]] > 0 {
		calls, err := clr.CallsTo("System.Net.ServicePointManager::set_SecurityProtocol")
		first = firstError(first, err)
		for _, c := range calls {
			if c.HasNumber && c.Number != 0 && c.Number&(tls12|tls13) == 0 {
				add(d.byID["old-tls"], "ServicePointManager.SecurityProtocol", c.Span, fmt.Sprintf("%s sets SecurityProtocol to %d, which is older than TLS 1.2", c.Caller, c.Number))
			}
		}
	}
	return first
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// typeUses looks at the types and members that an assembly uses, and at the types of
// others that are embedded in it, as the C# compiler does with those of COM.
func typeUses(clr *pe.CLR, add func(s *signal, what string, at pe.Span, detail string)) error {
	d := signalData()
	wanted := map[uint32][]memberUse{} // TypeRefs of which members count
	err := clr.EachTypeRef(func(n uint32, namespace, name []byte, at pe.Span) error {
		for _, s := range d.spaces[string(namespace)] {
			full := string(namespace) + "." + string(name)
			add(s, full, at, "uses the type "+full)
		}
		for _, p := range d.ofType[string(name)] {
			if p.namespace != string(namespace) {
				continue
			}
			full := p.namespace + "." + string(name)
			if p.member == "" {
				add(p.sig, full, at, "uses the type "+full)
			} else {
				wanted[n] = append(wanted[n], memberUse{p.sig, full, p.member})
			}
		}
		return nil
	})
	if len(wanted) > 0 {
		err = firstError(err, clr.EachMemberRef(func(typeRef uint32, name []byte, at pe.Span) error {
			for _, w := range wanted[typeRef] {
				if w.member == string(name) {
					add(w.sig, w.typ+"."+w.member, at, "uses "+w.typ+"::"+w.member)
				}
			}
			return nil
		}))
	}
	return firstError(err, clr.EachTypeDef(func(namespace, name []byte, at pe.Span) error {
		for _, s := range d.spaces[string(namespace)] {
			if matchesAny(s.Refs, string(namespace)) {
				full := string(namespace) + "." + string(name)
				add(s, full, at, "holds the type "+full+", embedded from the assembly of COM")
			}
		}
		return nil
	}))
}

type memberUse struct {
	sig         *signal
	typ, member string
}

// eachNative calls f for the rows of a function of a DLL, both as programs name them,
// whatever of its two forms (A, W) is used; the empty function stands for the DLL.
func (x *signalIndex) eachNative(dll, function string, f func(*signal)) {
	plain := function
	if n := len(function); n > 1 && (function[n-1] == 'A' || function[n-1] == 'W') {
		plain = function[:n-1]
	}
	check := func(n *nativePattern) {
		if n.function == function || function != "" && n.function == plain {
			f(n.sig)
		}
	}
	for i := range x.native[dll] {
		check(&x.native[dll][i])
	}
	for i := range x.natives {
		if matchesAny([]string{x.natives[i].dll}, dll) {
			check(&x.natives[i])
		}
	}
}

// importSignals are those of the functions that native code imports.
func importSignals(b *image, about string) []Fact {
	var facts []Fact
	d := signalData()
	for _, im := range slices.Concat(b.imports, b.delayed) {
		dll := strings.ToLower(im.DLL)
		d.eachNative(dll, "", func(s *signal) {
			facts = append(facts, signalFact(s, dll, about, at(b.path, im.Span, "imports "+im.DLL)))
		})
		for _, fn := range im.Functions {
			if fn.Name != "" {
				d.eachNative(dll, fn.Name, func(s *signal) {
					facts = append(facts, signalFact(s, dll+"!"+fn.Name, about, at(b.path, fn.Span, "imports "+im.DLL+"!"+fn.Name)))
				})
			}
		}
	}
	return limited(facts)
}

// limited keeps as many places of each signal as a finding names.
func limited(facts []Fact) []Fact {
	type same struct{ key, value string }
	seen := map[same]int{}
	return slices.DeleteFunc(facts, func(f Fact) bool {
		k := same{f.Key, f.Value}
		seen[k]++
		return seen[k] > MaxEvidence
	})
}

// movedFacts are facts about a file under another path.
func movedFacts(facts []Fact, p string) []Fact {
	out := slices.Clone(facts)
	for i := range out {
		f := &out[i]
		f.Evidence = moved(f.Evidence, p)
		switch item := f.item.(type) {
		case signalNeed:
			item.need.Evidence = f.Evidence
			f.item = item
		case Write:
			item.Evidence = f.Evidence
			f.item = item
		}
	}
	return out
}

// speaksOf are facts that name no program, as facts about one.
func speaksOf(about string, facts []Fact) []Fact {
	out := slices.Clone(facts)
	for i := range out {
		out[i].about = about
		out[i].Evidence = slices.Clone(out[i].Evidence) // the file's own stay as they are
	}
	return out
}
