package detect

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// phpPublic are the folders that frameworks of PHP have a web server serve.
var phpPublic = []string{"public", "web", "webroot", "htdocs", "public_html", "www", "html"}

// phpPage is the evidence of a page with code of PHP, nil where it is none.
func (t *Tree) phpPage(p string) []Evidence {
	if p == "" {
		return nil
	}
	text := t.head(p, headBytes)
	m := phpStart().FindIndex(text)
	if m == nil {
		return nil
	}
	return []Evidence{{Path: p, Line: lineAt(text, int64(m[0])), Detail: "a page with code of PHP"}}
}

// phpStartPage is the page that a web server shows first.
func (t *Tree) phpStartPage() []Evidence {
	if ev := t.phpPage(t.find("index.php")); ev != nil {
		return ev
	}
	for _, dir := range phpPublic {
		if ev := t.phpPage(t.find(path.Join(dir, "index.php"))); ev != nil {
			return ev
		}
	}
	return nil
}

// phpSiteBelow says that the start page of a site lies in a folder of it, and none at
// its root.
func (t *Tree) phpSiteBelow(start []Evidence) []Fact {
	dir := path.Dir(start[0].Path)
	if !slices.Contains(phpPublic, strings.ToLower(dir)) || t.find("default.php") != "" {
		return nil
	}
	for _, n := range indexNames {
		if t.find(n) != "" {
			return nil
		}
	}
	return []Fact{{Key: "site-folder", Value: clean(dir), source: string(KindPHP), Evidence: start[:1]}}
}

// composerMissing says that packages which composer.json names are not in the folder.
func (t *Tree) composerMissing() []Fact {
	p := t.find("composer.json")
	if p == "" {
		return nil
	}
	root := t.readJSON(p, "which packages it asks for is unknown")
	vendor := "vendor"
	if n := root.get("config", "vendor-dir"); n != nil && !strings.HasPrefix(n.string(), "/") {
		vendor = path.Clean(n.string())
	}
	need := root.get("require")
	if need == nil || t.find(path.Join(vendor, "autoload.php")) != "" {
		return nil
	}
	i := slices.IndexFunc(need.keys, func(k string) bool { return strings.Contains(k, "/") }) // others are PHP and its extensions
	if i < 0 {
		return nil
	}
	return []Fact{{Key: "packages-missing", Value: "no " + clean(vendor) + " with them", source: string(KindPHP), item: map[string]string{"install": "composer install --no-dev"},
		Evidence: []Evidence{{Path: p, Line: need.line, Detail: "requires " + clean(need.keys[i]) + ", and there is no autoload.php"}}}}
}

// phpFrontEnd says that views of Laravel ask for files that a tool of JavaScript has not
// built yet: Vite writes a manifest of them, and Mix another one.
func (t *Tree) phpFrontEnd() []Fact {
	for _, row := range []struct {
		tool, call string
		configs    []string
		manifests  []string
	}{
		{"Vite", "@vite(", []string{"vite.config.js", "vite.config.ts", "vite.config.mjs"}, []string{"public/build/manifest.json", "public/build/.vite/manifest.json", "public/hot"}},
		{"Mix", "mix(", []string{"webpack.mix.js"}, []string{"public/mix-manifest.json"}},
	} {
		there := func(n string) bool { return t.find(n) != "" }
		if !slices.ContainsFunc(row.configs, there) || slices.ContainsFunc(row.manifests, there) {
			continue
		}
		if ev := t.viewCalls(row.call); ev != nil {
			return []Fact{{Key: "front-end", Value: "what " + row.tool + " builds", source: string(KindPHP), Evidence: ev}}
		}
	}
	return nil
}

// maxViews bounds the views that are looked through.
const maxViews = 400

