package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// content is one blob of a layout.
type content struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
	base string // the base image whose layer it is
}

// saveLayer is save for what the direct builder makes: all releases, or only that
// of an index from 0. What it returns has all.
func (j *job) saveLayer(ctx context.Context, o Output, one int) (finished, error) {
	var all finished
	_, err := j.save(ctx, o, func(tmp string) (finished, []content, error) {
		// The layer's name is its digest, and a tar wants its size first, so it is
		// compressed into a file; what was pushed already is known, and streams.
		var app *content
		if j.layer != nil {
			c, err := j.appContent(ctx, filepath.Join(tmp, "layer"))
			if err != nil {
				return finished{}, nil, err
			}
			app = &c
		}
		var err error
		if all, err = j.finish(); err != nil {
			return finished{}, nil, err
		}
		done := all
		if one >= 0 {
			done = finished{releases: all.releases[one : one+1], top: all.releases[one].image}
		}
		blobs, err := j.contents(done, app, o.Sparse)
		return done, blobs, err
	})
	return all, err
}

// save writes an OCI image layout (image-spec, image-layout.md). A tar is put in its
// place when it is complete, a folder is added to, and its index comes last. prepare
// gives what the layout holds, and may put files into a folder that is gone afterwards.
func (j *job) save(ctx context.Context, o Output, prepare func(tmp string) (finished, []content, error)) (done finished, err error) {
	load := o.Type == "docker" && o.Dest == ""
	var to dest
	if load {
		o.Dest, o.Tar = "the image for the engine", true
	} else if to, err = o.place(); err != nil { // again: the build took its time
		return finished{}, err
	}
	fail := func(err error) (finished, error) {
		if ctx.Err() != nil {
			return finished{}, ctx.Err()
		}
		return finished{}, fmt.Errorf("writing %q: %w", o.Dest, err)
	}
	tmp, err := o.scratch(to)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if rmErr := os.RemoveAll(tmp); err == nil && rmErr != nil {
			err = fmt.Errorf("writing %q: %w", o.Dest, rmErr)
		}
	}()
	done, contents, err := prepare(tmp)
	if err != nil {
		return fail(err)
	}
	var w layoutWriter
	switch {
	case load:
		to.path = filepath.Join(tmp, "image")
		w, err = newTarWriter(ctx, to, j.created)
	case o.Tar:
		w, err = newTarWriter(ctx, to, j.created)
	default:
		w, err = newFolderWriter(ctx, o.Dest)
	}
	if err != nil {
		return fail(err)
	}
	if err := cmp.Or(j.writeLayout(ctx, w, done, contents), j.writeDocker(w, o, done)); err != nil {
		w.abort()
		return fail(err)
	}
	read, err := w.commit()
	if err != nil {
		return fail(err)
	}
	if load {
		return done, j.engine.load(ctx, to.path, func(line string) { j.say("load", "", "%s", line) })
	}
	if read != nil {
		j.saved = append(j.saved, read)
	}
	j.say("save", o.Dest, "wrote %s", o.Dest)
	return done, nil
}

// readableFirst puts the outputs in front from which others can take their blobs.
func readableFirst(outputs []Output) []Output {
	rank := func(o Output) int {
		d, err := o.place()
		switch {
		case err != nil || d.path == "" || d.direct:
			return 2
		case o.Sparse:
			return 1
		}
		return 0
	}
	outputs = slices.Clone(outputs)
	slices.SortStableFunc(outputs, func(a, b Output) int { return rank(a) - rank(b) })
	return outputs
}

// savedBlob opens a blob of an output that is written already; nil where none has it.
func (j *job) savedBlob(h v1.Hash) io.ReadCloser {
	for _, read := range j.saved {
		if r, err := read(h); err == nil {
			return r
		}
	}
	return nil
}

// scratch makes a folder for what is needed until an output is written, on its disk.
func (o Output) scratch(to dest) (string, error) {
	parent, base := filepath.Split(to.path)
	switch {
	case to.path == "" || to.direct:
		parent, base = "", "image" // the system's folder for temporary files
	case !o.Tar:
		if info, err := os.Stat(to.path); err == nil && info.IsDir() {
			parent = to.path // what lies above it may be another disk
		}
	}
	tmp, err := os.MkdirTemp(parent, tempPattern(base))
	return tmp, placeError(err)
}

// try finds out whether something can be written where an output goes, before the
// build takes its time.
func (o Output) try() error {
	to, err := o.place()
	if err != nil || to.path == "" || to.direct {
		return err
	}
	tmp, err := o.scratch(to)
	if err != nil {
		return fmt.Errorf("writing %q: %w", o.Dest, err)
	}
	return os.Remove(tmp)
}

