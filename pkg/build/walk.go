package build

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/detect"
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

// list calls add with each name that a folder of the app holds, in any order, and
// with what a link leads to. Symbolic links are followed where they stay inside the
// app folder, and what they lead to stands under the link's name: a link in a layer is
// a reparse point, which many programs and importers treat differently from a file. A
// link that leads out, nowhere or into a loop is an error.
func list(fsys fs.FS, dir origin, add func(name string, folder bool, target string) error) error {
	var bad error // the first one by name, in whatever order they come
	first := ""
	fail := func(name string, err error) error {
		if bad == nil || name < first {
			bad, first = err, name
		}
		return nil
	}
	var failed error // of add
	err := detect.ListDir(fsys, dir.name, func(d fs.DirEntry) error {
		name, mode, target := d.Name(), d.Type(), ""
		if len(dir.exclude) > 0 && slices.Contains(dir.exclude, winlayer.Fold(path.Join(dir.rel, name))) {
			return nil
		}
		if mode&fs.ModeSymlink != 0 {
			link := path.Join(dir.name, name)
			var err error
			if target, mode, err = follow(fsys, link); err != nil {
				return fail(name, err)
			}
			if mode.IsDir() && (target == dir.name || slices.Contains(dir.above, target)) {
				return fail(name, fmt.Errorf("link %q leads to folder %q, in which it lies: take it out of the folder", link, target))
			}
		}
		if !mode.IsDir() && !mode.IsRegular() {
			return fail(name, fmt.Errorf("%q is a %s, neither file nor folder: take it out of the folder", path.Join(dir.name, name), kindOf(mode)))
		}
		failed = add(name, mode.IsDir(), target)
		return failed
	})
	if failed == nil && err != nil {
		return winlayer.ReadError(dir.name, err)
	}
	return cmp.Or(failed, bad)
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
