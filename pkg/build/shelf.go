package build

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"path"
	"slices"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// item is a name in a folder of the image, of which there may be hundreds of thousands:
// what few of them have stands in shelf.more.
type item struct {
	at     uint32 // of its name in shelf.text
	more   uint32 // in shelf.more, from 1; 0 is nothing more
	length uint16 // of its name
	part   uint16 // of the folder, in which it lies under this name; noPart for a place
	folder bool
}

const noPart = 1<<16 - 1

// extra is what few items have.
type extra struct {
	source string // of the app, where it lies there under another name
	parts  []part // of a folder, where it has not the one that follows from the item's
	place  *place
}

// shelf is what a folder of the image holds.
type shelf struct {
	parts []part // of the folder
	text  []byte // names, one behind the other
	items []item
	more  []extra
	folds []fold // of the items so far, sorted; only where parts are laid over each other
	seed  maphash.Seed

	strict bool // see tree.strict
}

// fold is an item by the hash of its folded name.
type fold struct {
	hash uint64
	item uint32
}

func (s *shelf) name(it item) string { return string(s.bytes(it)) }

func (s *shelf) bytes(it item) []byte { return s.text[it.at:][:it.length] }

func (s *shelf) extra(it item) extra {
	if it.more == 0 {
		return extra{}
	}
	return s.more[it.more-1]
}

// set gives an item something more.
func (s *shelf) set(it *item, x extra) {
	if it.more == 0 {
		s.more = append(s.more, x)
		it.more = uint32(len(s.more))
	}
	s.more[it.more-1] = x
}

// spell gives an item a name.
func (s *shelf) spell(it *item, name string) error {
	if len(name) >= 1<<16 || len(s.text)+len(name) >= 1<<32 {
		return fmt.Errorf("the folder with %.60q has names that are too long", name)
	}
	it.at, it.length = uint32(len(s.text)), uint16(len(name))
	s.text = append(s.text, name...)
	return nil
}

// origin is where an item lies in the app.
func (s *shelf) origin(it item) origin {
	x := s.extra(it)
	if it.part == noPart {
		return origin{}
	}
	p := s.parts[it.part]
	o := p.dir
	if p.file != "" {
		return o
	}
	name := s.name(it)
	if o.name = path.Join(p.dir.name, name); x.source != "" {
		o.name = x.source
	}
	if len(o.exclude) > 0 {
		o.rel = path.Join(p.dir.rel, name)
	}
	if it.folder {
		o.above = append(slices.Clip(o.above), p.dir.name)
	}
	return o
}

// below are the parts of an item that is a folder.
func (s *shelf) below(it item) []part {
	if x := s.extra(it); x.parts != nil || it.part == noPart {
		return x.parts
	}
	return []part{{step: s.parts[it.part].step, dir: s.origin(it)}}
}

// shelf lists a folder: what its parts hold and the places below it, in the order
// of steps. The first spelling of a name stays and the last file wins. Names of one
// part that are one on Windows stay both here; the layer refuses them.
func (u *union) shelf(dir folder) (*shelf, error) {
	var places []*place
	if dir.place != nil {
		places = dir.place.below
	}
	if len(dir.parts) >= noPart {
		return nil, fmt.Errorf("%s is put together from too many parts", windowsName(dir.path))
	}
	s := &shelf{parts: dir.parts, strict: u.strict}
	for n := 0; n < len(dir.parts) || len(places) > 0; {
		s.prepare()
		if len(places) > 0 && (n == len(dir.parts) || places[0].step < dir.parts[n].step) {
			p := places[0]
			places = places[1:]
			if err := s.add(p.name, item{part: noPart, folder: true}, extra{parts: p.parts, place: p}); err != nil {
				return nil, doubled(dir, err)
			}
			continue
		}
		p := dir.parts[n]
		var err error
		if p.file != "" {
			err = s.add(p.file, item{part: uint16(n)}, extra{})
		} else {
			err = list(cmp.Or(p.dir.fsys, u.app), p.dir, func(name string, folder bool, target string) error {
				return s.add(name, item{part: uint16(n), folder: folder}, extra{source: target})
			})
		}
		if err != nil {
			return nil, doubled(dir, err)
		}
		n++
	}
	return s, nil
}

