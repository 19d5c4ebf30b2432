package winlayer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// formats are the digests of everyLayer, uncompressed and compressed, by format. A line
// is never changed: other bytes are another format.
var formats = map[int][2]string{
	1: {"sha256:0c34bd1b7a206c4813c34abc383ed9b36781d42363f486a851073722d7eaaa0a", "sha256:6ccd5af8fb2ac45ae0cfe3240c2ed95efa8b98e7b429e02b49adbee67fbf1cbb"},
}

// everyLayer is a layer with everything that the bytes of one depend on.
func everyLayer(t *testing.T) *Layer {
	t.Helper()
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	list, err := sddl.Parse("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;BU)")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"noise.bin": {Data: noise, ModTime: when}, "text.txt": {Data: []byte(strings.Repeat("half of an application is text ", 100_000)), ModTime: when.Add(-time.Hour)},
		"empty": {ModTime: when.Add(time.Hour)}, strings.Repeat("long", 60): {Data: []byte("x"), ModTime: when}, "naïve 漢字 🙂.txt": {Data: []byte("é"), ModTime: when},
	}
	entries := append(sourced(files), Entry{Path: "app/data", Folder: true, Descriptor: &list}, Entry{Path: "winpack/start.cmd", Content: []byte("@echo off\r\n")})
	epoch := when.Add(time.Minute)
	return layer(t, Options{FS: files, Epoch: &epoch}, entries...)
}

// A pipeline may run another version of winpack tomorrow: the image stays the same
// until the format is another one, which a changed library can bring about too.
func TestOtherBytesAreAnotherFormat(t *testing.T) {
	l := everyLayer(t)
	read(t, l)
	diffID, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got := [2]string{diffID.String(), digest.String()}; formats[Format] != got {
		t.Errorf("format %d was %q and is %q now: raise Format, and add a line", Format, formats[Format], got)
	}
}
