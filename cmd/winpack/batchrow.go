package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// configureRow is configure for a job whose tables are shared with other rows.
func configureRow(job *pipeline.Job, today time.Time, notes io.Writer) (*settingsFile, error) {
	job.Mirrors = maps.Clone(job.Mirrors)
	job.Insecure = slices.Clip(job.Insecure)
	return configure(job, today, notes)
}

// elsewhere refuses paths that only another machine has.
func (b *batch) elsewhere(r inventory.Row) error {
	base, _ := strings.CutPrefix(r.Base, "oci:")
	for _, x := range []struct{ column, path string }{{"source", r.Source}, {"config", r.Config}, {"base", base}} {
		if b.inv.Elsewhere(x.path) {
			// Without the doubled backslashes of %q: the inventory has no line breaks.
			return fmt.Errorf(`%s "%s" is a path of a Windows machine, and this is none: run winpack batch there, or copy the folder here and name it relative to the inventory`, x.column, x.path)
		}
	}
	return nil
}

// configured is the job of a row with its configuration read.
func (b *batch) configured(r inventory.Row, notes io.Writer) (job pipeline.Job, settings *settingsFile, err error) {
	if err := b.elsewhere(r); err != nil {
		return job, nil, err
	}
	job = b.base
	job.App = b.inv.Resolve(r.Source)
	if r.App != "" {
		job.Apps = []string{r.App}
	}
	if len(r.OS) > 0 {
		if job.OS, err = releaseList(strings.Join(r.OS, ",")); err != nil {
			return job, nil, err
		}
	}
	if r.Base != "" {
		job.Base = r.Base
		if dir, local := strings.CutPrefix(r.Base, "oci:"); local {
			job.Base = "oci:" + b.inv.Resolve(dir)
		}
	}
	if r.Config != "" {
		job.Config = b.inv.Resolve(r.Config)
	}
	settings, err = configureRow(&job, b.today, notes)
	return job, settings, err
}

// failOn is the level of --fail-on for a row.
func (b *batch) failOn(r inventory.Row) (string, error) {
	if b.base.FailOn != "" {
		return b.base.FailOn, nil
	}
	job, _, err := b.configured(r, io.Discard)
	return job.FailOn, err
}

// rowJob is what is to be done for a row.
type rowJob struct {
	pipeline.Job
	level string    // of --fail-on
	until time.Time // last day of the acceptance that ends first; zero for none
}

func (b *batch) job(r inventory.Row, session *build.Session) (job rowJob, err error) {
	var notes strings.Builder
	var settings *settingsFile
	if job.Job, settings, err = b.configured(r, &notes); err != nil {
		return job, err
	}
	if settings != nil {
		job.until = settings.until
	}
	job.Session = session
	b.show.notes(r.Name, notes.String())
	// A finding ends no row: what it comes to is told in the end.
	job.level, job.FailOn = job.FailOn, ""

	folder := filepath.Join(b.dir, "apps", r.Folder)
	if !strings.HasPrefix(job.Base, "oci:") { // no Dockerfile can name that
		job.Write = &pipeline.Write{Dir: folder, Optional: true, Alone: true}
	}
	if !b.build {
		return job, nil
	}
	job.Build = &pipeline.Build{
		Builders: b.builders, Push: b.push, Epoch: b.epoch,
		Progress: func(e build.Event) { b.show.waiting(r.Name, e) },
		Note:     func(line string) { b.show.notes(r.Name, line) },
	}
	if !b.push {
		job.Build.Outputs = []build.Output{{Type: "oci", Dest: filepath.Join(folder, "image"), Sparse: true}}
	}
	settings.build(job.Build) // a destination that it names is not taken
	if r.Tag != "" || b.tags != nil {
		job.Build.Refer = func(kind detect.Kind) (string, error) {
			ref := r.Tag
			if ref == "" {
				if ref, err = b.tags.Reference(r.Name, string(kind)); err != nil {
					return "", err
				}
			}
			return ref, b.refs.claim(ref, r.Name)
		}
	}
	return job, nil
}

