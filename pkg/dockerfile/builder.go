package dockerfile

import (
	"fmt"
	"path"
	"slices"
)

// Where things stand in the build context that a builder is sent: see ForBuilder.
const (
	ContextApp    = "app"               // the app folder
	ContextScript = "winpack/start.cmd" // the start script, where there is one
	contextTrees  = "trees"
)

// ContextTree is where a tree of Step.Tree stands in the build context of a builder.
func ContextTree(name string) string { return path.Join(contextTrees, name) }

// ForBase is the plan for one of its releases alone.
func (p Plan) ForBase(i int) Plan {
	one := p
	one.Bases = []Base{p.Bases[i]}
	one.Steps = nil
	for _, s := range p.Steps {
		if len(s.OS) == 0 || slices.Contains(s.OS, p.Bases[i].OS) {
			one.Steps = append(one.Steps, s)
		}
	}
	return one
}

// ForBuilder renders a plan of one release for BuildKit or an engine. In the build
// context that goes with it the app folder is ContextApp, the start script
// ContextScript, and each tree ContextTree of its name.
func (p Plan) ForBuilder() ([]byte, error) {
	if len(p.Bases) != 1 {
		return nil, fmt.Errorf("a plan of %d releases has no single Dockerfile", len(p.Bases))
	}
	l := layout{context: ".", app: ContextApp, dir: path.Dir(ContextScript), trees: map[string]string{}}
	for _, s := range p.extraSources() {
		l.trees[s.Tree] = ContextTree(s.Tree)
	}
	_, _, hasScript := p.StartScript(true)
	return dockerfile(p, l, RenderOptions{}, hasScript)
}
