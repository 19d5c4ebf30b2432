package pipeline

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/winpack/winpack/pkg/detect"
)

// keepFiles writes the Dockerfile and helpers of a plan that is about to be built
// (--files), as `winpack dockerfile -o` does.
func (res *Result) keepFiles(ctx context.Context, job Job, absolute string, app appFS, left fs.FS, found detect.Report) error {
	job.Write = &Write{Dir: job.Build.Files}
	if err := res.write(ctx, job, absolute, app, left, found); err != nil {
		return err
	}
	// Where they lie in APP, they are no part of it now.
	if rel, err := filepath.Rel(resolve(absolute), res.Written.Dir); err == nil && filepath.IsLocal(rel) {
		rel = filepath.ToSlash(rel)
		app.written.dirs.Store(rel, app.written.read(rel))
	}
	return nil
}
