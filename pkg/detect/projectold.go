package detect

import (
	"path"
	"strings"
)

// oldProjects are trees of Visual Basic 6 and Delphi.
func (t *Tree) oldProjects() []*project {
	var found []*project
	for f := range t.withExt(".vbp", ".dpr") {
		if len(found) == maxProjects {
			break
		}
		p := f.path()
		text := string(t.head(p, 64<<10))
		if f.ext() == ".vbp" {
			if x := visualBasicProject(p, text); x != nil {
				found = append(found, x)
			}
		} else if m := delphiProgram().FindStringIndex(text); m != nil {
			found = append(found, t.delphiProject(p, text, m[0]))
		}
	}
	return found
}

// jsonProjects are programs of .NET Core 1 before its projects were of MSBuild: a
// project.json that emits an entry point (learn.microsoft.com/dotnet/core/tools/project-json).
func (t *Tree) jsonProjects() []*project {
	var found []*project
	for f := range t.withExt(".json") {
		if f.base != "project.json" || passedOver(f.dir.key) {
			continue
		}
		if len(found) == maxProjects {
			break
		}
		p := f.path()
		root := t.readJSON(p, projectUnknown)
		start, frameworks := root.get("buildOptions", "emitEntryPoint"), root.get("frameworks")
		if start == nil || start.text != "true" || frameworks == nil {
			continue
		}
		x := &project{path: p, name: path.Base(f.dir.path), arch: AnyCPU, becomes: KindDotNetConsole, shared: "Microsoft.NETCore.App",
			framework: bestTarget(strings.Join(frameworks.keys, ";")), evidence: []Evidence{{Path: p, Line: frameworks.line, Detail: "a project.json that emits an entry point"}}}
		if x.name == "." {
			x.name = ""
		}
		if x.framework.Name == NETFramework {
			x.becomes = KindNetFXConsole
		}
		if packages := root.get("dependencies"); packages != nil {
			for i, name := range packages.keys {
				low := strings.ToLower(name)
				switch at := (Evidence{Path: p, Line: packages.values[i].line, Detail: clean("depends on " + name)}); {
				case strings.HasPrefix(low, "microsoft.aspnetcore.server."):
					x.becomes, x.evidence = KindASPNETCore, append(x.evidence, at)
				case low == "topshelf" && x.becomes == KindNetFXConsole:
					x.becomes, x.evidence = KindNetFXService, append(x.evidence, at)
				}
			}
		}
		found = append(found, x)
	}
	return found
}

// visualBasicProject reads a project of Visual Basic 6; nil for what is none. A program
// that Sub Main starts and that has no form shows no window.
func visualBasicProject(p, text string) *project {
	keys := map[string]string{}
	lines := map[string]int{}
	number, forms := 0, false
	for l := range strings.Lines(text) {
		number++
		key, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		if !ok {
			continue
		}
		forms = forms || key == "Form"
		if _, twice := keys[key]; !twice {
			keys[key], lines[key] = strings.Trim(value, `"`), number
		}
	}
	if keys["Type"] == "" {
		return nil
	}
	x := &project{path: p, arch: X86, evidence: []Evidence{{Path: p, Line: lines["Type"], Detail: clean("Type=" + keys["Type"] + ", a project of Visual Basic 6")}}}
	switch {
	case !strings.EqualFold(keys["Type"], "Exe"): // a library or a control
	case forms:
		x.becomes = KindNativeDesktop
		x.evidence = append(x.evidence, Evidence{Path: p, Line: lines["Form"], Detail: clean("Form=" + keys["Form"])})
	default:
		x.becomes = KindNativeConsole
	}
	return x
}

// delphiProject reads the main file of a program in Delphi: what it uses says what it
// becomes.
func (t *Tree) delphiProject(p, text string, at int) *project {
	x := &project{path: p, arch: X86, evidence: []Evidence{{Path: p, Line: lineAt([]byte(text), int64(at)), Detail: "a program in Delphi"}}}
	low := strings.ToLower(text)
	if dproj := t.find(strings.TrimSuffix(p, path.Ext(p)) + ".dproj"); dproj != "" && strings.Contains(string(t.head(dproj, 64<<10)), ">Win64</Platform>") {
		x.arch = X64
	}
	sees := func(mark string, becomes Kind) bool {
		i := strings.Index(low, mark)
		if i < 0 {
			return false
		}
		x.becomes = becomes
		x.evidence = append(x.evidence, Evidence{Path: p, Line: lineAt([]byte(text), int64(i)), Detail: clean(strings.TrimSpace(text[i : i+len(mark)]))})
		return true
	}
	if !sees("svcmgr", KindNativeService) && !sees("{$apptype console}", KindNativeConsole) && !sees("application.createform", KindNativeDesktop) {
		x.becomes = KindNativeConsole
	}
	return x
}

var delphiProgram = pattern(`(?im)^\s*program\s+\w+\s*;`)
