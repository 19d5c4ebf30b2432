package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Bounds of the scripts that are looked through.
const (
	maxScript     = 256 << 10 // bytes of one
	maxAllScripts = 8 << 20   // bytes of all
)

// scriptExts are those of scripts that IIS, Windows or a runtime of scripts runs.
var scriptExts = []string{".asp", ".asa", ".inc", ".vbs", ".wsf", ".wsc", ".ps1", ".psm1", ".bat", ".cmd", ".php", ".py", ".aspx", ".ascx", ".ashx", ".asmx", ".master", ".cshtml"}

// scriptSignals are what scripts give away, comments left out.
func (t *Tree) scriptSignals() []Fact {
	exts := scriptExts
	if t.find("package.json") != "" {
		exts = append([]string{".js", ".cjs", ".mjs"}, exts...)
	}
	var facts []Fact
	left := int64(maxAllScripts)
	for f := range t.withExt(exts...) {
		if low := "/" + f.dir.key + "/"; passedOver(f.dir.key) || strings.Contains(low, "/tests/") || strings.Contains(low, "/python/lib/") || strings.HasSuffix(f.base, ".min.js") {
			continue
		}
		if left <= 0 {
			t.problem(f.path(), fmt.Sprintf("more than %d MB of scripts come before: what this and later ones name is unknown", maxAllScripts>>20))
			break
		}
		text := t.start(f.path(), int(min(left, maxScript)))
		left -= int64(len(text))
		if decoded, err := decodeText(text); err == nil {
			text = decoded
		}
		facts = append(facts, scriptFacts(f.path(), f.ext(), string(text))...)
		facts = append(facts, t.scriptCOM(f.path(), f.ext(), string(text))...)
	}
	return limited(facts)
}

// scriptFacts looks at the lines of a script.
func scriptFacts(p, ext, text string) []Fact {
	var facts []Fact
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if len(line) > maxString || isComment(ext, line) || !hasLiteral(line) {
			continue
		}
		found := textFacts(line, true, nil, func(detail string) Evidence {
			return Evidence{Path: p, Line: number, Detail: mask(detail)}
		})
		facts = append(facts, slices.DeleteFunc(found, func(f Fact) bool { return f.Key == "signal" && notOfTheApplication(&f, p, line) })...)
		if len(facts) >= maxCodeSigns {
			break
		}
	}
	return facts
}

// ofDeployment are scripts that ran where the application was built, tested or brought to
// its server: what they expect there is none of its needs.
var ofDeployment = pattern(`(?i)(^|/)(publishprofiles|tests?|build|deploy|deployment|ci)/|\.deploy\.cmd$|(^|/)(deploy|build|publish|test)([-_.][^/]*)?\.(cmd|bat|ps1|psm1|py)$|(^|/)test_[^/]*\.py$|tests?\.(php|py)$`)

// dependsOn is the list of services that a new one depends on, always those every
// Windows runs.
var (
	dependsOn = pattern(`(?i)depend=\s+"?([^"\s]+)`)
	always    = []string{"tcpip", "afd", "rpcss", "eventlog", "nsi", "dnscache", "netbt", "http", "winmgmt", "lanmanworkstation"}
)

// notOfTheApplication says whether a signal of a script says nothing of what the
// application needs where it runs.
func notOfTheApplication(f *Fact, p, line string) bool {
	switch f.Value {
	case "code-path", "code-share", "program-files", "registry", "windows-tools":
		return ofDeployment().MatchString(p)
	case "service-account":
		return !slices.Contains([]string{".bat", ".cmd", ".ps1", ".psm1"}, strings.ToLower(path.Ext(p))) && !scCommand().MatchString(line)
	case "service-depends":
		m := dependsOn().FindStringSubmatch(line)
		return m != nil && !slices.ContainsFunc(strings.Split(m[1], "/"), func(s string) bool { return !slices.Contains(always, strings.ToLower(s)) })
	}
	return false
}

// scCommand is a call of sc.exe. Without one "obj= " sets a variable of another language.
var scCommand = pattern(`(?i)\bsc(?:\.exe)?["']?\s+(?:\\\\\S+\s+)?(?:create|config)\b`)

func hasLiteral(text string) bool {
	x := literalData()
	state := 0
	for i := range len(text) {
		if state = x.step(state, text[i]); len(x.found[state]) > 0 {
			return true
		}
	}
	return false
}

// isComment says whether a line of a script is one, in the languages of its ending.
func isComment(ext, line string) bool {
	low := strings.ToLower(line[:min(len(line), 4)])
	switch ext {
	case ".bat", ".cmd":
		return strings.HasPrefix(low, "rem") || strings.HasPrefix(low, "@rem") || strings.HasPrefix(low, "::")
	case ".ps1", ".psm1", ".py":
		return strings.HasPrefix(low, "#")
	case ".vbs", ".wsf", ".wsc", ".asp", ".asa", ".inc":
		return strings.HasPrefix(low, "'") || strings.HasPrefix(low, "rem ") || strings.HasPrefix(low, "//") || strings.HasPrefix(low, "<!--") || strings.HasPrefix(low, "*")
	}
	return strings.HasPrefix(low, "//") || strings.HasPrefix(low, "#") || strings.HasPrefix(low, "*") || strings.HasPrefix(low, "/*") || strings.HasPrefix(low, "<!--") || strings.HasPrefix(low, "'")
}
