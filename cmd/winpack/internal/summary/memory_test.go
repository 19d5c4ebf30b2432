package summary

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
	"github.com/winpack/winpack/pkg/detect"
)

// large is a folder of n results of about 64 KB each, all of it different.
func large(tb testing.TB, n int) string {
	tb.Helper()
	dir := resulttest.Write(tb, nil)
	file, err := os.Create(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	out := json.NewEncoder(file)
	r := resulttest.Report(tb, "demo")
	for i := range n {
		r.Findings, r.Facts = r.Findings[:2], r.Facts[:2]
		for j := range 100 {
			evidence := []detect.Evidence{{Path: fmt.Sprintf("bin/%d/%d.dll", i, j), Offset: 1, Length: 2, Detail: "imports a function that this one has, and a few words more"}}
			r.Findings = append(r.Findings, detect.Finding{Rule: "WP1409", Level: detect.LevelNote, Message: fmt.Sprintf("%d in %d: DLL loaded at its first use", j, i), Evidence: evidence})
			r.Facts = append(r.Facts, detect.Fact{Key: "dll", Value: fmt.Sprint(j, i), Detector: "native", Evidence: evidence})
		}
		if err := out.Encode(resulttest.Of(fmt.Sprintf("app-%05d", i), "apps", r)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// heap is a writer that measures what is alive while it is written to.
type heap struct {
	written, next, peak uint64
}

func (h *heap) Write(p []byte) (int, error) {
	if h.written += uint64(len(p)); h.written >= h.next {
		h.next = h.written + 1<<20
		h.peak = max(h.peak, alive())
	}
	return len(p), nil
}

func above(a, base uint64) uint64 { return a - min(a, base) }

func alive() uint64 {
	runtime.GC() // twice: pools of buffers live through the first
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The reports of all apps together are never in memory, only those that are shown
// in one page are, and those in short.
func TestReportsAreNotHeldAtOnce(t *testing.T) {
	dir := large(t, 400)
	info, err := os.Stat(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	// The check sees it when they are held.
	base := alive()
	held, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(info.Size()) / 3
	if used := above(alive(), base); used < limit {
		t.Fatalf("%d bytes are held, and only %d are seen", info.Size(), used)
	}
	runtime.KeepAlive(held)
	held = nil
	base = alive()
	s, set := open(t, dir)
	if used := above(alive(), base); used > limit {
		t.Errorf("400 apps in short and their index take %d KB", used>>10)
	}
	for name, view := range views(s, set) {
		h := &heap{}
		if err := view(h); err != nil {
			t.Fatal(err)
		}
		allowed := limit
		if name == "apps.html" {
			allowed *= 2 // its table of what is said holds each text once
		}
		if used := above(h.peak, base); used > allowed {
			t.Errorf("%s: %d KB are alive while it is written, of %d KB of results", name, used>>10, info.Size()>>10)
		}
		t.Logf("%s: %d KB alive, %d KB written", name, above(h.peak, base)>>10, h.written>>10)
	}
}

// BenchmarkViews are the views of 10,000 apps whose reports are as large as those
// of the fixtures.
func BenchmarkViews(b *testing.B) {
	dir := resulttest.Many(b, 10_000)
	for _, name := range []string{"text.txt", "verbose.txt", "apps.csv", "apps.json", "apps.sarif", "apps.html"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				sums := NewBuilder()
				set, err := result.Open(dir, func(r *result.Result) error {
					sums.Add(r)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				s := sums.Finish(set)
				if err := views(s, set)[name](io.Discard); err != nil {
					b.Fatal(err)
				}
				set.Close()
			}
			b.ReportMetric(float64(10_000*b.N)/b.Elapsed().Seconds(), "apps/s")
		})
	}
}
