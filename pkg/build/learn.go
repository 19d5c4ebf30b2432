package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/winpack/winpack/pkg/detect/learned"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// maxImage bounds what the layers of an image unpack to. Those of Windows Server have
// about 12 GB.
const maxImage = 64 << 30

// Learn reads the layers of a base image once, without storing them, and returns what
// the image holds, and how many bytes were read of the registry. family is that of the
// image. Layers that the registry does not hold itself are read from the addresses
// that the image names for them. Errors are as of Direct.Build.
func Learn(ctx context.Context, reg Registry, base dockerfile.Base, family string, progress func(Event)) (*learned.Contents, int64, error) {
	w := newWire(reg.Transport)
	defer w.close()
	j := &job{req: Request{Progress: progress}}
	w.say = func(host, message string) { j.say("wait", host, "%s: %s", host, message) }
	s, err := resolveOne(ctx, reg, w, base)
	if err != nil {
		return nil, 0, err
	}
	j.say("resolve", s.Reference, "%s is Windows %s, %s", s.Reference, s.OSVersion, s.Digest)
	var contents *learned.Contents
	err = again(ctx, func() (err error) { // from the start: a layer cannot be learned by halves
		var c learned.Collector
		layers, err := s.image.Layers()
		if err != nil {
			return err
		}
		if len(layers) != len(s.manifest.Layers) {
			return fmt.Errorf("its manifest has %d layers, and %d can be read", len(s.manifest.Layers), len(layers))
		}
		left := int64(maxImage)
		for i, l := range layers {
			if err := j.learnLayer(ctx, &c, l, s.manifest.Layers[i], &left); err != nil {
				return fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
			}
		}
		contents, err = c.Contents(learned.Header{Reference: base.Reference, Digest: s.Digest, OSVersion: s.OSVersion, Family: family})
		return err
	})
	if ctx.Err() != nil {
		return nil, w.read.Load(), ctx.Err()
	}
	if foreign := (*foreignError)(nil); errors.As(err, &foreign) {
		return nil, w.read.Load(), fmt.Errorf("reading %q: %w", s.Reference, err)
	}
	if err != nil {
		if s.ref != nil {
			return nil, w.read.Load(), registryError("reading", s.Reference, s.ref.Context().RegistryStr(), err)
		}
		return nil, w.read.Load(), fmt.Errorf("reading base image %q: %w", s.Reference, err)
	}
	return contents, w.read.Load(), nil
}

// foreignError is a layer that the registry does not hold, and that cannot be had from
// where the image says that it is.
type foreignError struct {
	digest, url string
	err         error
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s is not stored in the registry, and %s, where the image says that it is, did not give it: %v", e.digest, e.url, e.err)
}

func (e *foreignError) Unwrap() error { return e.err }

// learnLayer reads one layer, as it is stored.
func (j *job) learnLayer(ctx context.Context, c *learned.Collector, l v1.Layer, desc v1.Descriptor, left *int64) error {
	rc, err := l.Compressed()
	if err != nil {
		if !desc.MediaType.IsDistributable() && len(desc.URLs) > 0 {
			return &foreignError{desc.Digest.String(), desc.URLs[0], err}
		}
		return err
	}
	rc = &countedReader{ReadCloser: rc, total: desc.Size, tell: j.counted("learn", desc.Digest.String())}
	defer rc.Close()
	check := newCheck(desc)
	blob := bufio.NewReaderSize(io.TeeReader(untilDone{ctx, rc}, check), 64<<10)
	head, _ := blob.Peek(4)
	var plain io.Reader = blob
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if plain, err = gzip.NewReader(blob); err != nil {
			return err
		}
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return err
		}
		defer z.Close()
		plain = z
	}
	bounded := &io.LimitedReader{R: plain, N: *left}
	err = c.Layer(bounded)
	if err == nil {
		_, err = io.Copy(io.Discard, bounded) // what stands behind the end of the tar
	}
	if *left = bounded.N; *left <= 0 {
		return fmt.Errorf("the image unpacks to more than %d GB", int64(maxImage)>>30)
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, blob); err != nil {
		return err
	}
	return check.verdict()
}

// untilDone is a reader that ends with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
