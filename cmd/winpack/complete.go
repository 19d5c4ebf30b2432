package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/rules"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// candidate is a word that may stand at the cursor, and what it means.
type candidate struct{ value, about string }

// completions are the words that may stand at the cursor. Paths says that it is
// the name of a file or folder, which the shell knows better; Prefix is what of
// the word stands in front of it, like --config=.
type completions struct {
	words  []candidate
	paths  bool
	prefix string
}

// complete says what may stand in the place of current, the word at the cursor,
// behind the words in front of it. It goes by the commands and flags of app as
// the parser does, and forgives what the parser would not.
func complete(app *cli.App, before []string, current string) completions {
	l := readLine(app, before)
	c := l.candidates(current)
	c.words = slices.DeleteFunc(c.words, func(w candidate) bool { return !strings.HasPrefix(w.value, current) })
	return c
}

// unfinished is a command line that ends in front of the cursor.
type unfinished struct {
	app     *cli.App
	command *cli.Command // nil: not given yet
	args    []string
	given   []string // names of flags
	pending cli.Flag // the flag whose value is at the cursor
	ended   bool     // by --
	help    bool     // the first word is help
}

func readLine(app *cli.App, before []string) *unfinished {
	l := &unfinished{app: app}
	for _, word := range before {
		switch {
		case l.pending != nil:
			l.pending = nil
		case l.ended || len(word) < 2 || word[0] != '-':
			l.word(word)
		case word == "--":
			l.ended = true
		case strings.HasPrefix(word, "--"):
			name, _, assigned := strings.Cut(word[2:], "=")
			l.flag(name, assigned)
		default:
			l.group(word[1:])
		}
	}
	return l
}

func (l *unfinished) word(word string) {
	switch {
	case l.command != nil:
		l.args = append(l.args, word)
	case word == "help" && !l.ended:
		l.help = true
	default:
		i := slices.IndexFunc(l.app.Commands, func(c *cli.Command) bool { return c.Name == word })
		if i < 0 {
			l.command = &cli.Command{} // an unknown one: nothing is known of it
			return
		}
		l.command = l.app.Commands[i]
	}
}

// flag takes a flag into account, whose value may be the next word.
func (l *unfinished) flag(name string, hasValue bool) {
	flag := l.flags()[name]
	if flag == nil {
		return
	}
	l.given = append(l.given, flag.Names()[0])
	if !isBool(flag) && !hasValue {
		l.pending = flag
	}
}

// group is short flags in one word: -qo, -oDIR, -o=DIR.
func (l *unfinished) group(letters string) {
	for i, letter := range letters {
		flag := l.flags()[string(letter)]
		if flag == nil {
			return
		}
		if !isBool(flag) {
			l.flag(string(letter), i+1 < len(letters))
			return
		}
		l.flag(string(letter), false)
	}
}

// flags are those of the command, or all while there is none.
func (l *unfinished) flags() map[string]cli.Flag {
	if l.command != nil {
		return flagTable(l.command.Flags)
	}
	table := map[string]cli.Flag{}
	for _, c := range l.app.Commands {
		for name, flag := range flagTable(c.Flags) {
			if table[name] == nil {
				table[name] = flag
			}
		}
	}
	return table
}

func (l *unfinished) candidates(current string) completions {
	switch {
	case l.pending != nil:
		return flagValue(l.pending, "", current)
	case l.ended || !strings.HasPrefix(current, "-"):
		return l.argument(current)
	}
	if name, value, ok := strings.Cut(strings.TrimPrefix(current, "--"), "="); ok && strings.HasPrefix(current, "--") {
		if flag := l.flags()[name]; flag != nil {
			return flagValue(flag, "--"+name+"=", value)
		}
		return completions{}
	}
	if len(current) > 2 && current[1] != '-' {
		if flag := l.flags()[current[1:2]]; flag != nil && !isBool(flag) {
			value, assigned := strings.CutPrefix(current[2:], "=")
			prefix := current[:2]
			if assigned {
				prefix += "="
			}
			return flagValue(flag, prefix, value)
		}
	}
	return completions{words: l.flagNames(len(current) > 1 && current[1] != '-' || current == "-")}
}

// flagNames are the flags that may still be given, the short ones too where one
// was begun.
func (l *unfinished) flagNames(short bool) []candidate {
	var words []candidate
	seen := map[string]bool{}
	commands := l.app.Commands
	if l.command != nil {
		commands = []*cli.Command{l.command}
	}
	for _, c := range commands {
		for _, flag := range c.Flags {
			name := flag.Names()[0]
			_, repeatable := flag.(*cli.StringSliceFlag)
			if seen[name] || slices.Contains(l.given, name) && !repeatable {
				continue
			}
			seen[name] = true
			_, about := cutPlaceholder(flag.(cli.DocGenerationFlag).GetUsage())
			about = strings.Join(strings.Fields(about), " ")
			words = append(words, candidate{"--" + name, about})
			for _, alias := range flag.Names()[1:] {
				if short {
					words = append(words, candidate{"-" + alias, about})
				}
			}
		}
	}
	words = append(words, candidate{"--help", "say more about the command"})
	if l.command == nil {
		words = append(words, candidate{"--version", "print the version"})
	}
	return words
}

