package detect

import (
	"slices"
	"strings"
)

// nodeOutputs are the folders to which tools of JavaScript build, by what is built.
var nodeOutputs = map[string][]string{"next": {".next"}, "nuxt": {".output", ".nuxt"}}

// nodeUnbuilt says that an application is made with a tool that builds its pages, and
// that what it builds is not there: nextjs.org/docs/app/api-reference/cli/next, "next start".
func (t *Tree) nodeUnbuilt(flavor []Fact, program string) []Fact {
	if len(flavor) == 0 {
		return nil
	}
	outputs := nodeOutputs[flavor[0].Value]
	if outputs == nil || slices.ContainsFunc(outputs, t.hasDir) {
		return nil
	}
	for _, name := range []string{"next.config.js", "next.config.mjs", "next.config.ts", "nuxt.config.js", "nuxt.config.ts"} {
		if p := t.find(name); p != "" && nodeOutput().Match(t.head(p, 64<<10)) {
			return nil // it is built to a folder of another name
		}
	}
	return []Fact{{Key: "front-end", Value: "no folder " + outputs[0] + ", which " + flavor[0].Value + " builds", about: program, Evidence: flavor[0].Evidence}}
}

var nodeOutput = pattern(`\b(distDir|buildDir)\b`)

// nodeProject is a package for Node.js that has to be built before anything in it starts:
// of TypeScript, or of a tool that builds its pages.
func (t *Tree) nodeProject() *project {
	p := t.find("package.json")
	if p == "" {
		return nil
	}
	root := t.readJSON(p, nodeUnknown)
	deps, build := root.get("dependencies"), root.get("scripts", "build")
	server := slices.IndexFunc(nodeFlavors, func(row struct{ pkg, flavor string }) bool { return deps.get(row.pkg) != nil })
	if server < 0 || build == nil && t.find("tsconfig.json") == "" || t.nodeEntry() != nil || t.nodeBuilt() {
		return nil
	}
	for range t.withExt(".php", ".asp", ".aspx", ".jsp", ".py") {
		return nil
	}
	for range t.withExt(".ts", ".tsx", ".mts", ".jsx", ".vue") {
		n := deps.get(nodeFlavors[server].pkg)
		return &project{path: p, becomes: KindNode, evidence: []Evidence{{Path: p, Line: n.line, Detail: "depends on " + nodeFlavors[server].pkg + ", and has to be built"}}}
	}
	return nil
}

// nodeBuilt says whether a folder that tools of TypeScript build to holds a script.
func (t *Tree) nodeBuilt() bool {
	for f := range t.withExt(".js", ".cjs", ".mjs") {
		top, _, _ := strings.Cut(f.dir.key, "/")
		if slices.Contains([]string{"dist", "build", "out", "lib"}, top) {
			return true
		}
	}
	return false
}
