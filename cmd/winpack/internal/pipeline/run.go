package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Job is one app and what is to be done with it.
type Job struct {
	App    string       // path of the folder
	Apps   []string     // which of its apps, by name; empty: all
	Maps   []detect.Map // where folders of the server lie in APP
	Limits detect.Limits
	Config string // winpack.toml named by the user; empty: APP/winpack.toml where it exists

	OS          []string // releases that were asked for; empty: the default
	Base        string   // base image that was asked for
	Prefer      string   // dockerfile.PreferNoRun, ...
	Settings    dockerfile.Settings
	Trees       map[string]string // absolute folders that Settings.Files name by their Tree
	Accept      []Accept
	CatalogFile string   // name of further catalog rows, for errors
	CatalogData []byte   // the rows
	Own         []string // files of the configuration, which are no part of the app wherever they lie
	FailOn      string   // "error", "warning", or "never" (empty too)

	Mirrors  map[string]string // HOST to MIRROR
	Insecure []string          // hosts that are spoken to over plain http

	// Found is called with the report before anything is written or built.
	Found func(report.Report)

	Closure bool // Report.Closure is wanted
	// Learned is what is known of base images by their contents; nil for nothing.
	Learned *Learned

	Write *Write // write the Dockerfile
	Build *Build // build the image, after it is written
	// NeedPlan asks for a plan alone: an app that gives none is an error, as it is
	// where something is written or built.
	NeedPlan bool
	// OneApp says that the job is about one app: a folder with several is wrong usage.
	OneApp bool
	// Session is what this build shares with those of other jobs; nil for none.
	Session *build.Session
}

// Accept is a rule whose findings the user takes upon himself.
type Accept struct {
	Rule, Reason string
	// At is where that stands; nil where it is for other apps too.
	At *detect.Evidence
}

// Result is what became of a job. What was not reached is nil or empty.
type Result struct {
	Report  *report.Report
	Plan    *dockerfile.Plan
	Written *Written
	Image   *Image
	Err     error

	omitted []dockerfile.Omitted // before the builder was asked
}

// Run takes one app from start to finish. It never panics on what an app holds,
// and where it fails the Result has what was found until then.
func Run(ctx context.Context, job Job) (res Result) {
	defer func() {
		if p := recover(); p != nil {
			res.Err = fmt.Errorf("internal error: %v; please report it", p)
		}
	}()
	res.Err = res.run(ctx, job)
	return res
}

func (res *Result) run(ctx context.Context, job Job) error {
	if job.Build != nil && job.Build.File != "" {
		return res.runFile(ctx, job)
	}
	absolute, err := filepath.Abs(job.App)
	if err != nil {
		return Usagef("APP %q: %w", job.App, err)
	}
	o, err := job.open(absolute)
	if err != nil {
		return err
	}
	defer o.close()
	if o.zip != nil {
		job.Write = nil // it is optional: a zip has no folder to copy from
	}
	go dockerfile.LoadCatalog() // parses meanwhile what makePlan asks for
	left, err := dockerfile.IgnoreFS(o.look, job.Settings.Ignore)
	if err != nil {
		return &UsageError{err}
	}
	options, err := job.detectOptions(appName(absolute))
	if err != nil {
		return err
	}
	found, err := detect.Inspect(ctxFS{ctx, left}, options)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return readError(job.App, err)
	}
	found.Problems = append(found.Problems, o.skipped()...)
	job.blameIgnore(&found)
	if found, err = job.choose(found); err != nil {
		return err
	}
	if len(found.Apps) > 0 {
		return res.several(job, o, ctxFS{ctx, left}, absolute, found)
	}
	at, err := job.placeOf(o, left, absolute, found)
	if err != nil {
		return err
	}
	defer at.close()
	return res.app(ctx, job, at, found)
}

