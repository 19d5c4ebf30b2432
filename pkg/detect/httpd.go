package detect

import (
	"path"
	"strings"
)

func httpd(t *Tree) []Fact {
	b, conf := t.nativeServer("httpd.exe", "../conf/httpd.conf", "conf/httpd.conf")
	if b == nil {
		return nil
	}
	ev := []Evidence{at(b.path, b.sub, "httpd.exe, a native program"), {Path: conf, Line: 1, Detail: "the configuration of Apache httpd"}}
	p := &Program{Path: b.path, Form: FormNative, Home: path.Dir(path.Dir(conf))}
	facts := t.serverProgram(KindHTTPD, p, b, ev)
	facts = append(facts, serverWrites(p, "Apache httpd", ev[:1], "logs")...)
	c := httpdConf{defined: map[string]string{}}
	add := func(key, value string, number int, detail string) {
		facts = append(facts, Fact{Key: key, Value: value, source: "server", about: p.Path, Evidence: []Evidence{{Path: conf, Line: number, Detail: mask(detail)}}})
	}
	t.lines(conf, func(number int, words []string) {
		arg := c.argument(words)
		switch directive := strings.ToLower(words[0]); directive {
		case "define":
			if len(words) > 2 {
				c.defined[words[1]] = unquoted(strings.Join(words[2:], " "))
			}
		case "serverroot":
			if c.root = slashed(arg); driveAt(arg) || strings.HasPrefix(arg, "/") {
				add("server-root", clean(arg), number, "ServerRoot "+arg)
			}
		case "listen":
			if len(words) > 1 && portOf(words[1]) != "" {
				add("port", portOf(words[1]), number, "Listen "+words[1])
			}
		case "loadmodule", "loadfile", "documentroot", "phpinidir", "fcgidwrapper", "sslcertificatefile", "sslcertificatekeyfile":
			if directive == "loadmodule" && len(words) > 2 && strings.HasPrefix(strings.ToLower(words[1]), "php") {
				add("stack-flavor", "php", number, "LoadModule "+words[1])
			}
			if driveAt(arg) && !c.inRoot(arg) && t.serverFile(p.Home, arg) == "" {
				add("absolute-path", pathValue(arg), number, words[0]+" "+arg)
			}
		}
	})
	return facts
}

// httpdConf is what a configuration of Apache httpd has said so far.
type httpdConf struct {
	defined map[string]string
	root    string // ServerRoot, with slashes
}

// argument is the last argument of a directive, its variables replaced.
func (c *httpdConf) argument(words []string) string {
	if len(words) < 2 {
		return ""
	}
	arg := strings.Join(words[1:], " ")
	if strings.EqualFold(words[0], "LoadModule") {
		_, arg, _ = strings.Cut(arg, " ")
	}
	arg = unquoted(arg)
	for _, name := range sortedKeys(c.defined) {
		arg = strings.ReplaceAll(arg, "${"+name+"}", c.defined[name])
	}
	return arg
}

// inRoot says whether a path lies below ServerRoot, of which one finding is enough.
func (c *httpdConf) inRoot(p string) bool {
	return c.root != "" && inFolder(slashed(p), c.root)
}

func unquoted(s string) string { return strings.Trim(strings.TrimSpace(s), `"'`) }

func slashed(s string) string { return strings.TrimRight(strings.ReplaceAll(s, `\`, "/"), "/") }
