package winlayer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/pgzip"
)

// The compressor works on blocks of a fixed size, so its output does not depend on
// how many it works on at once; that many bounds the memory.
const (
	gzipBlock     = 1 << 20
	maxGzipBlocks = 8
	chunkSize     = 256 << 10
	chunksAhead   = 4 // with chunkSize the buffer between compressor and reader: 1 MB
)

var errNotSame = errors.New("the app's files changed between two readings: build again when nothing writes to them")

// Stream starts writing the layer, compressed. The reader fails with ctx's error
// when ctx ends; closing it early stops the writing. It is read by one goroutine.
func (l *Layer) Stream(ctx context.Context) io.ReadCloser {
	return newReader(ctx, func(ctx context.Context, w io.Writer) error {
		digest := &counter{Hash: sha256.New()}
		out := &latch{w: io.MultiWriter(w, digest)}
		gz, err := pgzip.NewWriterLevel(out, pgzip.BestSpeed)
		if err != nil {
			return err
		}
		if err := gz.SetConcurrency(gzipBlock, min(runtime.GOMAXPROCS(0), maxGzipBlocks)); err != nil {
			return err
		}
		diffID := sha256.New()
		err = l.writeTar(ctx, io.MultiWriter(diffID, stopper{gz, out}))
		// Close in any case: it ends the compressor's goroutines.
		if cerr := gz.Close(); err == nil {
			err = cerr
		}
		if werr := out.failure(); werr != nil {
			err = werr
		}
		if err != nil {
			return err
		}
		return l.computed(sum(diffID), sum(digest), digest.n)
	})
}

// Hash reads the app, without compressing it, and returns the layer's diff ID.
func (l *Layer) Hash(ctx context.Context) (v1.Hash, error) {
	h := sha256.New()
	if err := l.writeTar(ctx, h); err != nil {
		return v1.Hash{}, err
	}
	id := sum(h)
	return id, l.computed(id, v1.Hash{}, 0)
}

// computed notes what a complete reading found, which is what others found.
func (l *Layer) computed(diffID, digest v1.Hash, size int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.diffID != nil && *l.diffID != diffID {
		return errNotSame
	}
	l.diffID = &diffID
	if digest != (v1.Hash{}) {
		if l.digest != nil && *l.digest != digest {
			return errNotSame
		}
		l.digest, l.size = &digest, size
	}
	return nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// Digest implements v1.Layer.
func (l *Layer) Digest() (v1.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == nil {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return *l.digest, nil
}

// DiffID implements v1.Layer.
func (l *Layer) DiffID() (v1.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.diffID == nil {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return *l.diffID, nil
}

// Size implements v1.Layer: compressed bytes.
func (l *Layer) Size() (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == nil {
		return 0, stream.ErrNotComputed
	}
	return l.size, nil
}

// MediaType implements v1.Layer.
func (l *Layer) MediaType() (types.MediaType, error) { return l.opts.MediaType, nil }

// Compressed implements v1.Layer. It may be called again, for a retry.
func (l *Layer) Compressed() (io.ReadCloser, error) { return l.Stream(context.Background()), nil }

// Uncompressed implements v1.Layer.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	return newReader(context.Background(), func(ctx context.Context, w io.Writer) error {
		h := sha256.New()
		if err := l.writeTar(ctx, io.MultiWriter(h, w)); err != nil {
			return err
		}
		return l.computed(sum(h), v1.Hash{}, 0)
	}), nil
}

// counter counts what it hashes.
type counter struct {
	hash.Hash
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

// latch keeps the first error and swallows what comes after it: the compressor
// leaves a goroutine behind when its writer fails.
type latch struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (l *latch) Write(p []byte) (int, error) {
	if l.failure() == nil {
		if _, err := l.w.Write(p); err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		}
	}
	return len(p), nil
}

func (l *latch) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// stopper ends the reading of files once nobody takes the output.
type stopper struct {
	w   io.Writer
	out *latch
}

func (s stopper) Write(p []byte) (int, error) {
	if err := s.out.failure(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// reader hands chunks from a writing goroutine to a reading one, some ahead.
type reader struct {
	cancel context.CancelFunc
	chunks chan []byte
	free   chan []byte
	err    error // of the writer; read after chunks is closed
	now    []byte
	rest   []byte
}

func newReader(ctx context.Context, write func(context.Context, io.Writer) error) *reader {
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{cancel: cancel, chunks: make(chan []byte, chunksAhead), free: make(chan []byte, chunksAhead+2)}
	go func() {
		defer close(r.chunks)
		// The panic of one app must not end the process, which may build others.
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("internal error: %v", p)
			}
		}()
		w := &chunkWriter{ctx: ctx, r: r}
		r.err = write(ctx, w)
		if r.err == nil {
			r.err = w.flush()
		}
	}()
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.now != nil {
			select {
			case r.free <- r.now:
			default:
			}
			r.now = nil
		}
		chunk, ok := <-r.chunks
		if !ok {
			if r.err != nil {
				return 0, r.err
			}
			return 0, io.EOF
		}
		r.now, r.rest = chunk, chunk
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close stops the writer and waits for its end.
func (r *reader) Close() error {
	r.cancel()
	for range r.chunks {
	}
	return nil
}

// chunkWriter is the writing end of a reader.
type chunkWriter struct {
	ctx context.Context
	r   *reader
	buf []byte
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			select {
			case b := <-w.r.free:
				w.buf = b[:0]
			default:
				w.buf = make([]byte, 0, chunkSize)
			}
		}
		n := min(len(p), chunkSize-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == chunkSize {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

func (w *chunkWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	select {
	case w.r.chunks <- w.buf:
		w.buf = nil
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}