// app does what the job asks for with one app.
func (res *Result) app(ctx context.Context, job Job, at *place, found detect.Report) (err error) {
	o, left, absolute := at.files, at.left, at.absolute
	job.Settings.Ignore = at.ignore
	if w := job.Write; w != nil && w.Dir == "" {
		there := *w
		there.Dir, there.byDefault = at.dir, true
		job.Write = &there
	}
	edited := editedFile{}
	if job.Build != nil && o.zip == nil {
		if edited, err = findEdited(at.dir, absolute, job.OS); err != nil {
			return err
		}
		if edited.path != "" && job.Build.Files != "" {
			return Usagef("--files keeps what winpack writes, and %q was edited by hand and is what is built: leave --files out, or remove that file", Shown(edited.path))
		}
	}
	plan, planErr := makePlan(found, job, ctxFS{ctx, left})
	blocked := (*dockerfile.BlockedError)(nil)
	if edited.path != "" && !errors.As(planErr, &blocked) {
		planErr = nil // the plan is not what is built
	}
	if isUsage(planErr) {
		return planErr
	}
	if job.Build != nil && edited.path == "" { // else the Dockerfile's own findings have them
		plan.Findings = append(plan.Findings, dockerfile.LabelFindings(job.Build.Labels)...)
	}
	if planErr == nil && edited.path == "" {
		job.unusedAccepts(found, &plan)
	}
	if planErr == nil {
		res.Plan = &plan
	}
	res.report(job, found, plan, whyNone(planErr))
	if job.Found != nil {
		job.Found(*res.Report)
	}
	if job.Build != nil && job.Write == nil {
		if err := res.checkBuild(job, edited.path == ""); err != nil {
			return err
		}
	}
	if job.Write != nil && planErr != nil {
		if err := refuseOverwrite(job.Write, absolute); err != nil {
			return err
		}
	}
	if err := res.verdict(planErr, job); err != nil {
		return err
	}
	if job.Write != nil && planErr == nil && edited.path == "" { // else nothing was planned
		if err := res.write(ctx, job, absolute, *o.folder, left, found); err != nil {
			return err
		}
	}
	if err := res.failOn(job.FailOn); err != nil || job.Build == nil {
		return err
	}
	if job.Write != nil { // written even where this builder can't do it
		if err := res.checkBuild(job, edited.path == ""); err != nil {
			return err
		}
	}
	if b := job.Build; b.Refer != nil {
		ref, err := b.Refer(res.Report.App.Kind)
		if err != nil {
			return err
		}
		b.References = []string{ref}
	}
	if edited.path != "" {
		return res.buildEdited(ctx, job, edited)
	}
	if job.Build.Files != "" {
		if err := res.keepFiles(ctx, job, absolute, *o.folder, left, found); err != nil {
			return err
		}
	}
	return res.build(ctx, job, o.files)
}

// whyNone says why there is no base image; empty where there is one.
func whyNone(planErr error) string {
	switch {
	case planErr == nil:
		return ""
	case errors.As(planErr, new(*dockerfile.BlockedError)):
		return "none is chosen: the app can't run in a Windows container"
	}
	return planErr.Error()
}

// report joins what was found and planned.
func (res *Result) report(job Job, found detect.Report, plan dockerfile.Plan, why string) {
	joined := report.New(found, plan, why)
	job.accept(&joined)
	res.Report = &joined
}

// accept marks the findings that the user takes upon himself.
func (job Job) accept(r *report.Report) {
	for i, f := range r.Findings {
		for _, a := range job.Accept {
			if a.Rule == f.Rule {
				r.Findings[i].Accepted = a.Reason
			}
		}
	}
}

// blameIgnore has the finding of a folder without files name the patterns that may have
// emptied it: detection sees what they leave.
func (job Job) blameIgnore(found *detect.Report) {
	if len(job.Settings.Ignore) == 0 {
		return
	}
	for i, f := range found.Findings {
		if f.Rule != ruleEmpty {
			continue
		}
		found.Findings[i].Message = "No file of the folder is left: it is empty, or ignore takes out all of it."
		found.Findings[i].Remedy = "Narrow the patterns of ignore (a later !PATTERN brings back), or name the folder that holds the built application."
		if at, ok := job.Settings.Places["ignore"]; ok {
			found.Findings[i].Evidence = []detect.Evidence{at}
		}
	}
}

// ruleEmpty is detection's rule of a folder that holds no file.
const ruleEmpty = "WP1007"

