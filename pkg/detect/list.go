package detect

import "io/fs"

// Lister is a folder that can be listed without keeping what it holds: one may have
// hundreds of thousands of files.
type Lister interface {
	// ListDir calls visit with each entry of a folder, in any order, until visit gives
	// an error, which it returns. It gives what ReadDir would.
	ListDir(name string, visit func(fs.DirEntry) error) error
}

// ListDir lists a folder of fsys as a Lister does, whether fsys is one or not.
func ListDir(fsys fs.FS, name string, visit func(fs.DirEntry) error) error {
	if l, ok := fsys.(Lister); ok {
		return l.ListDir(name, visit)
	}
	entries, err := fs.ReadDir(fsys, name)
	for _, e := range entries {
		if err := visit(e); err != nil {
			return err
		}
	}
	return err
}
