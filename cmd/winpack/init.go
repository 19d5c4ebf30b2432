package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func initCommand(e env) *cli.Command {
	// A winpack.toml that is there already is no part of what is detected.
	common := slices.DeleteFunc(commonFlags(), func(f cli.Flag) bool {
		return slices.Contains([]string{"config", "progress"}, f.Names()[0])
	})
	return &cli.Command{
		Name:      "init",
		Usage:     "write a commented winpack.toml from what was detected",
		UsageText: "winpack init [APP] [flags]",
		Description: `Writes each setting with the value that it has by itself, as a comment, and says where that was seen; the
findings stand in it as tables to accept them by. It changes nothing until a line loses its #. Settings that
are given as flags stand in the place of what winpack does by itself; what the environment says does not stand
in it. A file that is there is not overwritten without --force.

  winpack init ./site
  winpack init ./site --os ltsc2022 --stdout`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` where to write (default: APP/winpack.toml)"},
			boolFlag("stdout", "", "print it, and write nothing"),
			boolFlag("force", "", "overwrite a file that is there"),
		}, common...),
		Action: func(c *cli.Context) error {
			job, err := jobOf(c)
			if err != nil {
				return err
			}
			withoutEnvironment(c, &job)
			out, err := initOutput(c, job)
			if err != nil {
				return err
			}
			text, err := initText(c, job)
			if err != nil {
				return err
			}
			if c.Bool("stdout") {
				_, err := e.stdout.Write(text)
				return err
			}
			if err := writeNew(c.Context, out, text, c.Bool("force")); err != nil {
				return err
			}
			if !c.Bool("quiet") {
				_, err = fmt.Fprintf(e.stdout, "wrote %s\n", report.Safe(out))
			}
			return err
		},
	}
}

// withoutEnvironment takes out of a job what the environment says: that is of a machine,
// and the file is of the app.
func withoutEnvironment(c *cli.Context, job *pipeline.Job) {
	if !isGiven(c, "os") {
		job.OS = nil
	}
	if !isGiven(c, "base") {
		job.Base = ""
	}
	if !isGiven(c, "fail-on") {
		job.FailOn = ""
	}
	if !isGiven(c, "mirror") {
		job.Mirrors = nil
	}
	if !isGiven(c, "insecure-registry") {
		job.Insecure = nil
	}
}

// initOutput says where the file goes, and refuses what makes no sense.
func initOutput(c *cli.Context, job pipeline.Job) (string, error) {
	out := c.String("output")
	switch {
	case c.IsSet("output") && out == "":
		return "", usagef("-o is empty: name a file")
	case c.Bool("stdout") && c.IsSet("output"):
		return "", usagef("--stdout writes no file: leave -o out")
	case c.Bool("stdout") && c.Bool("force"):
		return "", usagef("--stdout writes no file, and --force has nothing to overwrite: leave one out")
	case strings.HasPrefix(job.Base, "oci:"):
		return "", usagef("--base %q: a path in winpack.toml is relative to that file: write it there by hand", job.Base)
	case out == "":
		return filepath.Join(job.App, configName), nil
	}
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return "", usagef("-o %q is a folder: name a file", out)
	}
	if info, err := os.Stat(filepath.Dir(out)); err != nil || !info.IsDir() {
		return "", usagef("-o %q: there is no folder %q: make it first", out, filepath.Dir(out))
	}
	return out, nil
}

// initText detects, plans, and writes what that gives as settings.
func initText(c *cli.Context, job pipeline.Job) ([]byte, error) {
	given := report.Given{OS: job.OS, Base: job.Base, FailOn: job.FailOn, Insecure: job.Insecure}
	for host, mirror := range job.Mirrors {
		given.Mirrors = append(given.Mirrors, host+"="+mirror)
	}
	slices.Sort(given.Mirrors)
	job.FailOn = "" // it stands in the file, and judges later
	job.OneApp = true
	res := pipeline.Run(c.Context, job)
	blocked := (*pipeline.BlockedError)(nil)
	if res.Err != nil && !errors.As(res.Err, &blocked) {
		return nil, res.Err
	}
	plan := dockerfile.Plan{}
	if res.Plan != nil {
		plan = *res.Plan
	}
	return res.Report.Settings(plan, given), nil
}

// writeNew writes a file that is not there yet; with force, in the place of one.
func writeNew(ctx context.Context, path string, data []byte, force bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("writing %q: %w", path, bareCause(err))
	case !force:
		return fmt.Errorf("%q is there already, and not overwritten without --force; --stdout prints what would stand in it", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("writing %q: something that is no regular file is in its place: remove it", path)
	}
	if !force { // holds the name, so that nobody else's file can be replaced
		holder, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("writing %q: %w; name a file in a folder that you may write to with -o", path, bareCause(err))
		}
		holder.Close()
	}
	if err := build.WriteFile(ctx, path, data); err != nil {
		if !force {
			os.Remove(path)
		}
		return err
	}
	return nil
}
