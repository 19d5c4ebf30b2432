package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// serverScripts are names that a Node.js server has, and scripts of a page too.
var serverScripts = []string{"server.js", "app.js", "index.js", "server.mjs", "server.cjs", "main.js"}

// nodeServer is what only a script that runs a server in Node.js holds.
var nodeServer = pattern(`(?:\brequire\(\s*|\bfrom\s+|\bimport\s+)["'](?:node:)?(?:https?|http2|net|express|koa|fastify|restify|connect|hono|@hapi/hapi|@nestjs/core|next|socket\.io|polka|ws)["']`)

const nodeUnknown = "what the package holds is unknown"

// nodeEntry is what node starts, with where that is said.
type nodeEntry struct {
	path     string // of the script
	args     []string
	env      map[string]string
	evidence []Evidence
}

// detectNode finds applications that Node.js runs.
func detectNode(t *Tree) []Fact {
	entry := t.nodeEntry()
	if entry == nil {
		return nil
	}
	p := &Program{Path: entry.path, Form: FormScript, Arguments: append([]string{windowsRelative(entry.path)}, entry.args...), Env: entry.env}
	rt := t.runtimeIn(RuntimeNode, "node.exe")
	if rt == nil {
		rt = &Runtime{Name: RuntimeNode, Evidence: entry.evidence}
		if v, ev := t.nodeVersion(); v != "" {
			rt.Version, rt.Evidence = v, []Evidence{ev}
		}
	}
	facts := stackFacts(KindNode, "stack", p, rt, entry.evidence)
	facts = append(facts, t.nodeAddons(p.Path)...)
	text := t.head(entry.path, pageBytes)
	for _, re := range []func() [][]int{
		func() [][]int { return portDefault().FindAllSubmatchIndex(text, 1) },
		func() [][]int { return portListen().FindAllSubmatchIndex(text, 1) },
	} {
		if m := re(); len(m) > 0 {
			number := string(text[m[0][2]:m[0][3]])
			if portOf(number) != "" {
				facts = append(facts, Fact{Key: "port", Value: number, source: "server", about: p.Path,
					Evidence: []Evidence{{Path: entry.path, Line: lineAt(text, int64(m[0][2])), Detail: "listens on " + number}}})
				break
			}
		}
	}
	pkg := t.find(path.Join(path.Dir(entry.path), "package.json"))
	if pkg == "" {
		pkg = t.find("package.json")
	}
	flavor := t.nodeFlavor(pkg, p.Path)
	if len(flavor) > 0 && flavor[0].Value == "next" { // nextjs.org/docs/app/api-reference/cli/next
		facts = append(facts, Fact{Key: "port", Value: "3000", source: "default", about: p.Path, Evidence: flavor[0].Evidence})
	}
	facts = append(facts, flavor...)
	facts = append(facts, t.nodeUnbuilt(flavor, p.Path)...)
	if pkg != "" {
		root := t.readJSON(pkg, nodeUnknown)
		if deps := root.get("dependencies"); deps != nil && len(deps.keys) > 0 && !t.hasDir(path.Join(path.Dir(pkg), "node_modules")) && !t.hasDir("node_modules") {
			facts = append(facts, Fact{Key: "packages-missing", Value: "no node_modules", about: p.Path, item: map[string]string{"install": "npm ci --omit=dev"},
				Evidence: []Evidence{{Path: pkg, Line: deps.line, Detail: fmt.Sprintf("names %d dependencies, and there is no node_modules", len(deps.keys))}}})
		}
	}
	return facts
}

var (
	portDefault = pattern(`\bPORT["'\]]*\s*(?:\|\||\?\?)\s*["']?(\d{2,5})\b`)
	portListen  = pattern(`\.listen\(\s*(\d{2,5})\b`)
)

// nodeEntry looks where it is said what starts: web.config, then package.json, then
// the names that servers have.
func (t *Tree) nodeEntry() *nodeEntry {
	if e := t.nodeInIIS(); e != nil {
		return e
	}
	for _, w := range t.wrappers() {
		if exe := programName(w.words[0]); exe == "node" {
			if p, args := t.nodeWords(w.dir, w.words[1:]); p != "" {
				return &nodeEntry{path: p, args: args, evidence: w.evidence}
			}
		}
	}
	if p := t.find("package.json"); p != "" {
		if e := t.nodePackageEntry(p); e != nil {
			return e
		}
	}
	for _, n := range serverScripts {
		p := t.find(n)
		if p == "" {
			continue
		}
		text := t.head(p, pageBytes)
		if m := nodeServer().FindIndex(text); m != nil {
			return &nodeEntry{path: p, evidence: []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: "a server in JavaScript: " + clean(string(text[m[0]:m[1]]))}}}
		}
	}
	return nil
}

