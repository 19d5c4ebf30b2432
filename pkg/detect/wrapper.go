package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// wrapped is a command that a wrapper of another maker runs as a Windows service.
type wrapped struct {
	dir      string   // of the wrapper
	name     string   // of the service; empty where nothing says it
	words    []string // the program first
	evidence []Evidence
}

// wrapperNames are programs that run another one as a service. What they run stands in
// the registry, or in a script that installs them.
var wrapperNames = []string{"nssm.exe", "srvany.exe", "srvany-ng.exe", "instsrv.exe", "prunsrv.exe", "prunmgr.exe"}

// winsw is the configuration of a WinSW beside its program: NAME.exe and NAME.xml; nil
// where there is none (github.com/winsw/winsw, doc/xml-config-file.md).
func (t *Tree) winsw(b *image) *element {
	p := t.find(strings.TrimSuffix(b.path, path.Ext(b.path)) + ".xml")
	if p == "" {
		return nil
	}
	head := t.head(p, headBytes) // documentation of a program lies there too
	if !serviceElement().Match(head) {
		return nil
	}
	root := t.readXML(p, "what it runs as a service is unknown")
	if root == nil || root.name != "service" && root.name != "configuration" || root.child("executable") == nil {
		return nil
	}
	return root
}

var serviceElement = pattern(`<(service|configuration)[\s>]`)

// wrapperOf says why a program is a wrapper of services, empty where it is none.
func (t *Tree) wrapperOf(b *image) string {
	if t.winsw(b) != nil {
		return "WinSW: it runs as a service what its .xml names"
	}
	if slices.Contains(wrapperNames, b.base) {
		return b.base + ": it runs another program as a service"
	}
	return ""
}

// wrappers are the commands that wrappers of the folder run.
func (t *Tree) wrappers() []wrapped {
	if t.wrapped != nil {
		return *t.wrapped
	}
	found := []wrapped{}
	for _, b := range t.binaries {
		if b.isDLL {
			continue
		}
		root := t.winsw(b)
		if root == nil {
			continue
		}
		p := t.find(strings.TrimSuffix(b.path, path.Ext(b.path)) + ".xml")
		w := wrapped{dir: b.dir, words: []string{root.child("executable").text}, evidence: line(p, root.child("executable"), "WinSW runs "+root.child("executable").text)}
		if id := root.child("id"); id != nil {
			w.name = id.text
		}
		for _, c := range root.children {
			if c.name == "arguments" || c.name == "argument" || c.name == "startarguments" || c.name == "startargument" {
				w.words = append(w.words, commandLine(c.text)...)
			}
		}
		found = append(found, w)
	}
	found = append(found, t.nssm()...)
	t.wrapped = &found
	return found
}

// nssm reads the scripts that install a service with NSSM: nssm install NAME PROGRAM
// ARGUMENTS (nssm.cc/usage).
func (t *Tree) nssm() []wrapped {
	var found []wrapped
	seen := 0
	for f := range t.withExt(".cmd", ".bat", ".ps1") {
		if seen++; seen > maxScripts {
			break
		}
		number := 0
		for l := range strings.Lines(string(t.head(f.path(), 64<<10))) {
			number++
			words := commandLine(strings.TrimLeft(strings.TrimSpace(l), "@&. "))
			if len(words) < 4 || !strings.EqualFold(words[1], "install") {
				continue
			}
			if base := strings.ToLower(path.Base(strings.ReplaceAll(words[0], `\`, "/"))); base != "nssm" && base != "nssm.exe" {
				continue
			}
			found = append(found, wrapped{dir: f.dir.path, name: words[2], words: words[3:],
				evidence: []Evidence{{Path: f.path(), Line: number, Detail: mask("nssm install " + strings.Join(words[2:], " "))}}})
		}
	}
	return found
}

// detectWrappers names the programs of the folder that wrappers run as a service.
func detectWrappers(t *Tree) []Fact {
	var facts []Fact
	for _, w := range t.wrappers() {
		exe := t.commandFile(w.dir, cmp.Or(strings.TrimSpace(w.words[0]), "?"))
		if exe == "" && !strings.ContainsAny(w.words[0], `/\`) {
			exe = t.commandFile(w.dir, w.words[0]+".exe")
		}
		if exe == "" || path.Ext(strings.ToLower(exe)) != ".exe" {
			continue
		}
		args := w.words[1:]
		if slices.ContainsFunc(args, func(a string) bool { return hasSecret(a) || strings.Contains(a, "%") }) {
			args = nil
		}
		facts = append(facts, Fact{Key: "service-wrapper", Value: exe, Evidence: w.evidence, item: &wrapped{name: w.name, words: append([]string{exe}, args...), evidence: w.evidence}})
	}
	return facts
}

// serviceOfWrapper makes a console program that a wrapper runs the service that it is
// on the server: in a container it runs by itself.
func (r *resolution) serviceOfWrapper() {
	p := r.app.Program
	if p == nil {
		return
	}
	kinds := map[Kind]Kind{KindNetFXConsole: KindNetFXService, KindDotNetConsole: KindDotNetService, KindNativeConsole: KindNativeService}
	r.each("service-wrapper", func(f *Fact) {
		w, _ := f.item.(*wrapped)
		if w == nil || !strings.EqualFold(f.Value, p.Path) || p.Service != nil {
			return
		}
		to, ok := kinds[r.app.Kind]
		if !ok {
			return
		}
		r.app.Kind = to
		p.Arguments = w.words[1:]
		p.Service = &Service{Name: w.name, Foreground: true, Evidence: w.evidence}
		r.each("kind", func(k *Fact) {
			if k.OverruledBy == "" {
				k.OverruledBy = string(to) + ": a wrapper runs it as a service"
			}
		})
		defer r.derive("kind", string(to), p.Path, w.evidence, nil)
	})
}
