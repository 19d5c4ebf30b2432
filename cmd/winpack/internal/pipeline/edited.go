package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// buildEdited builds the Dockerfile that somebody edited where winpack wrote it.
func (res *Result) buildEdited(ctx context.Context, job Job, edited editedFile) error {
	job.note("%s: note: edited by hand (%s): this is what is built, and nothing is planned", Shown(edited.path), strings.Join(edited.names, ", "))
	if err := checkContext(edited.path, job.App); err != nil {
		return err
	}
	return res.buildDockerfile(ctx, job, edited.path, job.App)
}

// checkContext says whether the recorded context is the folder that holds the app and
// its default DIR. A record lies beside the app and can come from anybody: no more than
// that is read where the command line does not name the file.
func checkContext(path, app string) error {
	record, err := recordOf(path)
	if err != nil || record == nil {
		return err
	}
	absolute, err := filepath.Abs(app)
	if err != nil {
		return Usagef("APP %q: %w", app, err)
	}
	dir := filepath.Dir(path)
	context := resolve(filepath.Join(resolve(dir), filepath.FromSlash(record.Context)))
	if context != resolve(filepath.Dir(dir)) {
		return fmt.Errorf("the record beside %q names the context %q, which is more than the folder that holds the app %q: build it with -f %s, if that is meant",
			Shown(path), Shown(context), Shown(absolute), Shown(path))
	}
	return nil
}

// recordOf is winpack's record of a file that it wrote; nil where it did not.
func recordOf(path string) (*dockerfile.Record, error) {
	state, err := dockerfile.ReadState(filepath.Dir(path))
	if err != nil || state.Record == nil || state.Record.Files[filepath.Base(path)] == "" {
		return nil, err
	}
	return state.Record, nil
}

// RecordedApp is the app that winpack wrote a Dockerfile for; empty where it did not
// write it.
func RecordedApp(path string) string {
	record, err := recordOf(path)
	if err != nil || record == nil {
		return ""
	}
	return Shown(filepath.Join(resolve(filepath.Dir(path)), filepath.FromSlash(record.App)))
}

// editedFile is a Dockerfile where winpack writes it by itself, that somebody edited.
type editedFile struct {
	path  string   // empty: there is none
	names []string // of the files there that were edited
}

// findEdited looks for an edited Dockerfile in dir, the default folder of an app.
func findEdited(dir, absolute string, oses []string) (editedFile, error) {
	state, err := ownState(dir, absolute)
	if err != nil {
		return editedFile{}, err
	}
	edited := editedFile{names: slices.Concat(state.Edited, state.Added)}
	slices.Sort(edited.names)
	edited.names = slices.Compact(edited.names)
	if len(edited.names) == 0 {
		return editedFile{}, nil
	}
	files := Written{Names: state.OnDisk()}.Dockerfiles()
	if len(files) > 1 && len(oses) == 1 {
		files = slices.DeleteFunc(files, func(name string) bool { return name != "Dockerfile."+oses[0] })
	}
	switch len(files) {
	case 0:
		return editedFile{}, nil
	case 1:
		edited.path = filepath.Join(dir, files[0])
		return edited, nil
	}
	return editedFile{}, Usagef("%q has a Dockerfile for each release, and %s was edited by hand: build each with -f FILE, or name its release with --os", dir, strings.Join(edited.names, ", "))
}

// Edited is the Dockerfile in the default folder of an app that somebody edited, and
// that a build takes in place of a plan; empty where there is none.
func Edited(app string, oses []string) string {
	absolute, err := filepath.Abs(app)
	if err != nil {
		return ""
	}
	edited, err := findEdited(defaultDir(absolute), absolute, oses)
	if err != nil || edited.path == "" {
		return ""
	}
	return Shown(edited.path)
}
