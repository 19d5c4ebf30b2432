package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
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
	// Rows are the folders of the base images; nil for those of acl.toml.
	Rows  []aclRow
	Epoch *time.Time
	// Trees are the folders that steps name by Step.Tree.
	Trees map[string]fs.FS
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
func appLayer(ctx context.Context, plan dockerfile.Plan, app fs.FS, opts layerOptions) (*winlayer.Layer, error) {
	rows, err := opts.Rows, error(nil)
	if rows == nil {
		if rows, err = folderACLs(); err != nil {
			return nil, err
		}
	}
	if app, err = dockerfile.IgnoreFS(app, plan.Ignore); err != nil {
		return nil, err
	}
	t := &tree{app: app, trees: opts.Trees, rows: rows, below: rowsBelow(rows), root: &place{}}
	if err := t.fill(plan.Steps); err != nil {
		return nil, err
	}
	// Of a Dockerfile WORKDIR was a step of its own.
	if dir := plan.Config.WorkingDir; dir != "" && !plan.Config.Whole {
		to, err := windowsPath(dir)
		if err != nil {
			return nil, err
		}
		if !t.owned(to) {
			t.place(to)
		}
	}
	if _, content, ok := plan.StartScript(false); ok {
		to, err := windowsPath(dockerfile.ScriptPath())
		if err != nil {
			return nil, err
		}
		at := t.place(path.Dir(to))
		at.parts = append(at.parts, part{step: t.next(), file: path.Base(to), content: content, own: true})
	}
	for _, s := range plan.Steps {
		if s.Kind == dockerfile.StepGrant {
			if err := t.grant(s); err != nil {
				return nil, err
			}
		}
	}
	l, err := winlayer.New(ctx, t.walk, winlayer.Options{FS: app, Epoch: opts.Epoch, Progress: opts.Progress})
	if err != nil || l.Len() == 0 {
		return nil, t.at(err)
	}
	return l, nil
}

// fill adds what steps put into the image, but for the start script and grants.
func (t *tree) fill(steps []dockerfile.Step) error {
	for _, s := range steps {
		t.source = s.Source
		switch s.Kind {
		case dockerfile.StepCopy:
			if err := t.copy(s); err != nil {
				return err
			}
		case dockerfile.StepWrite:
			to, err := windowsPath(s.To)
			if err != nil {
				return err
			}
			at := t.place(to)
			at.parts = append(at.parts, part{step: t.next(), file: s.Name, content: []byte(s.Text)})
		case dockerfile.StepFolder:
			to, err := windowsPath(s.To)
			if err != nil {
				return err
			}
			if !t.everywhere(to) {
				t.place(to)
			}
		case dockerfile.StepRun:
			return errors.New("the plan has a RUN step, which only a Windows builder can do")
		}
	}
	t.source = ""
	return nil
}

// at adds where the step stands that an error is about.
func (t *tree) at(err error) error {
	if d, ok := errors.AsType[*doubledError](err); ok && d.step > 0 && t.sources[d.step-1] != "" {
		return fmt.Errorf("%s: %w", t.sources[d.step-1], err)
	}
	return err
}

