package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// env is what a run touches of the process that it lives in.
type env struct {
	stdout, stderr *os.File
	getenv         func(string) string
}

// run executes one command line and returns the exit code. Every error becomes
// one line on stderr here, and nowhere else.
func run(ctx context.Context, args []string, e env) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(e.stderr, "winpack: internal error: %s; please report it with the command line\n", report.OneLine(fmt.Sprint(p)))
			code = exitFailed
		}
	}()
	app := newApp(e)
	line, err := parseArgs(app, args, e.getenv)
	switch {
	case err != nil:
	case line.help:
		err = printHelp(e.stdout, app, line.command)
	default:
		app.Metadata = map[string]any{givenFlags: line.given}
		err = app.RunContext(ctx, line.argv())
	}
	return fail(ctx, e.stderr, err)
}

// givenFlags is where the names of the flags on the command line are kept.
const givenFlags = "given"

// isGiven says whether a flag stands on the command line; one that does not may come
// from the environment.
func isGiven(c *cli.Context, name string) bool {
	names, _ := c.App.Metadata[givenFlags].([]string)
	return slices.Contains(names, name)
}

func newApp(e env) *cli.App {
	commands := []*cli.Command{
		detectCommand(e),
		dockerfileCommand(e),
		buildCommand(e),
		batchCommand(e),
		kubeCommand(e),
		runCommand(e),
		imagesCommand(e),
		explainCommand(e),
		doctorCommand(e),
		completionCommand(e),
		reportCommand(e),
		initCommand(e),
		versionCommand(e),
		completeCommand(e),
	}
	for _, c := range commands {
		c.HideHelp = true // help is a flag of ours; an argument named help is an app
	}
	return &cli.App{
		Name:        "winpack",
		HideVersion: true,
		HideHelp:    true,
		// A value is never split: labels and build outputs contain commas.
		DisableSliceFlagSeparator: true,
		Writer:                    e.stdout,
		ErrWriter:                 io.Discard, // run prints errors
		ExitErrHandler:            func(*cli.Context, error) {},
		Commands:                  commands,
	}
}
