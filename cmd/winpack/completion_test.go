package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func completed(line string) completions {
	words := strings.Split(line, " ")
	last := len(words) - 1
	return complete(newApp(env{}), words[:last], words[last])
}

func values(c completions) string {
	var out []string
	for _, w := range c.words {
		out = append(out, w.value)
	}
	return strings.Join(out, " ")
}

func TestCompletionOffersWhatMayStandAtTheCursor(t *testing.T) {
	for line, want := range map[string]string{
		"det":                          "detect",
		"--os ltsc2022 det":            "detect",
		"-q --format json det":         "detect",
		"help ver":                     "version",
		"--vers":                       "--version",
		"version --":                   "--format --help",
		"version --format ":            "text json",
		"version --format=j":           "--format=json",
		"--format j":                   "json",
		"detect --fail-on ":            "error warning never",
		"detect --progress p":          "plain",
		"dockerfile --prefer ":         "no-run fast-start",
		"images --family s":            "servercore server",
		"detect --os ltsc201":          "ltsc2019 ltsc2016",
		"detect --os ltsc2022,ltsc202": "ltsc2022,ltsc2025",
		"detect --os=ltsc2022,ltsc202": "--os=ltsc2022,ltsc2025",
		"detect --os sac":              "", // retired ones can't be asked for
		"detect --verb":                "--verbose",
		"detect -v --verb":             "", // given already
		"build --push --pus":           "",
		"build -t r --ta":              "--tag", // repeatable
		"build --push=":                "--push=true --push=false",
		"build -o t":                   "type=docker type=docker,dest= type=oci,dest= type=registry",
		"build -ot":                    "-otype=docker -otype=docker,dest= -otype=oci,dest= -otype=registry",
		"build -qo t":                  "type=docker type=docker,dest= type=oci,dest= type=registry",
		"build -t ":                    "",       // any name
		"build -t -- --pus":            "--push", // -- is the tag
		"detect --mirror ":             "mcr.microsoft.com= docker.io=",
		"explain WP100":                "WP1001 WP1002 WP1003 WP1004 WP1005 WP1006 WP1007 WP1008 WP1009",
		"explain WP1001 wp1006 wp100":  "wp1002 wp1003 wp1004 wp1005 wp1007 wp1008 wp1009",
		"completion ":                  "bash zsh fish powershell pwsh",
		"completion bash ":             "",
		"detct --":                     "--help", // nothing is known of it
		"detect --no-such=":            "",
		"__comp":                       "",
	} {
		if c := completed(line); c.paths || values(c) != want {
			t.Errorf("%q: %q, paths %v; want %q", line, values(c), c.paths, want)
		}
	}
	for line, prefix := range map[string]string{
		"detect ": "", "detect --os ltsc2022 si": "", "-q detect si": "", "detect -- -": "", "detect -q -- --": "", "detect --config ": "", "detect --config=w": "--config=",
		"dockerfile -o ": "", "dockerfile -oD": "-o", "dockerfile -o=D": "-o=", "--config ": "", "build --iidfile i": "",
		"build -o type=oci,dest=i": "type=oci,dest=", "build --output=type=oci,dest=i": "--output=type=oci,dest=",
	} {
		if c := completed(line); !c.paths || c.prefix != prefix || len(c.words) > 0 {
			t.Errorf("%q: paths %v behind %q, want behind %q", line, c.paths, c.prefix, prefix)
		}
	}
	for _, line := range []string{"detect site ", "help build ", "version ", "images x"} {
		if c := completed(line); c.paths || len(c.words) > 0 {
			t.Errorf("%q takes no more words: %+v", line, c)
		}
	}
}

// Commands and flags that are added later are completed without a word of theirs here.
func TestCompletionKnowsEveryCommandAndFlag(t *testing.T) {
	commands := values(completed(""))
	flags := values(completed("--"))
	for _, command := range newApp(env{}).Commands {
		if slices.Contains(strings.Fields(commands), command.Name) == command.Hidden {
			t.Errorf("%s, hidden %v, is among the commands: %s", command.Name, command.Hidden, commands)
		}
		if command.Hidden {
			continue
		}
		all := values(completed(command.Name + " -"))
		for _, flag := range command.Flags {
			name := flag.Names()[0]
			for _, spelled := range flag.Names() {
				dash := "--"
				if len(spelled) == 1 {
					dash = "-"
				}
				if !slices.Contains(strings.Fields(all), dash+spelled) {
					t.Errorf("%s%s of %s is not offered", dash, spelled, command.Name)
				}
			}
			if !slices.Contains(strings.Fields(flags), "--"+name) {
				t.Errorf("--%s is not offered in front of the command", name)
			}
		}
	}
}

