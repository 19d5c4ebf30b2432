package build

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// content is one blob of a layout.
type content struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
	base bool
}

// layoutWriter writes the files of a layout. A file that failed may be written again.
type layoutWriter interface {
	file(name string, size int64, open func() (io.ReadCloser, error)) error
	close() error
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

// save writes an OCI image layout (image-spec, image-layout.md) beside its
// destination and puts it in place when it is complete. prepare gives what it holds,
// and may put files into a folder that is gone afterwards.
func (j *job) save(ctx context.Context, o Output, prepare func(tmp string) (finished, []content, error)) (done finished, err error) {
	fail := func(err error) (finished, error) {
		return finished{}, fmt.Errorf("writing %q: %w", o.Dest, err)
	}
	load := o.Type == "docker" && o.Dest == ""
	dest, beside := filepath.Clean(o.Dest), ""
	if load {
		o.Dest, o.Tar, dest = "the image for the engine", true, "winpack"
	} else {
		if err := o.Check(); err != nil { // again: the build took its time
			return finished{}, err
		}
		beside = filepath.Dir(dest)
	}
	tmp, err := os.MkdirTemp(beside, "."+filepath.Base(dest)+".*")
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
	made := filepath.Join(tmp, "layout")
	var w layoutWriter = folderWriter{made}
	if o.Tar {
		if w, err = newTarWriter(made, j.created); err != nil {
			return fail(err)
		}
	}
	if err := cmp.Or(j.writeLayout(ctx, w, done, contents), j.writeDocker(w, o, done), w.close()); err != nil {
		if ctx.Err() != nil {
			return finished{}, ctx.Err()
		}
		return fail(err)
	}
	if load {
		return done, j.engine.load(ctx, made, func(line string) { j.say("load", "", "%s", line) })
	}
	if err := replace(made, dest, filepath.Join(tmp, "old")); err != nil {
		return fail(err)
	}
	j.say("save", o.Dest, "wrote %s", o.Dest)
	return done, nil
}

// Check says whether an output can be written where it is wanted, as far as that
// can be told before it is made.
func (o Output) Check() error {
	if o.Type == "docker" && o.Dest == "" {
		return nil // the engine
	}
	if o.Dest == "" {
		return errors.New("output type oci needs dest=FILE")
	}
	parent := filepath.Dir(filepath.Clean(o.Dest))
	if info, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("output %q: the folder %q does not exist: make it first", o.Dest, parent)
	} else if err != nil {
		return fmt.Errorf("output %q: %w", o.Dest, pathCause(err))
	} else if !info.IsDir() {
		return fmt.Errorf("output %q: %q is no folder", o.Dest, parent)
	}
	info, err := os.Stat(o.Dest)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output %q: %w", o.Dest, pathCause(err))
	case o.Tar && info.IsDir():
		return fmt.Errorf("output %q is a folder: name a file, or add tar=false", o.Dest)
	case !o.Tar && !info.IsDir():
		return fmt.Errorf("output %q is a file: name a folder, or leave tar=false out", o.Dest)
	case o.Tar:
		return nil
	}
	entries, err := os.ReadDir(o.Dest)
	if err != nil {
		return fmt.Errorf("output %q: %w", o.Dest, pathCause(err))
	}
	if _, err := os.Stat(filepath.Join(o.Dest, "oci-layout")); len(entries) > 0 && err != nil {
		return fmt.Errorf("output %q: the folder holds something else than an OCI layout: name an empty or a new one", o.Dest)
	}
	return nil
}

// samePath says whether two names are of one file, whatever links lie between.
func samePath(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// replace puts made at dest; a folder that is there already goes to old.
func replace(made, dest, old string) error {
	if info, err := os.Stat(dest); err == nil && info.IsDir() {
		if err := os.Rename(dest, old); err != nil {
			return err
		}
		if err := os.Rename(made, dest); err != nil {
			return cmp.Or(err, os.Rename(old, dest))
		}
		return nil
	}
	return os.Rename(made, dest)
}

func (j *job) appContent(ctx context.Context, spool string) (content, error) {
	if j.app != nil {
		return content{desc: j.app.desc, open: func() (io.ReadCloser, error) { return j.layer.Stream(ctx), nil }}, nil
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
				r, err := layers[i].Compressed()
				if err != nil {
					return nil, err
				}
				return &countedReader{ReadCloser: r, total: d.Size, tell: j.counted("base", d.Digest.String())}, nil
			}, true})
		}
	}
	return distinct(append(out, bytesContent(done.top))), nil
}

func (j *job) writeLayout(ctx context.Context, w layoutWriter, done finished, contents []content) error {
	text := func(name, s string) error {
		return w.file(name, int64(len(s)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil })
	}
	if err := text("oci-layout", `{"imageLayoutVersion":"1.0.0"}`); err != nil {
		return err
	}
	for _, c := range contents {
		name := "blobs/" + c.desc.Digest.Algorithm + "/" + c.desc.Digest.Hex
		if c.base {
			j.say("base", c.desc.Digest.String(), "reading base layer %s, %s", c.desc.Digest, megabytes(c.desc.Size))
		}
		write := func() error { return w.file(name, c.desc.Size, c.open) }
		var err error
		if c.base {
			err = again(ctx, write)
		} else {
			err = write()
		}
		if err != nil {
			return err
		}
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, ref := range j.refs {
		d := done.top.desc
		d.Annotations = map[string]string{annotationRefName: ref.Identifier(), annotationImageName: shownName(ref)}
		index.Manifests = append(index.Manifests, d)
	}
	if len(j.refs) == 0 {
		index.Manifests = []v1.Descriptor{done.top.desc}
	}
	doc, err := newArtifact(index, types.OCIImageIndex)
	if err != nil {
		return err
	}
	return text("index.json", string(doc.raw))
}

func writeFile(name string, r io.Reader) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return cmp.Or(err, f.Close())
}

type folderWriter struct{ dir string }

func (w folderWriter) file(name string, _ int64, open func() (io.ReadCloser, error)) error {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	r, err := open()
	if err != nil {
		return err
	}
	return cmp.Or(writeFile(path, r), r.Close())
}

func (folderWriter) close() error { return nil }

// tarWriter starts a tar for each file, so that one that failed can be cut off.
type tarWriter struct {
	f    *os.File
	at   time.Time
	dirs map[string]bool
}

func newTarWriter(path string, at time.Time) (*tarWriter, error) {
	f, err := os.Create(path)
	return &tarWriter{f, at, map[string]bool{}}, err
}

func (w *tarWriter) file(name string, size int64, open func() (io.ReadCloser, error)) (err error) {
	start, err := w.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, d := range made {
			delete(w.dirs, d)
		}
		_, seekErr := w.f.Seek(start, io.SeekStart)
		err = cmp.Or(err, seekErr, w.f.Truncate(start))
	}()
	r, err := open()
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, r.Close()) }()
	tw := tar.NewWriter(w.f)
	for i, c := range name {
		if dir := name[:i] + "/"; c == '/' && !w.dirs[dir] {
			w.dirs[dir] = true
			made = append(made, dir)
			if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: w.at}); err != nil {
				return err
			}
		}
	}
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: w.at}); err != nil {
		return err
	}
	if _, err := io.Copy(tw, r); err != nil {
		return err
	}
	return tw.Flush()
}

func (w *tarWriter) close() error {
	return cmp.Or(tar.NewWriter(w.f).Close(), w.f.Close())
}
