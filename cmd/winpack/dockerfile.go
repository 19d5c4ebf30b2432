package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func dockerfileCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "dockerfile",
		Usage:     "write a Dockerfile for an app, with its ignore file and helpers",
		UsageText: "winpack dockerfile [APP] [flags]",
		Description: `Writes into <name>.winpack beside APP, and prints the line that builds it by hand. A file that was edited
by hand is never overwritten without --force; text between the edit markers is yours and stays.

  winpack dockerfile ./site --stdout          only print the Dockerfile
  winpack dockerfile ./site --check           exit 4 when what is on disk is stale, for pipelines`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`DIR` where to write (default: <name>.winpack beside APP; APP itself is fine too)"},
			boolFlag("stdout", "", "print the Dockerfile, and write nothing"),
			boolFlag("force", "", "overwrite files that were edited by hand"),
			boolFlag("check", "", "write nothing, and exit 4 when what is on disk is stale"),
			boolFlag("pin", "", "name the base images by their digests too, which asks their registry"),
			stringFlag("prefer", "`WAY` no-run or fast-start: configure at container start, so that it builds anywhere, or\nby RUN, so that the container starts faster and the build needs Windows (default: no-run)"),
			stringFlag("format", "`FORMAT` text or json (default: text)"),
		}, commonFlags()...),
		Action: func(c *cli.Context) error {
			format, err := formatOf(c)
			if err != nil {
				return err
			}
			job, err := jobOf(c)
			if err != nil {
				return err
			}
			if job.Write, err = writeOf(c, format); err != nil {
				return err
			}
			if job.Prefer, err = oneOf(c, "prefer", dockerfile.PreferNoRun, dockerfile.PreferFastStart); err != nil {
				return err
			}
			if _, err := configure(&job, time.Now(), e.stderr); err != nil {
				return err
			}
			if strings.HasPrefix(job.Base, "oci:") {
				return usagef("--base %q: a Dockerfile can't name a folder as its base: use `winpack build`, or push that image to a registry", job.Base)
			}
			job.Found = func(r report.Report) { printFindings(e.tell, c, r) }
			res := pipeline.Run(c.Context, job)
			if res.Written != nil {
				printOmitted(e.tell, c, res, res.Written.Omitted)
			}
			if err := printWritten(e.stdout, format, c.Bool("quiet"), job.Write, res); err != nil {
				return err
			}
			return res.Err
		},
	}
}

// writeOf reads the flags that are dockerfile's own and refuses what makes no sense.
func writeOf(c *cli.Context, format string) (*pipeline.Write, error) {
	w := &pipeline.Write{Dir: c.String("output"), Render: c.Bool("stdout"), Check: c.Bool("check"), Force: c.Bool("force"), Pin: c.Bool("pin")}
	switch {
	case c.IsSet("output") && w.Dir == "":
		return nil, usagef("-o is empty: name a folder")
	case strings.HasPrefix(w.Dir, "type="):
		return nil, usagef("-o %q is an output of winpack build: winpack dockerfile takes a folder", w.Dir)
	case w.Render && w.Check:
		return nil, usagef("--stdout and --check exclude each other")
	case w.Render && w.Force:
		return nil, usagef("--stdout writes no file, and --force has nothing to overwrite: leave one out")
	case w.Check && w.Force:
		return nil, usagef("--check writes no file, and --force has nothing to overwrite: leave one out")
	case w.Render && format == "json":
		return nil, usagef("--stdout prints the Dockerfile alone: leave out --format json")
	}
	return w, nil
}

// written is what `winpack dockerfile --format json` prints.
type written struct {
	Schema   string         `json:"schema"`
	Dir      string         `json:"dir"`
	Context  string         `json:"context"`
	Files    []string       `json:"files"`
	Same     []string       `json:"unchanged"` // those of files that were so before
	Commands []string       `json:"commands"`  // build by hand, one for each Dockerfile
	Reasons  []string       `json:"reasons"`   // why there are several Dockerfiles
	Stale    []string       `json:"stale"`     // of --check
	Edited   []string       `json:"edited"`    // of --check
	Report   *report.Report `json:"report"`
}

func printWritten(w io.Writer, format string, quiet bool, asked *pipeline.Write, res pipeline.Result) error {
	done := res.Written
	if format == "json" && res.Report != nil {
		out := written{Schema: "winpack/dockerfile/v1", Files: []string{}, Same: []string{}, Commands: []string{}, Reasons: []string{}, Stale: []string{}, Edited: []string{}, Report: res.Report}
		if done != nil {
			out.Dir, out.Context = shown(done.Dir), shown(done.Context)
			out.Files, out.Commands = done.Names, done.Commands
			out.Same = append(out.Same, done.Same...)
			out.Reasons = append(out.Reasons, done.Reasons...)
			out.Stale = append(out.Stale, done.Stale...)
			out.Edited = append(out.Edited, done.Edited...)
		}
		return writeJSON(w, out)
	}
	if done == nil {
		return nil
	}
	if asked.Render {
		names := done.Dockerfiles()
		if len(names) != 1 {
			return usagef("--stdout prints one Dockerfile, and here each release has its own (%s): choose one with --os", strings.Join(done.Reasons, "; "))
		}
		_, err := w.Write(done.Content[names[0]])
		return err
	}
	if quiet {
		return nil
	}
	_, err := io.WriteString(w, writtenText(done, asked.Check, res))
	return err
}

func writtenText(done *pipeline.Written, check bool, res pipeline.Result) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if check {
		names := slices.Concat(done.Names, done.Stale) // stale may be files that the plan has no more
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			path := report.Safe(shown(filepath.Join(done.Dir, name)))
			switch {
			case slices.Contains(done.Stale, name):
				line("%s: stale", path)
			case slices.Contains(done.Edited, name):
				line("%s: edited by hand", path)
			default:
				line("%s: up to date", path)
			}
		}
		return b.String()
	}
	for _, name := range done.Names {
		line("%s", wrote(done, name))
	}
	for _, reason := range done.Reasons {
		line("There is a Dockerfile for each release: %s.", report.OneLine(reason))
	}
	line("")
	by := "Build it by hand with:"
	if res.Report.Needs.WindowsBuilder {
		line("Building it takes Windows:")
		for _, reason := range res.Report.Needs.Reasons {
			line("  %s", report.OneLine(reason))
		}
		if by = "Build it by hand with a Docker engine on Windows:"; done.Dir != done.Context {
			by = "Build it by hand with a BuildKit worker on Windows:"
		}
	}
	if plan := res.Plan; plan != nil && plan.GrantsInBuild() && !res.Report.Needs.WindowsBuilder {
		line("This Dockerfile grants write access by RUN, which takes Windows; winpack build does without.")
	}
	if done.Dir != done.Context {
		line("The classic builder of a Windows engine reads no Dockerfile.dockerignore and sends the whole context:")
		line("for it, write into the app's folder with -o.")
	}
	line("%s", by)
	for _, command := range done.Commands {
		line("  %s", report.Safe(command))
	}
	return b.String()
}

// wrote says whether a file had to be written.
func wrote(done *pipeline.Written, name string) string {
	path := report.Safe(shown(filepath.Join(done.Dir, name)))
	if slices.Contains(done.Same, name) {
		return "unchanged: " + path
	}
	return "wrote " + path
}

// shown is a path as a person would type it here.
func shown(path string) string { return pipeline.Shown(path) }
