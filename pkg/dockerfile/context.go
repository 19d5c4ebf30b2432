package dockerfile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// safeName keeps a name from being more than a name in a COPY source or in an
// ignore pattern: what either would take for syntax becomes "?", which matches it.
func safeName(s string) string {
	out := []rune(s)
	for i, r := range out {
		edge := i == 0 || i == len(out)-1
		if r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune("*?[]^\\$`\"'{}<>:|", r) || edge && r != '.' && strings.ContainsRune("!# \t", r) || r == 0x85 || r == 0xa0 {
			out[i] = '?'
		}
	}
	return string(out)
}

func ignoreFile(l layout, opt RenderOptions, hasScript bool, dockerfiles []string) []byte {
	var w writer
	w.line("# An allow-list of what the Dockerfile copies: a COPY that is added by hand needs a line here.")
	prefix := ""
	if l.app == "." && opt.Dir == opt.App && len(opt.TopLevel) > 0 {
		w.line("*")
		for _, name := range slices.Sorted(slices.Values(opt.TopLevel)) {
			bare := strings.TrimSuffix(name, "/")
			if !slices.Contains(notShipped(), strings.ToLower(bare)) && !ownFile(bare) {
				w.line("!%s", safeName(bare))
			}
		}
		if hasScript {
			w.line("!%s", scriptFile)
		}
	} else if l.app == "." {
		w.line("# All of this folder is the app, but for what follows.")
	} else {
		w.line("*")
		w.line("!%s", safePath(l.app))
		prefix = safePath(l.app) + "/"
	}
	for _, name := range notShipped() {
		w.line("%s%s", prefix, name)
	}
	if l.dirInApp {
		if opt.Dir == opt.App {
			own := slices.Concat(dockerfiles, []string{".dockerignore", recordFile})
			for _, name := range own {
				w.line("%s", name)
			}
		} else {
			w.line("%s", safePath(l.dir))
		}
	} else if hasScript {
		w.line("!%s", l.source(l.dir, scriptFile))
	}
	return w.Bytes()
}

// ownFile says whether a name in DIR is one that winpack writes.
func ownFile(name string) bool {
	return name == scriptFile || name == recordFile || name == ".dockerignore" || name == "Dockerfile" || strings.HasPrefix(name, "Dockerfile.ltsc")
}

func safePath(slash string) string {
	parts := strings.Split(slash, "/")
	for i := range parts {
		parts[i] = safeName(parts[i])
	}
	return strings.Join(parts, "/")
}

// layout is where app and DIR are, seen from the context: slash-separated.
type layout struct {
	context  string
	app, dir string // "." for the context itself
	dirInApp bool
}

func newLayout(opt RenderOptions) (layout, error) {
	if !filepath.IsAbs(opt.App) || !filepath.IsAbs(opt.Dir) {
		return layout{}, &UsageError{"app and output folder have to be absolute paths"}
	}
	context, dir := filepath.Clean(opt.App), filepath.Clean(opt.Dir)
	for {
		app, err1 := filepath.Rel(context, filepath.Clean(opt.App))
		rel, err2 := filepath.Rel(context, dir)
		if err1 == nil && err2 == nil && filepath.IsLocal(rel) && filepath.IsLocal(app) {
			l := layout{context: context, app: filepath.ToSlash(app), dir: filepath.ToSlash(rel)}
			l.dirInApp = app == "."
			return l, nil
		}
		parent := filepath.Dir(context)
		if parent == context {
			return layout{}, &UsageError{fmt.Sprintf("no folder holds both %q and %q, and so there is no build context: choose a folder on the app's drive with -o", opt.App, opt.Dir)}
		}
		context = parent
	}
}

// source is a path of the context for COPY and the ignore file.
func (l layout) source(dir, name string) string {
	p := safePath(dir)
	switch {
	case name == "":
		return p
	case dir == ".":
		return name
	}
	return p + "/" + name
}

func (l layout) command(opt RenderOptions, name string) string {
	show := func(p string) string {
		if opt.Cwd != "" {
			if rel, err := filepath.Rel(opt.Cwd, p); err == nil {
				p = rel
			}
		}
		if strings.HasPrefix(p, "-") {
			p = "." + string(filepath.Separator) + p
		}
		return shellQuote(p)
	}
	verb := "docker buildx build"
	if l.dir == "." {
		verb = "docker build"
	}
	return fmt.Sprintf("%s --platform windows/amd64 -f %s %s", verb, show(filepath.Join(opt.Dir, name)), show(l.context))
}

func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,+=@%", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
