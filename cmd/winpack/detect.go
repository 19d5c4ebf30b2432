package main

import (
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
)

func detectCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "detect",
		Usage:     "say what an app is, what it needs, and which base image fits",
		UsageText: "winpack detect [APP] [flags]",
		Description: `Prints the report: the kind of the app, the base image with the reasons, what was rejected, and the
findings, each with the place where it was seen. Nothing is written, and no registry is asked.
--format json prints it as winpack/report/v1, and --format sarif the findings as SARIF 2.1.0.
--closure adds what the app loads and where each thing comes from: the proof of the choice of the image.`,
		Flags: append([]cli.Flag{
			stringFlag("format", "`FORMAT` text, json or sarif (default: text)"),
			boolFlag("closure", "", "list every DLL and assembly that the app loads, who asks for it, and who provides it:\napp, framework, base, nowhere or unknown"),
		}, commonFlags()...),
		Action: func(c *cli.Context) error {
			format, err := oneOf(c, "format", "text", "json", "sarif")
			if err != nil {
				return err
			}
			job, err := jobOf(c)
			if err != nil {
				return err
			}
			if _, err := configure(&job, time.Now(), e.stderr); err != nil {
				return err
			}
			job.Closure = c.Bool("closure")
			// The process ends soon, and collecting took a tenth of its time.
			debug.SetGCPercent(1000)
			debug.SetMemoryLimit(80 << 20)
			res := pipeline.Run(c.Context, job)
			if res.Report != nil {
				if err := printReport(e, c, format, job, *res.Report); err != nil {
					return err
				}
			}
			return res.Err
		},
	}
}

func printReport(e env, c *cli.Context, format string, job pipeline.Job, r report.Report) error {
	switch format {
	case "json":
		return writeJSON(e.stdout, r)
	case "sarif":
		set := result.One(&r)
		sum, err := summary.Of(set)
		if err != nil {
			return err
		}
		return writeSARIF(e.stdout, set, sum, job.App)
	}
	return r.Text(e.stdout, report.View{
		Color:   colorful(e.stdout, e.getenv),
		Quiet:   c.Bool("quiet"),
		Verbose: c.Bool("verbose"),
		Width:   wrapWidth(e.stdout),
		App:     job.App,
		Flags:   chosenBy(c),
		Windows: runtime.GOOS == "windows",
	})
}

// chosenBy are the flags that the choice of the image depends on, as words. Those that
// come from the environment are there for the next command too.
func chosenBy(c *cli.Context) []string {
	var words []string
	for _, name := range []string{"config", "os", "base"} {
		if isGiven(c, name) {
			words = append(words, "--"+name, c.String(name))
		}
	}
	for _, name := range []string{"app", "map", "limits", "mirror", "insecure-registry"} {
		if !isGiven(c, name) {
			continue
		}
		for _, value := range c.StringSlice(name) {
			words = append(words, "--"+name, value)
		}
	}
	return words
}

func writeJSON(w io.Writer, v any) error {
	data, err := report.JSON(v)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}
