package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// The benchmarks of this file run programs, as a user does: winpack itself, and what
// its figures stand beside in the README. WINPACK_BENCH_FILES and WINPACK_BENCH_MB say
// how large the site is; 30000 and 1000 are the README's. With WINPACK_BENCH_FLAT=1 it
// is one folder. Peak memory takes GNU time (apt-get install time).

// benchSite makes a site for IIS: one file in fifteen is an assembly, and of each file
// half compresses.
func benchSite(b *testing.B) (dir string, size int64) {
	b.Helper()
	number := func(key string, value int) int {
		if n, err := strconv.Atoi(os.Getenv(key)); err == nil {
			value = n
		}
		return value
	}
	files, megabytes := number("WINPACK_BENCH_FILES", 2000), number("WINPACK_BENCH_MB", 56)
	flat := os.Getenv("WINPACK_BENCH_FLAT") == "1"
	each := max(megabytes*1_000_000/files, 1)
	assembly, err := os.ReadFile(filepath.Join(fixtures.App(b, "demo"), "bin", "Shop.dll"))
	if err != nil {
		b.Fatal(err)
	}
	dir = filepath.Join(b.TempDir(), "site")
	made := map[string]bool{}
	write := func(name string, data []byte) {
		if flat {
			name = filepath.Base(name)
		}
		path := filepath.Join(dir, name)
		if folder := filepath.Dir(path); !made[folder] {
			made[folder] = true
			if err := os.MkdirAll(folder, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			b.Fatal(err)
		}
		size += int64(len(data))
	}
	random := rand.NewChaCha8([32]byte{})
	for i := range files {
		data := make([]byte, each)
		_, _ = random.Read(data[:each/2])
		copy(data[each/2:], strings.Repeat("half of an application is text ", each/62+1))
		switch {
		case i == 0:
			write("Web.config", []byte(`<configuration><system.web><compilation targetFramework="4.8"/></system.web></configuration>`))
		case i == 1:
			write("Default.aspx", []byte(`<%@ Page Language="C#" %>`))
		case i%15 == 2:
			write(fmt.Sprintf("bin/Lib%05d.dll", i), slices.Concat(assembly, data[:max(each-len(assembly), 0)]))
		default:
			write(fmt.Sprintf("content/%02d/%03d/file%06d.png", i/100%40, i/4000, i), data)
		}
	}
	return dir, size
}

// benchBinary builds winpack: the test program that stands in for it elsewhere is
// larger and starts later.
func benchBinary(b *testing.B) string {
	b.Helper()
	exe := filepath.Join(b.TempDir(), "winpack")
	if out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return exe
}

const benchBase = "/mcr/dotnet/framework/aspnet:4.8.1-windowsservercore-ltsc2022"

// benchRegistry has the base of the site.
func benchRegistry(b *testing.B) site {
	b.Helper()
	host := registry.Start(b)
	if err := standin.Push(b.Context(), host+"/mcr", standin.Options{}, "netfx-aspnet-4.8.1"); err != nil {
		b.Fatal(err)
	}
	return site{host}
}

// timed runs a program and returns its peak memory in MB, which takes GNU time: what
// the kernel tells of a child begins with the memory of this process.
func timed(b *testing.B, cmd *exec.Cmd) float64 {
	b.Helper()
	const gnuTime = "/usr/bin/time"
	if _, err := os.Stat(gnuTime); err == nil {
		cmd.Path, cmd.Args = gnuTime, append([]string{gnuTime, "-q", "-f", "peak %M"}, cmd.Args...)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	peak := 0.0
	if i := bytes.LastIndex(out, []byte("peak ")); i >= 0 {
		_, _ = fmt.Sscanf(string(out[i:]), "peak %g", &peak)
	}
	return peak / 1000 // it counts kilobytes
}

// BenchmarkPush is `winpack build --push` to a registry that has the base: under a new
// name each time, and again where nothing has changed.
func BenchmarkPush(b *testing.B) {
	exe, s := benchBinary(b), benchRegistry(b)
	dir, size := benchSite(b)
	for _, again := range []bool{false, true} {
		name := "new"
		if again {
			name = "unchanged"
		}
		b.Run(name, func(b *testing.B) {
			build := func(tag string) float64 {
				return timed(b, exec.Command(exe, append([]string{"build", dir, "-q", "--push", "--os", "ltsc2022", "-t", s.host + "/bench/" + tag}, s.flags()...)...))
			}
			if again {
				build("again:1")
			}
			b.SetBytes(size)
			peak := 0.0
			for i := 0; b.Loop(); i++ {
				tag := "again:1"
				if !again {
					tag = fmt.Sprintf("new%d-%d:1", b.N, i)
				}
				peak = max(peak, build(tag))
			}
			b.ReportMetric(peak, "MB-peak")
		})
	}
}

// BenchmarkCraneAppend is `crane append` of a tar that is there already. Install it by
// go install github.com/google/go-containerregistry/cmd/crane@v0.22.1.
func BenchmarkCraneAppend(b *testing.B) {
	crane, err := exec.LookPath("crane")
	if err != nil {
		b.Skip("SKIPPED: crane is missing: go install github.com/google/go-containerregistry/cmd/crane@v0.22.1")
	}
	s := benchRegistry(b)
	dir, size := benchSite(b)
	file := filepath.Join(b.TempDir(), "app.tar")
	if err := plainTar(file, dir); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	peak := 0.0
	for i := 0; b.Loop(); i++ {
		peak = max(peak, timed(b, exec.Command(crane, "append", "--insecure", "--platform", "windows/amd64",
			"-b", s.host+benchBase, "-f", file, "-t", fmt.Sprintf("%s/crane/new%d-%d:1", s.host, b.N, i))))
	}
	b.ReportMetric(peak, "MB-peak")
}

// BenchmarkBuildKitCopy is a Dockerfile with one COPY of the site. The base is there
// and unpacked; what BuildKit kept of the site is pruned before each run, and COPY goes
// to another folder each time, since it would be taken from the cache else.
func BenchmarkBuildKitCopy(b *testing.B) {
	s := benchRegistry(b)
	daemon := buildkit.Start(b, s.host)
	dir, size := benchSite(b)
	text := b.TempDir()
	run := func(context, to, tag string) *exec.Cmd {
		file := "FROM mcr.microsoft.com" + strings.TrimPrefix(benchBase, "/mcr") + "\nCOPY . " + to + "\n"
		if err := os.WriteFile(filepath.Join(text, "Dockerfile"), []byte(file), 0o644); err != nil {
			b.Fatal(err)
		}
		return daemon.Command(b.Context(), "build", "--frontend", "dockerfile.v0", "--opt", "platform=windows/amd64",
			"--local", "context="+context, "--local", "dockerfile="+text,
			"--output", "type=image,name="+s.host+"/buildkit/"+tag+",push=true,registry.insecure=true")
	}
	timed(b, run(text, "C:/base/", "base:1"))
	b.SetBytes(size)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		timed(b, daemon.Command(b.Context(), "prune", "--filter", "type==source.local"))
		name := fmt.Sprintf("new%d-%d", b.N, i)
		cmd := run(dir, "C:/"+name+"/", name+":1")
		b.StartTimer()
		timed(b, cmd)
	}
}

// BenchmarkDetect is `winpack detect`, and beside it a find that names each file and
// opens each .dll and .exe.
func BenchmarkDetect(b *testing.B) {
	exe := benchBinary(b)
	dir, _ := benchSite(b)
	for _, test := range []struct {
		name string
		line []string
	}{
		{"winpack", []string{exe, "detect", "-q", dir}},
		{"find", []string{"find", dir, "-type", "f", "-print", "(", "-iname", "*.dll", "-o", "-iname", "*.exe", ")", "-exec", "head", "-qc1", "{}", "+"}},
	} {
		b.Run(test.name, func(b *testing.B) {
			peak := 0.0
			for b.Loop() {
				peak = max(peak, timed(b, exec.Command(test.line[0], test.line[1:]...)))
			}
			b.ReportMetric(peak, "MB-peak")
		})
	}
}

// BenchmarkVersion is how long winpack takes to start.
func BenchmarkVersion(b *testing.B) {
	exe := benchBinary(b)
	for b.Loop() {
		timed(b, exec.Command(exe, "version"))
	}
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
