package detect

import (
	"path"
	"slices"
	"strings"
)

// deployExt is what ClickOnce appends to the names of the files that it hands out
// (learn.microsoft.com/visualstudio/deployment/clickonce-deployment-manifest,
// mapFileExtensions).
const deployExt = ".deploy"

// detectClickOnce names the program that a ClickOnce deployment starts: the deployment
// manifest (.application) names the application manifest of the newest version, and
// that the program.
func detectClickOnce(t *Tree) []Fact {
	var facts []Fact
	for f := range t.withExt(".application") {
		p := f.path()
		if t.depth(f.dir.path) > 1 {
			continue
		}
		const unknown = "which program ClickOnce starts is unknown"
		root := t.readXML(p, unknown)
		dependency := root.child("dependency", "dependentAssembly")
		if root == nil || root.name != "assembly" || dependency == nil {
			continue
		}
		manifest := t.commandFile(f.dir.path, dependency.attr("codebase"))
		if manifest == "" {
			continue
		}
		start := t.readXML(manifest, unknown).child("entryPoint", "commandLine")
		file := t.commandFile(path.Dir(manifest), start.attr("file"))
		if file == "" {
			file = t.commandFile(path.Dir(manifest), start.attr("file")+deployExt)
		}
		if file == "" {
			continue
		}
		ev := append(line(p, dependency, "codebase="+dependency.attr("codebase")), line(manifest, start, "entryPoint "+start.attr("file"))...)
		facts = append(facts, Fact{Key: "clickonce", Value: file, Evidence: ev})
	}
	return facts
}

// bootstrapper says whether a program is the setup.exe that Visual Studio puts beside a
// ClickOnce deployment.
func (t *Tree) bootstrapper(b *image) bool {
	if b.base != "setup.exe" {
		return false
	}
	for f := range t.withExt(".application") {
		if f.dir.path == b.dir {
			return true
		}
	}
	return false
}

// vsBootstrapper says whether a setup.exe is the one that Visual Studio puts beside
// packages of Windows Installer and ClickOnce deployments: it installs what the
// configuration in its resources names
// (learn.microsoft.com/visualstudio/deployment/application-deployment-prerequisites).
func (t *Tree) vsBootstrapper(b *image) bool {
	if b.base != "setup.exe" || !b.native() {
		return false
	}
	return !slices.Contains(t.findIn(b.path, t.sections(b, ""), wide("vsbootstrapper"), wide("SETUPCFG")), -1)
}

// wide is a text as UTF-16LE.
func wide(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

// installed is the name that a file of a ClickOnce deployment has once it is installed.
func installed(p string) string {
	if low := strings.ToLower(p); strings.HasSuffix(low, ".exe"+deployExt) || strings.HasSuffix(low, ".dll"+deployExt) {
		return p[:len(p)-len(deployExt)]
	}
	return p
}
