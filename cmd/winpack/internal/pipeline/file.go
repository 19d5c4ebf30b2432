package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/moby/patternmatcher/ignorefile"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// maxDockerfile bounds a Dockerfile and its ignore file, in bytes.
const maxDockerfile = 4 << 20

// Dockerfile is one that a person wrote or edited, with all that a builder needs.
type Dockerfile struct {
	Name   string // as the user knows it
	Path   string // absolute
	Data   []byte
	Parsed *dockerfile.Parsed

	ContextDir string // absolute
	// Context is what ContextDir holds, without what Ignore names, winpack.toml, and
	// what this build writes there. Nothing in it leads out of ContextDir.
	Context fs.FS
	Ignore  []string // patterns of .dockerignore

	// Args are the build arguments. For a release, BASE is added where From.ByArg.
	Args map[string]string
	From dockerfile.From
	// Bases has the base image of each release, as it is named and not resolved.
	Bases []dockerfile.Base
}

// Arguments are the build arguments for the image on a base.
func (d *Dockerfile) Arguments(base dockerfile.Base) map[string]string {
	args := map[string]string{}
	for key, value := range d.Args {
		args[key] = value
	}
	if d.From.ByArg {
		args[dockerfile.BaseArg] = base.Reference
	}
	return args
}

// runFile builds the Dockerfile that -f names. Nothing is detected: the findings are
// those of its base images.
func (res *Result) runFile(ctx context.Context, job Job) error {
	return res.buildDockerfile(ctx, job, job.Build.File, job.App)
}

func (res *Result) buildDockerfile(ctx context.Context, job Job, path, app string) error {
	d, done, err := openDockerfile(ctx, job, path, app)
	if err != nil {
		return err
	}
	defer done()
	if err := res.checkBuild(job, false); err != nil {
		return err
	}
	if err := d.read(job); err != nil {
		return err
	}
	unsupported := wrong(d.Parsed.Supported(d.Arguments(d.Bases[0])))
	// Findings end the build before a builder is asked, and after what is wrong without.
	asks := errors.As(unsupported, new(*dockerfile.UnsupportedError)) && job.named() == nil
	if asks {
		if err := res.judgeFile(d, job); err != nil {
			return err
		}
	}
	req := job.request(dockerfile.Plan{Name: appName(d.ContextDir), Bases: d.Bases})
	builder, err := job.pickFor(ctx, req, unsupported)
	if err != nil {
		return err
	}
	if err := job.checked(builder, req); err != nil {
		return err
	}
	if job.Build.Unused != "" {
		job.note("%s: note: %s", d.Name, job.Build.Unused)
	}
	if !asks {
		if err := res.judgeFile(d, job); err != nil {
			return err
		}
	}
	job.Trees = nil
	var plan dockerfile.Plan
	if builder.name == BuilderDirect {
		var notes []dockerfile.Note
		plan, notes, err = d.plan(ctx, job)
		for _, n := range notes {
			job.note("%s:%d: note: %s", d.Name, n.Line, n.Text)
		}
		res.omitted = plan.Omitted
		if why := (*dockerfile.UnsupportedError)(nil); errors.As(err, &why) { // only the context told
			unsupported = err
			builder, err = job.pickFor(ctx, req, unsupported)
		}
		if err != nil {
			return err
		}
	}
	if builder.name != BuilderDirect {
		res.omitted = nil // the builder resolves the bases again
		if builder.name == BuilderBuildKit {
			if err := d.checkForBuildKit(ctx, job, unsupported); err != nil {
				return err
			}
		}
		req.App, req.File = d.Context, d.forBuilder(unsupported)
		return res.buildBy(ctx, job, builder, req)
	}
	res.Plan = &plan
	req.Plan = plan
	req.App = d.Context
	return res.buildBy(ctx, job, builder, req)
}

// checkForBuildKit says what BuildKit would get wrong without a word: of what is
// written, and of the names in the image, where nothing but files is copied.
func (d *Dockerfile) checkForBuildKit(ctx context.Context, job Job, unsupported error) error {
	folders, err := build.BaseFolders()
	if err != nil {
		return err
	}
	var told []string
	note := func(line string) {
		if !slices.Contains(told, line) {
			told = append(told, line)
			job.note("%s", line)
		}
	}
	notes, err := d.Parsed.CheckForBuildKit(d.Arguments(d.Bases[0]), folders)
	for _, n := range notes {
		note(fmt.Sprintf("%s:%d: note: %s", d.Name, n.Line, n.Text))
	}
	if err != nil || unsupported != nil {
		return err
	}
	plan, _, err := d.plan(ctx, job)
	if err != nil {
		return ctx.Err() // BuildKit says what is wrong, or builds more than we do
	}
	for _, s := range plan.Steps {
		if text := dockerfile.ReplacedFolder(s, folders); text != "" {
			note(fmt.Sprintf("%s: note: %s", s.Source, text))
		}
	}
	return wrong(build.CheckNames(ctx, plan, d.Context))
}

// forBuilder is the Dockerfile as BuildKit or an engine builds it. unsupported is
// why the direct builder can't.
func (d *Dockerfile) forBuilder(unsupported error) *build.File {
	f := &build.File{Text: d.Data, Args: d.Args}
	f.Sources, _ = d.Parsed.Sources() // nil, for all, of what can't be read
	if !d.From.ByArg {
		f.Images = []string{d.From.Reference}
	}
	if why := (*dockerfile.UnsupportedError)(nil); errors.As(unsupported, &why) && why.NeedsWindows() {
		f.Runs = []string{fmt.Sprintf("%s:%d: %s: %s", why.File, why.Line, why.Instruction, why.Why)}
	}
	return f
}

