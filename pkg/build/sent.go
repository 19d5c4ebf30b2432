package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// sent is what BuildKit or an engine is sent: a Dockerfile, and the files that it
// copies. The files of a plan are those that the direct builder would write: links
// are followed, since a builder on Linux breaks them (docs/builders.md), and names
// that Windows cannot have, or that are one on Windows, are refused.
type sent struct {
	dockerfile []byte
	tree       *tree
	layer      *winlayer.Layer // of the context: it knows names and sizes
	mounts     []mount
	mode       fs.FileMode // of every file
}

// mount is a file system of the context, and where it stands there.
type mount struct {
	at      string
	fsys    fs.FS
	content []byte // a file instead
}

// planContext is the context of a plan of one release, which planContext checks
// whole before anything is sent.
func planContext(ctx context.Context, req Request, plan dockerfile.Plan) (*sent, error) {
	text, err := plan.ForBuilder()
	if err != nil {
		return nil, err
	}
	app, err := dockerfile.IgnoreFS(req.App, plan.Ignore)
	if err != nil {
		return nil, err
	}
	s := &sent{dockerfile: text, mode: 0o644, mounts: []mount{{at: dockerfile.ContextApp, fsys: app}}}
	var exclude []string
	for _, step := range plan.Steps {
		switch {
		case step.Kind != dockerfile.StepCopy:
		case step.Tree == "" && step.From == ".":
			exclude = step.Exclude
		case step.Tree != "":
			fsys := req.Trees[step.Tree]
			if fsys == nil {
				return nil, fmt.Errorf("the plan copies from %q, which the builder was not given", step.Tree)
			}
			at := path.Join(dockerfile.ContextTree(step.Tree), step.From)
			s.mounts = append(s.mounts, mount{at: at, fsys: sub{fsys, step.From}})
		}
	}
	if _, script, ok := plan.StartScript(true); ok {
		s.mounts = append(s.mounts, mount{at: dockerfile.ContextScript, content: script})
	}
	return s, s.list(ctx, req, exclude)
}

// sub is a path of a file system as its root: unlike fs.Sub also a file.
type sub struct {
	fs.FS
	dir string
}

// fileContext is the context of a Dockerfile that a person wrote: it is sent as it
// is, but for what a builder would get wrong without a word, which is refused.
func fileContext(ctx context.Context, req Request) (*sent, error) {
	app, err := dockerfile.IgnoreFS(req.App, req.File.Ignore)
	if err != nil {
		return nil, err
	}
	// Executable, as Docker sends a context from Windows: a stage of Linux may run what it
	// copies, and the mode that a file has here is no input.
	s := &sent{dockerfile: req.File.Text, mode: 0o755, mounts: []mount{{fsys: noLinks{app, req.File.Sources}}}}
	return s, s.list(ctx, req, nil)
}