// doubledError is a name that can't be put where another thing is.
type doubledError struct {
	name    string
	step    int    // the later one
	own     bool   // it is a file of winpack's
	spelled string // another spelling of the name, where that is all that is wrong
}

func (e *doubledError) Error() string {
	if e.spelled != "" {
		return fmt.Sprintf("%s and %s are one name on Windows, and BuildKit would write both, a layer that no Windows takes: spell them alike", e.spelled, e.name)
	}
	why := "once as a file and once as a folder: put one of them elsewhere"
	if e.own {
		why = "once as winpack's own file: put the other elsewhere"
	}
	return e.name + " is put into the image twice, " + why
}

func doubled(dir folder, err error) error {
	if d, ok := errors.AsType[*doubledError](err); ok {
		wrong := *d
		if wrong.name = windowsName(path.Join(dir.path, d.name)); d.spelled != "" {
			wrong.spelled = windowsName(path.Join(dir.path, d.spelled))
		}
		return &wrong
	}
	return err
}

// prepare sorts the items so far by their folded names, where there are any.
func (s *shelf) prepare() {
	if len(s.items) == 0 {
		return
	}
	if s.folds == nil {
		s.seed = maphash.MakeSeed()
	}
	fresh := s.items[len(s.folds):]
	for i, it := range fresh {
		s.folds = append(s.folds, fold{winlayer.FoldHash(s.seed, s.name(it)), uint32(len(s.items) - len(fresh) + i)})
	}
	if len(fresh) > 0 {
		slices.SortFunc(s.folds, func(a, b fold) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.item, b.item)) })
	}
}

// find returns the first of the items so far that is the same name on Windows.
func (s *shelf) find(name string) (int, bool) {
	if len(s.folds) == 0 {
		return 0, false
	}
	h := winlayer.FoldHash(s.seed, name)
	i, _ := slices.BinarySearchFunc(s.folds, h, func(f fold, h uint64) int { return cmp.Compare(f.hash, h) })
	for ; i < len(s.folds) && s.folds[i].hash == h; i++ {
		if at := int(s.folds[i].item); winlayer.Fold(s.name(s.items[at])) == winlayer.Fold(name) {
			return at, true
		}
	}
	return 0, false
}

// add puts a name there, over what was there when prepare was called.
func (s *shelf) add(name string, it item, x extra) error {
	i, there := s.find(name)
	if !there {
		if err := s.spell(&it, name); err != nil {
			return err
		}
		if x.source != "" || x.place != nil {
			s.set(&it, x)
		}
		s.items = append(s.items, it)
		return nil
	}
	old := &s.items[i]
	was := s.extra(*old)
	over := shelf{parts: s.parts} // of the new item alone
	if err := over.spell(&it, name); err != nil {
		return err
	}
	over.set(&it, x)
	wrong := doubledError{name: s.name(*old)}
	if it.part == noPart {
		wrong.step = x.place.step
	} else {
		wrong.step, wrong.own = s.parts[it.part].step, s.parts[it.part].own
	}
	if s.strict && wrong.name != name {
		return &doubledError{name: name, step: wrong.step, spelled: wrong.name}
	}
	switch {
	case x.place != nil && !old.folder && len(x.place.below) == 0 && len(x.place.parts) == 0:
		was.place = x.place // a grant on a file
	case old.folder != it.folder || wrong.own:
		return &wrong
	case it.folder:
		was.parts = slices.Concat(s.below(*old), over.below(it))
		slices.SortStableFunc(was.parts, func(a, b part) int { return a.step - b.step })
		if x.place != nil {
			was.place = x.place
		}
	default:
		was.source = over.origin(it).name
		old.part = it.part
	}
	s.set(old, was)
	return nil
}
