package build

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/winpack/winpack/fixtures/wine"
)

// write puts the sample app onto disk, with folder times and modes that do not matter.
func write(t testing.TB, mode os.FileMode, folderTime time.Time) string {
	t.Helper()
	dir := t.TempDir()
	for name, f := range sampleApp() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, f.ModTime, f.ModTime); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin", "."} {
		if err := os.Chtimes(filepath.Join(dir, d), folderTime, folderTime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sampleApp() fstest.MapFS {
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	return fstest.MapFS{
		"Web.config":   {Data: []byte("<configuration/>"), ModTime: layerTime},
		"bin/site.dll": {Data: noise, ModTime: layerTime.Add(-time.Hour)},
		"bin/naïve":    {Data: []byte("é"), ModTime: layerTime.Add(-time.Minute)},
	}
}

func digest(t testing.TB, app fs.FS) string {
	t.Helper()
	l := build(t, app, copyStep(`C:\inetpub\wwwroot`), grantStep(`C:\inetpub\wwwroot\App_Data`, "S-1-5-32-568"))
	unpack(t, l) // which checks it
	rc, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if _, err := io.Copy(io.Discard, rc); err != nil {
		t.Fatal(err)
	}
	d, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestDigestDependsOnNamesContentsAndFileTimesAlone(t *testing.T) {
	want := digest(t, sampleApp())
	old := runtime.GOMAXPROCS(1)
	one := digest(t, sampleApp())
	runtime.GOMAXPROCS(old)
	if one != want {
		t.Errorf("one core gives %s, several %s", one, want)
	}
	dir := write(t, 0o600, layerTime.Add(time.Hour))
	if got := digest(t, os.DirFS(dir)); got != want {
		t.Errorf("from disk it is %s, from memory %s", got, want)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "Web.config"), 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "Web.config"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, os.DirFS(dir)); got != want {
		t.Errorf("with another owner and mode it is %s, not %s", got, want)
	}
	app := sampleApp()
	app["Web.config"].ModTime = layerTime.Add(999 * time.Millisecond)
	if got := digest(t, app); got != want {
		t.Errorf("a fraction of a second changes the digest to %s", got)
	}
	app["Web.config"].ModTime = layerTime.Add(time.Second)
	if got := digest(t, app); got == want {
		t.Error("another time does not change the digest")
	}
}

const askDigest = "WINPACK_TEST_DIGEST_OF"

// TestDigestOfFolder prints the digest of a folder for the test below, which runs
// it in a Windows process.
func TestDigestOfFolder(t *testing.T) {
	dir := os.Getenv(askDigest)
	if dir == "" {
		t.Skip("is run by TestWindowsBuildGivesTheSameDigest")
	}
	fmt.Printf("digest=%s on %s\n", digest(t, os.DirFS(dir)), runtime.GOOS)
}

func TestWindowsBuildGivesTheSameDigest(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a Windows test program and starts Wine")
	}
	wine.Prefix(t)
	exe := filepath.Join(t.TempDir(), "build.test.exe")
	compile := exec.Command("go", "test", "-c", "-o", exe, ".")
	compile.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := write(t, 0o644, layerTime)
	cmd := wine.Command(t, exe, "-test.run=^TestDigestOfFolder$", "-test.count=1")
	cmd.Env = append(cmd.Env, askDigest+"="+wine.Path(dir))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "digest=" + digest(t, os.DirFS(dir)) + " on windows"; !strings.Contains(string(out), want) {
		t.Errorf("want %s\n%s", want, out)
	}
}

func TestHashIsTheDiffIDOfTheStream(t *testing.T) {
	l := build(t, sampleApp(), copyStep(`C:\app`))
	want, err := l.Hash(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, l)
	if got, _ := l.DiffID(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
