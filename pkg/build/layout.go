package build

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layoutWriter writes an OCI image layout (image-spec, image-layout.md). A blob that
// broke off may be written again. Until commit nothing names what was written, and
// abort takes it away, as far as that goes.
type layoutWriter interface {
	blob(desc v1.Descriptor, open func() (io.ReadCloser, error)) error
	text(name string, data []byte) error
	// index names an image, under each of the names.
	index(image v1.Descriptor, names []map[string]string) error
	// commit returns how a blob can be read again, nil where it can't.
	commit() (read func(v1.Hash) (io.ReadCloser, error), err error)
	abort()
}

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// check tells whether what was written is what its descriptor says.
type check struct {
	hash.Hash
	n    int64
	desc v1.Descriptor
}

func newCheck(desc v1.Descriptor) *check { return &check{Hash: sha256.New(), desc: desc} }

func (c *check) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

// verdict is a *DamagedError, or nil.
func (c *check) verdict() error {
	if c.n != c.desc.Size || hex.EncodeToString(c.Sum(nil)) != c.desc.Digest.Hex {
		return &DamagedError{Digest: c.desc.Digest.String(), Want: c.desc.Size, Got: c.n}
	}
	return nil
}

// copyBlob copies what is left of a blob, of which sum has seen the beginning.
func copyBlob(w io.Writer, sum *check, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, sum.n); err != nil {
		return err
	}
	// A byte more would show that it is too long, which a tar must not get.
	if _, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, sum.desc.Size-sum.n)); err != nil {
		return err
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return &DamagedError{Digest: sum.desc.Digest.String(), Want: sum.desc.Size, Got: sum.n + 1}
	} else if err != io.EOF {
		return err
	}
	return sum.verdict()
}

// folderWriter adds to a folder, as buildx does, which it makes where there is none:
// the folder may be a mount point or the one that the user is in.
type folderWriter struct {
	dir   string
	old   v1.IndexManifest
	lock  *flock.Flock
	made  []string        // in the order of making
	blobs map[string]bool // paths of those that the image has
	alone bool            // the layout has no other image
}

// Files of a layout beside its blobs.
const (
	indexName  = "index.json"
	layoutName = "oci-layout"
)

func newFolderWriter(ctx context.Context, dir string) (_ *folderWriter, err error) {
	w := &folderWriter{dir: filepath.Clean(dir), blobs: map[string]bool{}}
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	if err := w.mkdir(w.dir); err != nil {
		return nil, err
	}
	if err := w.acquire(ctx); err != nil {
		return nil, err
	}
	w.old, err = readIndex(w.dir)
	return w, err
}

// acquire waits for the lock of the layout, which is buildx's too. Where the file
// system knows no locks, there is none.
func (w *folderWriter) acquire(ctx context.Context) error {
	path := filepath.Join(w.dir, indexName+".lock")
	for {
		w.lock = flock.New(path)
		_, err := w.lock.TryLockContext(ctx, 100*time.Millisecond)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && errors.Is(err, fs.ErrPermission):
			return placeError(err)
		case err != nil:
			os.Remove(path)
			return nil
		}
		ours, err := w.lock.Stat()
		if now, nowErr := os.Stat(path); err == nil && nowErr == nil && os.SameFile(ours, now) {
			return nil
		}
		_ = w.lock.Unlock() // whoever had it has removed it
	}
}

// readIndex reads the index of a layout, empty where there is none.
func readIndex(dir string) (v1.IndexManifest, error) {
	f, err := os.Open(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return v1.IndexManifest{}, nil
	} else if err != nil {
		return v1.IndexManifest{}, fmt.Errorf("reading its %s: %w", indexName, pathCause(err))
	}
	defer f.Close()
	index, err := v1.ParseIndexManifest(f)
	if err != nil {
		return v1.IndexManifest{}, fmt.Errorf("reading its %s: %w: name another folder", indexName, err)
	}
	return *index, nil
}

// mkdir makes a folder, and notes those that it made.
func (w *folderWriter) mkdir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); len(path) > len(w.dir) {
		if err := w.mkdir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return placeError(err)
	}
	w.made = append(w.made, path)
	return nil
}

func (w *folderWriter) path(name string) string {
	return filepath.Join(w.dir, filepath.FromSlash(name))
}

func (w *folderWriter) blob(desc v1.Descriptor, open func() (io.ReadCloser, error)) error {
	path := w.path(blobName(desc.Digest))
	w.blobs[path] = true
	if info, err := os.Stat(path); err == nil && info.Size() == desc.Size {
		there := func() (io.ReadCloser, error) { return os.Open(path) }
		if copyBlob(io.Discard, newCheck(desc), there) == nil {
			return nil // of another image of the layout, or of an earlier build
		}
	}
	return w.file(path, func(f io.Writer) error { return copyBlob(f, newCheck(desc), open) })
}

func (w *folderWriter) text(name string, data []byte) error {
	if name == layoutName {
		if _, err := os.Stat(w.path(name)); err == nil {
			return nil
		}
	}
	return w.file(w.path(name), func(f io.Writer) error {
		_, err := f.Write(data)
		return err
	})
}

