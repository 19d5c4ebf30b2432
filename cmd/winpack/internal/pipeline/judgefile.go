package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// judgeFile shows the findings of the Dockerfile and of its base images, and ends the
// build where --fail-on says so. Where an app was looked at too, its report is then
// one of what is built.
func (res *Result) judgeFile(d *Dockerfile, job Job) error {
	catalog, err := job.catalog()
	if err != nil {
		return err
	}
	own, err := d.Parsed.Findings()
	if err != nil {
		return wrong(err)
	}
	own = append(own, dockerfile.LabelFindings(job.Build.Labels)...)
	found := report.New(detect.Report{}, dockerfile.Plan{Family: d.Bases[0].Family, Bases: d.Bases, Findings: append(own, catalog.BaseFindings(d.Name, d.From, d.Bases)...)},
		fmt.Sprintf("%s names it, which was edited by hand", d.Name))
	job.accept(&found)
	if res.Report != nil {
		joined := *res.Report
		joined.Base, joined.Findings = found.Base, report.MergeFindings(joined.Findings, found.Findings)
		res.Report = &joined
	}
	if job.Found != nil {
		job.Found(found)
	}
	return (&Result{Report: &found}).failOn(job.FailOn)
}

// plan resolves the base images and evaluates the Dockerfile on each. The notes are
// those of the first.
func (d *Dockerfile) plan(ctx context.Context, job Job) (plan dockerfile.Plan, notes []dockerfile.Note, err error) {
	folders, err := build.BaseFolders()
	if err != nil {
		return dockerfile.Plan{}, notes, err
	}
	bases, images, omitted, err := build.ResolveImages(ctx, job.registry(), d.Bases, len(job.OS) == 0)
	if missing := (*build.UnpublishedError)(nil); errors.As(err, &missing) && len(job.OS) > 0 && !d.From.ByArg && missing.Releases {
		return dockerfile.Plan{}, notes, Usagef("%s:%d: FROM names the image itself, which is of another release than --os asks for: %w", d.Name, d.From.Line, err)
	}
	if ctx.Err() != nil {
		return dockerfile.Plan{}, notes, ctx.Err()
	}
	if err != nil {
		return dockerfile.Plan{}, notes, fmt.Errorf("%s:%d: %w", d.Name, d.From.Line, err)
	}
	for i, base := range bases {
		one, told, err := d.Parsed.Plan(dockerfile.FileOptions{
			Context: d.Context, Args: d.Arguments(base), Base: base, Image: images[i], Folders: folders,
		})
		if err != nil {
			return dockerfile.Plan{}, notes, err
		}
		if i == 0 {
			plan, notes = one, told
			continue
		}
		if !reflect.DeepEqual(one.Steps, plan.Steps) {
			return dockerfile.Plan{}, notes, fmt.Errorf("%s copies other files on %s than on %s, since it names variables of the base: build the releases one by one with --os", d.Name, base.Reference, bases[0].Reference)
		}
		if !reflect.DeepEqual(one.Config, plan.Config) {
			base.Config = &one.Config
		}
		plan.Bases = append(plan.Bases, base)
	}
	plan.Omitted = omitted
	return plan, notes, nil
}

func (job Job) note(format string, args ...any) {
	if job.Build.Note != nil {
		job.Build.Note(fmt.Sprintf(format, args...))
	}
}

// Shown is a path as a person would type it here: relative where it is below the
// current folder.
func Shown(path string) string {
	cwd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	for _, from := range []string{cwd, resolve(cwd)} {
		if rel, err := filepath.Rel(from, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, causeOf(err)
	}
	defer file.Close()
	return readAll(file)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	if err == nil && len(data) > maxDockerfile {
		err = fmt.Errorf("it is larger than %d bytes", maxDockerfile)
	}
	return data, causeOf(err)
}

func causeOf(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
