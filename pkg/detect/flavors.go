package detect

import "slices"

// stackFlavor is a framework that an application of scripts is made with.
func stackFlavor(flavor, about string, ev Evidence) Fact {
	return Fact{Key: "stack-flavor", Value: flavor, about: about, Evidence: []Evidence{ev}}
}

// pythonFlavors are packages that say how an application in Python is made.
var pythonFlavors = []string{"django", "flask", "fastapi", "bottle", "tornado", "aiohttp", "cherrypy", "pyramid", "sanic", "starlette", "falcon"}

// pythonFlavor is the package that the entry imports or, where it imports none of them,
// the first one that the application requires.
func (t *Tree) pythonFlavor(entry string) []Fact {
	text := t.head(entry, pageBytes)
	for _, m := range pythonImport().FindAllSubmatchIndex(text, 200) {
		if name := string(text[m[2]:m[3]]); slices.Contains(pythonFlavors, name) {
			return []Fact{stackFlavor(name, entry, Evidence{Path: entry, Line: lineAt(text, int64(m[2])), Detail: "imports " + name})}
		}
	}
	for _, name := range pythonFlavors {
		if f, l := t.requires(name); f != "" {
			return []Fact{stackFlavor(name, entry, Evidence{Path: f, Line: l, Detail: "requires " + name})}
		}
	}
	return nil
}

// nodeFlavors are packages that say how a server in JavaScript is made, those that
// build on another one first.
var nodeFlavors = []struct{ pkg, flavor string }{
	{"next", "next"}, {"nuxt", "nuxt"}, {"@nestjs/core", "nestjs"}, {"express", "express"}, {"koa", "koa"}, {"fastify", "fastify"}, {"@hapi/hapi", "hapi"}, {"restify", "restify"},
}

// nodeFlavor is the package that package.json depends on.
func (t *Tree) nodeFlavor(pkg, entry string) []Fact {
	if pkg == "" {
		return nil
	}
	deps := t.readJSON(pkg, nodeUnknown).get("dependencies")
	for _, row := range nodeFlavors {
		if n := deps.get(row.pkg); n != nil {
			return []Fact{stackFlavor(row.flavor, entry, Evidence{Path: pkg, Line: n.line, Detail: "depends on " + row.pkg})}
		}
	}
	return nil
}
