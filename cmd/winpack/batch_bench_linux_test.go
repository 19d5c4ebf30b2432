package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// The kinds of small apps that the benchmarks of batches take in turn.
func smallApps() []string {
	return []string{"demo", "static", "netfx-console", "aspnet-mvc", "wcf-http", "netfx-service", "aspnet-webapi", "native-console"}
}

// appTree makes n small apps and returns their folder.
func appTree(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "apps")
	kinds := smallApps()
	for i := range n {
		kind := kinds[i%len(kinds)]
		app := filepath.Join(dir, fmt.Sprintf("%s-%d", kind, i))
		if err := os.CopyFS(app, os.DirFS(fixtures.App(tb, kind))); err != nil {
			tb.Fatal(err)
		}
		// Each app is one of its own.
		if err := os.WriteFile(filepath.Join(app, "version.txt"), []byte(strconv.Itoa(i)), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// measure runs winpack and returns its time, and its peak memory in MB.
func measure(tb testing.TB, args ...string) (time.Duration, float64) {
	tb.Helper()
	cmd := exec.Command("winpack", args...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("winpack %v: %v\n%s", args, err, out)
	}
	return time.Since(start), float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1000
}

// appsOf is WINPACK_BENCH_APPS, or n.
func appsOf(n int) int {
	if set, err := strconv.Atoi(os.Getenv("WINPACK_BENCH_APPS")); err == nil {
		return set
	}
	return n
}

// BenchmarkBatchDetect looks at small apps and writes their Dockerfiles: in one batch,
// and by a process for each.
func BenchmarkBatchDetect(b *testing.B) {
	n := appsOf(3000)
	dir := appTree(b, n)
	b.Run("batch", func(b *testing.B) {
		var took time.Duration
		peak := 0.0
		for b.Loop() {
			t, p := measure(b, "batch", dir, "-o", b.TempDir(), "-q")
			took, peak = took+t, max(peak, p)
		}
		b.ReportMetric(float64(n*b.N)/took.Seconds(), "apps/s")
		b.ReportMetric(peak, "MB-peak")
	})
	b.Run("processes", func(b *testing.B) {
		list, err := os.ReadDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		var took time.Duration
		peak := 0.0
		for b.Loop() {
			start, out := time.Now(), b.TempDir()
			for _, e := range list {
				_, p := measure(b, "dockerfile", filepath.Join(dir, e.Name()), "-o", filepath.Join(out, e.Name()), "-q")
				peak = max(peak, p)
			}
			took += time.Since(start)
		}
		b.ReportMetric(float64(n*b.N)/took.Seconds(), "apps/s")
		b.ReportMetric(peak, "MB-peak")
	})
}

// BenchmarkBatchResume starts a batch of which all is done.
func BenchmarkBatchResume(b *testing.B) {
	n := appsOf(10_000)
	dir, out := appTree(b, n), b.TempDir()
	measure(b, "batch", dir, "-o", out, "-q")
	peak := 0.0
	for b.Loop() {
		_, p := measure(b, "batch", dir, "-o", out, "-q")
		peak = max(peak, p)
	}
	b.ReportMetric(peak, "MB-peak")
}

// BenchmarkBatchPush builds and pushes small apps to a registry on this machine: in
// one batch, and by a process for each.
func BenchmarkBatchPush(b *testing.B) {
	n := appsOf(500)
	dir := appTree(b, n)
	host := registry.Start(b)
	if err := standin.Push(b.Context(), host+"/mcr", standin.Options{}); err != nil {
		b.Fatal(err)
	}
	run := 0
	report := func(b *testing.B, p *registry.Proxy, took time.Duration, peak float64) {
		sent := int64(0)
		requests := p.Requests()
		for _, r := range requests {
			sent += r.In + r.Out
		}
		each := float64(n * b.N)
		b.ReportMetric(each/took.Seconds(), "apps/s")
		b.ReportMetric(float64(len(requests))/each, "requests/app")
		b.ReportMetric(float64(sent)/each/1000, "kB/app")
		b.ReportMetric(peak, "MB-peak")
	}
	b.Run("batch", func(b *testing.B) {
		p := registry.NewProxy(b, host)
		var took time.Duration
		peak := 0.0
		for b.Loop() {
			run++
			t, m := measure(b, "batch", dir, "-o", b.TempDir(), "-q", "--push", "--tag-template", fmt.Sprintf("%s/run%d/{{.Name}}:1", p.Host, run),
				"--mirror", "mcr.microsoft.com="+p.Host+"/mcr", "--insecure-registry", p.Host)
			took, peak = took+t, max(peak, m)
		}
		report(b, p, took, peak)
	})
	b.Run("processes", func(b *testing.B) {
		p := registry.NewProxy(b, host)
		list, err := os.ReadDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		var took time.Duration
		peak := 0.0
		for b.Loop() {
			run++
			start := time.Now()
			for _, e := range list {
				_, m := measure(b, "build", filepath.Join(dir, e.Name()), "-q", "--push", "-t", fmt.Sprintf("%s/run%d/%s:1", p.Host, run, e.Name()),
					"--mirror", "mcr.microsoft.com="+p.Host+"/mcr", "--insecure-registry", p.Host)
				peak = max(peak, m)
			}
			took += time.Since(start)
		}
		report(b, p, took, peak)
	})
}
