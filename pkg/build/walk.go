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

// origin is a file or folder of the app on its way into the image.
type origin struct {
	fsys    fs.FS  // nil for the app folder
	name    string // in the file system, after links
	rel     string // below what the step copies, "" for that itself
	exclude []string
	above   []string // the folders that it was reached through
}

// found is one name that a folder holds.
type found struct {
	name   string
	folder bool
	origin
}

// list gives what a folder of the app holds. Symbolic links are followed where
// they stay inside the app folder, and what they lead to stands under the link's
// name: a link in a layer is a reparse point, which many programs and importers
// treat differently from a file. A link that leads out, nowhere or into a loop is
// an error.
func list(fsys fs.FS, dir origin) ([]found, error) {
	entries, err := fs.ReadDir(fsys, dir.name)
	if err != nil {
		return nil, winlayer.ReadError(dir.name, err)
	}
	above := append(slices.Clip(dir.above), dir.name)
	all := make([]found, 0, len(entries))
	for _, d := range entries {
		f := found{name: d.Name(), origin: origin{fsys: dir.fsys, name: path.Join(dir.name, d.Name()), above: above}}
		mode := d.Type()
		if mode&fs.ModeSymlink == 0 && !mode.IsDir() && len(dir.exclude) == 0 && mode.IsRegular() {
			all = append(all, f) // nearly all of them
			continue
		}
		f.rel, f.exclude = path.Join(dir.rel, d.Name()), dir.exclude
		if slices.Contains(f.exclude, winlayer.Fold(f.rel)) {
			continue
		}
		if mode&fs.ModeSymlink != 0 {
			link := f.origin.name
			if f.origin.name, mode, err = follow(fsys, link); err != nil {
				return nil, err
			}
			if mode.IsDir() && slices.Contains(above, f.origin.name) {
				return nil, fmt.Errorf("link %q leads to folder %q, in which it lies: take it out of the folder", link, f.origin.name)
			}
		}
		if f.folder = mode.IsDir(); !f.folder && !mode.IsRegular() {
			return nil, fmt.Errorf("%q is a %s, neither file nor folder: take it out of the folder", f.origin.name, kindOf(mode))
		}
		all = append(all, f)
	}
	return all, nil
}

// follow resolves the links of a name inside the app folder, and says what kind
// of file it leads to.
func follow(fsys fs.FS, name string) (string, fs.FileMode, error) {
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
					return "", 0, fmt.Errorf("link %q leads out of the app folder: take it out of the folder", name)
				}
				at, info = path.Dir(at), nil
				continue
			}
			at = path.Join(at, part)
		}
		var err error
		if info, err = fs.Lstat(fsys, at); err != nil {
			if links > 0 && errors.Is(err, fs.ErrNotExist) {
				return "", 0, fmt.Errorf("link %q leads to %q, which is not there: take it out of the folder", name, at)
			}
			return "", 0, winlayer.ReadError(at, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if links++; links > maxLinks {
			return "", 0, fmt.Errorf("link %q leads into a loop: take it out of the folder", name)
		}
		target, err := fs.ReadLink(fsys, at)
		if err != nil {
			return "", 0, winlayer.ReadError(at, err)
		}
		target = strings.ReplaceAll(target, `\`, "/")
		if strings.HasPrefix(target, "/") || len(target) > 1 && target[1] == ':' {
			return "", 0, fmt.Errorf("link %q leads out of the app folder: take it out of the folder", name)
		}
		pending = append(strings.Split(target, "/"), pending...)
		at, info = path.Dir(at), nil
	}
	return at, info.Mode(), nil
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