// openDockerfile reads a Dockerfile and opens its context: the folder app, or the
// one that winpack recorded for a file that it wrote.
func openDockerfile(ctx context.Context, job Job, path, app string) (d *Dockerfile, done func(), err error) {
	d = &Dockerfile{Name: Shown(path), Args: map[string]string{}}
	if d.Path, err = filepath.Abs(path); err != nil {
		return nil, nil, Usagef("-f %q: %w", path, err)
	}
	if info, err := os.Stat(d.Path); err == nil && info.IsDir() {
		return nil, nil, Usagef("-f %q is a folder: name the Dockerfile in it", path)
	}
	if d.Data, err = readBounded(d.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, Usagef("-f %q does not exist: name a Dockerfile", path)
	} else if err != nil {
		return nil, nil, fmt.Errorf("reading %q: %w", d.Name, err)
	}
	d.ContextDir, err = filepath.Abs(app)
	if err != nil {
		return nil, nil, Usagef("APP %q: %w", app, err)
	}
	record, err := recordOf(d.Path)
	if err != nil {
		return nil, nil, err
	}
	if record != nil {
		at := resolve(filepath.Dir(d.Path))
		recorded := filepath.Join(at, filepath.FromSlash(record.App))
		named := resolve(d.ContextDir)
		d.ContextDir = filepath.Join(at, filepath.FromSlash(record.Context))
		if named != resolve(recorded) && named != resolve(d.ContextDir) {
			return nil, nil, Usagef("-f %q was written for the app %q, and APP names %q: leave APP out, or name a Dockerfile of that app", path, Shown(recorded), app)
		}
		if info, err := os.Stat(d.ContextDir); err != nil || !info.IsDir() {
			return nil, nil, fmt.Errorf("the record beside %q names the context %q, which is no folder: write the Dockerfile again with `winpack dockerfile`", d.Name, d.ContextDir)
		}
		app = d.ContextDir
	}
	root, err := openFolder(app)
	if err != nil {
		return nil, nil, err
	}
	top, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, nil, readError(d.ContextDir, err)
	}
	closeAll := func() {
		top.Close()
		root.Close()
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	tree := appFS{FS: root.FS(), root: root, written: &records{}}
	if tree.topConn, err = top.SyscallConn(); err != nil {
		return nil, nil, readError(d.ContextDir, err)
	}
	// The configuration of an app may be copied; what this build writes can't be.
	if tree.own, err = (Job{Build: job.Build}).ownIn(resolve(d.ContextDir)); err != nil {
		return nil, nil, err
	}
	if err := d.ignore(ctxFS{ctx, tree}); err != nil {
		return nil, nil, err
	}
	if job.Build.Epoch != nil { // as docker buildx hands it on
		d.Args["SOURCE_DATE_EPOCH"] = strconv.FormatInt(job.Build.Epoch.Unix(), 10)
	}
	return d, closeAll, nil
}

// ignore takes out of the context what the ignore file names: the one beside the
// Dockerfile counts, else that of the context.
func (d *Dockerfile) ignore(tree fs.FS) error {
	name := d.Path + ".dockerignore"
	data, err := readBounded(name)
	if errors.Is(err, fs.ErrNotExist) {
		name = filepath.Join(d.ContextDir, ".dockerignore")
		if info, statErr := fs.Stat(tree, ".dockerignore"); statErr == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("reading %q: it is no regular file", Shown(name))
		}
		var file fs.File
		if file, err = tree.Open(".dockerignore"); err == nil {
			data, err = readAll(file)
			file.Close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		d.Ignore, err = ignorefile.ReadAll(bytes.NewReader(data))
	}
	if err == nil {
		err = dockerfile.CheckIgnore(d.Ignore)
	}
	if err == nil {
		d.Context, err = dockerfile.IgnoreFS(tree, d.Ignore)
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", Shown(name), err)
	}
	return nil
}

// wrong makes a mistake in a Dockerfile one of what the user gave.
func wrong(err error) error {
	if errors.As(err, new(*dockerfile.FileError)) {
		return &UsageError{err}
	}
	return err
}

// read takes the Dockerfile apart and chooses its base images.
func (d *Dockerfile) read(job Job) (err error) {
	if d.Parsed, err = dockerfile.Parse(d.Name, d.Data); err != nil {
		return wrong(err)
	}
	if d.From, err = d.Parsed.From(d.Args); err != nil {
		return wrong(err)
	}
	listed := d.Parsed.Listed()
	if job.Base != "" {
		if !d.From.ByArg {
			return Usagef("%s:%d: FROM names the image itself, and the base %q (--base, or base in winpack.toml) can't reach it: write ARG %s=%s before it and FROM ${%s}, or leave that base out",
				d.Name, d.From.Line, job.Base, dockerfile.BaseArg, d.From.Reference, dockerfile.BaseArg)
		}
		d.From.Reference, listed = job.Base, nil
	}
	catalog, err := job.catalog()
	if err != nil {
		return err
	}
	d.Bases, err = catalog.FileBases(d.From, listed, job.OS)
	usage, release := (*dockerfile.UsageError)(nil), (*dockerfile.UnknownReleaseError)(nil)
	switch {
	case errors.As(err, &usage):
		return Usagef("%s:%d: %w", d.Name, d.From.Line, err)
	case errors.As(err, &release):
		return &UsageError{err}
	case err != nil:
		return fmt.Errorf("%s:%d: %w", d.Name, d.From.Line, err)
	}
	if d.Bases, err = build.ForPlatforms(d.Bases, job.Build.Platforms); err != nil {
		return Usagef("--%w", err)
	}
	return nil
}
