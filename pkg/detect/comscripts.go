package detect

import (
	"regexp"
	"slices"
	"strings"
)

// comScript is how scripts of some endings make COM objects.
type comScript struct {
	exts []string
	// hosts are the kinds of applications that run such scripts.
	hosts []Kind
	// holds is a part, in lower case, of every text that makes one.
	holds []string
	// onServer says that only the parts of the page between marks run on the server.
	onServer bool
	// parts finds the objects that are made, in its first or second group, and the marks.
	parts  func() *regexp.Regexp
	family string // as of a walker
	source string // of its facts
}

var comScripts = []comScript{
	{[]string{".asp", ".asa", ".inc", ".aspx", ".ascx", ".ashx", ".asmx", ".master", ".cshtml"}, []Kind{KindClassicASP, KindASPNET, KindWCF},
		[]string{"createobject", "progid"}, true, aspPart, "netfx", "asp"},
	{[]string{".php"}, []Kind{KindPHP, KindHTTPD}, []string{"new com", `new \com`}, false, phpCOM, "", "php"},
	{[]string{".py"}, []Kind{KindPython}, []string{"dispatch"}, false, pythonCOM, "", "python"},
}

var (
	// aspPart is what a page is read by: the marks of what runs on the server, and the
	// objects that are made (learn.microsoft.com/previous-versions/iis/6.0-sdk,
	// Server.CreateObject and OBJECT).
	aspPart = pattern(`(?i)<%|%>|</script|<script[^>]{0,200}>|<object\s[^>]{0,200}>|\bcreateobject\s*\(\s*(?:"([^"\r\n]{1,100})"|'([^'\r\n]{1,100})')`)
	// onServerTag finds in a tag that it is for the server, tagProgID the class that it makes.
	onServerTag = pattern(`(?i)\brunat\s*=\s*["']?server\b`)
	tagProgID   = pattern(`(?i)\bprogid\s*=\s*["']?([\w.]{1,100})`)
	// phpCOM and pythonCOM are www.php.net/manual/class.com and pywin32's win32com.client.
	phpCOM    = pattern(`(?i)\bnew\s+\\?com\s*\(\s*(?:"([^"\r\n]{1,100})"|'([^'\r\n]{1,100})')`)
	pythonCOM = pattern(`\b(?:Dispatch|DispatchEx|EnsureDispatch)\s*\(\s*(?:"([^"\r\n]{1,100})"|'([^'\r\n]{1,100})')`)
)

// comObject is a COM object that a script makes.
type comObject struct {
	id string
	at int // where in the text
}

// scriptCOM says which COM classes a script of the application makes, comments left out.
func (t *Tree) scriptCOM(p, ext, text string) []Fact {
	var facts []Fact
	for i := range comScripts {
		if c := &comScripts[i]; slices.Contains(c.exts, ext) && c.may(text) {
			line, from := 1, 0
			for _, o := range c.objects(text) {
				line += strings.Count(text[from:o.at], "\n")
				from = o.at
				start := strings.LastIndexByte(text[:o.at], '\n') + 1
				if isComment(ext, strings.TrimSpace(text[start:])) || strings.ContainsRune(text[start:o.at], '\'') && c.onServer && ext != ".cshtml" {
					continue
				}
				for _, f := range (walker{Tree: t, family: c.family}).comClass(o.id, "", Evidence{Path: p, Line: line, Detail: "makes the COM object " + clean(o.id)}) {
					f.source = c.source
					facts = append(facts, f)
				}
			}
		}
	}
	return facts
}

func (c *comScript) may(text string) bool {
	low := strings.ToLower(text)
	return slices.ContainsFunc(c.holds, func(part string) bool { return strings.Contains(low, part) })
}

// objects are those that the text makes where it runs on a server, by place.
func (c *comScript) objects(text string) []comObject {
	var all []comObject
	add := func(id string, at int) {
		if isID(progID(), id) {
			all = append(all, comObject{id, at})
		}
	}
	code, script := false, false
	for _, m := range c.parts().FindAllStringSubmatchIndex(text, maxCodeSigns) {
		switch part := strings.ToLower(text[m[0]:m[1]]); {
		case m[2] >= 0 || m[4] >= 0:
			if id := m[2:4]; !c.onServer || code || script {
				if m[2] < 0 { // the other quotation marks
					id = m[4:6]
				}
				add(text[id[0]:id[1]], m[0])
			}
		case part == "<%":
			code = true
		case part == "%>":
			code = false
		case part == "</script":
			script = false
		case strings.HasPrefix(part, "<script"):
			script = onServerTag().MatchString(part)
		case onServerTag().MatchString(part):
			if id := tagProgID().FindStringSubmatch(text[m[0]:m[1]]); id != nil {
				add(id[1], m[0])
			}
		}
	}
	return all
}

// settleCOM overrules what scripts of another kind of application make: nothing runs them.
func (r *resolution) settleCOM() {
	for i := range r.facts {
		f := &r.facts[i]
		if f.OverruledBy != "" || !strings.HasPrefix(f.Key, "com-") {
			continue
		}
		for _, c := range comScripts {
			if f.source == c.source && !slices.Contains(c.hosts, r.app.RunsAs()) {
				f.OverruledBy = "kind: nothing runs " + c.source + " scripts in " + string(r.app.RunsAs())
			}
		}
	}
}