// argument is the command, or what the command takes.
func (l *unfinished) argument(current string) completions {
	if l.command == nil {
		var words []candidate
		for _, c := range l.app.Commands {
			if !c.Hidden {
				words = append(words, candidate{c.Name, c.Usage})
			}
		}
		if !l.help {
			words = append(words, candidate{"help", "say more about a command"})
		}
		return completions{words: words}
	}
	name, repeatable := argumentName(l.command.UsageText)
	switch {
	case l.help || len(l.args) > 0 && !repeatable:
		return completions{}
	case isPath(name):
		return completions{paths: true}
	case name == "SHELL":
		return completions{words: named(shellNames())}
	case name == "RULE":
		var words []candidate
		for _, r := range rules.All() {
			if !slices.ContainsFunc(l.args, func(a string) bool { return strings.EqualFold(a, r.ID) }) {
				words = append(words, candidate{likeTyped(r.ID, current), r.Title})
			}
		}
		return completions{words: words}
	}
	return completions{}
}

// likeTyped spells an ID in lower case where somebody began to type it so.
func likeTyped(id, current string) string {
	if current != "" && strings.HasPrefix(strings.ToLower(id), current) {
		return strings.ToLower(id)
	}
	return id
}

// argumentName is how the usage of a command calls its first argument: APP in
// "winpack detect [APP] [flags]".
func argumentName(usage string) (name string, repeatable bool) {
	fields := strings.Fields(usage)
	if len(fields) < 3 || strings.HasPrefix(strings.TrimLeft(fields[2], "["), "-") {
		return "", false
	}
	return strings.CutSuffix(strings.Trim(fields[2], "[]"), "...")
}

func isPath(placeholder string) bool {
	return slices.Contains([]string{"APP", "FILE", "DIR", "INVENTORY", "RESULTS"}, placeholder)
}

// flagValue completes the value of a flag; prefix is what stands in front of it
// in the same word.
func flagValue(flag cli.Flag, prefix, current string) completions {
	if isBool(flag) {
		return spelled(prefix, named([]string{"true", "false"}))
	}
	placeholder, usage := cutPlaceholder(flag.(cli.DocGenerationFlag).GetUsage())
	placeholder = strings.TrimSpace(placeholder)
	switch name := flag.Names()[0]; {
	case isPath(placeholder):
		return completions{paths: true, prefix: prefix}
	case name == "os":
		return spelled(prefix, releaseLists(current))
	case placeholder == "HOST=MIRROR":
		return spelled(prefix, registryHosts())
	case placeholder == "SPEC" && strings.Contains(current, "dest="):
		return completions{paths: true, prefix: prefix + current[:strings.LastIndex(current, "dest=")+len("dest=")]}
	case placeholder == "SPEC":
		return spelled(prefix, named([]string{"type=docker", "type=docker,dest=", "type=oci,dest=", "type=registry"}))
	}
	return spelled(prefix, named(enumerated(usage)))
}

func spelled(prefix string, words []candidate) completions {
	for i := range words {
		words[i].value = prefix + words[i].value
	}
	return completions{words: words}
}

func named(values []string) []candidate {
	var words []candidate
	for _, v := range values {
		words = append(words, candidate{value: v})
	}
	return words
}

var (
	enumeration  = regexp.MustCompile(`\b[a-z][a-z0-9-]*(, [a-z][a-z0-9-]*)* or [a-z][a-z0-9-]*\b`)
	defaultValue = regexp.MustCompile(`\(default: ([a-z0-9-]+)\)`)
)

// enumerated reads from the help of a flag which values it takes: an enumeration
// like "text, json or sarif" that the help begins with, or that has the default.
func enumerated(usage string) []string {
	usual := ""
	if m := defaultValue.FindStringSubmatch(usage); m != nil {
		usual = m[1]
	}
	for _, at := range enumeration.FindAllStringIndex(usage, -1) {
		values := strings.Split(strings.Replace(usage[at[0]:at[1]], " or ", ", ", 1), ", ")
		if at[0] == 0 || slices.Contains(values, usual) {
			return values
		}
	}
	return nil
}

// releaseLists are the values of --os: what is typed up to the last comma, and
// each release that is not in it.
func releaseLists(current string) []candidate {
	catalog, err := dockerfile.LoadCatalog()
	if err != nil {
		return nil
	}
	typed := current[:strings.LastIndexByte(current, ',')+1]
	var words []candidate
	for _, r := range catalog.Releases {
		if r.Retired() || slices.Contains(strings.Split(typed, ","), r.ID) {
			continue
		}
		words = append(words, candidate{typed + r.ID, r.Name})
	}
	return words
}

// registryHosts are the registries that base images come from.
func registryHosts() []candidate {
	catalog, err := dockerfile.LoadCatalog()
	if err != nil {
		return nil
	}
	var words []candidate
	for _, image := range catalog.Images {
		host, _, _ := strings.Cut(image.Repository, "/")
		if w := (candidate{host + "=", "where base images come from"}); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}
