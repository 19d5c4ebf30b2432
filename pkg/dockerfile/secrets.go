package dockerfile

import (
	"fmt"
	"slices"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/winpack/winpack/pkg/detect"
)

// secretText is what is said of a secret in an image's configuration: where it stands,
// and its name. Its value is never in it.
func secretText(where, name string) (message, remedy string) {
	return fmt.Sprintf("a secret stands in clear text in %s: %s (value not shown). Whoever can pull the image can read it", where, printable(name)),
		"take it out, give it to the container when it runs (docker run -e, a Secret of Kubernetes), and change it"
}

// secrets looks for secrets in what the user sets of the image's configuration.
func (p *planner) secrets() {
	for _, table := range []struct {
		key    string
		values map[string]string
	}{{"env", p.opt.Env}, {"labels", p.opt.Labels}} {
		for _, k := range sortedKeys(table.values) {
			if name := detect.SecretSetting(k, table.values[k]); name != "" {
				message, remedy := secretText("["+table.key+"]", name)
				p.findAt(RuleSecret, detect.LevelWarning, message, remedy, p.place(table.key+"."+k))
			}
		}
	}
}

// LabelFindings are the findings of labels that an image is given by flags.
func LabelFindings(labels map[string]string) []detect.Finding {
	f := fileFinder{}
	for _, k := range sortedKeys(labels) {
		if name := detect.SecretSetting(k, labels[k]); name != "" {
			message, remedy := secretText("--label", name)
			f.find(RuleSecret, detect.LevelWarning, message, remedy)
		}
	}
	return f.found
}

// secrets looks for secrets in variables, labels and defaults of arguments. What an
// argument of the build brings is not known.
func (f *fileFinder) secrets(s syntax) {
	look := func(cmd instructions.Command, kind string, pairs instructions.KeyValuePairs) {
		f.line = lineOf(cmd.Location())
		for _, kv := range pairs {
			if name := detect.SecretSetting(kv.Key, f.value(s.lex, kv.Value)); name != "" {
				message, remedy := secretText(kind, name)
				f.find(RuleSecret, detect.LevelWarning, message, remedy)
			}
		}
	}
	arg := func(cmd *instructions.ArgCommand) {
		var pairs instructions.KeyValuePairs
		for _, a := range cmd.Args {
			if a.Value != nil {
				pairs = append(pairs, instructions.KeyValuePair{Key: a.Key, Value: *a.Value})
			}
		}
		look(cmd, "ARG", pairs)
	}
	for i := range s.args {
		arg(&s.args[i])
	}
	for _, stage := range s.stages {
		for _, cmd := range stage.Commands {
			switch c := cmd.(type) {
			case *instructions.ArgCommand:
				arg(c)
			case *instructions.EnvCommand:
				look(c, "ENV", c.Env)
			case *instructions.LabelCommand:
				look(c, "LABEL", c.Labels)
			}
		}
	}
}

// value is a word without its quotes; variables are empty in it.
func (f *fileFinder) value(lex *shell.Lex, word string) string {
	value, err := (&variables{}).expand(lex, word)
	if err != nil {
		return "" // the builder says so
	}
	return value
}

// byLine sorts findings by their place.
func byLine(found []detect.Finding) []detect.Finding {
	slices.SortStableFunc(found, func(a, b detect.Finding) int { return a.Evidence[0].Line - b.Evidence[0].Line })
	return found
}
