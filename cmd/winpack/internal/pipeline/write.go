package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Write says what to do with the rendered Dockerfile.
type Write struct {
	Dir string // where to write; empty: <name>.winpack beside APP
	// byDefault says that nobody named Dir.
	byDefault bool
	Render    bool // only render: nothing on disk is read or written
	Check     bool // only compare with what is on disk
	Force     bool // overwrite what was edited by hand
	Pin       bool // name base images by digest too, which asks their registry
	// Alone says that the folder is of this job and no other: what was written there
	// for another app is replaced, unless it was edited.
	Alone bool
	// Optional says that an app that is not recognised, or has no base image, is no
	// error: there is nothing to write for it then.
	Optional bool
}

// Written is what was rendered, and written or compared.
type Written struct {
	dockerfile.Files
	Dir    string   // absolute
	Names  []string // of the files in Dir, sorted
	Same   []string // those of them that were so before, and are not written again
	Stale  []string // with Check: files that differ from what would be written, or are missing
	Edited []string // with Check: files that were edited by hand
	// Omitted are releases that the registry lacks, which Pin asks; those that the
	// catalog lacks are findings.
	Omitted []dockerfile.Omitted
}

// Dockerfiles are the names of the Dockerfiles, one or one for each release.
func (w Written) Dockerfiles() []string {
	return slices.DeleteFunc(slices.Clone(w.Names), func(name string) bool {
		return name != "Dockerfile" && !strings.HasPrefix(name, "Dockerfile.") || strings.HasSuffix(name, ".dockerignore")
	})
}

func (res *Result) write(ctx context.Context, job Job, absolute string, app appFS, left fs.FS, found detect.Report) error {
	dir, err := job.Write.dir()
	if err != nil {
		return err
	}
	options := dockerfile.RenderOptions{App: resolve(absolute), Dir: resolve(dir)}
	options.Written, options.Windows = append(app.written.paths(), app.own...), runtime.GOOS == "windows"
	options.Trees = map[string]string{}
	for name, dir := range job.Trees {
		options.Trees[name] = resolve(dir)
	}
	if options.Dir == options.App {
		names, err := topLevel(left)
		if err != nil {
			return err
		}
		options.TopLevel = names
	}
	if cwd, err := os.Getwd(); err == nil {
		options.Cwd = resolve(cwd)
	}
	var omitted []dockerfile.Omitted
	if job.Write.Pin {
		var bases []dockerfile.Base
		bases, omitted, err = build.Resolve(ctx, job.registry(), res.Plan.Bases, len(job.OS) == 0)
		if err != nil {
			return err
		}
		res.Plan.Bases, res.Plan.Omitted = bases, append(res.Plan.Omitted, omitted...)
		res.report(job, found, *res.Plan, "")
	}
	files, err := dockerfile.Render(*res.Plan, options)
	if usage := (*dockerfile.UsageError)(nil); errors.As(err, &usage) {
		return &UsageError{err}
	} else if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	res.Written = &Written{Files: files, Dir: options.Dir, Names: slices.Sorted(maps.Keys(files.Content)), Omitted: omitted}
	switch {
	case job.Write.Render:
		return nil
	case job.Write.Check:
		stale, edited, err := dockerfile.Check(options.Dir, files)
		if err != nil {
			return err
		}
		res.Written.Stale, res.Written.Edited = stale, edited
		if len(stale) > 0 {
			return &StaleError{options.Dir, stale, edited}
		}
		return nil
	}
	res.Written.Same = dockerfile.Unchanged(options.Dir, files)
	may := dockerfile.OverwriteOwn
	switch {
	case job.Write.Force:
		may = dockerfile.OverwriteEdited
	case job.Write.Alone:
		may = dockerfile.OverwriteOtherApp
	}
	if err := dockerfile.Write(options.Dir, files, may); err != nil {
		res.Written = nil
		edited := (*dockerfile.EditedError)(nil)
		switch {
		case errors.As(err, &edited):
			return &dockerfile.EditedError{Dir: Shown(edited.Dir), Names: edited.Names}
		case errors.Is(err, fs.ErrPermission):
			flag := "-o"
			if job.Build != nil && job.Build.Files != "" {
				flag = "--files"
			}
			return fmt.Errorf("writing the Dockerfile: %w; name a folder that you may write to with %s", err, flag)
		}
		return fmt.Errorf("writing the Dockerfile: %w", err)
	}
	return nil
}

// DefaultDir is where the Dockerfile of the app in a folder goes: <name>.winpack
// beside it.
func DefaultDir(app string) (string, error) {
	absolute, err := filepath.Abs(app)
	return defaultDir(absolute), err
}

// defaultDir is where the Dockerfile of an app goes: <name>.winpack beside it.
func defaultDir(absolute string) string {
	return filepath.Join(filepath.Dir(absolute), appName(absolute)+".winpack")
}

// dir is where the Dockerfile goes, absolute.
func (w *Write) dir() (string, error) {
	if w.byDefault {
		return w.Dir, nil
	}
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		return "", Usagef("-o %q: %w", w.Dir, err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return "", Usagef("-o %q is a file: name a folder", w.Dir)
	}
	return dir, nil
}

// ownState is what a folder holds of winpack's files for an app: nothing where
// they are another app's.
func ownState(dir, absolute string) (dockerfile.State, error) {
	state, err := dockerfile.ReadState(dir, "Dockerfile")
	if err != nil || state.Record == nil {
		return state, err
	}
	app := filepath.Join(resolve(dir), filepath.FromSlash(state.Record.App))
	if resolve(app) != resolve(absolute) {
		return dockerfile.State{}, nil
	}
	return state, nil
}

// refuseOverwrite names what somebody edited where there is no plan to compare
// it with: of several exit codes, that of an edited file comes before that of a
// blocked app.
func refuseOverwrite(w *Write, absolute string) error {
	if w.Render || w.Check || w.Force {
		return nil
	}
	dir, err := w.dir()
	if err != nil {
		return err
	}
	state, err := ownState(dir, absolute)
	if err == nil && len(state.Edited) > 0 {
		err = &dockerfile.EditedError{Dir: Shown(dir), Names: state.Edited}
	}
	return err
}

// topLevel lists the names in the app folder, folders with a slash at the end.
func topLevel(app fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(app, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names, nil
}

// resolve follows the symlinks of a path, of which the end may not exist yet:
// Docker does not follow them below a build context.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolve(parent), filepath.Base(path))
}

// Within says whether a folder, which may not exist yet, is the app's or lies
// below it, symlinks followed.
func Within(app, dir string) (bool, error) {
	a, err := filepath.Abs(app)
	if err != nil {
		return false, err
	}
	d, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	rel, err := filepath.Rel(resolve(a), resolve(d))
	return err == nil && filepath.IsLocal(rel), nil
}
