package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"
)

// commandLine is a command line in order: the flags that urfave/cli parses
// stand in front of the arguments, spelled --name=value.
type commandLine struct {
	command *cli.Command // nil: none was given
	flags   []string
	args    []string
	help    bool
	// given are the names of the flags that stand on the command line; the others of
	// flags come from the environment.
	given []string
}

// argv is the command line as urfave/cli takes it.
func (l commandLine) argv() []string {
	argv := append([]string{"winpack", l.command.Name}, l.flags...)
	return append(append(argv, "--"), l.args...)
}

// parseArgs puts a command line in order. urfave/cli takes whatever follows the
// first argument for arguments; here flags may stand anywhere, also in front of
// the command, and "--" ends them. The spellings are those of docker and
// kubectl: --flag value, --flag=value, -f value, -f=value, -fvalue, -qv.
//
// A flag that is not given is taken from WINPACK_<FLAG>, where that is not empty.
func parseArgs(app *cli.App, args []string, getenv func(string) string) (commandLine, error) {
	var line commandLine
	p := argParser{known: allFlags(app.Commands), commands: app.Commands}
	words, err := p.split(args)
	if err != nil {
		return line, err
	}
	line.help = p.help
	if p.version {
		words = append([]string{"version"}, words...)
	}
	if len(words) > 0 && words[0] == "help" && p.end != 0 {
		line.help = true
		words = words[1:]
	}
	if len(words) == 0 {
		line.help = true
		return line, nil
	}
	i := slices.IndexFunc(app.Commands, func(c *cli.Command) bool { return c.Name == words[0] })
	if i < 0 {
		return line, unknownCommand(app, words[0])
	}
	line.command = app.Commands[i]
	line.args = words[1:]
	if line.help {
		return line, nil
	}
	own := flagTable(line.command.Flags)
	for _, g := range p.given {
		if own[g.name] == nil {
			names := longNames(line.command.Flags)
			if !strings.HasPrefix(g.spelled, "--") { // a letter is near to any name
				names = nil
			}
			return line, unknownFlag(g.spelled, line.command.Name, names)
		}
	}
	if p.given, err = single(p.given, own); err != nil {
		return line, err
	}
	for _, g := range p.given {
		line.flags = append(line.flags, "--"+g.name+"="+g.value)
		line.given = append(line.given, g.name)
	}
	line.flags, err = appendEnvironment(line.flags, line.command.Flags, p.given, getenv)
	return line, err
}

// given is a flag as it was given: its long name, and how it was spelled.
type given struct{ name, spelled, value string }

// single joins the values of --os, which is a list, and refuses two values of any
// other flag that takes one: the first would be dropped without a word.
func single(all []given, own map[string]cli.Flag) ([]given, error) {
	var out []given
	for _, g := range all {
		at := slices.IndexFunc(out, func(o given) bool { return o.name == g.name })
		_, one := own[g.name].(*cli.StringFlag)
		switch {
		case at < 0 || !one:
			out = append(out, g)
		case g.name == "os":
			out[at].value += "," + g.value
		case out[at].value != g.value:
			return nil, usagef("flag --%s takes one value, and two are given, %q and %q", g.name, out[at].value, g.value)
		}
	}
	return out, nil
}

// argParser splits a command line without knowing the command yet, because flags
// may stand in front of it. That works since a name means the same kind of flag
// in every command.
type argParser struct {
	commands      []*cli.Command
	command       *cli.Command        // once its name was read
	known         map[string]cli.Flag // by every name
	given         []given
	help, version bool
	end           int // index of "--" in the words, -1 when there is none
}

