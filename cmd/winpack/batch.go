package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
)

func batchCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "batch",
		Usage:     "detect, write and build many apps, and go on where it ended",
		UsageText: "winpack batch INVENTORY [flags]",
		Description: `INVENTORY is a .csv file with a header, a .toml file of [[app]] tables, a .jsonl file with an object a line, or a
folder that is searched for apps. Columns: name, source (relative to the inventory), and where they are needed
tag, os, base, config, owner; others are kept as labels. What a row says comes before flags.

  winpack batch apps.csv                                                    look at each, and write its Dockerfile
  winpack batch apps.csv --push --tag-template 'registry.example.com/apps/{{.Name}}:1'
  winpack batch /srv/sites -o results --build

Every app gives one line of DIR/results.jsonl, and DIR/apps/NAME its files, with build.txt that says how to build
them by hand; "winpack report DIR" shows them. The same command goes on where it was stopped, killed or
interrupted. A row is done again when its app, its row or its settings have changed, with --build or --push when
that was not done yet, and with --retry-failed when it failed. A run that only looks leaves what was built alone.

Several machines share the rows. N has to be said, and each runs the same command line:

  GitLab (parallel: 20), Azure Pipelines (strategy: parallel: 20):   --shard auto
  Kubernetes (completionMode: Indexed, completions: 20):             --shard /20
  elsewhere, from 0:                                                 --shard 3/20

With backoffLimitPerIndex a pod that ended by 1 starts again and goes on. Exit codes: 1 if an app failed, 4 if
--fail-on is reached (a blocked app counts), else 0; an app that can't run in a container is a result.`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`DIR` where results and files go (default: <name>.batch beside INVENTORY)"},
			stringFlag("jobs", "`N` how many apps at a time (default: the number of CPUs)"),
			stringFlag("shard", "`I/N` do one part of N, counted from 0; /N takes I from JOB_COMPLETION_INDEX,\nand auto both from GitLab or Azure Pipelines. WINPACK_SHARDS=N is --shard /N"),
			boolFlag("build", "", "build each image; without --push into DIR/apps/NAME/image, without base layers"),
			boolFlag("push", "", "build each image, and push it"),
			stringFlag("tag-template", "`T` name of the images of rows without a tag, a Go template over .Name and .Kind"),
			stringFlag("retry", "`N` how often to try again what a registry or the network broke (default: 0)"),
			boolFlag("retry-failed", "", "do rows again that failed in an earlier run"),
		}, slices.DeleteFunc(commonFlags(), func(f cli.Flag) bool { return f.Names()[0] == "app" })...), // a column names it
		Action: func(c *cli.Context) error {
			b, err := newBatch(c, e)
			if err != nil {
				return err
			}
			return b.run(c.Context)
		},
	}
}

// batch is one run of winpack batch.
type batch struct {
	env   env
	base  pipeline.Job // what flags say for all rows
	level string       // of --fail-on or --config, "" where neither says
	today time.Time
	epoch *time.Time

	builders                    pipeline.Builders
	build, push, quiet, verbose bool
	retry, jobs                 int
	retryFailed                 bool
	tags                        *inventory.Template // nil for none
	tagText                     string
	shard                       inventory.Shard

	dir     string // absolute
	inv     *inventory.Inventory
	command result.Batch
	show    *tally
	store   *result.Store
	refs    owners
	files   configFiles
}

