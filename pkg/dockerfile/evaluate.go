package dockerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/util/system"
	"github.com/moby/sys/signal"
)

// ImageConfig is what a Dockerfile starts from: the configuration of its base.
type ImageConfig struct {
	Env         []string // KEY=VALUE
	WorkingDir  string
	User        string
	Shell       []string
	Entrypoint  []string
	Cmd         []string
	ArgsEscaped bool
}

// FileOptions are what a Dockerfile is evaluated with.
type FileOptions struct {
	// Context holds what COPY and ADD name, without what is ignored.
	Context fs.FS
	// Args are the build arguments.
	Args map[string]string
	// Base is the image that From named, resolved, and Image its configuration.
	Base  Base
	Image ImageConfig
	// Folders are folders that base images have, as C:\...: where COPY names one
	// without a separator at the end, files go into it.
	Folders []string
}

// Note is what somebody should know of a line of a Dockerfile.
type Note struct {
	Line int
	Text string
}

// Plan evaluates the last stage as BuildKit does it for Windows, and says what
// image it makes: its configuration is Whole. Nothing of the context is read but
// folders, names and, for ADD, the beginning of files. The error is a *FileError or
// an *UnsupportedError.
//
// It differs from BuildKit on Linux in that case tells neither variables nor names
// in the image apart, as on Windows; that what lies in the base is not known, but
// for Folders; and that COPY --link is COPY.
func (p *Parsed) Plan(opt FileOptions) (Plan, []Note, error) {
	args := maps.Clone(opt.Args)
	if args == nil {
		args = map[string]string{}
	}
	if _, given := args[targetOSVersion]; !given && opt.Base.OSVersion != "" {
		args[targetOSVersion] = opt.Base.OSVersion
	}
	if err := p.Supported(args); err != nil {
		return Plan{}, nil, err
	}
	s, err := p.read()
	if err != nil {
		return Plan{}, nil, err
	}
	chain, err := p.chain(s, args)
	if err != nil {
		return Plan{}, nil, err
	}
	global, err := p.global(s, args)
	if err != nil {
		return Plan{}, nil, err
	}
	e := &evaluator{Parsed: p, opt: opt, args: args, lex: s.lex, global: global, vars: &variables{}, dir: "/"}
	e.plan = Plan{
		Family: opt.Base.Family, Bases: []Base{opt.Base}, Why: []string{}, Rejected: []Rejected{}, Steps: []Step{},
		Builder: BuilderNeeds{Reasons: []string{}},
	}
	if err := e.start(); err != nil {
		return Plan{}, nil, p.errorf(lineOf(chain[0].Location), "%w", err)
	}
	for _, stage := range chain {
		e.cmdSet = false
		for _, cmd := range stage.Commands {
			e.line = lineOf(cmd.Location())
			if err := e.instruction(cmd); err != nil {
				if errors.As(err, new(*FileError)) || errors.As(err, new(*UnsupportedError)) {
					return Plan{}, nil, err
				}
				return Plan{}, nil, p.errorf(e.line, "%s: %w", strings.ToUpper(cmd.Name()), err)
			}
		}
	}
	return e.plan, e.notes, nil
}

// evaluator carries out the instructions of one Dockerfile.
type evaluator struct {
	*Parsed
	opt    FileOptions
	args   map[string]string
	lex    *shell.Lex
	global *variables
	vars   *variables // what can be named now
	dir    string     // the working directory, slash-separated and without a drive
	cmdSet bool       // CMD stood in this stage
	line   int

	plan   Plan
	notes  []Note
	places map[string]bool // folders of the image that were made, folded
}

func (e *evaluator) note(format string, args ...any) {
	if n := (Note{e.line, fmt.Sprintf(format, args...)}); !slices.Contains(e.notes, n) {
		e.notes = append(e.notes, n)
	}
}

// start takes over the base's configuration.
func (e *evaluator) start() error {
	image, c := e.opt.Image, &e.plan.Config
	for _, line := range image.Env {
		key, value, _ := strings.Cut(line, "=")
		e.vars.set(key, value)
	}
	c.Whole = true
	c.Entrypoint, c.Cmd, c.ArgsEscaped = slices.Clone(image.Entrypoint), slices.Clone(image.Cmd), image.ArgsEscaped
	c.User, c.Shell = image.User, slices.Clone(image.Shell)
	if image.WorkingDir != "" {
		return e.workdir(image.WorkingDir)
	}
	return nil
}

func (e *evaluator) expand(word string) (string, error) { return e.vars.expand(e.lex, word) }

