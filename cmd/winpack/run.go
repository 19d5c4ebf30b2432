package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/dockerrun"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
	"github.com/winpack/winpack/pkg/build"
)

func runCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "print the docker run line of an image, or execute it",
		UsageText: "winpack run REF [flags]",
		Description: `Reads the configuration of an image in a registry, and prints one docker run line with its ports, the
variables that it wants (by name, never a value), volumes for what it writes, the graphics device where it
uses DirectX, and the isolation that the build of the host needs. Notes go to stderr.

  winpack run registry.example.com/site:1                      for this machine, where it is a Windows one
  winpack run registry.example.com/site:1 --host 10.0.BUILD    for another one; ver shows its build there

Exit code 1 says that the host runs the image under no isolation, and why. Where the host is not known, because
this is no Windows machine and there is no --host, the line names no isolation, and a note says so.`,
		Flags: []cli.Flag{
			stringFlag("host", "`BUILD` Windows build of another host, like 10.0.BUILD, 10.0.BUILD.REVISION or BUILD alone"),
			boolFlag("exec", "", "execute the line; the container has stdin, stdout and stderr"),
			sliceFlag("mirror", "`HOST=MIRROR` read HOST/... from MIRROR/...; the line still names HOST (repeatable)"),
			sliceFlag("insecure-registry", "`HOST` allow plain http to this registry; HOST includes the port (repeatable)"),
			boolFlag("quiet", "q", "print no notes"),
		},
		Action: func(c *cli.Context) error {
			line, err := runLine(c)
			if err != nil {
				return err
			}
			if !c.Bool("quiet") {
				for _, note := range line.Notes {
					fmt.Fprintln(e.stderr, "note: "+report.OneLine(note))
				}
			}
			if !c.Bool("exec") {
				_, err := fmt.Fprintln(e.stdout, report.OneLine(line.String()))
				return err
			}
			if !c.Bool("quiet") {
				fmt.Fprintln(e.stderr, report.OneLine(line.String()))
			}
			return execute(c.Context, e, line.Args)
		},
	}
}

func runLine(c *cli.Context) (dockerrun.Line, error) {
	if c.NArg() != 1 {
		return dockerrun.Line{}, usagef("winpack run takes one image reference, like registry.example.com/name:tag, and %d were given", c.NArg())
	}
	reference := c.Args().First()
	if strings.Contains(reference, "://") {
		return dockerrun.Line{}, usagef("REF %q: a reference has no scheme, like registry.example.com/name:tag", reference)
	}
	if _, err := name.ParseReference(reference); err != nil {
		return dockerrun.Line{}, usagef("REF %q is not an image reference like registry.example.com/name:tag: %w", reference, err)
	}
	var reg build.Registry
	var err error
	if reg.Mirrors, err = mirrorTable(c.StringSlice("mirror")); err != nil {
		return dockerrun.Line{}, usagef("--%w", bare(err))
	}
	if reg.Insecure, err = insecureHosts(c); err != nil {
		return dockerrun.Line{}, err
	}
	reg.Keychain = build.Keychain()
	table, err := winhost.Load()
	if err != nil {
		return dockerrun.Line{}, err
	}
	host, err := hostOf(c, table)
	if err != nil {
		return dockerrun.Line{}, err
	}
	image, err := build.Inspect(c.Context, reg, reference)
	if c.Context.Err() != nil {
		return dockerrun.Line{}, c.Context.Err()
	}
	if err != nil {
		return dockerrun.Line{}, err
	}
	return dockerrun.New(reference, image, host, table)
}

// hostOf is the machine that the line is for: that of --host or this one; nil
// where this one does not run Windows.
func hostOf(c *cli.Context, table *winhost.Table) (*winhost.Host, error) {
	if c.IsSet("host") {
		b, err := winhost.ParseBuild(c.String("host"))
		if err != nil {
			return nil, usagef("--host %w", err)
		}
		h := table.Server(b)
		return &h, nil
	}
	b, client, ok := thisWindows()
	if !ok {
		return nil, nil
	}
	h := table.Host(b, client)
	return &h, nil
}

// execute runs docker, and waits for the container. A failure of either is an
// error of its own: what the app ends with is no exit code of winpack's.
func execute(ctx context.Context, e env, args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return errors.New("executing docker run: there is no docker in PATH; leave out --exec, and type the line where docker is")
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, e.stdout, e.stderr
	// docker stops the container itself where it is interrupted. On Windows it
	// hears the console's Ctrl+C by itself, and no other signal exists.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("executing docker run: it ended with %s, which is docker's own code or that of the app", exit)
	} else if err != nil {
		return fmt.Errorf("executing docker run: %w", err)
	}
	return nil
}