// nodeInIIS is what a web.config gives to iisnode, or to node by HttpPlatformHandler.
func (t *Tree) nodeInIIS() *nodeEntry {
	var found *nodeEntry
	configs := t.webConfigs()
	if len(configs) == 0 || strings.Contains(configs[0], "/") {
		return nil
	}
	sections(t.readXML(configs[0], webConfigUnknown), func(section string, e *element) {
		switch {
		case found != nil:
		case section == "system.webServer/handlers/add" && strings.EqualFold(e.attr("modules"), "iisnode"):
			if p := t.commandFile(".", e.attr("path")); p != "" {
				found = &nodeEntry{path: p, evidence: line(configs[0], e, "handler iisnode for "+e.attr("path"))}
			}
		case section == "system.webServer/httpPlatform" || section == "system.webServer/aspNetCore":
			if programName(e.attr("processPath")) == "node" {
				if p, args := t.nodeWords(".", commandLine(e.attr("arguments"))); p != "" {
					found = &nodeEntry{path: p, args: args, evidence: line(configs[0], e, "processPath="+e.attr("processPath"))}
				}
			}
		}
	})
	return found
}

// nodeWords reads what follows node on a command line: the script, and what it is
// given. Options of node itself are taken by those scripts that need them only.
func (t *Tree) nodeWords(dir string, words []string) (script string, args []string) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "-r" || w == "--require" || w == "--import" || w == "--loader" || w == "--env-file" {
			i++
			continue
		}
		if strings.HasPrefix(w, "-") {
			continue
		}
		for _, name := range []string{w, w + ".js", w + ".mjs", w + ".cjs", path.Join(w, "index.js")} {
			if script = t.commandFile(dir, name); script != "" {
				return script, words[i+1:]
			}
		}
		return "", nil
	}
	return "", nil
}

// nodePackageEntry is what a package.json starts.
func (t *Tree) nodePackageEntry(p string) *nodeEntry {
	root := t.readJSON(p, nodeUnknown)
	if start := root.get("scripts", "start"); start != nil {
		if e := t.nodeScript(p, root, start, 0); e != nil {
			return e
		}
	}
	main := root.get("main")
	if server := t.find("server.js"); server != "" && main == nil && root.get("scripts", "start") == nil && root.get("engines", "node") != nil && root.get("dependencies") != nil {
		// npm start runs it where the package names no script (docs.npmjs.com/cli/commands/npm-start).
		return &nodeEntry{path: server, evidence: []Evidence{{Path: p, Line: 1, Detail: "a package without a start script: npm starts server.js"}, {Path: server, Line: 1, Detail: "what npm starts"}}}
	}
	script := ""
	if main != nil {
		script, _ = t.nodeWords(".", []string{main.string()})
	} else if p := t.find("index.js"); p != "" {
		script = p
	}
	if script == "" {
		return nil
	}
	where := Evidence{Path: p, Line: 1, Detail: "a package, of which index.js is the main script"}
	if main != nil {
		where = Evidence{Path: p, Line: main.line, Detail: "main " + clean(main.string())}
	}
	text := t.head(script, pageBytes)
	if m := nodeServer().FindIndex(text); m != nil {
		return &nodeEntry{path: script, evidence: []Evidence{where, {Path: script, Line: lineAt(text, int64(m[0])), Detail: "a server in JavaScript"}}}
	}
	if t.runtimeIn(RuntimeNode, "node.exe") != nil {
		return &nodeEntry{path: script, evidence: []Evidence{where}}
	}
	return nil
}