// Check says whether an output can be written where it is wanted, as far as that
// can be told before it is made.
func (o Output) Check() error {
	_, err := o.place()
	return err
}

// place is where an output goes.
func (o Output) place() (dest, error) {
	if o.Type == "docker" && o.Dest == "" {
		return dest{}, nil // the engine
	}
	if o.Dest == "" {
		return dest{}, errors.New("output type oci needs dest=FILE")
	}
	fail := func(err error) (dest, error) { return dest{}, fmt.Errorf("output %q: %w", o.Dest, err) }
	if o.Tar {
		d, err := fileAt(o.Dest)
		if errors.Is(err, errFolder) {
			err = errors.New("it is a folder: name a file, or add tar=false")
		}
		if err != nil {
			return fail(err)
		}
		return d, nil
	}
	d := dest{name: o.Dest, path: filepath.Clean(o.Dest)}
	info, err := os.Stat(o.Dest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := checkParent(d.path); err != nil {
			return fail(err)
		}
		return d, nil
	case err != nil:
		return fail(pathCause(err))
	case !info.IsDir():
		return fail(errors.New("it is a file: name a folder, or leave tar=false out"))
	}
	entries, err := os.ReadDir(o.Dest)
	if err != nil {
		return fail(pathCause(err))
	}
	others := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		// Another build may have begun it, or have been killed in it.
		return !slices.Contains([]string{"blobs", indexName, indexName + ".lock"}, e.Name()) &&
			!slices.ContainsFunc([]string{filepath.Base(d.path), layoutName, indexName}, func(of string) bool { return IsTemporary(e.Name(), of) })
	})
	if _, err := os.Stat(filepath.Join(o.Dest, layoutName)); others && err != nil {
		return fail(errors.New("the folder holds something else than an OCI layout: name an empty or a new one"))
	}
	if _, err := readIndex(o.Dest); err != nil {
		return fail(err)
	}
	return d, nil
}

// samePath says whether two names are of one file, whatever links lie between.
func samePath(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (j *job) appContent(ctx context.Context, spool string) (content, error) {
	if j.app != nil {
		return content{desc: j.app.desc, open: func() (io.ReadCloser, error) {
			if r := j.savedBlob(j.app.desc.Digest); r != nil {
				return r, nil
			}
			return j.layer.Stream(ctx), nil
		}}, nil
	}
	r := j.layer.Stream(ctx)
	err := writeFile(spool, r)
	if err = cmp.Or(err, r.Close()); err != nil {
		return content{}, err
	}
	if _, err := j.finish(); err != nil { // sets j.app
		return content{}, err
	}
	return content{desc: j.app.desc, open: func() (io.ReadCloser, error) { return os.Open(spool) }}, nil
}

// contents lists every blob once, sorted by digest.
func (j *job) contents(done finished, app *content, sparse bool) ([]content, error) {
	var out []content
	if app != nil {
		out = append(out, *app)
	}
	for _, r := range done.releases {
		out = append(out, bytesContent(r.configFile), bytesContent(r.image))
		if sparse {
			continue
		}
		layers, err := r.source.image.Layers()
		if err != nil {
			return nil, err
		}
		for i, d := range r.manifest.Layers {
			if !d.MediaType.IsDistributable() && len(d.URLs) > 0 {
				continue
			}
			out = append(out, content{d, func() (io.ReadCloser, error) {
				if r := j.savedBlob(d.Digest); r != nil {
					return r, nil
				}
				j.say("base", d.Digest.String(), "reading base layer %s, %s", d.Digest, megabytes(d.Size))
				r, err := layers[i].Compressed()
				if err != nil {
					return nil, err
				}
				return &countedReader{ReadCloser: r, total: d.Size, tell: j.counted("base", d.Digest.String())}, nil
			}, r.Reference})
		}
	}
	return distinct(append(out, bytesContent(done.top))), nil
}

func (j *job) writeLayout(ctx context.Context, w layoutWriter, done finished, contents []content) error {
	if err := w.text(layoutName, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	for _, c := range contents {
		write := func() error { return w.blob(c.desc, c.open) }
		var err error
		if c.base != "" {
			err = again(ctx, write)
		} else {
			err = write()
		}
		if damaged, ok := errors.AsType[*DamagedError](err); ok && damaged.Of == "" {
			damaged.Of = c.base
		}
		if err != nil {
			return err
		}
	}
	var names []map[string]string
	for _, ref := range j.refs {
		names = append(names, map[string]string{annotationRefName: ref.Identifier(), annotationImageName: shownName(ref)})
	}
	return w.index(done.top.desc, names)
}

func writeFile(name string, r io.Reader) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return cmp.Or(err, f.Close())
}
