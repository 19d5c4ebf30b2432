package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// modify is what icacls calls M: read, write, execute, delete.
const modify = 0x1301bf

// layerOptions are what appLayer needs beside the plan.
type layerOptions struct {
	Epoch *time.Time
	// Progress is told bytes of file content, as they are read.
	Progress func(done, total int64)
}

// appLayer turns the steps of a plan into its Windows layer: copy steps, then the
// start script where the plan has one without grants, then grants on what is
// there. The layer is nil where there is nothing to put into one. Run steps are
// refused.
//
// A later copy of the same name wins over an earlier one; two names of one copy
// that differ only in case are an error. The app folder's own times, modes and
// owners, and those of folders in it, are not read.
func appLayer(plan dockerfile.Plan, app fs.FS, opts layerOptions) (*winlayer.Layer, error) {
	rows, err := folderACLs()
	if err != nil {
		return nil, err
	}
	t := &tree{app: app, rows: rows, index: map[string]int32{}}
	for _, s := range plan.Steps {
		switch s.Kind {
		case dockerfile.StepCopy:
			if err := t.copy(s); err != nil {
				return nil, err
			}
		case dockerfile.StepRun:
			return nil, errors.New("the plan has a RUN step, which only a Windows builder can do")
		}
	}
	if _, content, ok := plan.StartScript(false); ok {
		to, err := windowsPath(dockerfile.ScriptPath())
		if err != nil {
			return nil, err
		}
		if err := t.put(winlayer.Entry{Path: to, Content: content}, false); err != nil {
			return nil, err
		}
	}
	for _, s := range plan.Steps {
		if s.Kind == dockerfile.StepGrant {
			if err := t.grant(s); err != nil {
				return nil, err
			}
		}
	}
	if len(t.entries) == 0 {
		return nil, nil
	}
	return winlayer.New(t.entries, winlayer.Options{FS: app, Index: t.index, Epoch: opts.Epoch, Progress: opts.Progress})
}