// viewCalls is the first view of Laravel that calls a function.
func (t *Tree) viewCalls(call string) []Evidence {
	seen := 0
	for f := range t.withExt(".php") {
		if !strings.HasSuffix(f.base, ".blade.php") || !inFolder(f.path(), "resources/views") {
			continue
		}
		if seen++; seen > maxViews {
			return nil
		}
		text := t.head(f.path(), 64<<10)
		if i := bytes.Index(text, []byte(call)); i >= 0 {
			return []Evidence{{Path: f.path(), Line: lineAt(text, int64(i)), Detail: "calls " + strings.TrimSuffix(call, "(")}}
		}
	}
	return nil
}

// phpConfigs are names of files in which sites of PHP keep their settings.
var phpConfigs = []string{"wp-config.php", "config.php", "configuration.php", "config.inc.php", "database.php", "db.php", "settings.php", "conn.php", "connection.php", "connect.php", "koneksi.php", "dbconnect.php", "dbconfig.php"}

// maxPHPConfigs bounds how many of those are read.
const maxPHPConfigs = 40

var (
	phpDefine = pattern(`(?im)^\s*define\s*\(\s*['"](\w+)['"]\s*,\s*['"]([^'"\r\n]*)['"]`)
	phpArray  = pattern(`(?m)['"](\w+)['"]\s*(?:=>|\]\s*=)\s*['"]([^'"\r\n]*)['"]`)
	phpAssign = pattern(`(?m)^\s*(?:public\s+|var\s+|private\s+|protected\s+)?\$(\w+)\s*=\s*['"]([^'"\r\n]*)['"]\s*;`)
	// phpSample are values of the samples that sites come with.
	phpSample = pattern(`(?i)(_here$|^put your unique phrase|^(your|my)[-_ ]|^secret$|^password$)`)
)

// phpSettings are secrets in files of settings, one fact a file, and databases on the
// machine itself.
func (t *Tree) phpSettings() []Fact {
	var facts []Fact
	seen := 0
	for f := range t.withExt(".php") {
		if !slices.Contains(phpConfigs, f.base) || passedOver(f.dir.key) || slices.ContainsFunc(phpAside, func(dir string) bool { return strings.Contains("/"+f.dir.key+"/", dir) }) {
			continue
		}
		if seen++; seen > maxPHPConfigs {
			break
		}
		facts = append(facts, phpSettingsIn(f.path(), t.head(f.path(), pageBytes))...)
	}
	return facts
}

func phpSettingsIn(p string, text []byte) []Fact {
	var facts []Fact
	var secrets []string
	var ev []Evidence
	for _, re := range [][][]int{phpDefine().FindAllSubmatchIndex(text, 200), phpArray().FindAllSubmatchIndex(text, 400), phpAssign().FindAllSubmatchIndex(text, 200)} {
		for _, m := range re {
			number := lineAt(text, int64(m[2]))
			line := strings.TrimSpace(string(text[bytes.LastIndexByte(text[:m[2]], '\n')+1 : m[2]]))
			name, value := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
			here := Evidence{Path: p, Line: number, Detail: maskName(name)}
			switch {
			case strings.HasPrefix(line, "//") || strings.HasPrefix(line, "*") || strings.HasPrefix(line, "#") || value == "":
			case (isSecret(name, value) || phpKey(name)) && !phpSample().MatchString(value) && !slices.Contains(secrets, name):
				secrets, ev = append(secrets, name), append(ev, here)
			case hostKey().MatchString(name) && isLocal(strings.ToLower(value)):
				facts = append(facts, Fact{Key: "local-server", Value: maskName(name) + ": " + maskValue(value), Evidence: []Evidence{here}})
			}
		}
	}
	if len(secrets) > 0 {
		facts = append(facts, Fact{Key: "secret", Value: few(secrets), Evidence: mergeEvidence(nil, ev)})
	}
	return facts
}

// phpKey says whether a setting is one of the keys by which WordPress signs cookies.
func phpKey(name string) bool {
	return slices.Contains([]string{"AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT"}, name)
}
