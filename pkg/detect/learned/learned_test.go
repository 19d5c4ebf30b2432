package learned

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var header = Header{Reference: "r:1", Digest: "sha256:" + strings.Repeat("0", 64), OSVersion: "10.0.20348.1", Family: "servercore"}

type item struct {
	name, link, sd string
	kind           byte
}

// layer packs entries; a name with a slash at its end is a folder.
func layer(t testing.TB, items ...item) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: tar.TypeReg, Linkname: i.link, Mode: 0o644, Format: tar.FormatPAX}
		switch {
		case i.kind != 0:
			h.Typeflag = i.kind
		case i.link != "":
			h.Typeflag = tar.TypeLink
		case strings.HasSuffix(i.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if i.sd != "" {
			h.PAXRecords = map[string]string{"MSWINDOWS.rawsd": i.sd}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func list(c *Contents) string {
	var out []string
	for _, f := range c.AllFolders() {
		for _, file := range f.Files {
			out = append(out, strings.TrimPrefix(f.Path+"/"+file.Name, "/"))
		}
		if len(f.Files) == 0 {
			out = append(out, f.Path+"/")
		}
	}
	return strings.Join(out, " ")
}

func TestUpperLayersReplaceAndDelete(t *testing.T) {
	var c Collector
	for _, l := range []*bytes.Reader{
		layer(t, item{name: "Files/"}, item{name: "Files/Windows/"}, item{name: "Files/Windows/a.txt"}, item{name: "Files/Windows/b.txt"},
			item{name: "Files/Old/"}, item{name: "Files/Old/x.txt"}, item{name: "Files/Old/deep/"}, item{name: "Files/Old/deep/y.txt"},
			item{name: "Files/Remade/"}, item{name: "Files/Remade/before.txt"}, item{name: "Files/Was/"}, item{name: "Files/Was/in.txt"},
			item{name: "Hives/System"}, item{name: "UtilityVM/Files/z"}, item{name: "Files/Windows/a.txt:stream"}),
		layer(t, item{name: "Files/"}, item{name: "Files/Windows/"}, item{name: "Files/Windows/.wh.B.TXT"}, item{name: "Files/.wh.Old"},
			item{name: "Files/Remade/"}, item{name: "Files/Remade/after.txt"}, item{name: "Files/.wh.Remade"}, item{name: "Files/Was"}, item{name: "Files/.wh.never"}),
	} {
		if err := c.Layer(l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Contents(header)
	if err != nil {
		t.Fatal(err)
	}
	if list(got) != "Was Remade/after.txt Windows/a.txt" {
		t.Errorf("got %s", list(got))
	}
}

func TestDescriptorsAreThoseOfTheUppermostLayer(t *testing.T) {
	var c Collector
	for _, l := range []*bytes.Reader{
		layer(t, item{name: "Files/", sd: "AAAA"}, item{name: "Files/a/", sd: "BBBB"}, item{name: "Files/b/", sd: "CCCC"}),
		layer(t, item{name: "Files/"}, item{name: "Files/A/", sd: "DDDD"}),
	} {
		if err := c.Layer(l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Contents(header)
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Folder("a"); f.Descriptor != "DDDD" || got.Folder("B").Descriptor != "CCCC" || got.Folder("").Descriptor != "" {
		t.Errorf("got %+v", got.folders)
	}
}

func TestHostileLayersAreRefused(t *testing.T) {
	for name, l := range map[string]*bytes.Reader{
		"out of the image":  layer(t, item{name: "Files/../x"}),
		"a backslash":       layer(t, item{name: `Files/a\b`}),
		"an absolute path":  layer(t, item{name: "Files//x"}),
		"no descriptor":     layer(t, item{name: "Files/a/", sd: "!!"}),
		"a long descriptor": layer(t, item{name: "Files/a/", sd: strings.Repeat("AAAA", maxDescriptor/4+1)}),
		"deep":              layer(t, item{name: "Files/" + strings.Repeat("d/", maxDepth+1)}),
		"no tar":            bytes.NewReader([]byte(strings.Repeat("x", 1024))),
	} {
		var c Collector
		if err := c.Layer(l); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	var c Collector
	if _, err := c.Contents(header); err == nil {
		t.Error("an image without layers is taken")
	}
}

func small(t testing.TB) *Contents {
	return newContents(header, []Folder{
		{Path: "Windows/System32", SDDL: "O:BA", Files: []File{{Name: "B.dll", Functions: []string{"f", "g"}, Whole: true}, {Name: "a.dll", Version: "1.2.3"}}},
		{Path: "", Files: []File{{Name: "x"}}},
		{Path: "Windows"},
	})
}

func TestWhatWasSavedIsReadAgain(t *testing.T) {
	cache := t.TempDir()
	if list, err := List(cache); err != nil || len(list) != 0 {
		t.Fatalf("an empty cache has %v, %v", list, err)
	}
	if c, err := Load(cache, header.Digest); c != nil || err != nil {
		t.Fatalf("an empty cache gives %v, %v", c, err)
	}
	file, _, err := small(t).Save(cache)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(cache, header.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if c.Files != 3 || c.Folders != 3 || c.DLLs != 1 || c.Functions != 2 || list(c) != list(small(t)) || c.Reference != "r:1" {
		t.Errorf("got %+v %s", c.Header, list(c))
	}
	if f, at := c.DLL("b.DLL", false); f == nil || at != "Windows/System32/B.dll" {
		t.Errorf("b.dll is %v at %q", f, at)
	}
	if headers, err := List(cache); err != nil || len(headers) != 1 || headers[0] != c.Header {
		t.Errorf("listed %v, %v", headers, err)
	}
	// What is left of a write that was cut short is no image.
	if err := os.WriteFile(filepath.Join(Dir(cache), ".new-1"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if headers, err := List(cache); err != nil || len(headers) != 1 {
		t.Errorf("listed %v, %v", headers, err)
	}
	if err := os.Rename(file, filepath.Join(Dir(cache), "sha256-"+strings.Repeat("1", 64)+ext)); err != nil {
		t.Fatal(err)
	}
	if _, err := List(cache); err == nil {
		t.Error("a file of another name is listed")
	}
	if _, err := Load(cache, "sha256:"+strings.Repeat("1", 64)); err == nil {
		t.Error("a file of another image is read")
	}
	if _, err := Load(cache, "sha256:../../x"); err == nil {
		t.Error("a digest that is a path is taken")
	}
}

func zip(text string) *bytes.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	w.Close()
	return bytes.NewReader(b.Bytes())
}

func TestFilesThatNobodyWroteAreRefused(t *testing.T) {
	const head = `{"schema":"winpack/learned/v1","reference":"r","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","osVersion":"1","family":"servercore","files":1,"dlls":0,"functions":0,"folders":1}`
	for name, text := range map[string]string{
		"another format":    strings.Replace(head, "v1", "v2", 1) + `{"path":"a","files":[{"n":"x"}]}`,
		"an unknown key":    head + `{"path":"a","more":1,"files":[{"n":"x"}]}`,
		"cut off":           head,
		"no digest":         strings.Replace(head, "sha256:0", "sha256:x", 1) + `{"path":"a","files":[{"n":"x"}]}`,
		"a path that is no": head + `{"path":"../a","files":[{"n":"x"}]}`,
		"more files":        head + `{"path":"a","files":[{"n":"x"},{"n":"y"}]}`,
		"out of order":      strings.Replace(head, `"folders":1`, `"folders":2`, 1) + `{"path":"b","files":[{"n":"x"}]}{"path":"a"}`,
		"a file twice":      strings.Replace(head, `"files":1`, `"files":2`, 1) + `{"path":"a","files":[{"n":"x"},{"n":"X"}]}`,
		"no JSON":           head + `x`,
	} {
		if _, err := Read(zip(text)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	if _, err := Read(zip(head + `{"path":"a","files":[{"n":"x"}]}`)); err != nil {
		t.Errorf("a good file is refused: %v", err)
	}
	if _, err := Read(strings.NewReader("no gzip")); err == nil {
		t.Error("no gzip is read")
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := small(f).write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		c.DLL("a.dll", true)
		c.Assembly("a", "b")
		var again bytes.Buffer
		if err := c.write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&again); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

func FuzzLayer(f *testing.F) {
	for _, l := range []*bytes.Reader{
		layer(f, item{name: "Files/"}, item{name: "Files/a/"}, item{name: "Files/a/b.dll"}, item{name: "Files/c.dll", link: "Files/a/b.dll"}, item{name: "Files/.wh.d"}),
		layer(f, item{name: "Files/a/", sd: "AAAA"}, item{name: "Files/a", kind: tar.TypeSymlink, link: "b"}),
	} {
		data := make([]byte, l.Len())
		_, _ = l.Read(data)
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var c Collector
		if c.Layer(bytes.NewReader(a)) != nil || c.Layer(bytes.NewReader(b)) != nil {
			return
		}
		got, err := c.Contents(header)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := got.write(&out); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&out); err != nil {
			t.Errorf("what was learned cannot be read: %v", err)
		}
	})
}
