package zipread

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestListOfFilesIsBoundedAndTheFilesAreNot(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := range 2000 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%s%d", strings.Repeat("n", 200), i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 2000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := bytes.NewReader(out.Bytes())
	if _, err := Open(data, data.Size(), 100<<10); err == nil || !strings.Contains(err.Error(), "its list of files is larger") {
		t.Errorf("a list over the limit: %v", err)
	}
	z, err := Open(data, data.Size(), 2<<20) // less than the files
	if err != nil || len(z.File) != 2000 {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != 2000 || err != nil {
			t.Fatalf("%s: %d bytes, %v", f.Name, n, err)
		}
		r.Close()
	}
}
