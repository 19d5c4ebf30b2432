package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func buildCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "build",
		Usage:     "build the image of an app, and push or save it",
		UsageText: "winpack build [APP] -t REF --push [flags]",
		Description: `Detects, plans, builds and pushes in one go, without Docker and without Windows. Base layers stay where
they are: they are mounted or found in the registry, and copied across only where it has neither.

  winpack build ./site -t registry.example.com/site:1 --push
  winpack build ./site -o type=oci,dest=site.tar
  winpack build ./site -t registry.example.com/site:1 --push --os ltsc2019,ltsc2022,ltsc2025
  winpack build ./site -f Dockerfile -t registry.example.com/site:1 --push

-f builds a Dockerfile of your own: here, as BuildKit does, where its last stage takes nothing but files, else by
BuildKit or Docker. One that you edited in <name>.winpack is built by itself. --os and --base reach it through ARG
BASE; nothing is detected then.

What only Windows can do (a Windows feature, an installer, a RUN of your own) takes BuildKit or a Docker engine on
Windows, which --builder auto looks for: --buildkit-addr, --docker-host, or docker's context. winpack doctor says
what answers.

The same folder, base and flags give the same digest, by --builder direct. SOURCE_DATE_EPOCH caps file times.`,
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "tag", Aliases: []string{"t"}, Usage: "`REF` name of the image, like registry.example.com/site:1 (repeatable)"},
			boolFlag("push", "", "push to the registry that -t names; the same as -o type=registry"),
			boolFlag("load", "", "load one release, the engine's own, into the Docker engine; the same as -o type=docker"),
			&cli.StringSliceFlag{Name: "output", Aliases: []string{"o"}, Usage: "`SPEC` type=oci,dest=FILE[,tar=false][,base=sparse], type=docker[,dest=FILE], or type=registry\n(repeatable): tar=false adds to a folder, base=sparse names the base layers and stores none,\ntype=docker holds one release, as docker load takes it"},
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` build this Dockerfile instead of planning; the context is APP, or what winpack\nrecorded for a file that it wrote"},
			stringFlag("files", "`DIR` keep the Dockerfile and the helpers of what is planned and built in DIR"),
			boolFlag("dry-run", "", "resolve and compute everything, and write nothing; BuildKit and Docker are asked what they\nrun on, and build nothing"),
			sliceFlag("label", "`KEY=VALUE` label of the image (repeatable)"),
			sliceFlag("annotation", "`KEY=VALUE` annotation of the image (repeatable)"),
			sliceFlag("platform", "`PLATFORM` windows/amd64:10.0.BUILD or windows(10.0.BUILD)/amd64: build this release only\n(repeatable)"),
			stringFlag("iidfile", "`FILE` write the digest of the image to FILE"),
			stringFlag("metadata-file", "`FILE` write what was built to FILE, as JSON"),
			stringFlag("builder", "`NAME` auto, direct, buildkit or docker: direct where no step needs Windows, else a BuildKit\nworker or a Docker engine on Windows (default: auto)"),
			buildkitAddrFlag(), buildkitTLSFlag(), dockerHostFlag(),
			stringFlag("isolation", "`MODE` process or hyperv, of the build in a Docker engine (default: the engine's)"),
			boolFlag("no-cache", "", "have BuildKit or Docker do every step again; direct keeps none"),
			boolFlag("pull", "", "have BuildKit or Docker ask the registry for every image that -f names; of the base winpack\nalways asks"),
		}, commonFlags()...),
		Action: func(c *cli.Context) error {
			job, err := jobOf(c)
			if err != nil {
				return err
			}
			if c.Args().Len() == 0 && c.String("file") != "" {
				job.App = cmp.Or(pipeline.RecordedApp(c.String("file")), job.App)
			}
			shown, err := newProgress(c, e)
			if err != nil {
				return err
			}
			var notes strings.Builder
			settings, err := configure(&job, time.Now(), &notes)
			for note := range strings.Lines(notes.String()) {
				shown.tell("note", strings.TrimSpace(note))
			}
			if err != nil {
				return err
			}
			if dir, local := strings.CutPrefix(job.Base, "oci:"); local {
				if c.String("files") != "" {
					return usagef("--files: a Dockerfile can't name a folder, --base %q, as its base: leave one out", job.Base)
				}
				if _, err := layout.ImageIndexFromPath(dir); err != nil {
					return usagef("--base %q is no OCI layout, a folder with oci-layout and index.json: %w", job.Base, err)
				}
			}
			b, err := buildOf(c, e, settings)
			if err != nil {
				return err
			}
			b.Progress, b.Status = shown.event, shown.status
			b.Note = func(line string) { shown.tell("note", report.OneLine(line)) }
			b.Unused = settings.unused()
			job.Build = b
			job.Found = func(r report.Report) { printFindings(shown.tell, c, r) }
			debug.SetGCPercent(50)         // halves the peak, for a hundredth of the time
			debug.SetMemoryLimit(60 << 20) // beside the program itself; a folder of 400,000 names stays below
			res := pipeline.Run(c.Context, job)
			shown.close()
			if res.Image != nil {
				if c.Bool("quiet") { // else it stands beside the other releases
					printOmitted(shown.tell, c, res, res.Image.Omitted)
				}
				to := e.stdout
				if isOutput(b.Outputs, to) {
					to = e.stderr // nothing comes behind an image
				}
				err := printImage(to, c.Bool("quiet"), b, res)
				if res.Err == nil {
					res.Err = err
				}
			}
			return res.Err
		},
	}
}

// buildOf reads the flags that are build's own and refuses what makes no sense.
func buildOf(c *cli.Context, e env, settings *settingsFile) (*pipeline.Build, error) {
	b := &pipeline.Build{
		DryRun:       c.Bool("dry-run"),
		File:         c.String("file"),
		Files:        c.String("files"),
		IIDFile:      c.String("iidfile"),
		MetadataFile: c.String("metadata-file"),
	}
	var err error
	if b.References, err = references(c.StringSlice("tag")); err != nil {
		return nil, err
	}
	outputs := c.StringSlice("output")
	if c.Bool("load") {
		outputs = append(outputs, "type=docker")
	}
	if b.Outputs, b.Push, err = parseOutputs(outputs, c.Bool("push")); err != nil {
		return nil, err
	}
	switch {
	case b.DryRun && (b.IIDFile != "" || b.MetadataFile != ""):
		return nil, usagef("--dry-run writes no file: leave out --iidfile and --metadata-file")
	case b.IIDFile != "" && filepath.Clean(b.IIDFile) == filepath.Clean(b.MetadataFile):
		return nil, usagef("--iidfile and --metadata-file name the same file, %q", b.IIDFile)
	}
	if err := checkFiles(c, b); err != nil {
		return nil, err
	}
	for _, file := range []struct{ flag, path string }{{"iidfile", b.IIDFile}, {"metadata-file", b.MetadataFile}} {
		if c.IsSet(file.flag) && file.path == "" {
			return nil, usagef("--%s is empty: name a file", file.flag)
		}
		if file.path == "" {
			continue
		}
		if slices.ContainsFunc(b.Outputs, func(o build.Output) bool { return o.Dest != "" && filepath.Clean(o.Dest) == filepath.Clean(file.path) }) {
			return nil, usagef("--%s and -o name the same file, %q", file.flag, file.path)
		}
		if err := build.CheckFile(file.path); err != nil {
			return nil, usagef("--%s %q: %w", file.flag, file.path, err)
		}
	}
	if b.Labels, err = pairs("label", c.StringSlice("label")); err != nil {
		return nil, err
	}
	if b.Annotations, err = pairs("annotation", c.StringSlice("annotation")); err != nil {
		return nil, err
	}
	for _, value := range c.StringSlice("platform") {
		for platform := range strings.SplitSeq(value, ",") { // a list, as in buildx
			if _, err := build.ParsePlatform(platform); err != nil {
				return nil, usagef("--%w", err)
			}
			b.Platforms = append(b.Platforms, platform)
		}
	}
	if err := builders(c, e, b); err != nil {
		return nil, err
	}
	settings.build(b)
	if b.Push && len(b.References) == 0 {
		return nil, usagef("--push needs a name: -t registry.example.com/name:tag")
	}
	if b.Epoch, err = epoch(e.getenv("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	return b, nil
}

// checkFiles refuses what makes no sense of -f and --files.
func checkFiles(c *cli.Context, b *pipeline.Build) error {
	switch {
	case c.IsSet("file") && b.File == "":
		return usagef("-f is empty: name a Dockerfile")
	case b.File == "-":
		return usagef("-f - : winpack reads no Dockerfile from stdin: name a file")
	case c.IsSet("files") && b.Files == "":
		return usagef("--files is empty: name a folder")
	case b.Files != "" && b.File != "":
		return usagef("--files keeps the Dockerfile that winpack writes, and -f builds one that is there: leave one out")
	case b.Files != "" && b.DryRun:
		return usagef("--dry-run writes no file: leave out --files")
	}
	return nil
}

// references checks the values of -t and drops those that are given twice.
func references(values []string) ([]string, error) {
	var refs []string
	seen := map[string]bool{}
	for _, value := range values {
		if strings.Contains(value, "://") {
			return nil, usagef("-t %q: a reference has no scheme, like registry.example.com/name:tag", value)
		}
		if strings.Contains(value, "@") {
			return nil, usagef("-t %q: name a tag, the digest comes from the build", value)
		}
		tag, err := name.NewTag(value)
		if err != nil {
			return nil, usagef("-t %q is not an image reference like registry.example.com/name:tag: %w", value, err)
		}
		if !seen[tag.Name()] {
			seen[tag.Name()] = true
			refs = append(refs, value)
		}
	}
	return refs, nil
}

// pairs reads KEY=VALUE flags. As in docker, a label's KEY alone has an empty value.
func pairs(flag string, values []string) (map[string]string, error) {
	table := map[string]string{}
	for _, value := range values {
		key, v, whole := strings.Cut(value, "=")
		if key == "" || !whole && flag == "annotation" || key != strings.TrimSpace(key) {
			return nil, usagef("--%s %q is not KEY=VALUE", flag, value)
		}
		if kind, _, typed := strings.Cut(key, ":"); typed && flag == "annotation" {
			if kind == "index-descriptor" || strings.Contains(kind, "[") {
				return nil, usagef("--annotation %q: winpack takes the prefixes index, manifest and manifest-descriptor", value)
			}
		}
		if old, twice := table[key]; twice && old != v {
			return nil, usagef("--%s gives %q two values, %q and %q", flag, key, old, v)
		}
		table[key] = v
	}
	return table, nil
}

// epoch reads SOURCE_DATE_EPOCH: seconds since 1970
// (https://reproducible-builds.org/specs/source-date-epoch).
func epoch(value string) (*time.Time, error) {
	if value == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseUint(value, 10, 36)
	if err != nil {
		return nil, usagef("SOURCE_DATE_EPOCH %q is not a number of seconds since 1970, like the one of `git log -1 --format=%%ct`", value)
	}
	t := time.Unix(int64(seconds), 0).UTC()
	return &t, nil
}

// printFindings writes the findings of a command that makes something, and what
// could not be read, to stderr, one line each.
func printFindings(tell teller, c *cli.Context, r report.Report) {
	if c.Bool("quiet") {
		return
	}
	for _, f := range r.Findings {
		tell("finding", report.FindingLine(f))
	}
	for _, line := range report.ProblemLines(r.Problems, c.Bool("verbose")) {
		tell("problem", line)
	}
}

// printOmitted names the releases of the default that are left out, which is never
// silent. Those of the plan are among the findings, where these are printed.
func printOmitted(tell teller, c *cli.Context, res pipeline.Result, resolved []dockerfile.Omitted) {
	if c.Bool("quiet") && res.Plan != nil {
		resolved = append(slices.Clone(res.Plan.Omitted), resolved...)
	}
	seen := map[string]bool{}
	for _, o := range resolved {
		if !seen[o.OS] {
			seen[o.OS] = true
			tell("note", fmt.Sprintf("%s is left out: %s", o.OS, report.OneLine(o.Why)))
		}
	}
}

// isOutput says whether a file is one that an image is saved to.
func isOutput(outputs []build.Output, file *os.File) bool {
	own, err := file.Stat()
	return err == nil && slices.ContainsFunc(outputs, func(o build.Output) bool {
		info, err := os.Stat(o.Dest)
		return err == nil && o.Tar && os.SameFile(info, own)
	})
}

// printImage says what was built and where it is.
func printImage(w io.Writer, quiet bool, b *pipeline.Build, res pipeline.Result) error {
	image := res.Image
	if quiet {
		if image.Digest == "" { // of a dry run
			return nil
		}
		_, err := fmt.Fprintln(w, image.Digest)
		return err
	}
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	width := 0
	for _, r := range image.Releases {
		width = max(width, len(release(r.OS, r.OSVersion)))
	}
	for _, r := range image.Releases {
		digest := cmp.Or(r.Digest, r.ConfigDigest)
		if digest != "" {
			digest += "  "
		}
		line("%-*s  %son %s", width, release(r.OS, r.OSVersion), digest, report.Safe(cmp.Or(r.BaseReference, r.Base)))
	}
	for _, o := range image.Omitted {
		line("%-*s  left out: %s", width, o.OS, report.OneLine(o.Why))
	}
	where := "built"
	switch {
	case b.DryRun:
		where = "would be built"
	case image.Unchanged:
		where = "unchanged"
	case b.Push:
		where = "pushed"
	}
	switch {
	case image.Digest == "":
		line("%s by %s: the digest is known once it has built", where, image.Builder)
	case len(b.References) == 0 || !b.Push:
		line("%s: %s", where, image.Digest)
	default:
		for _, ref := range b.References {
			line("%s: %s@%s", where, report.Safe(ref), image.Digest)
		}
	}
	if res.Written != nil {
		for _, name := range res.Written.Names {
			line("%s", wrote(res.Written, name))
		}
	}
	if !b.DryRun {
		outputs := b.Outputs
		if len(outputs) == 0 && !b.Push { // as docker build does it
			outputs = []build.Output{{Type: "docker"}}
		}
		for _, o := range outputs {
			if o.Dest != "" {
				size := ""
				if info, err := os.Stat(o.Dest); err == nil && info.Mode().IsRegular() {
					size = " (" + bytesText(info.Size()) + ")"
				}
				line("saved: %s%s", report.Safe(o.Dest), size)
			} else {
				line("loaded into the Docker engine: %s", report.Safe(cmp.Or(strings.Join(image.References, ", "), "an image without a name (-t)")))
			}
		}
	}
	did := "%s read from registries, %s written to registries, in %s"
	if image.Builder != pipeline.BuilderDirect {
		did = "%s read from registries by winpack itself, %s written to registries, in %s"
	}
	line(did, bytesText(image.BytesRead), bytesText(image.BytesWritten), image.Took.Round(10*time.Millisecond))
	_, err := io.WriteString(w, text.String())
	return err
}

func release(os, version string) string {
	if os == "" {
		return version
	}
	return os + " " + version
}
