package dockerfile

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// copySource is a slash-separated path as a source of COPY, which takes patterns
// and expands variables: it matches this path and no other. A bracket can be
// quoted as a class, for Go's filepath.Match as well as for the patterns by which
// BuildKit asks for files of the context (moby/patternmatcher, which turns them
// into regular expressions). Nothing quotes "*" and "?" for both, nor "^" beside a
// class; for a Windows image a backslash is a separator and a colon ends a drive,
// and a Dockerfile is UTF-8.
func copySource(slash string) (string, error) {
	quoted := strings.NewReplacer("[", "[[]", "<", "[<]").Replace(slash)
	if strings.ContainsAny(slash, `*?\:`) || quoted != slash && strings.Contains(slash, "^") || !utf8.ValidString(slash) {
		return "", &UsageError{fmt.Sprintf("the path %q cannot stand in a Dockerfile: rename it, or write into the app's folder with -o APP", slash)}
	}
	return word(quoted), nil
}

// ignoreName is a name in an ignore pattern. Those have no way to quote that
// serves on each system: what would be taken for syntax becomes "?", which matches
// it. That more than the app may reach the context this way does no harm.
func ignoreName(s string) string {
	out := []rune(s)
	for i, r := range out {
		edge := i == 0 || i == len(out)-1
		if r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune("*?[]^\\$`\"'{}<>:|", r) || edge && r != '.' && strings.ContainsRune("!# \t", r) || r == 0x85 || r == 0xa0 {
			out[i] = '?'
		}
	}
	return string(out)
}

// ignoreFile is the allow-list.
func ignoreFile(l layout, opt RenderOptions, p Plan, hasScript bool) []byte {
	var w writer
	w.line("# An allow-list of what the Dockerfile copies: a COPY that is added by hand needs a line here.")
	prefix := ""
	if l.app == "." && opt.Dir == opt.App && len(opt.TopLevel) > 0 {
		w.line("*")
		for _, name := range slices.Sorted(slices.Values(opt.TopLevel)) {
			bare := strings.TrimSuffix(name, "/")
			if !slices.Contains(notShipped(), strings.ToLower(bare)) && !slices.Contains(l.own, bare) {
				w.line("!%s", ignoreName(bare))
			}
		}
		if hasScript {
			w.line("!%s", scriptFile)
		}
	} else if l.app == "." {
		w.line("# All of this folder is the app, but for what follows.")
	} else {
		w.line("*")
		w.line("!%s", ignorePath(l.app))
		prefix = ignorePath(l.app) + "/"
	}
	for _, pattern := range p.Ignore {
		bare, again := strings.CutPrefix(pattern, "!")
		if bare = prefix + strings.TrimLeft(bare, "/"); again {
			bare = "!" + bare
		}
		w.line("%s", bare)
	}
	for _, name := range notShipped() {
		w.line("%s%s", prefix, name)
	}
	var own []string
	for _, name := range opt.Written {
		if !l.dirInApp || path.Dir(name) != l.dir { // of DIR what is written now counts
			own = append(own, name)
		}
	}
	if l.dirInApp {
		for _, name := range l.own {
			if name != scriptFile { // copied, but not with the app
				own = append(own, path.Join(l.dir, name))
			}
		}
	}
	slices.Sort(own)
	for _, name := range slices.Compact(own) {
		w.line("%s%s", prefix, ignorePath(name))
	}
	if !l.dirInApp && hasScript {
		w.line("!%s", ignorePath(path.Join(l.dir, scriptFile)))
	}
	for _, s := range p.extraSources() {
		w.line("!%s", ignorePath(l.source(s)))
	}
	return w.Bytes()
}

// ownFile says whether a name in DIR is one that winpack writes.
func ownFile(name string) bool {
	return name == scriptFile || name == recordFile || name == ".dockerignore" || name == "Dockerfile" || name == "Dockerfile.dockerignore" || strings.HasPrefix(name, "Dockerfile.ltsc")
}

func ignorePath(slash string) string {
	parts := strings.Split(slash, "/")
	for i := range parts {
		parts[i] = ignoreName(parts[i])
	}
	return strings.Join(parts, "/")
}

// layout is where app and DIR are, seen from the context: slash-separated.
type layout struct {
	context  string
	app, dir string // "." for the context itself
	dirInApp bool
	own      []string // names of the files that go into DIR
	trees    map[string]string
}

// extraSources are the copy steps from outside the app folder.
func (p Plan) extraSources() []Step {
	var out []Step
	for _, s := range p.Steps {
		if s.Kind == StepCopy && s.Tree != "" {
			out = append(out, s)
		}
	}
	return out
}

// source is what a copy step reads, seen from the context.
func (l layout) source(s Step) string {
	if s.Tree == "" {
		return path.Join(l.app, s.From)
	}
	return path.Join(l.trees[s.Tree], s.From)
}

func newLayout(opt RenderOptions, extra []Step) (layout, error) {
	if !filepath.IsAbs(opt.App) || !filepath.IsAbs(opt.Dir) {
		return layout{}, &UsageError{"app and output folder have to be absolute paths"}
	}
	context, dir := filepath.Clean(opt.App), filepath.Clean(opt.Dir)
	if rel, err := filepath.Rel(context, dir); err == nil && filepath.IsLocal(rel) && len(extra) > 0 {
		return layout{}, &UsageError{fmt.Sprintf("files: %q lies outside the app, and a Dockerfile in the app's own folder can copy from there only: choose another folder with -o", filepath.Join(opt.Trees[extra[0].Tree], filepath.FromSlash(extra[0].From)))}
	}
search:
	for {
		trees := map[string]string{}
		for _, s := range extra {
			rel, err := filepath.Rel(context, filepath.Clean(opt.Trees[s.Tree]))
			if err != nil || !filepath.IsLocal(rel) || !filepath.IsAbs(opt.Trees[s.Tree]) {
				parent := filepath.Dir(context)
				if parent == context {
					break search
				}
				context = parent
				continue search
			}
			trees[s.Tree] = filepath.ToSlash(rel)
		}
		app, err1 := filepath.Rel(context, filepath.Clean(opt.App))
		rel, err2 := filepath.Rel(context, dir)
		if err1 == nil && err2 == nil && filepath.IsLocal(rel) && filepath.IsLocal(app) {
			l := layout{context: context, app: filepath.ToSlash(app), dir: filepath.ToSlash(rel), trees: trees}
			l.dirInApp = app == "."
			return l, nil
		}
		parent := filepath.Dir(context)
		if parent == context {
			break
		}
		context = parent
	}
	what := fmt.Sprintf("both %q and %q", opt.App, opt.Dir)
	if len(extra) > 0 {
		what += " and what files names"
	}
	return layout{}, &UsageError{fmt.Sprintf("no folder holds %s, and so there is no build context: choose a folder on the app's drive with -o", what)}
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
		return Quote(p, opt.Windows)
	}
	verb := "docker buildx build"
	if l.dir == "." {
		verb = "docker build"
	}
	return fmt.Sprintf("%s --platform windows/amd64 -f %s %s", verb, show(filepath.Join(opt.Dir, name)), show(l.context))
}