// list walks the context once, and checks it.
func (s *sent) list(ctx context.Context, req Request, exclude []string) error {
	s.tree = &tree{trees: map[string]fs.FS{}, root: &place{}}
	for _, m := range s.mounts {
		to := `C:\` + strings.ReplaceAll(m.at, "/", `\`)
		if m.content != nil {
			at := s.tree.place(path.Dir(m.at))
			at.parts = append(at.parts, part{step: s.tree.next(), file: path.Base(m.at), content: m.content})
			continue
		}
		fsys, from := m.fsys, "."
		if below, ok := fsys.(sub); ok {
			fsys, from = below.FS, below.dir
		}
		s.tree.trees[m.at] = fsys
		step := dockerfile.Step{Kind: dockerfile.StepCopy, Tree: m.at, From: from, To: to}
		if m.at == "" { // the tree of no name is the app's
			step.Tree, s.tree.app = "", fsys
		}
		if m.at == dockerfile.ContextApp {
			step.Exclude = exclude
		}
		if info, err := fs.Stat(fsys, from); err == nil && !info.IsDir() {
			step.To = `C:\` + strings.ReplaceAll(path.Dir(m.at), "/", `\`)
		}
		if err := s.tree.copy(step); err != nil {
			return err
		}
	}
	var err error
	s.layer, err = winlayer.New(ctx, s.tree.walk, winlayer.Options{FS: s.tree.app, Epoch: req.Epoch})
	return err
}

// walk visits every file and folder, folders first, in the order of names.
func (s *sent) walk(visit func(winlayer.Entry) error) error { return s.tree.walk(visit) }

// open opens a file of the context by its path there.
func (s *sent) open(name string) (io.ReadCloser, error) {
	for _, m := range s.mounts {
		if m.content != nil {
			if m.at == name {
				return io.NopCloser(strings.NewReader(string(m.content))), nil
			}
			continue
		}
		rest, ok := strings.CutPrefix(name, m.at)
		if !ok || m.at != "" && rest != "" && rest[0] != '/' {
			continue
		}
		fsys, below := m.fsys, strings.TrimPrefix(rest, "/")
		if other, ok := fsys.(sub); ok {
			fsys, below = other.FS, path.Join(other.dir, below)
		}
		real, _, err := follow(fsys, cmp.Or(below, "."))
		if err != nil {
			return nil, err
		}
		return fsys.Open(real)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// key names the context by all that is in it. A BuildKit daemon keeps the last context
// of a key, and of the next one asks only for files of another size or time. That is
// not enough: times are cut to the second and to SOURCE_DATE_EPOCH.
func (s *sent) key(ctx context.Context) (string, error) {
	sum := sha256.New()
	buffer := make([]byte, 1<<18)
	err := s.walk(func(e winlayer.Entry) error {
		fmt.Fprintf(sum, "%q %t\n", e.Path, e.Folder)
		if e.Folder {
			return ctx.Err()
		}
		f, err := s.open(e.Path)
		if err != nil {
			return fmt.Errorf("reading %q: %w", e.Path, pathCause(err))
		}
		defer f.Close()
		content := sha256.New()
		if _, err := io.CopyBuffer(content, readerOnly{f}, buffer); err != nil {
			return fmt.Errorf("reading %q: %w", e.Path, pathCause(err))
		}
		fmt.Fprintf(sum, "%x\n", content.Sum(nil))
		return ctx.Err()
	})
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

// readerOnly keeps io.CopyBuffer to its buffer.
type readerOnly struct{ io.Reader }

// noLinks is a file system in which symbolic links are an error: BuildKit on Linux
// writes them so that they dangle on Windows, without a word. Those that no COPY takes
// are left out.
type noLinks struct {
	fs.FS
	sources []string // that are copied; nil means all
}

// copied says whether a path is one of the sources or lies in one. Of a pattern that is
// what lies in the folder before its first special character.
func (n noLinks) copied(name string) bool {
	if n.sources == nil {
		return true
	}
	return slices.ContainsFunc(n.sources, func(source string) bool {
		if i := strings.IndexAny(source, `*?[\`); i >= 0 {
			source = path.Dir(source[:i] + "x")
		}
		return source == "." || name == source || strings.HasPrefix(name, source+"/")
	})
}

func (n noLinks) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(n.FS, name)
	var left []fs.DirEntry
	for _, e := range entries {
		if at := path.Join(name, e.Name()); e.Type()&fs.ModeSymlink == 0 {
			left = append(left, e)
		} else if n.copied(at) {
			return nil, &linkError{at}
		}
	}
	return left, err
}

// ListDir implements detect.Lister.
func (n noLinks) ListDir(name string, visit func(fs.DirEntry) error) error {
	first := "" // by name, in whatever order they come
	err := detect.ListDir(n.FS, name, func(e fs.DirEntry) error {
		if e.Type()&fs.ModeSymlink == 0 {
			return visit(e)
		}
		if n.copied(path.Join(name, e.Name())) && (first == "" || e.Name() < first) {
			first = e.Name()
		}
		return nil
	})
	if err == nil && first != "" {
		err = &linkError{path.Join(name, first)}
	}
	return err
}

func (n noLinks) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(n.FS, name) }
func (n noLinks) ReadLink(name string) (string, error)   { return fs.ReadLink(n.FS, name) }
func (n noLinks) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(n.FS, name) }

type linkError struct{ path string }

func (e *linkError) Error() string {
	return fmt.Sprintf("%q is a symbolic link, which a builder on Linux writes so that it leads nowhere on Windows: put the file itself in its place, or leave it out by .dockerignore", e.path)
}

// contextError takes the words of a reading that failed off an error that says all.
func contextError(err error) error {
	if link, ok := errors.AsType[*linkError](err); ok {
		return link
	}
	return err
}
