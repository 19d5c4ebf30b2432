package build

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures/standin"
)

// benchApp is the variable that turns this test program into one build: JSON of
// the host of the registry and the app's folder.
const benchApp = "WINPACK_BENCH_APP"

type benchJob struct{ Host, Dir, Tag string }

func TestMain(m *testing.M) {
	if text := os.Getenv(benchApp); text != "" {
		if err := benchBuild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func benchBuild(text string) error {
	var job benchJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	req := request(job.Host)
	req.Plan = shopPlan("ltsc2022")
	req.App, req.References = os.DirFS(job.Dir), []string{job.Host + "/" + job.Tag}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	_, err := direct(job.Host).Build(ctx, req)
	return err
}

// benchTree writes so many files of so many bytes in all, half of which compress.
// WINPACK_BENCH_FILES and WINPACK_BENCH_MB set both; 30000 and 1000 are the
// figures of the README.
func benchTree(b *testing.B) (dir string, size int64) {
	b.Helper()
	number := func(key string, value int) int {
		if n, err := strconv.Atoi(os.Getenv(key)); err == nil {
			value = n
		}
		return value
	}
	files, megabytes := number("WINPACK_BENCH_FILES", 2000), number("WINPACK_BENCH_MB", 56)
	dir = b.TempDir()
	each := megabytes * 1_000_000 / files
	data := make([]byte, each)
	random := rand.NewChaCha8([32]byte{})
	for i := range files {
		_, _ = random.Read(data[:each/2])
		copy(data[each/2:], strings.Repeat("half of an application is text ", each/62+1))
		name := filepath.Join(dir, strconv.Itoa(i/100), strconv.Itoa(i)+".dll")
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir, int64(each) * int64(files)
}

// measured runs a command and returns its peak memory in MB.
func measured(b *testing.B, cmd *exec.Cmd) float64 {
	b.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return float64(usage.Maxrss) / 1000 // Linux counts kilobytes
}

// BenchmarkPush builds and pushes an app to a local registry that has the base,
// each time under a new name, and reports the peak memory of the process.
func BenchmarkPush(b *testing.B) {
	host := bases(b, standin.Options{})
	dir, size := benchTree(b)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	peak := 0.0
	for i := 0; b.Loop(); i++ {
		text, err := json.Marshal(benchJob{host, dir, fmt.Sprintf("bench%d:1", i)})
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), benchApp+"="+string(text))
		peak = max(peak, measured(b, cmd))
	}
	b.ReportMetric(peak, "MB-peak")
}

// BenchmarkCraneAppend is the same by crane, if it is in PATH: the tar that crane
// needs, then crane append. Install it by
// go install github.com/google/go-containerregistry/cmd/crane@v0.22.1.
func BenchmarkCraneAppend(b *testing.B) {
	crane, err := exec.LookPath("crane")
	if err != nil {
		b.Skip("crane is missing: go install github.com/google/go-containerregistry/cmd/crane@v0.22.1")
	}
	host := bases(b, standin.Options{})
	dir, size := benchTree(b)
	b.SetBytes(size)
	peak := 0.0
	for i := 0; b.Loop(); i++ {
		file := filepath.Join(b.TempDir(), "app.tar")
		if err := plainTar(file, dir); err != nil {
			b.Fatal(err)
		}
		base := host + "/mcr/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022"
		peak = max(peak, measured(b, exec.Command(crane, "append", "--insecure", "--platform", "windows/amd64",
			"-b", base, "-f", file, "-t", fmt.Sprintf("%s/crane%d:1", host, i))))
	}
	b.ReportMetric(peak, "MB-peak")
}

func plainTar(file, dir string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	tw := tar.NewWriter(f)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: "app/" + filepath.ToSlash(rel), Mode: 0o755, ModTime: time.Unix(0, 0)}
		if d.IsDir() {
			h.Typeflag = tar.TypeDir
			h.Name += "/"
			return tw.WriteHeader(h)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h.Size = int64(len(data))
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err = tw.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return tw.Close()
}