func (w *folderWriter) index(image v1.Descriptor, names []map[string]string) error {
	index := named(w.old, image, names)
	w.alone = len(index.Manifests) == max(len(names), 1)
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return w.text(indexName, data)
}

func (w *folderWriter) file(path string, write func(io.Writer) error) error {
	if err := w.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	_, statErr := os.Lstat(path)
	f, err := dest{path: path}.create(context.Background())
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.abort()
		return err
	}
	if err := f.commit(); err != nil {
		return err
	}
	if statErr != nil {
		w.made = append(w.made, path)
	}
	return nil
}

// commit leaves nothing of an image that was there alone and is replaced.
func (w *folderWriter) commit() (func(v1.Hash) (io.ReadCloser, error), error) {
	if w.alone {
		dir := w.path("blobs/sha256")
		all, _ := os.ReadDir(dir)
		for _, e := range all {
			if path := filepath.Join(dir, e.Name()); !w.blobs[path] {
				os.Remove(path)
			}
		}
	}
	w.unlock()
	return func(h v1.Hash) (io.ReadCloser, error) { return os.Open(w.path(blobName(h))) }, nil
}

func (w *folderWriter) abort() {
	w.unlock()
	for _, path := range slices.Backward(w.made) {
		os.Remove(path)
	}
}

func (w *folderWriter) unlock() {
	if w.lock == nil || !w.lock.Locked() {
		return
	}
	os.Remove(w.lock.Path()) // as buildx does
	_ = w.lock.Unlock()
	if runtime.GOOS == "windows" {
		os.Remove(w.lock.Path()) // where nothing that is open can be removed
	}
}

// tarWriter writes a tar, to a file or through a pipe.
type tarWriter struct {
	out    *destFile
	tw     *tar.Writer
	at     time.Time
	n      int64 // bytes written
	dirs   map[string]bool
	now    *check // the blob that is being written
	places map[v1.Hash]span
}

// span is where a blob lies in the tar.
type span struct{ offset, size int64 }

func newTarWriter(ctx context.Context, d dest, at time.Time) (*tarWriter, error) {
	out, err := d.create(ctx)
	if err != nil {
		return nil, err
	}
	w := &tarWriter{out: out, at: at, dirs: map[string]bool{}, places: map[v1.Hash]span{}}
	w.tw = tar.NewWriter(w)
	return w, nil
}

// Write counts.
func (w *tarWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.n += int64(n)
	return n, pathCause(err)
}

func (w *tarWriter) header(name string, size int64) error {
	for i, c := range name {
		if dir := name[:i] + "/"; c == '/' && !w.dirs[dir] {
			w.dirs[dir] = true
			if err := w.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: w.at}); err != nil {
				return err
			}
		}
	}
	return w.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: w.at})
}

// blob goes on where the last attempt broke off: what a pipe was given is gone.
func (w *tarWriter) blob(desc v1.Descriptor, open func() (io.ReadCloser, error)) error {
	if w.now == nil || w.now.desc.Digest != desc.Digest {
		if err := w.header(blobName(desc.Digest), desc.Size); err != nil {
			return err
		}
		w.now, w.places[desc.Digest] = newCheck(desc), span{w.n, desc.Size}
	}
	return copyBlob(w.tw, w.now, open)
}

func (w *tarWriter) text(name string, data []byte) error {
	if err := w.header(name, int64(len(data))); err != nil {
		return err
	}
	_, err := w.tw.Write(data)
	return err
}

func (w *tarWriter) index(image v1.Descriptor, names []map[string]string) error {
	data, err := json.Marshal(named(v1.IndexManifest{}, image, names))
	if err != nil {
		return err
	}
	return w.text(indexName, data)
}

func (w *tarWriter) commit() (func(v1.Hash) (io.ReadCloser, error), error) {
	if err := w.tw.Close(); err != nil {
		w.out.abort()
		return nil, err
	}
	if err := w.out.commit(); err != nil || w.out.direct {
		return nil, err
	}
	return func(h v1.Hash) (io.ReadCloser, error) {
		at, ok := w.places[h]
		if !ok {
			return nil, fs.ErrNotExist
		}
		f, err := os.Open(w.out.path)
		if err != nil {
			return nil, err
		}
		return section{io.NewSectionReader(f, at.offset, at.size), f}, nil
	}, nil
}

// section is a part of a file.
type section struct {
	io.Reader
	io.Closer
}

func (w *tarWriter) abort() { w.out.abort() }

// named adds an image to the index of a layout: under each of its names, in place of
// what had that name, or without one, in place of what had none (buildx,
// client/ociindex).
func named(index v1.IndexManifest, image v1.Descriptor, names []map[string]string) v1.IndexManifest {
	index.SchemaVersion, index.MediaType = 2, cmp.Or(index.MediaType, types.OCIImageIndex)
	if len(names) == 0 {
		names = []map[string]string{nil}
	}
	for _, annotations := range names {
		same := func(d v1.Descriptor) bool {
			return d.Annotations[annotationRefName] == annotations[annotationRefName] && d.Annotations[annotationImageName] == annotations[annotationImageName]
		}
		d := image
		d.Annotations = annotations
		index.Manifests = append(slices.DeleteFunc(slices.Clone(index.Manifests), same), d)
	}
	return index
}