// windowsPath turns C:\a\b into a/b.
func windowsPath(name string) (string, error) {
	rest, ok := strings.CutPrefix(strings.ReplaceAll(name, `\`, "/"), "C:/")
	if !ok {
		rest, ok = strings.CutPrefix(strings.ReplaceAll(name, `\`, "/"), "c:/")
	}
	rest = strings.TrimSuffix(rest, "/")
	if !ok || rest != "" && path.Clean(rest) != rest {
		return "", fmt.Errorf(`%q is no absolute path on C:\`, name)
	}
	return rest, nil
}

// tree gathers the entries of a layer.
type tree struct {
	app     fs.FS
	rows    []aclRow
	entries []winlayer.Entry
	index   map[string]int32 // into entries, by folded path
}

// find returns the entry of a path, nil where there is none. It holds until the
// next entry is added.
func (t *tree) find(path string) *winlayer.Entry {
	if i, ok := t.index[winlayer.Fold(path)]; ok {
		return &t.entries[i]
	}
	return nil
}

// copy adds what a copy step names.
func (t *tree) copy(s dockerfile.Step) error {
	to, err := windowsPath(s.To)
	if err != nil {
		return err
	}
	w := &walker{fsys: t.app, root: s.From}
	for _, x := range s.Exclude {
		w.exclude = append(w.exclude, winlayer.Fold(x))
	}
	names := map[string]string{} // of this step, by folded target
	return w.walk(func(rel, source string, info fs.FileInfo) error {
		target := path.Join(to, rel)
		if rel == "" && !info.IsDir() { // From is a file
			target = path.Join(to, path.Base(s.From))
		}
		if target == "" || target == "." {
			return nil
		}
		key := winlayer.Fold(target)
		if other, ok := names[key]; ok {
			return fmt.Errorf("%q and %q are one name on Windows, which does not tell case apart: rename one or take it out of the folder", other, source)
		}
		names[key] = source
		e := winlayer.Entry{Path: target, Folder: info.IsDir()}
		if !e.Folder {
			e.Source, e.Size, e.ModTime = source, info.Size(), info.ModTime()
			if strings.HasSuffix(e.Path, source) {
				e.Source = e.Path[len(e.Path)-len(source):] // one string for both
			}
		}
		return t.put(e, true)
	})
}

// put adds an entry and the folders above it. Names of folders and files that are
// there already keep their spelling, as on Windows.
func (t *tree) put(e winlayer.Entry, replace bool) error {
	if err := winlayer.CheckPath(e.Path, e.Folder); err != nil {
		if e.Source != "" {
			return fmt.Errorf("%q: %w", e.Source, err)
		}
		return err
	}
	if dir := path.Dir(e.Path); dir != "." {
		if err := t.put(winlayer.Entry{Path: dir, Folder: true}, true); err != nil {
			return err
		}
		if parent := t.find(dir).Path; !strings.HasPrefix(e.Path, parent+"/") { // the folder is there in another spelling
			e.Path = parent + "/" + path.Base(e.Path)
		}
	}
	if old := t.find(e.Path); old != nil {
		if old.Folder != e.Folder || !replace {
			return fmt.Errorf("%q is put into the image twice", `C:\`+strings.ReplaceAll(e.Path, "/", `\`))
		}
		if !e.Folder {
			e.Path, e.Descriptor = old.Path, old.Descriptor
			*old = e
		}
		return nil
	}
	if err := t.describe(&e); err != nil {
		return err
	}
	t.index[winlayer.Fold(e.Path)] = int32(len(t.entries))
	t.entries = append(t.entries, e)
	return nil
}

// describe gives an entry the descriptor that its place asks for.
func (t *tree) describe(e *winlayer.Entry) error {
	row := above(t.rows, e.Path)
	if own := baseFolder(t.rows, e.Path); own != nil {
		e.Path = own.path
		if own.SDDL == "" || !e.Folder {
			return unknownFolder(e.Path)
		}
		e.Descriptor = &own.self
		return nil
	}
	if row == nil {
		e.Descriptor = winlayer.Default(e.Folder)
		return nil
	}
	if row.Closed {
		return unknownFolder(e.Path)
	}
	e.Descriptor = winlayer.Default(e.Folder)
	if e.Folder && row.BelowFolder != "" {
		e.Descriptor = &row.belowFolder
	}
	if !e.Folder && row.BelowFile != "" {
		e.Descriptor = &row.belowFile
	}
	return nil
}

func unknownFolder(p string) error {
	return fmt.Errorf("%q belongs to the base image, and which access list it has there is not known: put the app into a folder of its own", `C:\`+strings.ReplaceAll(p, "/", `\`))
}

// grant lets a trustee modify a folder, what is made in it later, and every file
// and folder of this layer below it.
func (t *tree) grant(s dockerfile.Step) error {
	to, err := windowsPath(s.To)
	if err != nil {
		return err
	}
	if to == "" {
		return fmt.Errorf(`write access to all of C:\ cannot be granted by a layer`)
	}
	sid, err := sddl.ParseSID(s.Trustee.SID)
	if err != nil {
		return fmt.Errorf("granting write access to %q: %w", s.To, err)
	}
	if t.find(to) == nil {
		if err := t.put(winlayer.Entry{Path: to, Folder: true}, true); err != nil {
			return err
		}
	}
	granted := map[*sddl.Descriptor]*sddl.Descriptor{}
	for i := range t.entries {
		e := &t.entries[i]
		if !winlayer.Below(e.Path, to) {
			continue
		}
		// A descriptor is that of files or that of folders, never of both.
		if granted[e.Descriptor] == nil {
			ace := sddl.ACE{Mask: modify, SID: sid}
			if e.Folder {
				ace.Flags = sddl.ObjectInherit | sddl.ContainerInherit
			}
			d := e.Descriptor
			if !slices.Contains(d.DACL, ace) {
				more := d.Allow(ace)
				d = &more
			}
			granted[e.Descriptor] = d
		}
		e.Descriptor = granted[e.Descriptor]
	}
	return nil
}
