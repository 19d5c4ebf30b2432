package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/winpack/winpack/cmd/winpack/internal/zipapp"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// opened is an app that is read.
type opened struct {
	files  fs.FS      // without winpack's own
	look   fs.FS      // the same, as detection reads it
	folder *appFS     // nil of a zip
	zip    *zipapp.FS // nil of a folder
	close  func()
}

// IsZip says whether APP names a zip.
func IsZip(app string) bool {
	info, err := os.Stat(app)
	return err == nil && info.Mode().IsRegular() && strings.EqualFold(filepath.Ext(app), ".zip")
}

// open opens APP, a folder or a zip.
func (job Job) open(absolute string) (o *opened, err error) {
	if IsZip(job.App) {
		return job.openZip(absolute)
	}
	root, err := openFolder(job.App)
	if err != nil {
		return nil, err
	}
	return job.openRoot(root, absolute)
}

// openRoot reads the app in a folder, which it closes too.
func (job Job) openRoot(root *os.Root, absolute string) (o *opened, err error) {
	top, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, readError(job.App, err)
	}
	o = &opened{close: func() {
		top.Close()
		root.Close()
	}}
	app := appFS{FS: root.FS(), root: root, written: &records{root: root}}
	if app.topConn, err = top.SyscallConn(); err != nil {
		o.close()
		return nil, readError(job.App, err)
	}
	if app.own, err = job.ownIn(resolve(absolute)); err != nil {
		o.close()
		return nil, err
	}
	o.folder, o.files, o.look = &app, app, app.look(top)
	return o, nil
}

// openZip reads an app in place. What asks for its folder is refused.
func (job Job) openZip(absolute string) (*opened, error) {
	if b := job.Build; b != nil {
		if b.Files != "" {
			return nil, Usagef("--files: the Dockerfile of a zip has no folder to copy from: unpack %q, and name the folder", job.App)
		}
		for _, o := range b.Outputs {
			if out, err := filepath.Abs(o.Dest); err == nil && o.Dest != "" && resolve(out) == resolve(absolute) {
				return nil, Usagef("-o would replace APP with the image: name another place than %q", o.Dest)
			}
		}
	}
	if job.Write != nil && !job.Write.Optional {
		return nil, Usagef("APP %q is a zip, and a Dockerfile copies from a folder: unpack it and name the folder, or make the image with winpack build", job.App)
	}
	z, err := zipapp.Open(job.App, job.Limits)
	if wrong := (*zipapp.Error)(nil); errors.As(err, &wrong) {
		return nil, err
	} else if err != nil {
		return nil, readError(job.App, err)
	}
	files, err := dockerfile.IgnoreFS(z, []string{ConfigName})
	if err != nil {
		z.Close()
		return nil, err
	}
	return &opened{files: files, look: files, zip: z, close: func() { z.Close() }}, nil
}

// skipped are the entries of a zip that are no part of the app, as problems.
func (o *opened) skipped() []detect.Problem {
	var problems []detect.Problem
	if o.zip == nil {
		return nil
	}
	for _, name := range o.zip.Skipped {
		problems = append(problems, detect.Problem{Path: name, Message: "an entry of the zip that no file can be made of, since it is a link or its name leads out of the zip: it was left out"})
	}
	for _, r := range o.zip.Refused {
		problems = append(problems, detect.Problem{Path: r.Path, Message: r.Err.Error() + ": it was not unpacked, and what it holds is unknown"})
	}
	return problems
}

// ConfigInZip is the winpack.toml of an app in a zip; fs.ErrNotExist where it has none.
func ConfigInZip(app string, limits detect.Limits) (fs.File, func(), error) {
	z, err := zipapp.Open(app, limits)
	if err != nil {
		return nil, nil, err
	}
	file, err := z.Open(ConfigName)
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
			err = syscall.EISDIR
		}
	}
	if err != nil {
		z.Close()
		return nil, nil, err
	}
	return file, func() { z.Close() }, nil
}
