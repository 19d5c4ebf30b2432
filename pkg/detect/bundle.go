package detect

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// singleFile is a bundle: runtimeconfig.json and assemblies lie in the exe.
func (t *Tree) singleFile(b *image) []Fact {
	bundle := b.host.Bundle
	p := &Program{Path: b.path, Form: FormSingleFile}
	source := "bundle"
	if t.depth(b.dir) > t.programDepth() {
		source = "deeper"
	}
	self := at(b.path, bundle.Span.With(bundle.Manifest), fmt.Sprintf("bundle manifest, version %d.%d, %d files", bundle.Major, bundle.Minor, len(bundle.Entries)))
	facts := []Fact{{Key: "program", Value: b.path, source: source, about: b.path, Evidence: []Evidence{self}, item: p}}
	read := func(what string, data []byte) *node {
		if len(data) == 0 {
			return nil
		}
		text, err := decodeText(data)
		var n *node
		if err == nil {
			n, err = parseJSON(bytes.Clone(text), t.limits)
		}
		if err != nil {
			t.problem(b.path, what+" in the bundle: "+err.Error()+"; "+runtimeConfigUnknown)
		}
		return n
	}
	config := read("runtimeconfig.json", bundle.RuntimeConfig)
	p.SelfContained = bundle.RuntimeConfig == nil || selfContained(config)
	facts = append(facts, runtimeFacts(config, b.path, b.path, &bundle.RuntimeConfigSpan)...)
	deps := read("deps.json", bundle.DepsJSON)
	facts = append(facts, targetFacts(deps.get("runtimeTarget", "name"), b.path, b.path, &bundle.DepsSpan)...)
	if bundle.ExtractAll {
		facts = append(facts, Fact{Key: "extracts", Value: "to TEMP at every start", about: b.path, Evidence: []Evidence{self}})
	}
	facts = append(facts, architectureFacts(b, b.path, "host")...)
	if source == "deeper" {
		return facts
	}
	bind := &binder{t: t, family: "dotnet", base: b.dir, host: b.path, shared: sharedNames(config), bundle: map[string]pe.BundleEntry{}, known: map[asked]bound{}}
	for _, e := range bundle.Entries {
		bind.bundle[strings.ToLower(path.Base(e.Path))] = e
	}
	return append(facts, t.bundledEntry(b, p, self, bind)...)
}

// bundledEntry finds the assembly in the bundle that the host starts: the one
// that runtimeconfig.json or the host's slot is named after.
func (t *Tree) bundledEntry(b *image, p *Program, self Evidence, bind *binder) []Fact {
	var facts []Fact
	stem := strings.TrimSuffix(b.base, ".exe")
	for _, e := range b.host.Bundle.Entries {
		if name, ok := strings.CutSuffix(strings.ToLower(e.Path), runtimeConfigExt); ok {
			stem = name
		}
	}
	for _, e := range b.host.Bundle.Entries {
		if strings.ToLower(e.Path) != stem+".dll" {
			continue
		}
		t.withPE(b.path, func(f *pe.File) error {
			in, err := f.OpenEntry(e)
			if err != nil {
				return err
			}
			clr, err := in.CLR()
			if err != nil || clr == nil {
				return err
			}
			ev := t.codeIn(b, e).evidence
			tr, err := readTraits(ev, clr)
			refs, bad := clr.AssemblyRefs()
			t.readBundled(b, e, refs, &tr)
			facts = append(facts, programFacts(&tr, p, "dotnet", b.gui, self)...)
			if err != nil {
				return err
			}
			if fw, ok := parseTarget(clr.TargetFramework.Value); ok {
				facts = append(facts, Fact{Key: "framework", Value: fw.Name + " " + fw.Version, source: "target-framework-attribute", about: b.path, item: fw,
					Evidence: []Evidence{ev(clr.TargetFramework.Span, "TargetFrameworkAttribute "+clr.TargetFramework.Value)}})
			}
			refers := func(r pe.Assembly) Evidence { return ev(r.Span, "refers to "+r.Name) }
			facts = append(facts, webServerFacts(refs, b.path, refers)...)
			for _, r := range refs {
				facts = append(facts, dependencyFacts(r.Name, "dotnet", b.path, refers(r))...)
				facts = append(facts, referenceSignals(r.Name, b.path, refers(r))...)
			}
			used, err := uses(ev, clr)
			facts = append(facts, speaksOf(b.path, used)...)
			for _, lib := range t.bundled(b, e, refs) {
				if name := strings.TrimSuffix(lib.entry.Path, ".dll"); ownAssembly(name, nil) {
					lib.code(func(clr *pe.CLR) error {
						used, err := uses(lib.evidence, clr)
						facts = append(facts, speaksOf(b.path, used)...)
						return err
					})
				}
			}
			return firstError(bad, err)
		})
		facts = append(facts, walker{t, "dotnet", b.path, bind}.bundled(b, e)...)
		return facts
	}
	t.problem(b.path, "the bundle holds no "+clean(stem)+".dll: what the program does is unknown")
	return append(facts, Fact{Key: "kind", Value: string(KindDotNetConsole), source: "managed", about: b.path, Evidence: []Evidence{self}})
}