// do does one row; level is that of --fail-on for it. ok is false where it was
// interrupted, which is no result.
func (b *batch) do(ctx context.Context, r inventory.Row, session *build.Session) (out result.Result, level string, ok bool) {
	start := time.Now()
	out = result.Result{Schema: result.ID, Name: r.Name, Source: report.MaskLogins(r.Source), Owner: report.MaskLogins(r.Owner), Labels: maskedLabels(r.Labels), Durations: map[string]float64{}}
	defer func() {
		if p := recover(); p != nil { // one row's panic is none of the others'
			out.Status, out.Error = result.Failed, report.OneLine(fmt.Sprintf("internal error: %v; please report it", p))
			ok = true
		}
	}()
	print := b.fingerprint(r) // before its files are read: they may change meanwhile
	job, err := b.job(r, session)
	level = job.level
	if !job.until.IsZero() {
		print.until = job.until.Format(time.DateOnly)
	}
	out.Fingerprint = print.String()
	res := pipeline.Result{Err: err}
	if err == nil {
		res = b.try(ctx, r, job.Job)
	}
	if ctx.Err() != nil {
		return out, level, false
	}
	if err := b.writeBuildLine(r, res); err != nil && res.Err == nil {
		res.Err = err
	}
	out.Report = res.Report
	if res.Image != nil {
		out.Image = &result.Image{Digest: res.Image.Digest}
		if b.push {
			out.Image.Reference = strings.Join(res.Image.References, ",")
		}
		maps.Copy(out.Durations, res.Image.Seconds())
	}
	defer func() { out.Error = report.MaskLogins(out.Error) }()
	out.Durations["total"] = time.Since(start).Seconds()
	edited, cannot := (*dockerfile.EditedError)(nil), (*build.CannotError)(nil)
	switch noBuilder := (*pipeline.NoBuilderError)(nil); {
	case errors.As(res.Err, new(*pipeline.BlockedError)):
		out.Status = result.Blocked
	case errors.As(res.Err, &noBuilder):
		out.Status, out.Failure = result.Failed, result.NoBuilder
		out.Error = report.OneLine(noBuilder.Why + ", and no builder that could was found")
		note := noBuilderNote(noBuilder)
		if !b.push {
			note += ", and use --push: both write none of the layouts of --build"
		}
		b.show.once("note", note)
	case errors.As(res.Err, &edited):
		out.Status = result.Failed
		out.Error = report.OneLine(edited.Names[0] + " of " + edited.Dir + " was edited by hand, and a batch overwrites no edit: move it between the edit markers, where it stays, or move the file away")
	case errors.As(res.Err, &cannot) && !b.push:
		out.Status, out.Failure = result.Failed, result.NoBuilder
		out.Error = report.OneLine(fmt.Sprintf("only the builder %s can make this image, and it writes none of the layouts of --build: use --push", cannot.Builder))
	case res.Err != nil:
		out.Status, out.Error = result.Failed, report.OneLine(res.Err.Error())
		if errors.As(res.Err, new(*build.UnsupportedError)) {
			out.Failure = result.NoBuilder
		}
	default:
		out.Status = judge(res.Report, level)
	}
	return out, level, true
}

// judge is the status of a row that is neither failed nor blocked.
func judge(r *report.Report, level string) result.Status {
	if level != "" && level != "never" && len(r.AtLeast(detect.Level(level))) > 0 {
		return result.Findings
	}
	return result.OK
}

// noBuilderNote says once for all rows where a builder was looked for: of flags that
// name one, batch has none.
func noBuilderNote(e *pipeline.NoBuilderError) string {
	where := ""
	if e.Windows {
		where = " on Windows"
	}
	return fmt.Sprintf("no builder%s was found: %s; set DOCKER_HOST to a Docker engine on Windows, or BUILDKIT_HOST to a BuildKit worker%s",
		where, strings.Join(e.Tried, "; "), where)
}

// try runs a row, and again where a registry broke off.
func (b *batch) try(ctx context.Context, r inventory.Row, job pipeline.Job) pipeline.Result {
	fail := func(err error) pipeline.Result { return pipeline.Result{Err: err} }
	if inside(job.App, b.dir) {
		return fail(fmt.Errorf("the folder of the results, %q, lies in the app: name another one with -o", b.dir))
	}
	folder := filepath.Join(b.dir, "apps", r.Folder)
	removeLeft(folder)
	if job.Build != nil && !b.push { // an edited Dockerfile is built, and none is written
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return fail(err)
		}
		defer os.Remove(folder) // only where it stays empty
	}
	wait := time.Second
	for again := 1; ; again++ {
		res := pipeline.Run(ctx, job)
		if again > b.retry || !build.Temporary(res.Err) {
			return res
		}
		b.show.waiting(r.Name, build.Event{Stage: "retry", Message: fmt.Sprintf("%d of %d in %s: %v", again, b.retry, wait, res.Err)})
		select {
		case <-ctx.Done():
			return res
		case <-time.After(wait):
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// removeLeft removes what a process that was killed left in a row's folder, and in the
// layout there that was being filled.
func removeLeft(folder string) {
	remove := func(dir string, left func(name string) bool) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if left(e.Name()) {
				_ = os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
	remove(folder, func(name string) bool {
		return strings.HasPrefix(name, ".image.") || strings.HasPrefix(name, ".winpack-") || strings.HasPrefix(name, "."+buildLine+".winpack-")
	})
	half := func(name string) bool { return strings.HasPrefix(name, ".") && strings.Contains(name, ".winpack-") }
	remove(filepath.Join(folder, "image"), half)
	remove(filepath.Join(folder, "image", "blobs", "sha256"), half)
}

// owners are the references that have an image, by their rows: two apps in one image
// would be the last one.
type owners struct {
	mu sync.Mutex
	by map[string]string
}

func (r *owners) claim(reference, row string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := inventory.Canonical(reference)
	if other, taken := r.by[full]; taken && other != row {
		return fmt.Errorf("the reference %q is that of %q already: give one of them a tag of its own", reference, other)
	}
	if r.by == nil {
		r.by = map[string]string{}
	}
	r.by[full] = row
	return nil
}

// diskError adds what to do about an error of the results' folder.
func diskError(doing, dir string, err error) error {
	switch {
	case errors.As(err, new(*result.LockedError)), errors.As(err, new(*result.SchemaError)), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s %q: %w; name a folder that you may write to with -o", doing, dir, bareCause(err))
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s %q: %w; make room, and run the same command: it goes on where it ended", doing, dir, bareCause(err))
	}
	return fmt.Errorf("%s %q: %w", doing, dir, err)
}
