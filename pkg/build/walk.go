package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// Links are followed at most this often on the way to one file, the number that
// Linux takes.
const maxLinks = 40

// maxEntries bounds what folder links that lead to folders with links can blow up.
const maxEntries = 4_000_000

// walker lists an app folder for a copy. Symbolic links are followed where they
// stay inside the app folder, and what they lead to is copied under the link's
// name: a link in a layer is a reparse point, which many programs and importers
// treat differently from a file. A link that leads out, nowhere or into a loop is
// an error.
type walker struct {
	fsys    fs.FS
	root    string   // slash-separated, "." for all
	exclude []string // folded, below root
	seen    int
}

type visitFunc func(rel, source string, info fs.FileInfo) error

// walk calls visit with each file and folder: its path below root ("" for root
// itself), its real name in the file system, and what it is.
func (w *walker) walk(visit visitFunc) error {
	if !fs.ValidPath(w.root) {
		return fmt.Errorf("%q is no path below the app folder", w.root)
	}
	source, info, err := w.resolve(w.root)
	if err != nil {
		return err
	}
	return w.visit("", source, info, nil, visit)
}

func (w *walker) visit(rel, source string, info fs.FileInfo, above []string, visit visitFunc) error {
	if w.seen++; w.seen > maxEntries {
		return fmt.Errorf("the app folder has more than %d files, at %q", maxEntries, source)
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%q is a %s, neither file nor folder: take it out of the folder", source, kindOf(info.Mode()))
		}
		return visit(rel, source, info)
	}
	if err := visit(rel, source, info); err != nil {
		return err
	}
	above = append(above, source)
	entries, err := fs.ReadDir(w.fsys, source)
	if err != nil {
		return fmt.Errorf("reading folder %q: %w", source, pathCause(err))
	}
	for _, d := range entries {
		below := path.Join(rel, d.Name())
		if slices.Contains(w.exclude, winlayer.Fold(below)) {
			continue
		}
		name := path.Join(source, d.Name())
		next := name
		var info fs.FileInfo
		if d.Type()&fs.ModeSymlink != 0 {
			if next, info, err = w.resolve(name); err != nil {
				return err
			}
			if info.IsDir() && slices.ContainsFunc(above, func(a string) bool { return a == next }) {
				return fmt.Errorf("link %q leads to folder %q, in which it lies: take it out of the folder", name, next)
			}
		} else if info, err = d.Info(); err != nil {
			return fmt.Errorf("reading %q: %w", name, pathCause(err))
		}
		if err := w.visit(below, next, info, above[:len(above):len(above)], visit); err != nil {
			return err
		}
	}
	return nil
}

// resolve follows the links of a name inside the app folder.
func (w *walker) resolve(name string) (string, fs.FileInfo, error) {
	pending := strings.Split(name, "/")
	at := "."
	links := 0
	var info fs.FileInfo
	for len(pending) > 0 || info == nil {
		if len(pending) > 0 {
			part := pending[0]
			pending = pending[1:]
			switch part {
			case "", ".":
				continue
			case "..":
				if at == "." {
					return "", nil, fmt.Errorf("link %q leads out of the app folder: take it out of the folder", name)
				}
				at, info = path.Dir(at), nil
				continue
			}
			at = path.Join(at, part)
		}
		var err error
		if info, err = fs.Lstat(w.fsys, at); err != nil {
			if links > 0 && errors.Is(err, fs.ErrNotExist) {
				return "", nil, fmt.Errorf("link %q leads to %q, which is not there: take it out of the folder", name, at)
			}
			return "", nil, fmt.Errorf("reading %q: %w", at, pathCause(err))
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if links++; links > maxLinks {
			return "", nil, fmt.Errorf("link %q leads into a loop: take it out of the folder", name)
		}
		target, err := fs.ReadLink(w.fsys, at)
		if err != nil {
			return "", nil, fmt.Errorf("reading link %q: %w", at, pathCause(err))
		}
		target = strings.ReplaceAll(target, `\`, "/")
		if strings.HasPrefix(target, "/") || len(target) > 1 && target[1] == ':' {
			return "", nil, fmt.Errorf("link %q leads out of the app folder: take it out of the folder", name)
		}
		pending = append(strings.Split(target, "/"), pending...)
		at, info = path.Dir(at), nil
	}
	return at, info, nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// pathCause takes the path off an error that is about to be named by its path
// below the app folder.
func pathCause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
