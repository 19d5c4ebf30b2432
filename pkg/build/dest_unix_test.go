//go:build unix

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/winpack/winpack/fixtures/standin"
)

// null makes a device like /dev/null, so that no test can break the machine's own.
func null(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: making a device: %v; run the tests as root", err)
	}
}

func kind(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Type()
}

func TestDeviceAndPipeAreWrittenAndStayWhatTheyAre(t *testing.T) {
	host := bases(t, standin.Options{LayerSize: 1 << 20})
	dir := t.TempDir()
	device, pipe, file := filepath.Join(dir, "null"), filepath.Join(dir, "pipe"), filepath.Join(dir, "image.tar")
	if err := mkfifo(pipe); err != nil {
		t.Fatal(err)
	}
	req := request(host)
	req.Push, req.Outputs = false, []Output{{Type: "oci", Dest: file, Tar: true}}
	mustBuild(t, direct(host), req)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	heard := listen(t, pipe)
	req.Outputs[0].Dest = pipe
	mustBuild(t, direct(host), req)
	if got := <-heard; !bytes.Equal(got, want) {
		t.Errorf("the pipe was given %d bytes, the file has %d", len(got), len(want))
	}
	heard = listen(t, pipe)
	if err := WriteFile(t.Context(), pipe, []byte("sha256:0")); err != nil {
		t.Error(err)
	}
	if got := <-heard; string(got) != "sha256:0" {
		t.Errorf("the pipe was given %q", got)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(t.Context(), fmt.Sprintf("/dev/fd/%d", w.Fd()), []byte("through")); err != nil {
		t.Error(err)
	}
	w.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "through" {
		t.Errorf("the descriptor was given %q, %v", got, err)
	}
	if kind(t, pipe) != fs.ModeNamedPipe {
		t.Error("the pipe is none any more")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := WriteFile(ctx, pipe, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pipe that nobody reads: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	null(t, device)
	req.Outputs[0].Dest = device
	mustBuild(t, direct(host), req)
	if err := WriteFile(t.Context(), device, []byte("sha256:0")); err != nil {
		t.Error(err)
	}
	if kind(t, device) != fs.ModeDevice|fs.ModeCharDevice {
		t.Error("the device was replaced")
	}
}

func TestLinkToAFileIsFollowedAndStays(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "there", "id"), filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("there", "id"), link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(t.Context(), link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if data, _ := os.ReadFile(target); err != nil || string(data) != "new" || info.Mode().Perm() != 0o600 || kind(t, link) != fs.ModeSymlink {
		t.Errorf("the file holds %q and is %v, %v", data, info, err)
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(t.Context(), link, []byte("new")); err == nil || kind(t, link) != fs.ModeSymlink {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}
