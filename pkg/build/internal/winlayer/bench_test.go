package winlayer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// synthetic serves files cut from one buffer, so that the disk is not measured.
type synthetic struct {
	noise []byte
	sizes map[string]int64
}

type slice struct {
	*bytes.Reader
	name string
	size int64
}

func (s slice) Stat() (fs.FileInfo, error) { return s, nil }
func (slice) Close() error                 { return nil }
func (s slice) Name() string               { return s.name }
func (s slice) Size() int64                { return s.size }
func (slice) Mode() fs.FileMode            { return 0o644 }
func (slice) ModTime() time.Time           { return when }
func (slice) IsDir() bool                  { return false }
func (slice) Sys() any                     { return nil }

func (s synthetic) Open(name string) (fs.File, error) {
	size := s.sizes[name]
	at := int64(len(name)*7919+int(name[len(name)-1])*104729) % (int64(len(s.noise)) - size)
	return slice{bytes.NewReader(s.noise[at : at+size]), name, size}, nil
}

// tree is 30,000 files of 1 GB together, which gzip halves.
func tree() (synthetic, []Entry) {
	r := rand.New(rand.NewPCG(1, 2))
	s := synthetic{noise: make([]byte, 4<<20), sizes: map[string]int64{}}
	words := make([][]byte, 512)
	for i := range words {
		words[i] = make([]byte, 4+r.IntN(12))
		for j := range words[i] {
			words[i][j] = byte(r.Uint32())
		}
	}
	for at := 0; at < len(s.noise); {
		at += copy(s.noise[at:], words[r.IntN(len(words))])
	}
	var entries []Entry
	for i := range 30_000 {
		name := fmt.Sprintf("bin/%03d/%05d.dll", i/100, i)
		s.sizes[name] = 8_000 + int64(r.IntN(2*27_800))
		entries = append(entries, Entry{Path: "app/" + name, Source: name})
	}
	return s, entries
}

// BenchmarkLayer shows what each stage adds, on 30,000 files of 1 GB, and the
// memory that the process got from the system beyond what the list of files takes.
func BenchmarkLayer(b *testing.B) {
	fsys, entries := tree()
	run := func(name string, write func(*Layer) error) {
		b.Run(name, func(b *testing.B) {
			l := layer(b, Options{FS: fsys}, entries...)
			b.SetBytes(l.total)
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			peak := uint64(0)
			done := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-done:
						return
					case <-time.After(50 * time.Millisecond):
						runtime.ReadMemStats(&now)
						peak = max(peak, now.HeapInuse)
					}
				}
			}()
			for b.Loop() {
				if err := write(l); err != nil {
					b.Fatal(err)
				}
			}
			close(done)
			<-stopped
			if peak > before.HeapInuse {
				b.ReportMetric(float64(peak-before.HeapInuse)/1e6, "peak-MB")
			}
		})
	}
	run("tar", func(l *Layer) error { return l.writeTar(context.Background(), io.Discard) })
	run("tar+sha256", func(l *Layer) error { _, err := l.Hash(context.Background()); return err })
	run("tar+sha256+gzip", func(l *Layer) error {
		z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		if err != nil {
			return err
		}
		if err := l.writeTar(context.Background(), io.MultiWriter(sha256.New(), z)); err != nil {
			return err
		}
		return z.Close()
	})
	run("stream", func(l *Layer) error {
		rc, err := l.Compressed()
		if err != nil {
			return err
		}
		defer rc.Close()
		_, err = io.Copy(io.Discard, rc)
		return err
	})
}
