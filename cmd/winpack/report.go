package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/sarif"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
)

func reportCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "show saved results: text, json, csv, sarif or one HTML page",
		UsageText: "winpack report RESULTS [flags]",
		Description: `RESULTS is the folder that winpack batch wrote to, one of its results*.jsonl files, or a saved
"winpack detect --format json". Of a folder all results are shown together, and rows of the inventory
without a result and names with two are named. Nothing is written but by -o.

  winpack report out                               how far the apps are, what to do next, and a line for each
  winpack report out -v                            the findings of each app too
  winpack report out --format html -o apps.html    one page to look at and to hand on; it opens from disk
  winpack report out --format csv -o apps.csv      one row an app, for a spreadsheet
  winpack report out --format json                 winpack/summary/v1, for programs
  winpack report app.json --format sarif           the findings of one app, for code scanning

The exit code is 0 when the results could be shown, whatever became of the apps: 4 by --fail-on alone.
A line that is no result is named, the others are shown, and the exit code is 1.`,
		Flags: []cli.Flag{
			stringFlag("format", "`FORMAT` text, json, csv, sarif or html (default: text)"),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` where to write (default: stdout)"},
			stringFlag("fail-on", "`LEVEL` exit 4 when an app has a finding of that level or above:\nerror, warning or never (default: never)"),
			boolFlag("quiet", "q", "print less: with text one line for each app, and no notes on stderr"),
			boolFlag("verbose", "v", "print more: with text the findings of each app, and lists in full"),
		},
		Action: func(c *cli.Context) error {
			return showReport(c, e)
		},
	}
}

func showReport(c *cli.Context, e env) error {
	format, err := oneOf(c, "format", "text", "json", "csv", "sarif", "html")
	if err != nil {
		return err
	}
	failOn, err := oneOf(c, "fail-on", failOnLevels()...)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("quiet") && c.Bool("verbose"):
		return usagef("-q and -v exclude each other")
	case c.IsSet("output") && c.String("output") == "":
		return usagef("-o is empty: name a file, or leave it out for stdout")
	case c.NArg() == 0 || c.Args().First() == "":
		return usagef("RESULTS is missing: name the folder that winpack batch wrote to, or a saved result")
	case c.NArg() > 1:
		return usagef("one RESULTS at a time, and %d arguments were given: %s", c.NArg(), quoteAll(c.Args().Slice()))
	}
	path, output := c.Args().First(), c.String("output")
	if err := checkReportOutput(path, output); err != nil {
		return err
	}
	debug.SetGCPercent(400) // a report is read and soon dropped again
	sums := summary.NewBuilder()
	set, err := result.Open(path, func(r *result.Result) error {
		sums.Add(r)
		return c.Context.Err()
	})
	if err != nil {
		return resultsError(path, err)
	}
	defer set.Close()
	sum := sums.Finish(set)
	look := summary.View{Color: output == "" && colorful(e.stdout, e.getenv), Quiet: c.Bool("quiet"), Verbose: c.Bool("verbose")}
	err = writeReport(c.Context, e.stdout, output, func(w io.Writer) error {
		return renderReport(w, format, set, sum, look)
	})
	if err != nil {
		return err
	}
	if !look.Quiet && (format != "text" || output != "") {
		for _, note := range sum.Notes() {
			fmt.Fprintf(e.stderr, "note: %s\n", note)
		}
		if n := sum.LabelsWithoutColumn(); n > 0 && format == "csv" {
			fmt.Fprintf(e.stderr, "note: %d labels of the inventory have no column: there are too many\n", n)
		}
	}
	return reportVerdict(sum, failOn)
}

// renderReport writes results in a format. A saved report of one app is shown as
// detect shows it, in the formats that detect has.
func renderReport(w io.Writer, format string, set *result.Set, sum summary.Summary, look summary.View) error {
	one := set.Report
	switch {
	case format == "html":
		return sum.HTML(w, set)
	case format == "csv":
		return sum.CSV(w)
	case format == "sarif":
		return writeSARIF(w, set, sum, "")
	case format == "json" && one != nil:
		return writeJSON(w, one)
	case format == "json":
		return sum.JSON(w, set)
	case one != nil:
		view := report.View{App: "APP", Color: look.Color, Quiet: look.Quiet, Verbose: look.Verbose}
		if out, ok := w.(*os.File); ok {
			view.Width = wrapWidth(out)
		}
		return one.Text(w, view)
	}
	return sum.Text(w, set, look)
}

// writeSARIF writes the findings of a set. app is APP where it is one that the
// user gave; a path that says where this machine keeps it is not told.
func writeSARIF(w io.Writer, set *result.Set, sum summary.Summary, app string) error {
	log := sarif.Log{Version: buildVersion().Version, Rules: sum.Rules, Alone: set.Report != nil, Notes: sum.Notes(), Missing: set.Missing}
	if filepath.IsLocal(app) {
		log.Folder = filepath.ToSlash(app)
	}
	return log.Write(w, set.All())
}

// reportVerdict is the error that a report ends with once it is shown.
func reportVerdict(sum summary.Summary, failOn string) error {
	if n := len(sum.Problems) + sum.MoreProblems; n > 0 {
		text := sum.Problems[0].String()
		if n == 2 {
			text += " (and 1 more such line)"
		} else if n > 2 {
			text += fmt.Sprintf(" (and %d more such lines)", n-1)
		}
		return fmt.Errorf("not all results could be read: %s", text)
	}
	if n := sum.AtLeast(failOn); n > 0 {
		return &appsFoundError{failOn, n}
	}
	return nil
}

// appsFoundError says that apps have findings at or above the level of --fail-on.
type appsFoundError struct {
	level string
	apps  int
}

func (e *appsFoundError) Error() string {
	if e.apps == 1 {
		return fmt.Sprintf("--fail-on %s: 1 app has a finding of that level or above", e.level)
	}
	return fmt.Sprintf("--fail-on %s: %d apps have findings of that level or above", e.level, e.apps)
}

// resultsError says what is wrong with RESULTS and what to name in its place.
func resultsError(path string, err error) error {
	none := (*result.NoResultsError)(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return usagef("RESULTS %q does not exist: name the folder that winpack batch wrote to, or a saved result", path)
	case errors.As(err, &none):
		return usagef("RESULTS %q: %w", path, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	cure := ""
	if errors.Is(err, fs.ErrPermission) {
		cure = "; run winpack as a user that may read it"
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("reading RESULTS %q: %w%s", path, err, cure)
}

// checkReportOutput refuses to write over what is read.
func checkReportOutput(results, output string) error {
	if output == "" {
		return nil
	}
	to, err := os.Stat(output)
	if err != nil {
		if info, err := os.Stat(filepath.Dir(output)); err != nil || !info.IsDir() {
			return usagef("-o %q: there is no folder %q: make it first", output, filepath.Dir(output))
		}
		return nil // a new file, or one that fails later with a reason
	}
	if to.IsDir() {
		return usagef("-o %q is a folder: name a file in it", output)
	}
	inputs := []string{results}
	if list, err := os.ReadDir(results); err == nil {
		for _, entry := range list {
			if result.IsResultsName(entry.Name()) || entry.Name() == result.RowsName || entry.Name() == result.BatchName {
				inputs = append(inputs, filepath.Join(results, entry.Name()))
			}
		}
	}
	for _, in := range inputs {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, to) {
			return usagef("-o %q is a file of RESULTS: name another", output)
		}
	}
	return nil
}

// writeReport writes to stdout, or to a file that is there whole or not at all. A
// device or a pipe is written to as it is.
func writeReport(ctx context.Context, stdout *os.File, output string, write func(io.Writer) error) error {
	if output == "" {
		return write(ctxWriter{ctx, stdout})
	}
	fail := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = bareCause(err); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("writing %q: %w; name a place that you may write to with -o", output, err)
		}
		return fmt.Errorf("writing %q: %w", output, err)
	}
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(output, os.O_WRONLY, 0)
		if err != nil {
			return fail(err)
		}
		if err := errors.Join(write(ctxWriter{ctx, file}), file.Close()); err != nil {
			return fail(err)
		}
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+".*")
	if err != nil {
		return fail(err)
	}
	err = errors.Join(write(ctxWriter{ctx, file}), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), output)
	}
	if err != nil {
		os.Remove(file.Name())
		return fail(err)
	}
	return nil
}

// ctxWriter ends writing when ctx does.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c ctxWriter) Write(data []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(data)
}