// nodeScript reads a script of package.json: the last command of it, where that is
// node, a program of a package, or another script.
func (t *Tree) nodeScript(p string, root, script *node, depth int) *nodeEntry {
	text := script.string()
	if i := max(strings.LastIndex(text, "&&"), strings.LastIndex(text, ";")); i >= 0 {
		text = strings.TrimLeft(text[i:], "&;")
	}
	words := commandLine(text)
	env := map[string]string{}
	for len(words) > 0 {
		key, value, isVariable := strings.Cut(words[0], "=")
		if words[0] == "cross-env" || words[0] == "cross-env-shell" || words[0] == "dotenv" || words[0] == "--" {
			words = words[1:]
		} else if isVariable && envName().MatchString(key) {
			if !isSecret(key, value) && !strings.Contains(value, "$") {
				env[key] = value
			}
			words = words[1:]
		} else {
			break
		}
	}
	if len(env) == 0 {
		env = nil
	}
	if len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.ContainsAny(w, "|<>&") || hasSecret(w) }) {
		return nil
	}
	where := []Evidence{{Path: p, Line: script.line, Detail: mask("script: " + script.string())}}
	switch first := strings.TrimSuffix(strings.ToLower(words[0]), ".exe"); first {
	case "node":
		if file, args := t.nodeWords(".", words[1:]); file != "" {
			return &nodeEntry{path: file, args: args, env: env, evidence: where}
		}
	case "npm", "yarn", "pnpm":
		rest := words[1:]
		if len(rest) > 0 && rest[0] == "run" {
			rest = rest[1:]
		}
		if next := root.get("scripts"); len(rest) == 1 && depth < 4 && next != nil {
			if s := next.get(rest[0]); s != nil && s != script {
				if e := t.nodeScript(p, root, s, depth+1); e != nil {
					e.evidence = append(where, e.evidence...)
					return e
				}
			}
		}
	default:
		if !packageName().MatchString(words[0]) {
			return nil
		}
		if file := t.packageProgram(words[0]); file != "" && !buildTool(words[0]) {
			return &nodeEntry{path: file, args: words[1:], env: env, evidence: append(where, Evidence{Path: file, Line: 1, Detail: "the program " + words[0] + " of a package"})}
		}
	}
	return nil
}

var (
	envName     = pattern(`^[A-Za-z_]\w*$`)
	packageName = pattern(`^(@[a-z0-9][\w.-]*/)?[a-z0-9][\w.-]*$`)
)

// buildTool says whether a program of a package builds or watches rather than serves.
func buildTool(name string) bool {
	return slices.Contains([]string{"webpack", "webpack-dev-server", "react-scripts", "vite", "ng", "vue-cli-service", "gulp", "grunt", "tsc", "rollup", "parcel", "nodemon", "ts-node", "tsx", "electron", "jest", "concurrently"}, name)
}

// packageProgram is the script that a program of an installed package is.
func (t *Tree) packageProgram(name string) string {
	p := t.find(path.Join("node_modules", name, "package.json"))
	if p == "" {
		return ""
	}
	bin := t.readJSON(p, nodeUnknown).get("bin")
	file := bin.string()
	if file == "" {
		file = bin.get(path.Base(name)).string()
	}
	script, _ := t.nodeWords(path.Dir(p), []string{file})
	return script
}

// nodeVersion is what says which Node.js the application wants.
func (t *Tree) nodeVersion() (string, Evidence) {
	if p := t.find("package.json"); p != "" {
		if n := t.readJSON(p, nodeUnknown).get("engines", "node"); n.string() != "" {
			return clean(n.string()), Evidence{Path: p, Line: n.line, Detail: "engines.node " + clean(n.string())}
		}
	}
	for _, name := range []string{".nvmrc", ".node-version"} {
		if p := t.find(name); p != "" {
			v := strings.TrimPrefix(strings.TrimSpace(string(t.head(p, 64))), "v")
			if nodeNumber().MatchString(v) {
				return v, Evidence{Path: p, Line: 1, Detail: "asks for Node.js " + v}
			}
		}
	}
	return "", Evidence{}
}

var nodeNumber = pattern(`^\d{1,3}(\.\d{1,4}){0,2}$`)

// nodeAddons are what native code of packages asks of the image, and whether it was
// made for Windows at all.
func (t *Tree) nodeAddons(about string) []Fact {
	var facts []Fact
	var pages pe.Pages
	names := map[string]string{}
	count := 0
	for f := range t.withExt(".node") {
		if count++; count > maxAddons {
			break
		}
		p := f.path()
		low := strings.ToLower(p)
		if i := strings.Index(low, "/prebuilds/"); i >= 0 && !strings.HasPrefix(low[i:], "/prebuilds/win32-x64") {
			continue // one of several platforms
		}
		if head := t.start(p, 4); len(head) == 4 && head[0] != 'M' {
			facts = append(facts, Fact{Key: "addon-foreign", Value: p, about: about, Evidence: []Evidence{{Path: p, Length: 4, Detail: "native code for another system than Windows"}}})
			continue
		}
		if b := t.readBinary(p, &pages, names); b != nil {
			facts = append(facts, t.imports(b, about)...)
			ev := []Evidence{at(p, b.arch.Span, "native code of a package")}
			facts = append(facts, Fact{Key: "native-addon", Value: p, about: about, Evidence: ev,
				item: FamilyNeed{Family: FamilyServerCore, Why: "packages with native code are not proven on Nano Server", Evidence: ev}})
		}
	}
	return facts
}

// maxAddons bounds the native packages that are looked at.
const maxAddons = 64
