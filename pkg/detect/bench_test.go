package detect_test

import (
	"bytes"
	"debug/pe"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// benchSite is made once for all benchmarks and removed by TestMain.
var benchSite string

func TestMain(m *testing.M) {
	code := m.Run()
	if benchSite != "" {
		os.RemoveAll(benchSite)
	}
	os.Exit(code)
}

// bigSite makes a site of 30,000 files and about 1 GB: 600 assemblies and 29,400
// other files of 33 KB.
func bigSite(b *testing.B) string {
	b.Helper()
	if benchSite != "" {
		return benchSite
	}
	dir, err := os.MkdirTemp("", "winpack-bench-")
	if err != nil {
		b.Fatal(err)
	}
	benchSite = dir
	dll, err := os.ReadFile(filepath.Join(fixtures.App(b, "aspnet-webforms"), "bin", "Shop.dll"))
	if err != nil {
		b.Fatal(err)
	}
	write := func(name string, data []byte) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write("Web.config", []byte(`<configuration><system.web><compilation targetFramework="4.8"/></system.web></configuration>`))
	write("Default.aspx", []byte(page))
	noise := make([]byte, 34<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for i := range 600 {
		write(fmt.Sprintf("bin/Lib%03d.dll", i), append(dll, noise...))
	}
	for i := range 29_400 {
		write(fmt.Sprintf("content/%02d/%02d/f%05d.png", i%40, i/40%20, i), noise)
	}
	return dir
}

// findAndOpen is the yardstick of the benchmarks: what find -type f does, and opening
// every .dll and .exe that it names.
func findAndOpen(b *testing.B, dir string) {
	b.Helper()
	out, err := exec.Command("find", dir, "-type", "f").Output()
	if err != nil {
		b.Skip("SKIPPED: find is missing (apt package findutils)")
	}
	for p := range strings.Lines(string(out)) {
		p = strings.TrimSuffix(p, "\n")
		if low := strings.ToLower(filepath.Ext(p)); low != ".dll" && low != ".exe" {
			continue
		}
		f, err := os.Open(p)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

// against times work beside the yardstick on the same tree, by turns, so that what else
// runs on the machine meets both, and reports how often its time work takes. The
// median of each counts.
func against(b *testing.B, dir string, work func()) (each time.Duration) {
	b.Helper()
	var found, worked []time.Duration
	var findCPU, workCPU time.Duration
	timed := func(to *[]time.Duration, cpu *time.Duration, f func()) {
		start, before := time.Now(), processorTime()
		f()
		*to, *cpu = append(*to, time.Since(start)), *cpu+processorTime()-before
	}
	work() // what is parsed once is parsed now, and files are in the page cache
	for b.Loop() {
		b.StopTimer()
		timed(&found, &findCPU, func() { findAndOpen(b, dir) })
		b.StartTimer()
		timed(&worked, &workCPU, work)
	}
	if findCPU > 0 {
		b.ReportMetric(float64(workCPU.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		b.ReportMetric(float64(workCPU)/float64(findCPU), "x-find-cpu")
	}
	slices.Sort(found)
	slices.Sort(worked)
	each = worked[len(worked)/2]
	b.ReportMetric(float64(each)/float64(found[len(found)/2]), "x-find")
	return each
}

func inspectDir(b *testing.B, dir string) detect.Report {
	r, err := detect.Inspect(os.DirFS(dir), detect.Options{Name: filepath.Base(dir)})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkLargeSite: 30,000 files, 1 GB.
func BenchmarkLargeSite(b *testing.B) {
	dir := bigSite(b)
	each := against(b, dir, func() { inspectDir(b, dir) })
	b.ReportMetric(30_002/each.Seconds(), "files/s")
}

// BenchmarkSmallApps: 3,000 apps of many kinds, one after the other on each core.
func BenchmarkSmallApps(b *testing.B) {
	const count = 3000
	dir := b.TempDir()
	names, err := fixtures.Names()
	if err != nil {
		b.Fatal(err)
	}
	kinds := map[string]string{} // folders of fixtures by name
	for _, name := range names {
		if app := fixtures.App(b, name); treeSize(b, app) < 100<<10 {
			kinds[name] = app
		}
	}
	small := slices.Sorted(maps.Keys(kinds))
	var apps []string
	for i := range count {
		app := filepath.Join(dir, fmt.Sprintf("app%04d", i))
		if err := os.CopyFS(app, os.DirFS(kinds[small[i%len(small)]])); err != nil {
			b.Fatal(err)
		}
		apps = append(apps, app)
	}
	each := against(b, dir, func() {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < count; i = next.Add(1) - 1 {
					inspectDir(b, apps[i])
				}
			})
		}
		wg.Wait()
	})
	b.ReportMetric(count/each.Seconds(), "apps/s")
}

func treeSize(b *testing.B, dir string) (size int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				size += info.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

// BenchmarkLargeProgram: one executable of 500 MB, whose last section claims them or
// which has them behind it, as a bundle does.
func BenchmarkLargeProgram(b *testing.B) {
	data, err := os.ReadFile(filepath.Join(fixtures.App(b, "native-console"), "sum.exe"))
	if err != nil {
		b.Fatal(err)
	}
	const size = 500 << 20
	section := bytes.Clone(data)
	f, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	table := int(endian.LittleEndian.Uint32(data[60:])) + 24 + int(f.SizeOfOptionalHeader)
	last := table + 40*(len(f.Sections)-1)
	endian.LittleEndian.PutUint32(section[last+16:], size-endian.LittleEndian.Uint32(section[last+20:]))
	for name, data := range map[string][]byte{"overlay": data, "section": section} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "large.exe")
			out, err := os.Create(file)
			if err == nil {
				_, err = out.Write(data)
			}
			noise := make([]byte, 1<<20)
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			for at := len(data); at < size && err == nil; at += len(noise) {
				_, err = out.Write(noise[:min(len(noise), size-at)])
			}
			if err = errors.Join(err, out.Close()); err != nil {
				b.Fatal(err)
			}
			against(b, dir, func() { inspectDir(b, dir) })
		})
	}
}

// BenchmarkManaged: a folder of 5,000 assemblies, with all that is read of their
// metadata, by processor time.
func BenchmarkManaged(b *testing.B) {
	const count = 5000
	dll, err := os.ReadFile(filepath.Join(fixtures.App(b, "aspnet-webforms"), "bin", "Shop.dll"))
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range count {
		if err := os.WriteFile(filepath.Join(dir, "bin", fmt.Sprintf("Lib%04d.dll", i)), dll, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	inspectDir(b, dir)
	spent := processorTime()
	for b.Loop() {
		inspectDir(b, dir)
	}
	if spent = processorTime() - spent; spent > 0 {
		b.ReportMetric(float64(b.N*count)/spent.Seconds(), "files/cpu-s")
	}
}

// BenchmarkConnectionStrings says what one of many connection strings costs: the
// time of each has to stay the same however many there are.
func BenchmarkConnectionStrings(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "<add name=\"c%d\" connectionString=\"Server=s%d;Database=d;Password=x\"/>\n", i, i)
			}
			app := files("a.aspx", page, "web.config", "<configuration><connectionStrings>"+text.String()+"</connectionStrings></configuration>")
			for b.Loop() {
				look(b, app)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/string")
		})
	}
}
