package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

const appHelp = `winpack turns folders of built Windows applications into Windows container images, on any system.

Usage:
  winpack COMMAND [APP] [flags]

APP is a folder that holds a built application: what would be copied to the server. It is only read, and
nothing in it is ever executed. Without APP the current folder is taken.

Commands:
%s
Try:
  winpack detect ./site                                          what it is, and what it needs
  winpack dockerfile ./site                                      write a Dockerfile for it
  winpack build ./site -t registry.example.com/site:1 --push     build and push the image

Flags may stand before or after APP, and "--" ends them. Each can be set by the environment too: --os by
WINPACK_OS, --insecure-registry by WINPACK_INSECURE_REGISTRY (one value a line where it is repeatable).

Exit codes: 0 done, 1 something failed, 2 wrong usage or configuration, 3 the app can't run in a Windows
container, 4 findings at or above --fail-on or stale files with --check, 130 interrupted.

"winpack COMMAND --help" says more about a command.
`

func printHelp(w io.Writer, app *cli.App, command *cli.Command) error {
	var b strings.Builder
	if command != nil {
		fmt.Fprintf(&b, "winpack %s: %s\n\nUsage:\n  %s\n\n%s\n\nFlags:\n", command.Name, command.Usage, command.UsageText, command.Description)
		printFlags(&b, command.Flags)
	} else {
		var commands strings.Builder
		for _, c := range app.Commands {
			if !c.Hidden {
				fmt.Fprintf(&commands, "  %-12s%s\n", c.Name, c.Usage)
			}
		}
		fmt.Fprintf(&b, appHelp, commands.String())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// flagColumn is where the meaning of a flag starts.
const flagColumn = 34

func printFlags(b *strings.Builder, flags []cli.Flag) {
	for _, flag := range flags {
		doc := flag.(cli.DocGenerationFlag)
		placeholder, usage := cutPlaceholder(doc.GetUsage())
		name := "    "
		if names := flag.Names(); len(names) > 1 {
			name = "-" + names[1] + ", "
		}
		name += "--" + flag.Names()[0] + placeholder
		first := true
		for line := range strings.Lines(usage) {
			if first && len(name) < flagColumn-3 {
				fmt.Fprintf(b, "  %-*s%s\n", flagColumn-2, name, strings.TrimSpace(line))
			} else {
				if first {
					fmt.Fprintf(b, "  %s\n", name)
				}
				fmt.Fprintf(b, "%*s%s\n", flagColumn, "", strings.TrimSpace(line))
			}
			first = false
		}
	}
	fmt.Fprintf(b, "  %-*s%s\n", flagColumn-2, "-h, --help", "this text")
}

// cutPlaceholder takes the `NAME` in front of a usage text, where there is one.
func cutPlaceholder(usage string) (placeholder, rest string) {
	if after, ok := strings.CutPrefix(usage, "`"); ok {
		if name, rest, ok := strings.Cut(after, "` "); ok {
			return " " + name, rest
		}
	}
	return "", usage
}