func (p *argParser) split(args []string) (words []string, err error) {
	p.end = -1
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			p.end = len(words)
			return append(words, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = p.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = p.short(arg[1:], args)
		default:
			if len(words) == 0 {
				p.command = p.named(arg)
			}
			words = append(words, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return words, nil
}

func (p *argParser) named(word string) *cli.Command {
	if i := slices.IndexFunc(p.commands, func(c *cli.Command) bool { return c.Name == word }); i >= 0 {
		return p.commands[i]
	}
	return nil
}

// unknown is the error of a flag that no command has, about the command that is
// meant: the one that was read, or comes later in rest.
func (p *argParser) unknown(spelled string, rest []string) error {
	command := p.command
	for i := 0; i < len(rest) && command == nil; i++ {
		command = p.named(rest[i])
	}
	var names []string
	name := ""
	if command != nil {
		name, names = command.Name, append(longNames(command.Flags), "help")
	} else {
		names = []string{"help", "version"}
		for n := range p.known {
			if len(n) > 1 {
				names = append(names, n)
			}
		}
		slices.Sort(names)
	}
	if !strings.HasPrefix(spelled, "--") { // a letter is near to any name
		names = nil
	}
	return unknownFlag(spelled, name, names)
}

func (p *argParser) long(arg string, rest []string) ([]string, error) {
	name, value, hasValue := strings.Cut(arg, "=")
	switch name {
	case "help":
		p.help = true
		return rest, nil
	case "version":
		p.version = true
		return rest, nil
	}
	flag := p.known[name]
	if flag == nil || len(name) == 1 {
		return nil, p.unknown("--"+name, rest)
	}
	return p.take(flag, "--"+name, value, hasValue, rest)
}

// short reads a group of one-letter flags; the first that takes a value takes
// what is left of the word, or the next word.
func (p *argParser) short(group string, rest []string) ([]string, error) {
	if name, _, _ := strings.Cut(group, "="); len(name) > 1 && (p.known[name] != nil || name == "help" || name == "version") {
		return nil, usagef("unknown flag %q: long flags take two dashes, --%s", "-"+name, name)
	}
	for i, letter := range group {
		name := string(letter)
		if name == "h" {
			p.help = true
			continue
		}
		flag := p.known[name]
		if flag == nil {
			return nil, p.unknown("-"+name, rest)
		}
		left := group[i+len(name):]
		value, assigned := strings.CutPrefix(left, "=")
		if isBool(flag) && !assigned {
			p.given = append(p.given, given{flag.Names()[0], "-" + name, "true"})
			continue
		}
		return p.take(flag, "-"+name, value, left != "", rest)
	}
	return rest, nil
}

func (p *argParser) take(flag cli.Flag, spelled, value string, hasValue bool, rest []string) ([]string, error) {
	switch {
	case isBool(flag) && !hasValue:
		value = "true"
	case isBool(flag):
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, usagef("flag %s is true or false, not %q", spelled, value)
		}
		value = strconv.FormatBool(b)
	case !hasValue && len(rest) == 0:
		return nil, usagef("flag %s needs a value", spelled)
	case !hasValue:
		value, rest = rest[0], rest[1:]
	}
	p.given = append(p.given, given{flag.Names()[0], spelled, value})
	return rest, nil
}

// appendEnvironment adds the flags that are set by WINPACK_<FLAG> and not given.
// A repeatable flag takes one value a line.
func appendEnvironment(argv []string, flags []cli.Flag, set []given, getenv func(string) string) ([]string, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(set, func(g given) bool { return g.name == name })
	}
	for _, flag := range flags {
		name := flag.Names()[0]
		variable := envName(name)
		value := getenv(variable)
		if value == "" || has(name) {
			continue
		}
		// A flag beats its opposite from the environment too.
		if name == "quiet" && has("verbose") || name == "verbose" && has("quiet") {
			continue
		}
		switch flag.(type) {
		case *cli.BoolFlag:
			b, err := strconv.ParseBool(value)
			if err != nil {
				return nil, usagef("%s is true or false, not %q", variable, value)
			}
			argv = append(argv, fmt.Sprintf("--%s=%t", name, b))
		case *cli.StringSliceFlag:
			for v := range strings.Lines(value) {
				if v = strings.TrimRight(v, "\r\n"); v != "" {
					argv = append(argv, "--"+name+"="+v)
				}
			}
		default:
			argv = append(argv, "--"+name+"="+value)
		}
	}
	return argv, nil
}

func envName(flag string) string {
	return "WINPACK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func allFlags(commands []*cli.Command) map[string]cli.Flag {
	all := map[string]cli.Flag{}
	for _, c := range commands {
		for name, flag := range flagTable(c.Flags) {
			all[name] = flag
		}
	}
	return all
}

func flagTable(flags []cli.Flag) map[string]cli.Flag {
	table := map[string]cli.Flag{}
	for _, flag := range flags {
		for _, name := range flag.Names() {
			table[name] = flag
		}
	}
	return table
}

func longNames(flags []cli.Flag) []string {
	var names []string
	for _, flag := range flags {
		names = append(names, flag.Names()[0])
	}
	return names
}

func isBool(flag cli.Flag) bool {
	_, ok := flag.(*cli.BoolFlag)
	return ok
}

func unknownCommand(app *cli.App, word string) error {
	var names []string
	for _, c := range app.Commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if near, ok := suggest.Search(word, names, true); ok {
		return usagef("unknown command %q: did you mean %q?", word, near)
	}
	if strings.ContainsAny(word, `./\`) {
		return usagef("unknown command %q: a folder comes after the command, as in `winpack detect %s`", word, word)
	}
	return usagef("unknown command %q: the commands are %s", word, strings.Join(names, ", "))
}

func unknownFlag(spelled, command string, names []string) error {
	where := ""
	if command != "" {
		where = " of winpack " + command
	}
	if near, ok := suggest.Search(strings.TrimLeft(spelled, "-"), names, true); ok {
		return usagef("unknown flag %q%s: did you mean --%s?", spelled, where, near)
	}
	if command == "" {
		command = "COMMAND"
	}
	return usagef("unknown flag %q%s: `winpack %s --help` lists the flags", spelled, where, command)
}
