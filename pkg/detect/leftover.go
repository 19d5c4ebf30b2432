package detect

import "strings"

// leftoverSigns are what a folder holds in which nothing starts: libraries, scripts,
// the configuration of a site without the site. They are told where nothing says what
// the application is.
func (t *Tree) leftoverSigns() []Fact {
	if t.programDepth() < noDepth {
		return nil
	}
	facts := t.siteWithoutCode()
	if !t.siteRoot() {
		facts = append(facts, t.lonelyLibraries()...)
	}
	for f := range t.withExt(append([]string{".java", ".kt", ".ts"}, codeExts...)...) {
		if t.projectDepth() < noDepth { // which says more
			break
		}
		if strings.HasSuffix(f.base, ".d.ts") || passedOver(f.dir.key) {
			continue
		}
		facts = append(facts, signFact(sourceCode+f.path(), sourceRemedy, Evidence{Path: f.path(), Line: 1, Detail: "code, and no project or program that starts it"}))
		break
	}
	for f := range t.withExt(".cmd", ".bat", ".ps1", ".vbs") {
		if f.top() {
			facts = append(facts, signFact("scripts: "+f.name, "If one of them starts the application, name it as entrypoint in winpack.toml, and a base image with --base.",
				Evidence{Path: f.name, Line: 1, Detail: "a script"}))
			break
		}
	}
	return facts
}

// sourceCode begins the sign of code without a project.
const sourceCode = "source code: "

// siteWithoutCode is a web.config, Global.asax or Razor view of ASP.NET where neither
// a page nor an assembly is.
func (t *Tree) siteWithoutCode() []Fact {
	for _, b := range t.binaries {
		if strings.EqualFold(b.dir, "bin") && b.ref("System.Web") != nil && !vendor(b.name()) {
			return nil // which says more
		}
	}
	for range t.withExt(pageExts()...) {
		return nil
	}
	const remedy = "Give winpack the published site, with the assemblies in its folder bin (msbuild /p:DeployOnBuild=true)."
	if p := t.find("Global.asax"); p != "" {
		return []Fact{signFact("an ASP.NET site without its assembly in bin: "+p, remedy, Evidence{Path: p, Line: 1, Detail: "the application file of ASP.NET"})}
	}
	if p := t.find("web.config"); p != "" {
		var found *element
		sections(t.readXML(p, webConfigUnknown), func(section string, e *element) {
			if section == "system.web" && found == nil {
				found = e
			}
		})
		if found != nil {
			return []Fact{signFact("a web.config of ASP.NET without a page or an assembly: "+p, remedy, line(p, found, "system.web is set")...)}
		}
	}
	return nil
}

// lonelyLibraries names libraries at the root that no program of the folder uses.
func (t *Tree) lonelyLibraries() []Fact {
	var managed, native *image
	for _, b := range t.binaries {
		switch {
		case b.dir != "." || !strings.HasSuffix(b.base, ".dll") || strings.HasPrefix(b.targetName(), NETCoreApp):
		case b.clr == nil && native == nil:
			native = b
		case b.clr != nil && (managed == nil || managed.ref("System.Web") == nil && b.ref("System.Web") != nil):
			managed = b
		}
	}
	var facts []Fact
	if managed != nil {
		remedy, ev := "Give winpack the folder of the program that uses them.", at(managed.path, managed.clr.Span, "CLI header of a library")
		if r := managed.ref("System.Web"); r != nil {
			remedy = "They are of a site: give winpack the folder of the site, in whose folder bin they lie."
			ev = at(managed.path, r.Span, "refers to System.Web "+r.Version)
		}
		facts = append(facts, signFact("assemblies without a program: "+managed.path, remedy, ev))
	}
	if native != nil {
		facts = append(facts, signFact("libraries without a program: "+native.path, "Give winpack the folder of the program that uses them.", at(native.path, native.sub, "a DLL")))
	}
	return facts
}

// targetName is the value of TargetFrameworkAttribute.
func (b *image) targetName() string {
	if b.clr == nil {
		return ""
	}
	return b.clr.TargetFramework.Value
}
