package detect_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

func BenchmarkInspect(b *testing.B) {
	dir := bigSite(b)
	for b.Loop() {
		if _, err := detect.Inspect(os.DirFS(dir), detect.Options{Name: "big"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindAndOpen is the yardstick: find -type f, and opening every .dll
// and .exe that it names.
func BenchmarkFindAndOpen(b *testing.B) {
	dir := bigSite(b)
	if _, err := exec.LookPath("find"); err != nil {
		b.Skip("SKIPPED: find is missing (apt package findutils)")
	}
	for b.Loop() {
		out, err := exec.Command("find", dir, "-type", "f").Output()
		if err != nil {
			b.Fatal(err)
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
