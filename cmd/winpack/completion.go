package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"
)

var (
	//go:embed completion/winpack.bash
	bashScript string
	//go:embed completion/winpack.zsh
	zshScript string
	//go:embed completion/winpack.fish
	fishScript string
	//go:embed completion/winpack.ps1
	powershellScript string
)

func shellNames() []string { return []string{"bash", "zsh", "fish", "powershell", "pwsh"} }

// completionScript is the script for a shell; empty where there is none. The
// scripts are thin: they hand the words to `winpack __complete`.
func completionScript(shell string) string {
	return map[string]string{
		"bash": bashScript, "zsh": zshScript, "fish": fishScript, "powershell": powershellScript, "pwsh": powershellScript,
	}[shell]
}

func completionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the script that completes command lines in a shell",
		UsageText: "winpack completion SHELL",
		Description: `SHELL is bash, zsh, fish, or powershell (pwsh too). The script asks the winpack of the PATH what may stand at
the cursor: commands, flags, their values, and else files and folders. It runs nothing that is completed.

  bash         source <(winpack completion bash)                                  in ~/.bashrc
  zsh          source <(winpack completion zsh)                                   in ~/.zshrc, below compinit
  fish         winpack completion fish > ~/.config/fish/completions/winpack.fish  once
  PowerShell   winpack completion powershell | Out-String | Invoke-Expression     in $PROFILE`,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("name one shell, as in `winpack completion bash`: %s", orList(shellNames()))
			}
			shell := strings.ToLower(c.Args().First())
			script := completionScript(shell)
			if script == "" {
				if near, ok := suggest.Search(shell, shellNames(), true); ok {
					return usagef("unknown shell %q: did you mean %s?", shell, near)
				}
				return usagef("unknown shell %q: the shells are %s", shell, orList(shellNames()))
			}
			_, err := io.WriteString(e.stdout, script)
			return err
		},
	}
}

// completeCommand is what the scripts call: `winpack __complete -- WORD... @CURRENT`,
// with the words behind "winpack" up to the cursor. The last stands behind an @,
// because some shells drop an empty word. It prints "words", or "paths" and a tab
// and what of the current word is no path, and then one candidate a line, with a
// tab in front of what it means.
func completeCommand(e env) *cli.Command {
	return &cli.Command{
		Name:        "__complete",
		Hidden:      true,
		Usage:       "say what may stand at the cursor",
		UsageText:   "winpack __complete -- [WORD...] @CURRENT",
		Description: "Is called by the scripts of winpack completion.",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			last := len(words) - 1
			if last < 0 || !strings.HasPrefix(words[last], "@") {
				return usagef("the last word of __complete stands behind an @, as in `winpack __complete -- detect @--o`")
			}
			return printCompletions(e.stdout, complete(c.App, words[:last], words[last][1:]))
		},
	}
}

func printCompletions(w io.Writer, c completions) error {
	var b strings.Builder
	if c.paths {
		fmt.Fprintf(&b, "paths\t%s\n", c.prefix)
	} else {
		b.WriteString("words\n")
	}
	for _, word := range c.words {
		fmt.Fprintf(&b, "%s\t%s\n", word.value, word.about)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
