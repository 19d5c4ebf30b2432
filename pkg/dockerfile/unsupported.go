package dockerfile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Builders that do what the direct builder can't, as errors name them.
const (
	builderBuildKit        = "BuildKit"
	builderWindowsBuildKit = "a BuildKit worker on Windows"
	builderWindowsDocker   = "a Docker engine on Windows"
)

// UnsupportedError is a line of a Dockerfile that takes more than files.
type UnsupportedError struct {
	File        string
	Line        int
	Instruction string // "RUN", "COPY --from=build", ...: never its arguments, which may hold secrets
	Why         string
	Builders    []string // the builders that could
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s, which the direct builder can't do; build it with %s", e.File, e.Line, e.Instruction, e.Why, strings.Join(e.Builders, " or "))
}

// NeedsWindows says whether only a Windows builder could do it.
func (e *UnsupportedError) NeedsWindows() bool {
	for _, b := range e.Builders {
		if b == builderBuildKit {
			return false
		}
	}
	return true
}

func onWindows() []string { return []string{builderWindowsDocker, builderWindowsBuildKit} }

// Supported says whether the last stage takes nothing but files: nil, an
// *UnsupportedError for the first line that runs something on Windows, else for
// the first that takes something else, or a *FileError.
func (p *Parsed) Supported(args map[string]string) error {
	if ref, _, line, ok := parser.DetectSyntax(p.data); ok && !knownSyntax.MatchString(ref) {
		at := 0
		if len(line) > 0 {
			at = line[0].Start.Line
		}
		return &UnsupportedError{p.name, at, "# syntax=", "another program reads this file", []string{builderBuildKit}}
	}
	if _, err := p.From(args); err != nil {
		return err
	}
	s, err := p.read()
	if err != nil {
		return err
	}
	all, err := p.tree(s, args)
	if err != nil {
		return err
	}
	chain, err := p.last(all)
	if err != nil {
		return err
	}
	var first *UnsupportedError
	for i, stage := range chain {
		for _, cmd := range stage.Commands {
			e := p.unsupported(cmd, all, i < len(chain)-1)
			switch {
			case e == nil:
			case e.NeedsWindows():
				return e
			case first == nil:
				first = e
			}
		}
	}
	if first != nil {
		return first
	}
	return nil
}

// knownSyntax are the images of BuildKit's own frontend, which read the language
// that is read here.
var knownSyntax = regexp.MustCompile(`^(docker\.io/)?docker/dockerfile(-upstream)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$`)

// remoteSource is what BuildKit takes for an address or a Git repository.
var remoteSource = regexp.MustCompile(`^([a-zA-Z0-9]+://|[\w.-]+@[\w.-]+:)`)

// unsupported says what a line of the stages that make the image takes beyond files.
// extended says that another stage begins with this one, and so runs its ONBUILD.
func (p *Parsed) unsupported(cmd instructions.Command, all *stageTree, extended bool) *UnsupportedError {
	line := lineOf(cmd.Location())
	refuse := func(what, why string, builders ...string) *UnsupportedError {
		return &UnsupportedError{p.name, line, what, why, builders}
	}
	switch c := cmd.(type) {
	case *instructions.RunCommand:
		return refuse("RUN", "it runs a command on Windows", onWindows()...)
	case *instructions.OnbuildCommand:
		if extended && runsInChild(c) {
			return refuse("ONBUILD", "it runs a command on Windows in the stage that begins with this one", onWindows()...)
		}
		return refuse("ONBUILD", "it is an instruction for images that are built on this one", builderBuildKit, builderWindowsDocker)
	case *instructions.CopyCommand:
		if c.From == "" {
			return nil
		}
		what := "COPY --from=" + printable(c.From)
		if i, ok := all.named(c.From); ok {
			switch at, windows := all.run(i, map[int]bool{}); {
			case windows:
				return refuse(what, fmt.Sprintf("that stage runs a command on Windows (line %d)", at), onWindows()...)
			case at > 0:
				return refuse(what, "it takes files out of a stage that runs commands on Linux", builderBuildKit)
			}
			return refuse(what, "it takes files out of another stage", builderBuildKit, builderWindowsDocker)
		}
		return refuse(what, "it takes files out of another image", builderBuildKit, builderWindowsDocker)
	case *instructions.AddCommand:
		for _, source := range c.SourcePaths {
			if remoteSource.MatchString(source) {
				return refuse("ADD", "it fetches its source from elsewhere", builderBuildKit, builderWindowsDocker)
			}
		}
	case *instructions.EnvCommand, *instructions.ArgCommand, *instructions.WorkdirCommand, *instructions.UserCommand,
		*instructions.ExposeCommand, *instructions.EntrypointCommand, *instructions.CmdCommand, *instructions.LabelCommand,
		*instructions.ShellCommand, *instructions.VolumeCommand, *instructions.HealthCheckCommand,
		*instructions.StopSignalCommand, *instructions.MaintainerCommand:
	default:
		return refuse(strings.ToUpper(cmd.Name()), "this version of winpack does not know it", onWindows()...)
	}
	return nil
}