func (e *evaluator) instruction(cmd instructions.Command) error {
	// The value of ARG may come from elsewhere, and is then not looked at.
	if x, ok := cmd.(instructions.SupportsSingleWordExpansion); ok {
		if _, isArg := cmd.(*instructions.ArgCommand); !isArg {
			if err := x.Expand(e.expand); err != nil {
				return err
			}
		}
	}
	if x, ok := cmd.(instructions.SupportsSingleWordExpansionRaw); ok {
		raw := shell.NewLex('\\')
		raw.SkipProcessQuotes = true
		if err := x.ExpandRaw(func(word string) (string, error) { return e.vars.expand(raw, word) }); err != nil {
			return err
		}
	}
	c := &e.plan.Config
	switch cmd := cmd.(type) {
	case *instructions.EnvCommand:
		return e.env(cmd)
	case *instructions.ArgCommand:
		return e.arg(cmd)
	case *instructions.WorkdirCommand:
		if err := e.workdir(cmd.Path); err != nil {
			return err
		}
		return e.folder(e.dir)
	case *instructions.UserCommand:
		c.User = cmd.User
	case *instructions.ExposeCommand:
		return e.expose(cmd)
	case *instructions.EntrypointCommand:
		c.Entrypoint = e.commandLine(cmd.ShellDependantCmdLine)
		if !e.cmdSet {
			c.Cmd = nil
		}
	case *instructions.CmdCommand:
		c.Cmd, e.cmdSet = e.commandLine(cmd.ShellDependantCmdLine), true
		// Windows then takes the first word as it stands, and quotes the others.
		c.ArgsEscaped = true
	case *instructions.LabelCommand:
		for _, kv := range cmd.Labels {
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[kv.Key] = kv.Value
		}
	case *instructions.ShellCommand:
		c.Shell = cmd.Shell
	case *instructions.VolumeCommand:
		for _, v := range cmd.Volumes {
			if v == "" {
				return errors.New("it names an empty path")
			}
			if !slices.Contains(c.Volumes, v) {
				c.Volumes = append(c.Volumes, v)
			}
		}
	case *instructions.HealthCheckCommand:
		h := cmd.Health
		c.Health = &Health{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries}
	case *instructions.StopSignalCommand:
		if _, err := signal.ParseSignal(cmd.Signal); err != nil {
			return err
		}
		c.StopSignal = cmd.Signal
	case *instructions.MaintainerCommand:
		c.Author = cmd.Maintainer
	case *instructions.CopyCommand:
		return e.copy(transfer{
			what: cmd.SourcesAndDest, exclude: cmd.ExcludePatterns, parents: cmd.Parents,
			chown: cmd.Chown, chmod: cmd.Chmod, link: cmd.Link,
		})
	case *instructions.AddCommand:
		if cmd.Checksum != "" {
			return errors.New("--checksum is for sources that are fetched")
		}
		return e.copy(transfer{
			what: cmd.SourcesAndDest, exclude: cmd.ExcludePatterns, unpack: cmd.Unpack == nil || *cmd.Unpack,
			chown: cmd.Chown, chmod: cmd.Chmod, link: cmd.Link,
		})
	}
	return nil
}

func (e *evaluator) env(cmd *instructions.EnvCommand) error {
	c := &e.plan.Config
	if c.Env == nil {
		c.Env = map[string]string{}
	}
	for _, kv := range cmd.Env {
		for old := range c.Env {
			if strings.EqualFold(old, kv.Key) {
				delete(c.Env, old)
			}
		}
		c.Env[kv.Key] = kv.Value
		e.vars.set(kv.Key, kv.Value)
	}
	return nil
}

// arg declares arguments: of a value that was given, a default and one of the
// arguments before the first FROM the first counts.
func (e *evaluator) arg(cmd *instructions.ArgCommand) error {
	for _, arg := range cmd.Args {
		value, ok := e.args[arg.Key]
		switch {
		case ok:
		case arg.Value != nil:
			var err error
			if value, err = e.expand(*arg.Value); err != nil {
				return err
			}
			ok = true
		default:
			value, ok = e.global.Get(arg.Key)
		}
		if ok {
			e.vars.set(arg.Key, value)
		}
	}
	return nil
}

// workdir changes the working directory: relative to the one before, and without
// the drive, as BuildKit writes it.
func (e *evaluator) workdir(path string) error {
	dir, err := system.NormalizeWorkdir(e.plan.Config.WorkingDir, path, "windows")
	if err != nil {
		return err
	}
	e.plan.Config.WorkingDir, e.dir = dir, system.ToSlash(dir, "windows")
	return nil
}

// commandLine is a command in exec form; the other form is a line for the shell.
func (e *evaluator) commandLine(line instructions.ShellDependantCmdLine) []string {
	if !line.PrependShell {
		return line.CmdLine
	}
	sh := slices.Clone(e.plan.Config.Shell)
	if len(sh) == 0 {
		sh = []string{"cmd", "/S", "/C"}
	}
	return append(sh, strings.Join(line.CmdLine, " "))
}
