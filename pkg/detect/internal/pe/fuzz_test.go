package pe

import (
	"bytes"
	"testing"
)

func FuzzOpen(f *testing.F) {
	for _, data := range seeds(f) {
		if len(data) > 16<<10 { // the engine does little with large inputs
			continue
		}
		f.Add(data, uint32(0), uint32(0))
		f.Add(data[:len(data)/2], uint32(60), uint32(0xffffffff))
	}
	f.Fuzz(func(t *testing.T, data []byte, at, v uint32) {
		if len(data) >= 4 {
			data = put(data, int64(at)%int64(len(data)-3), v)
		}
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		everything(file)
	})
}

func BenchmarkOpen(b *testing.B) {
	for name, data := range seeds(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.CLR(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