// CheckNames says what the names in the image are that a plan copies: an error for one
// that Windows forbids, and for two that differ in case only, of which BuildKit makes
// both and Windows refuses the layer. Access lists are of no weight here.
func CheckNames(ctx context.Context, plan dockerfile.Plan, app fs.FS) error {
	t := &tree{app: app, root: &place{}, strict: true}
	if err := t.fill(plan.Steps); err != nil {
		return err
	}
	if t.clash != nil {
		return t.at(t.clash)
	}
	_, err := winlayer.New(ctx, t.walk, winlayer.Options{FS: app})
	return t.at(err)
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

// tree is what the steps of a plan put into an image. It holds no list of the
// app's files: each walk reads their folders, so that memory does not depend on
// how many there are.
type tree struct {
	app    fs.FS
	trees  map[string]fs.FS
	rows   []aclRow
	below  map[string][]*aclRow // by the folder that they lie in
	root   *place               // C:\
	grants []sddl.SID
	strict bool  // two spellings of one name are an error
	clash  error // the first place that was spelled in two ways

	source  string   // dockerfile.Step.Source of the step at hand
	sources []string // those of the steps so far
}

// place is a folder of the image that a step names. Places and parts are kept in
// the order of steps, of which earlier ones decide how a name is spelled.
type place struct {
	name   string
	step   int
	below  []*place
	parts  []part
	grants []int // into tree.grants: what starts here and reaches all below
}

// part is what one step puts into a folder: what a folder of the app holds, or a file.
type part struct {
	step    int
	dir     origin // of the app
	file    string // the name of a file, and
	content []byte // its content, nil where it is dir.name
	own     bool   // winpack's own, which takes no other file's place
}

func (t *tree) next() int {
	t.sources = append(t.sources, t.source)
	return len(t.sources)
}

// place returns the place of a path below C:\, which is made where there is none.
func (t *tree) place(to string) *place {
	at := t.root
	if to == "" || to == "." {
		return at
	}
	step := t.next()
	names, whole := strings.Split(to, "/"), ""
each:
	for _, name := range names {
		whole = path.Join(whole, name)
		for _, p := range at.below {
			if winlayer.Fold(p.name) == winlayer.Fold(name) {
				if t.clash == nil && p.name != name {
					t.clash = &doubledError{name: windowsName(whole), step: step, spelled: windowsName(path.Join(path.Dir(whole), p.name))}
				}
				at = p
				continue each
			}
		}
		p := &place{name: name, step: step}
		at.below = append(at.below, p)
		at = p
	}
	return at
}

// everywhere says whether every base image has a folder, which then needs no entry.
func (t *tree) everywhere(folder string) bool {
	if folder == "" {
		return true
	}
	for i := range t.rows {
		if t.rows[i].Everywhere && winlayer.Fold(t.rows[i].path) == winlayer.Fold(folder) {
			return true
		}
	}
	return false
}

// owned says whether a folder is one of the base images', or lies in one of which not
// all is known: then it is there, or nobody knows what it would be like.
func (t *tree) owned(folder string) bool {
	folded := winlayer.Fold(folder)
	for i := range t.rows {
		row := &t.rows[i]
		path := winlayer.Fold(row.path)
		if folded == path || (row.Closed || row.SDDL == "") && strings.HasPrefix(folded, path+"/") {
			return true
		}
	}
	return folder == ""
}

// copy adds what a copy step names.
func (t *tree) copy(s dockerfile.Step) error {
	to, err := windowsPath(s.To)
	if err != nil {
		return err
	}
	if !fs.ValidPath(s.From) {
		return fmt.Errorf("%q is no path below the app folder", s.From)
	}
	var other fs.FS // nil stands for the app folder
	if s.Tree != "" {
		if other = t.trees[s.Tree]; other == nil {
			return fmt.Errorf("the plan copies from %q, which the builder was not given", s.Tree)
		}
	}
	name, mode, err := follow(cmp.Or(other, t.app), s.From)
	if err != nil {
		return err
	}
	if len(s.Include) > 0 || len(s.Ignore) > 0 {
		if other, err = s.Filtered(cmp.Or(other, t.app), name); err != nil {
			return err
		}
	}
	p := part{dir: origin{fsys: other, name: name}}
	switch {
	case mode.IsDir():
		for _, x := range s.Exclude {
			p.dir.exclude = append(p.dir.exclude, winlayer.Fold(x))
		}
	case mode.IsRegular():
		p.file = cmp.Or(s.Name, path.Base(s.From))
	default:
		return fmt.Errorf("%q is a %s, neither file nor folder: take it out of the folder", s.From, kindOf(mode))
	}
	at := t.place(to)
	p.step = t.next()
	at.parts = append(at.parts, p)
	return nil
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
	at := t.place(to)
	at.grants = append(at.grants, len(t.grants))
	t.grants = append(t.grants, sid)
	return nil
}
