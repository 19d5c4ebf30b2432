package detect

import (
	"path"
	"slices"
	"strings"
)

// depsAsset is a file that deps.json tells the host of.
type depsAsset struct {
	path    string // deps.json itself
	line    int
	library string // "Newtonsoft.Json/13.0.3"
	asset   string // path in the package
	kind    string // "runtime", "native", or "runtimeTargets"
	found   string // path in the application; empty where it is not there
	stored  bool   // a runtime store may have it
}

// maxAssets bounds the assets of one deps.json.
const maxAssets = 50_000

// depsAssets reads what the runtimeTarget of NAME.deps.json lists for Windows, by file
// name in lower case; nil where there is none.
func (t *Tree) depsAssets(want string) map[string]depsAsset {
	p := t.find(want)
	if p == "" {
		return nil
	}
	return t.assetsOf(t.readJSON(p, "which packages the program was published with is unknown"), p)
}

func (t *Tree) assetsOf(root *node, p string) map[string]depsAsset {
	target := root.get("targets", root.get("runtimeTarget", "name").string())
	if target == nil || target.kind != '{' {
		return nil
	}
	libraries := root.get("libraries").byKey()
	out := map[string]depsAsset{}
	for i, lib := range target.values {
		name := target.keys[i]
		stored := libraries[strings.ToLower(name)].get("runtimeStoreManifestName") != nil
		for _, kind := range []string{"runtime", "native", "runtimeTargets"} {
			assets := lib.get(kind)
			if assets == nil || assets.kind != '{' {
				continue
			}
			for j, about := range assets.values {
				asset := strings.ReplaceAll(assets.keys[j], `\`, "/")
				file := strings.ToLower(path.Base(asset))
				if len(out) >= maxAssets || file == "_._" || kind == "runtimeTargets" && !forWindows(about.get("rid").string()) {
					continue
				}
				a := depsAsset{path: p, line: about.line, library: clean(name), asset: clean(asset), kind: kind, stored: stored}
				dir := path.Dir(p)
				a.found = t.find(path.Join(dir, path.Base(asset)))
				if kind == "runtimeTargets" || a.found == "" && !strings.HasPrefix(asset, "..") {
					if at := t.find(path.Join(dir, asset)); at != "" {
						a.found = at
					}
				}
				if old, ok := out[file]; !ok || old.found == "" {
					out[file] = a
				}
			}
		}
	}
	return out
}

// forWindows says whether a runtime identifier is one of Windows.
func forWindows(rid string) bool {
	low := strings.ToLower(rid)
	return low == "any" || strings.HasPrefix(low, "win")
}

// missingAssets are files that the host ends the program for: it looks for all that
// deps.json lists before it starts anything ("An assembly specified in the application
// dependencies manifest was not found", deps_resolver.cpp of dotnet/runtime).
func missingAssets(assets map[string]depsAsset, about string) []Fact {
	var facts []Fact
	for _, file := range sortedKeys(assets) {
		a := assets[file]
		if a.found != "" || a.stored || a.kind != "runtime" || !slices.Contains([]string{".dll", ".exe"}, path.Ext(file)) {
			continue
		}
		facts = append(facts, Fact{Key: "asset-missing", Value: clean(path.Base(a.asset)), about: about,
			Evidence: []Evidence{{Path: a.path, Line: a.line, Detail: clean("lists " + a.asset + " of " + a.library)}},
			item:     map[string]string{"library": a.library, "deps": path.Base(a.path)}})
	}
	return facts
}