// newBatch reads the flags and the inventory. Nothing is written yet.
func newBatch(c *cli.Context, e env) (*batch, error) {
	if c.Args().Len() == 0 {
		return nil, usagef("name the inventory: a .csv, .toml or .jsonl file, or a folder to search for apps")
	}
	b := &batch{
		env: e, today: time.Now(), quiet: c.Bool("quiet"), verbose: c.Bool("verbose"),
		push: c.Bool("push"), build: c.Bool("build") || c.Bool("push"), retryFailed: c.Bool("retry-failed"),
	}
	var err error
	if b.base, err = jobOf(c); err != nil {
		return nil, err
	}
	path := b.base.App
	if b.jobs, err = count(c, "jobs", runtime.GOMAXPROCS(0), 1, 1024); err != nil {
		return nil, err
	}
	if b.retry, err = count(c, "retry", 0, 0, 100); err != nil {
		return nil, err
	}
	if b.epoch, err = epoch(e.getenv("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	var built pipeline.Build // there is no flag for it: the environment says, and winpack.toml
	if err := builders(c, e, &built); err != nil {
		return nil, err
	}
	b.builders = built.Builders
	if b.shard, err = shardOf(c, e.getenv); err != nil {
		return nil, err
	}
	if b.tagText = c.String("tag-template"); b.tagText != "" {
		if b.tags, err = inventory.ParseTemplate(b.tagText); err != nil {
			return nil, usagef("--tag-template %q: %w", b.tagText, err)
		}
	} else if c.IsSet("tag-template") {
		return nil, usagef("--tag-template is empty: write it like registry.example.com/apps/{{.Name}}:1")
	}
	if b.show, err = newTally(c, e); err != nil {
		return nil, err
	}
	if b.dir, err = batchDir(c, path); err != nil {
		return nil, err
	}
	if err := b.base.CheckReleases(); err != nil && b.base.Config == "" { // else the catalogue may be another
		return nil, &pipeline.UsageError{Err: err}
	}
	b.level = b.base.FailOn
	if b.base.Config != "" { // where it is wrong it is so for every row
		probe := b.base
		if _, err := configureRow(&probe, b.today, e.stderr); err != nil {
			return nil, err
		}
		b.level = probe.FailOn
	}
	if b.inv, err = b.read(path); err != nil {
		return nil, err
	}
	b.command = commandOf(c, path)
	return b, nil
}

// commandOf is the command line without what says how it is done: what a report
// names to be run next.
func commandOf(c *cli.Context, inventory string) result.Batch {
	b := result.Batch{Inventory: inventory, Output: c.String("output"), Options: []string{}, Build: []string{}}
	add := func(list *[]string, flag string, values ...string) {
		for _, v := range values {
			if c.IsSet(flag) {
				*list = append(*list, "--"+flag, v)
			}
		}
	}
	for _, flag := range []string{"config", "os", "base", "fail-on", "retry"} {
		add(&b.Options, flag, c.String(flag))
	}
	for _, flag := range []string{"mirror", "insecure-registry"} {
		add(&b.Options, flag, c.StringSlice(flag)...)
	}
	switch {
	case c.Bool("push"):
		b.Build = append(b.Build, "--push")
	case c.Bool("build"):
		b.Build = append(b.Build, "--build")
	}
	if len(b.Build) > 0 {
		add(&b.Build, "tag-template", c.String("tag-template"))
	}
	return b
}

// count reads a flag that is a number.
func count(c *cli.Context, flag string, value, low, high int) (int, error) {
	if !c.IsSet(flag) {
		return value, nil
	}
	n, err := strconv.Atoi(c.String(flag))
	if err != nil || n < low || n > high {
		return 0, usagef("--%s takes a number from %d to %d, not %q", flag, low, high, c.String(flag))
	}
	return n, nil
}

// shardOf reads --shard, or WINPACK_SHARDS.
func shardOf(c *cli.Context, getenv func(string) string) (inventory.Shard, error) {
	text, what := c.String("shard"), "--shard"
	if n := getenv("WINPACK_SHARDS"); !c.IsSet("shard") && n != "" {
		text, what = "/"+n, "WINPACK_SHARDS"
	} else if !c.IsSet("shard") {
		return inventory.Shard{}, nil
	}
	shard, err := inventory.ParseShard(text, getenv)
	if err != nil {
		return shard, usagef("%s %w", what, err)
	}
	return shard, nil
}

// batchDir is where results go, absolute.
func batchDir(c *cli.Context, inv string) (string, error) {
	dir := c.String("output")
	if c.IsSet("output") && dir == "" {
		return "", usagef("-o is empty: name a folder")
	}
	absolute, err := filepath.Abs(inv)
	if err != nil {
		return "", usagef("the inventory %q: %w", inv, err)
	}
	if dir == "" {
		name := filepath.Base(absolute)
		if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
			name = strings.TrimSuffix(name, filepath.Ext(name))
		}
		dir = filepath.Join(filepath.Dir(absolute), name+".batch")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", usagef("-o %q: %w", dir, err)
	}
	switch info, err := os.Stat(dir); {
	case err == nil && !info.IsDir():
		return "", usagef("-o %q is a file: name a folder", dir)
	case err == nil && sameFile(dir, absolute):
		return "", usagef("-o %q is the folder that is searched for apps: name another", dir)
	}
	return dir, nil
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// read reads the inventory. Bad rows are told one by one, and end the batch.
func (b *batch) read(path string) (*inventory.Inventory, error) {
	tell := func(p inventory.Problem) { fmt.Fprintln(b.env.stderr, report.MaskLogins(report.OneLine(p.String()))) }
	skip := b.dir
	if real, err := filepath.EvalSymlinks(skip); err == nil {
		skip = real
	}
	inv, err := inventory.Read(path, inventory.Options{
		Template: b.tags, NeedReference: b.push, Skip: []string{skip}, Check: b.checkRow, Bad: tell,
		Note: func(p inventory.Problem) { p.Message = "note: " + p.Message; tell(p) },
	})
	if errors.As(err, new(*inventory.Error)) {
		return nil, usagef("%w", err)
	}
	if err != nil {
		return nil, err
	}
	if inv.Bad > 0 {
		rows := "rows"
		if inv.Bad == 1 {
			rows = "row"
		}
		return nil, usagef("the inventory %q has %d bad %s: nothing was done", path, inv.Bad, rows)
	}
	return inv, nil
}

// checkRow refuses values that can't be meant, before anything is done.
func (b *batch) checkRow(r inventory.Row, source string) error {
	if len(r.OS) > 0 {
		list, err := releaseList(strings.Join(r.OS, ","))
		if err == nil && b.base.Config == "" && r.Config == "" {
			// A configuration may name a catalogue of its own, and so may the app's.
			if _, own := os.Stat(filepath.Join(source, configName)); own != nil {
				err = (pipeline.Job{OS: list}).CheckReleases()
			}
		}
		if err != nil {
			return fmt.Errorf("os: %w", bare(err))
		}
	}
	if r.Base != "" {
		if err := checkBase(r.Base); err != nil {
			return bare(err)
		}
	}
	return nil
}

// mine are the rows of this shard.
func (b *batch) mine() []int {
	var rows []int
	for i := range b.inv.Rows {
		if b.shard.Holds(b.inv.Rows[i].Name) {
			rows = append(rows, i)
		}
	}
	return rows
}

// appsFailedError says that apps failed; the exit code is 1. Why is told where each
// failed, and stands in the results.
type appsFailedError struct {
	failed, all int
	here        int    // of this run
	gone        int    // of rows that left the inventory
	results     string // file that says why
}

func (e *appsFailedError) Error() string {
	when := ""
	switch {
	case e.here == 0:
		when = " in earlier runs or other shards"
	case e.here < e.failed:
		when = fmt.Sprintf(", %d of them in earlier runs or other shards", e.failed-e.here)
	}
	cure := "does them again"
	switch {
	case e.gone == e.failed:
		cure = "drops what is no row of the inventory any more"
	case e.gone > 0:
		cure += fmt.Sprintf(", or drops those that are no row of the inventory any more (%d)", e.gone)
	}
	return fmt.Sprintf("%d of %s failed%s: %q says why, and --retry-failed %s", e.failed, apps(e.all), when, e.results, cure)
}

// appsReachedError says that --fail-on is reached.
type appsReachedError struct{ findings, blocked int }

func (e *appsReachedError) Error() string {
	var what []string
	if e.findings > 0 {
		what = append(what, apps(e.findings)+" with findings")
	}
	if e.blocked > 0 {
		what = append(what, apps(e.blocked)+" blocked")
	}
	return "--fail-on is reached: " + strings.Join(what, ", ")
}

func apps(n int) string {
	if n == 1 {
		return "1 app"
	}
	return fmt.Sprintf("%d apps", n)
}

// inside says whether a path lies in a folder, links resolved.
func inside(dir, path string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if p, err := filepath.EvalSymlinks(path); err == nil {
		path = p
	}
	rel, err := filepath.Rel(real, path)
	return err == nil && filepath.IsLocal(rel)
}
