package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func parse(t *testing.T, environment map[string]string, args ...string) (commandLine, error) {
	t.Helper()
	app := newApp(env{os.Stdout, os.Stderr, os.Getenv})
	return parseArgs(app, args, func(name string) string { return environment[name] })
}

func TestFlagsMayStandAnywhere(t *testing.T) {
	want := "build --tag=r:1 --push=true -- app"
	for _, args := range []string{
		"build app -t r:1 --push",
		"build -t r:1 app --push",
		"build --push app --tag=r:1",
		"build -tr:1 --push app",
		"build -t=r:1 --push=true app",
		"-t r:1 --push build app",
		"-t r:1 build app --push=1",
		"build -t r:1 --push -- app",
	} {
		line, err := parse(t, nil, strings.Fields(args)...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		slices.Sort(line.flags)
		slices.Reverse(line.flags)
		if got := strings.Join(line.argv()[1:], " "); got != want {
			t.Errorf("%s is read as %q, want %q", args, got, want)
		}
	}
}

func TestUnknownFlagNamesTheCommandThatIsMeant(t *testing.T) {
	for args, want := range map[string]string{
		"detect --nonsense":      "unknown flag \"--nonsense\" of winpack detect: `winpack detect --help` lists the flags",
		"--nonsense detect site": "unknown flag \"--nonsense\" of winpack detect: `winpack detect --help` lists the flags",
		"doctor host -q":         "unknown flag \"-q\" of winpack doctor: `winpack doctor --help` lists the flags",
		"detect site -z":         "unknown flag \"-z\" of winpack detect: `winpack detect --help` lists the flags",
		"explain --tag x":        "unknown flag \"--tag\" of winpack explain: `winpack explain --help` lists the flags",
		"detect --formt json":    "unknown flag \"--formt\" of winpack detect: did you mean --format?",
		"--nonsense":             "unknown flag \"--nonsense\": `winpack COMMAND --help` lists the flags",
		"-z":                     "unknown flag \"-z\": `winpack COMMAND --help` lists the flags",
		"--nonsense site":        "unknown flag \"--nonsense\": `winpack COMMAND --help` lists the flags",
	} {
		if _, err := parse(t, nil, strings.Fields(args)...); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

func TestDoubleDashEndsTheFlags(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"detect -- -q", "detect -- -q"},
		{"detect -- help", "detect -- help"},
		{"detect -q -- --help", "detect --quiet=true -- --help"},
		{"-- detect -q", "detect -- -q"},
	} {
		line, err := parse(t, nil, strings.Fields(test.args)...)
		if err != nil || line.help {
			t.Errorf("%s: help %v, error %v", test.args, line.help, err)
			continue
		}
		if got := strings.Join(line.argv()[1:], " "); got != test.want {
			t.Errorf("%s is read as %q, want %q", test.args, got, test.want)
		}
	}
}

func TestShortFlagsCombine(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"build -qt r", "build --quiet=true --tag=r --"},
		{"build -qtr", "build --quiet=true --tag=r --"},
		{"build -v=false -t r", "build --verbose=false --tag=r --"},
		{"build -t -x", "build --tag=-x --"},
		{"build -t -- app", "build --tag=-- -- app"},
		{"build -t=", "build --tag= --"},
	} {
		line, err := parse(t, nil, strings.Fields(test.args)...)
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		if got := strings.Join(line.argv()[1:], " "); got != test.want {
			t.Errorf("%s is read as %q, want %q", test.args, got, test.want)
		}
	}
}