// unusedAccepts adds a note for each rule that is accepted and of which there is nothing.
func (job Job) unusedAccepts(found detect.Report, plan *dockerfile.Plan) {
	has := map[string]bool{}
	for _, f := range slices.Concat(found.Findings, plan.Findings) {
		has[f.Rule] = true
	}
	for _, a := range job.Accept {
		if a.At != nil && !has[a.Rule] {
			plan.Findings = append(plan.Findings, dockerfile.UnusedAcceptance(a.Rule, *a.At))
		}
	}
}

// catalog is winpack's own, with the user's rows.
func (job Job) catalog() (dockerfile.Catalog, error) {
	catalog, err := dockerfile.LoadCatalog()
	if err == nil && job.CatalogFile != "" {
		if catalog, err = catalog.With(job.CatalogData, job.CatalogFile); err != nil {
			err = &UsageError{err}
		}
	}
	return catalog, err
}

// CheckReleases says whether the releases that were asked for are known and not
// retired.
func (job Job) CheckReleases() error {
	catalog, err := job.catalog()
	if err != nil {
		return err
	}
	return catalog.CheckReleases(job.OS)
}

// makePlan decides on base and steps. Beside an error the plan holds what was
// found until then.
func makePlan(found detect.Report, job Job, app fs.FS) (dockerfile.Plan, error) {
	trees, done, err := openTrees(job.Trees)
	if err != nil {
		return dockerfile.Plan{}, err
	}
	defer done()
	catalog, err := job.catalog()
	if err != nil {
		return dockerfile.Plan{}, err
	}
	options := dockerfile.Options{OS: job.OS, OSAsked: len(job.OS) > 0, Base: job.Base, Prefer: job.Prefer, Settings: job.Settings, App: app, Trees: trees}
	for _, a := range job.Accept {
		options.Accepted = append(options.Accepted, a.Rule)
	}
	plan, err := dockerfile.New(found, catalog, options)
	usage, release := (*dockerfile.UsageError)(nil), (*dockerfile.UnknownReleaseError)(nil)
	if errors.As(err, &usage) || errors.As(err, &release) {
		err = &UsageError{err}
	}
	return plan, err
}

func isUsage(err error) bool {
	usage := (*UsageError)(nil)
	return errors.As(err, &usage)
}

// verdict decides whether the job can go on. For a job that only detects it is an
// answer not to know the app, to find a program whose name Windows forbids, or to have
// no base image, unless a release was asked for by name.
func (res *Result) verdict(planErr error, job Job) error {
	var (
		blocked *dockerfile.BlockedError
		unknown *dockerfile.UnknownKindError
		noImage *dockerfile.NoImageError
		nothing *dockerfile.NoRuntimeError
		source  *dockerfile.SourceError
		name    *dockerfile.AppNameError
	)
	detectOnly := (job.Write == nil || job.Write.Optional) && job.Build == nil && !job.NeedPlan
	switch {
	case planErr == nil, errors.As(planErr, &blocked):
	case detectOnly && (errors.As(planErr, &unknown) || errors.As(planErr, &name) || errors.As(planErr, &nothing) || errors.As(planErr, &source)):
	case detectOnly && errors.As(planErr, &noImage) && len(job.OS) == 0:
	default:
		return planErr
	}
	if blockers := res.Report.Blockers(); len(blockers) > 0 {
		return &BlockedError{blockers}
	}
	if blocked != nil {
		return &BlockedError{[]detect.Finding{{Message: blocked.Error()}}}
	}
	return nil
}

func (res *Result) failOn(level string) error {
	if level == "" || level == "never" {
		return nil
	}
	if findings := res.Report.AtLeast(detect.Level(level)); len(findings) > 0 {
		return &FindingsError{level, findings}
	}
	return nil
}

// ctxFS ends reading when ctx does.
type ctxFS struct {
	ctx context.Context
	fs.FS
}

func (c ctxFS) Open(name string) (fs.File, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	return c.FS.Open(name)
}

func (c ctxFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	return fs.ReadDir(c.FS, name)
}

// ListDir implements detect.Lister.
func (c ctxFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return detect.ListDir(c.FS, name, visit)
}

func (c ctxFS) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(c.FS, name) }
func (c ctxFS) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(c.FS, name) }
func (c ctxFS) ReadLink(name string) (string, error)   { return fs.ReadLink(c.FS, name) }
