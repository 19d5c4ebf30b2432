package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func needTool(t *testing.T, name, apt string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
		t.Fatalf("%s is missing: apt-get install %s", name, apt)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s is missing: apt-get install %s", name, apt)
}

// folder has files to complete, one of them with a name that is a command.
func folder(t *testing.T, shell string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"my app", "site"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"conf.toml", "$(touch PWNED)x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "completion."+shell), []byte(completionScript(shell)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func notPwned(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "PWNED")); err == nil {
		t.Error("what was completed was executed")
	}
}

// evil are words in front of the cursor that are commands to whoever evaluates them.
const evil = "$(touch PWNED) `touch PWNED` ;touch<PWNED"

func TestBashCompletes(t *testing.T) {
	needTool(t, "bash", "bash")
	dir := folder(t, "bash")
	const drive = `source completion.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_POINT=${#COMP_LINE}
_winpack 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"`
	for line, want := range map[string]string{
		"winpack det":                             "detect",
		"winpack detect --os lt":                  "ltsc2016 ltsc2019 ltsc2022 ltsc2025",
		"winpack detect --os=ltsc2022,":           "ltsc2022,ltsc2016 ltsc2022,ltsc2019 ltsc2022,ltsc2025",
		"winpack detect --fail-on=":               "error never warning",
		"winpack build -t 127.0.0.1:5000/x --pus": "--push",
		"winpack detect ":                         "",
		"winpack detect " + evil + " --verb":      "--verbose",
		"winpack detect $(touch PWNED)":           "",
		"winpack build -o type=oci,d":             "oci,dest=",
	} {
		words := regexp.MustCompile(`[=:]+|[^=: ]+`).FindAllString(line, -1)
		if strings.HasSuffix(line, " ") {
			words = append(words, "")
		}
		cmd := exec.Command("bash", append([]string{"--norc", "-c", drive, "bash"}, words...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "COMP_LINE="+line)
		out, err := cmd.CombinedOutput()
		got := strings.Fields(string(out))
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	notPwned(t, dir)
}

func TestFishCompletes(t *testing.T) {
	needTool(t, "fish", "fish")
	dir := folder(t, "fish")
	for line, want := range map[string]string{
		"winpack det":                              "detect",
		"winpack --os ltsc202":                     "ltsc2022 ltsc2025",
		"winpack detect --os=ltsc2022,lt":          "--os=ltsc2022,ltsc2016 --os=ltsc2022,ltsc2019 --os=ltsc2022,ltsc2025",
		"winpack version --format ":                "json text",
		"winpack detect --config ":                 "$(touch PWNED)x completion.fish conf.toml my app/ site/",
		"winpack detect --config=conf":             "--config=conf.toml",
		"winpack detect s":                         "site/",
		"winpack build -t ":                        "",
		"winpack explain WP3009 WP300":             "WP3001 WP3002 WP3003 WP3004 WP3005 WP3006 WP3007 WP3008",
		"winpack detect (touch PWNED) --ver":       "--verbose",
		"winpack detect $(touch PWNED) --ver":      "--verbose",
		"winpack build -t \"(touch PWNED)\" --pus": "--push",
	} {
		cmd := exec.Command("fish", "--no-config", "-c", "source completion.fish; complete -C $argv[1]", line)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		var got []string
		for l := range strings.Lines(string(out)) {
			value, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, value)
		}
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	notPwned(t, dir)
}

// Keys go to a shell on a terminal, tabs and all, and what it ran is looked at.
func TestShellsCompleteWhatIsTyped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: script takes other flags here")
	}
	for shell, start := range map[string]string{
		"bash": "bash --norc -i",
		"zsh":  "zsh -f -i",
	} {
		t.Run(shell, func(t *testing.T) {
			needTool(t, shell, shell)
			needTool(t, "script", "bsdutils")
			dir := folder(t, shell)
			setup := "source ./completion.bash\n"
			if shell == "zsh" {
				setup = "autoload -U compinit; compinit -u -d ./dump; source ./completion.zsh\n"
			}
			lines := []struct{ typed, want string }{
				{"winpack det\t --fo\tjs\tsi\t", "detect --format json site/"},
				{"winpack detect --format=js\tmy\t", "detect --format=json my app/"},
				{"winpack --os=ltsc2019,ltsc2022,ltsc202\tdet\t--conf\tconf\t", "--os=ltsc2019,ltsc2022,ltsc2025 detect --config conf.toml"},
				{"winpack build --mirr\tmc\tr -t 127.0.0.1:5000/x --pus\t", "build --mirror mcr.microsoft.com=r -t 127.0.0.1:5000/x --push"},
				{"echo X; FOO=1 winpack detect --config=conf\t", "detect --config=conf.toml"},
				{"winpack build -o type=o\tsi\t", "build -o type=oci,dest=site/"},
				{"winpack detect \\$\t", "detect $(touch PWNED)x"},
				{"winpack explain wp3001 WP3002 WP3003 WP3004 WP3005 WP3006 WP3007 WP3008 wp300\t", "explain wp3001 WP3002 WP3003 WP3004 WP3005 WP3006 WP3007 WP3008 wp3009"},
			}
			var keys strings.Builder
			keys.WriteString("unset HISTFILE\n" + setup)
			for i, l := range lines {
				fmt.Fprintf(&keys, "%s > out%d\n", l.typed, i)
			}
			// Words that are not run: the line is killed (Ctrl-A, Ctrl-K) before its end.
			keys.WriteString("winpack detect " + evil + " --verb\t\x01\x0b\nexit\n")

			// The winpack that the line runs says what it was given; the completion asks the real one.
			bin := t.TempDir()
			real, err := exec.LookPath("winpack")
			if err != nil {
				t.Fatal(err)
			}
			stub := "#!/bin/sh\ncase $1 in __complete) exec " + real + " \"$@\";; esac\necho \"$@\"\n"
			if err := os.WriteFile(filepath.Join(bin, "winpack"), []byte(stub), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("script", "-qec", start, os.DevNull)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TERM=dumb", "HOME="+dir, "PATH="+bin+":"+os.Getenv("PATH"))
			cmd.Stdin = strings.NewReader(keys.String())
			screen, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, screen)
			}
			for i, l := range lines {
				out, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("out%d", i)))
				// zsh takes the slash away again where the word ends.
				if got := strings.TrimSpace(string(out)); err != nil || got != l.want && got != strings.TrimSuffix(l.want, "/") {
					t.Errorf("%q ran %q, %v; want %q", l.typed, got, err, l.want)
				}
			}
			notPwned(t, dir)
			if t.Failed() {
				t.Logf("%s", screen)
			}
		})
	}
}