var oneOfError = regexp.MustCompile(`--([a-z-]+) is ([a-z0-9, -]+), not "no-such-value"`)

// The values are read from the help text, so help, parser and completion have to
// say the same.
func TestCompletionOffersTheValuesThatTheParserTakes(t *testing.T) {
	checked := 0
	for _, command := range newApp(env{}).Commands {
		for _, flag := range command.Flags {
			name := flag.Names()[0]
			if isBool(flag) {
				continue
			}
			args := []string{"nowhere"}
			if placeholder, _ := argumentName(command.UsageText); placeholder == "" {
				args = nil
			}
			said := runFails(t, append([]string{command.Name, "--" + name + "=no-such-value"}, args...))
			m := oneOfError.FindStringSubmatch(said)
			if m == nil {
				continue
			}
			checked++
			want := strings.Split(strings.Replace(m[2], " or ", ", ", 1), ", ")
			got := strings.Fields(values(flagValue(flag, "", "")))
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("--%s of %s takes %q, and %q is offered", name, command.Name, want, got)
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d flags with fixed values were found", checked)
	}
}

// runFails runs a command line that can't work and returns what it says.
func runFails(t *testing.T, args []string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	run(t.Context(), args, env{out, out, func(string) string { return "" }})
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHelpIsReadForValuesOnlyWhereItListsThem(t *testing.T) {
	for usage, want := range map[string]string{
		"text, json or sarif (default: text)":                                      "text json sarif",
		"exit 4 at that level or above:\nerror, warning or never (default: never)": "error warning never",
		"where to write, file or folder":                                           "",
		"process or hyperv: how the steps run":                                     "process hyperv",
		"winpack.toml (default: APP/winpack.toml, where it exists)":                "",
	} {
		if got := strings.Join(enumerated(usage), " "); got != want {
			t.Errorf("%q lists %q, want %q", usage, got, want)
		}
	}
}

// What is offered goes onto a command line as it is.
func TestCandidatesNeedNoQuotes(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Za-z0-9._,=/@-]+$`)
	for _, line := range []string{"", "-", "explain ", "explain w", "completion ", "build -o ", "build --mirror=", "detect --os ltsc2022,", "version --format "} {
		c := completed(line)
		if len(c.words) == 0 {
			t.Errorf("%q gives nothing to check", line)
		}
		for _, w := range c.words {
			if !plain.MatchString(w.value) {
				t.Errorf("%q offers %q", line, w.value)
			}
			if strings.ContainsAny(w.about, "\n\t") {
				t.Errorf("what %q means is more than a line: %q", w.value, w.about)
			}
		}
	}
}

// There is no PowerShell here: the text of its script is all that is checked.
func TestPowerShellScriptCallsWinpackAndEvaluatesNothing(t *testing.T) {
	for _, want := range []string{"Register-ArgumentCompleter -Native -CommandName 'winpack'", "& winpack '__complete' '--' $before \"@$current\"", "CompletionResult]::new("} {
		if !strings.Contains(powershellScript, want) {
			t.Errorf("%q is not in the script", want)
		}
	}
	if bad := regexp.MustCompile(`(?i)\b(iex|invoke-expression|start-process|add-type|\[scriptblock\]::create)\b`).FindString(powershellScript); bad != "" {
		t.Errorf("the script uses %s", bad)
	}
	for _, pair := range []string{"{}", "()", "[]"} {
		if open, shut := strings.Count(powershellScript, pair[:1]), strings.Count(powershellScript, pair[1:]); open != shut {
			t.Errorf("%d %s and %d %s", open, pair[:1], shut, pair[1:])
		}
	}
	if i := strings.IndexFunc(powershellScript, func(r rune) bool { return r > 0x7e }); i >= 0 {
		t.Error("Windows PowerShell takes a script without a byte order mark for another encoding: only ASCII is safe")
	}
	if completionScript("pwsh") != powershellScript {
		t.Error("pwsh is not PowerShell")
	}
}

func FuzzComplete(f *testing.F) {
	for _, seed := range []string{"", "detect --os a,,", "-", "--", "--=", "-t", "-=x", "build -qo", "-- -- x", "detect --config=\xff", "help help"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, w := range completed(line).words {
			if fields := strings.Split(line, " "); !strings.HasPrefix(w.value, fields[len(fields)-1]) {
				t.Errorf("%q offers %q", line, w.value)
			}
		}
	})
}
