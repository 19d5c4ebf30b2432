package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// localImage is an image of an OCI layout on disk, of which nothing is taken for what
// its name says unread. What a registry gives is checked where it is read.
type localImage struct {
	v1.Image
	of string
}

// newLocalImage checks manifest and configuration.
func newLocalImage(img v1.Image, of string) (localImage, error) {
	l := localImage{img, of}
	digest, err := img.Digest()
	if err != nil {
		return l, err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return l, l.missing(digest, err)
	}
	if err := l.is(digest, int64(len(raw)), raw); err != nil {
		return l, err
	}
	m, err := img.Manifest()
	if err != nil {
		return l, err
	}
	if raw, err = img.RawConfigFile(); err != nil {
		return l, l.missing(m.Config.Digest, err)
	}
	return l, l.is(m.Config.Digest, m.Config.Size, raw)
}

func (l localImage) is(digest v1.Hash, size int64, raw []byte) error {
	sum := newCheck(v1.Descriptor{Digest: digest, Size: size})
	_, _ = io.Copy(sum, bytes.NewReader(raw))
	return l.damaged(sum.verdict())
}

func (l localImage) damaged(err error) error {
	if d, ok := errors.AsType[*DamagedError](err); ok {
		d.Of = l.of
	}
	return err
}

func (l localImage) missing(digest v1.Hash, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &DamagedError{Digest: digest.String(), Missing: true, Of: l.of}
	}
	return fmt.Errorf("reading blob %s of base image %q: %w", digest, l.of, placeError(err))
}

// Layers implements v1.Image.
func (l localImage) Layers() ([]v1.Layer, error) {
	layers, err := l.Image.Layers()
	if err != nil {
		return nil, err
	}
	m, err := l.Image.Manifest()
	if err != nil {
		return nil, err
	}
	out := make([]v1.Layer, len(layers))
	for i := range layers {
		out[i] = localLayer{layers[i], l, m.Layers[i]}
	}
	return out, nil
}

type localLayer struct {
	v1.Layer
	image localImage
	desc  v1.Descriptor
}

// Compressed implements v1.Layer. Where the content is another one, reading its end
// is a *DamagedError.
func (l localLayer) Compressed() (io.ReadCloser, error) {
	r, err := l.Layer.Compressed()
	if err != nil {
		return nil, l.image.missing(l.desc.Digest, err)
	}
	return &localReader{r, l.image, newCheck(l.desc)}, nil
}

type localReader struct {
	io.ReadCloser
	image localImage
	sum   *check
}

func (r *localReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	_, _ = r.sum.Write(p[:n])
	switch {
	case err == io.EOF:
		if bad := r.sum.verdict(); bad != nil {
			err = r.image.damaged(bad)
		}
	case err != nil:
		err = r.image.missing(r.sum.desc.Digest, err)
	}
	return n, err
}