// The last of several values is not the one that was meant.
func TestNoValueOfAFlagIsDroppedInSilence(t *testing.T) {
	line, err := parse(t, nil, "build", "--os", "ltsc2022", "app", "--os=ltsc2025,ltsc2019", "--base", "a", "--base=a", "-t", "x", "-t", "y", "-q", "-q=false")
	want := []string{"--os=ltsc2022,ltsc2025,ltsc2019", "--base=a", "--tag=x", "--tag=y", "--quiet=true", "--quiet=false"}
	if err != nil || !slices.Equal(line.flags, want) {
		t.Errorf("got %q, %v, want %q", line.flags, err, want)
	}
	for _, args := range []string{"build --base a --base b", "detect --fail-on error --fail-on=never", "dockerfile -o a --output b"} {
		if _, err := parse(t, nil, strings.Fields(args)...); err == nil || exitCode(t.Context(), err) != exitUsage || !strings.Contains(err.Error(), "takes one value") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestWrongCommandLinesNameTheCure(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"detct app", `did you mean "detect"`},
		{"./app", "winpack detect ./app"},
		{"nonsense", "the commands are detect,"},
		{"detect --formt json", "did you mean --format?"},
		{"detect --push", `unknown flag "--push" of winpack detect`},
		{"detect -x", `unknown flag "-x"`},
		{"detect -os ltsc2022", "two dashes, --os"},
		{"detect --t x", `unknown flag "--t"`},
		{"build app -t", "flag -t needs a value"},
		{"build app --tag", "flag --tag needs a value"},
		{"build --push=maybe", "flag --push is true or false"},
		{"build -q=2x", "flag -q is true or false"},
	} {
		_, err := parse(t, nil, strings.Fields(test.args)...)
		if err == nil {
			t.Errorf("%s is accepted", test.args)
			continue
		}
		if code := exitCode(t.Context(), err); code != exitUsage || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: exit %d, %q; want 2 and %q", test.args, code, err, test.want)
		}
	}
}

func TestEveryFlagComesFromTheEnvironmentAndTheCommandLineWins(t *testing.T) {
	app := newApp(env{os.Stdout, os.Stderr, os.Getenv})
	for _, command := range app.Commands {
		for _, flag := range command.Flags {
			name := flag.Names()[0]
			value, other := "one,two", "three"
			if isBool(flag) {
				value, other = "true", "false"
			}
			environment := map[string]string{envName(name): value}
			line, err := parse(t, environment, command.Name)
			if err != nil || !slices.Contains(line.flags, "--"+name+"="+value) {
				t.Errorf("%s of winpack %s is not read: %q, %v", envName(name), command.Name, line.flags, err)
			}
			line, err = parse(t, environment, command.Name, "--"+name+"="+other)
			if err != nil || !slices.Equal(line.flags, []string{"--" + name + "=" + other}) {
				t.Errorf("--%s does not win over %s: %q, %v", name, envName(name), line.flags, err)
			}
		}
	}
}

func TestRepeatableFlagsFromTheEnvironmentTakeOneValueALine(t *testing.T) {
	line, err := parse(t, map[string]string{"WINPACK_LABEL": "a=1,2\nb=3\r\n\n"}, "build")
	if err != nil || !slices.Equal(line.flags, []string{"--label=a=1,2", "--label=b=3"}) {
		t.Errorf("got %q, %v", line.flags, err)
	}
	if _, err := parse(t, map[string]string{"WINPACK_PUSH": "si"}, "build"); err == nil || !strings.Contains(err.Error(), "WINPACK_PUSH") {
		t.Errorf("a wrong WINPACK_PUSH gives %v", err)
	}
	if line, err := parse(t, map[string]string{"WINPACK_QUIET": "1"}, "build", "-v"); err != nil || slices.Contains(line.flags, "--quiet=true") {
		t.Errorf("-v does not win over WINPACK_QUIET: %q, %v", line.flags, err)
	}
}

// Flags in front of the command are read before the command is known.
func TestAFlagTakesAValueInEveryCommandOrInNone(t *testing.T) {
	seen := map[string]bool{}
	for _, command := range newApp(env{}).Commands {
		for _, flag := range command.Flags {
			for _, name := range flag.Names() {
				if was, ok := seen[name]; ok && was != isBool(flag) {
					t.Errorf("-%s of winpack %s takes a value here and none elsewhere", name, command.Name)
				}
				seen[name] = isBool(flag)
			}
			if _, ok := flag.(cli.DocGenerationFlag); !ok {
				t.Errorf("--%s has no help text", flag.Names()[0])
			}
		}
	}
}
