package dockerfile

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// stageTree are the stages of a Dockerfile with the stages that they begin with.
type stageTree struct {
	stages []instructions.Stage // base names expanded
	above  []int                // the stage that each begins with, -1 for an image
	global *variables
	lex    *shell.Lex
}

// tree expands the base names of the stages, and says what each begins with.
func (p *Parsed) tree(s syntax, args map[string]string) (*stageTree, error) {
	global, err := p.global(s, args)
	if err != nil {
		return nil, err
	}
	for i := range s.stages {
		st := &s.stages[i]
		if st.BaseName, err = global.expand(s.lex, st.BaseName); err != nil {
			return nil, &FileError{p.name, lineOf(st.Location), err}
		}
	}
	return &stageTree{s.stages, parents(s.stages), global, s.lex}, nil
}

// parents says with which earlier stage each one begins, -1 for an image. Base names
// are expanded already.
func parents(stages []instructions.Stage) []int {
	above := make([]int, len(stages))
	named := map[string]int{}
	for i, st := range stages {
		above[i] = -1
		if j, ok := named[strings.ToLower(st.BaseName)]; ok && st.BaseName != "" {
			above[i] = j
		}
		if st.Name != "" {
			named[strings.ToLower(st.Name)] = i
		}
	}
	return above
}

// named is the stage that COPY --from names, by its name or number.
func (t *stageTree) named(from string) (int, bool) {
	if n, err := strconv.Atoi(from); err == nil && n >= 0 && n < len(t.stages) {
		return n, true
	}
	return instructions.HasStage(t.stages, from)
}

// run is the line of the first RUN that a stage needs, 0 for none: its own, one of
// those that it begins with or copies from, or of their ONBUILD. windows says that it
// runs on Windows; such a line comes before one of Linux.
func (t *stageTree) run(i int, seen map[int]bool) (line int, windows bool) {
	if seen[i] {
		return 0, false
	}
	seen[i] = true
	take := func(at int, onWindows bool) {
		if at > 0 && (line == 0 || onWindows && !windows) {
			line, windows = at, onWindows
		}
	}
	here := t.onWindows(i)
	for at, extended := i, false; at >= 0; at, extended = t.above[at], true {
		for _, cmd := range t.stages[at].Commands {
			switch c := cmd.(type) {
			case *instructions.RunCommand:
				take(lineOf(c.Location()), here)
			case *instructions.OnbuildCommand:
				if extended && runsInChild(c) {
					take(lineOf(c.Location()), here)
				}
			case *instructions.CopyCommand:
				if j, ok := t.named(c.From); ok && c.From != "" {
					take(t.run(j, seen))
				}
			}
		}
	}
	return line, windows
}

// onWindows says whether a stage is one of Windows: by its --platform or that of the
// stage it begins with, else as the image that is built. What runs where the build
// does ($BUILDPLATFORM) is left to the builder.
func (t *stageTree) onWindows(i int) bool {
	for ; i >= 0; i = t.above[i] {
		platform := t.stages[i].Platform
		if platform == "" {
			continue
		}
		if strings.Contains(platform, "BUILDPLATFORM") || strings.Contains(platform, "BUILDOS") {
			return false
		}
		text, err := t.global.expand(t.lex, platform)
		return err != nil || strings.HasPrefix(strings.ToLower(text), "windows")
	}
	return true
}

// runsInChild says whether an ONBUILD runs a command.
func runsInChild(c *instructions.OnbuildCommand) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(c.Expression), " ")
	return strings.EqualFold(word, "RUN")
}

// runMount is what RUN mounts, and elsewhere one that is none of the context.
var (
	runMount  = regexp.MustCompile(`--mount=\S+`)
	elsewhere = regexp.MustCompile(`[=,](from=|type=(cache|secret|ssh|tmpfs))`)
)

// Sources are the paths in the context that any stage copies, as they are written, but
// for a leading slash: "." for all of it, and for what is only known in a build.
func (p *Parsed) Sources() ([]string, error) {
	s, err := p.read()
	if err != nil {
		return nil, err
	}
	var sources []string
	take := func(paths []string) {
		for _, source := range paths {
			if strings.Contains(source, "$") {
				source = "."
			}
			sources = append(sources, path.Clean(strings.TrimPrefix(strings.ReplaceAll(source, `\`, "/"), "/")))
		}
	}
	for _, stage := range s.stages {
		for _, cmd := range stage.Commands {
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				if c.From == "" {
					take(c.SourcePaths)
				}
			case *instructions.AddCommand:
				take(c.SourcePaths)
			case *instructions.OnbuildCommand:
				take([]string{"."})
			case *instructions.RunCommand:
				for _, m := range runMount.FindAllString(c.String(), -1) {
					if !elsewhere.MatchString(m) {
						take([]string{"."})
					}
				}
			}
		}
	}
	return sources, nil
}
