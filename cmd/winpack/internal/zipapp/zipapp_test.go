package zipapp

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
	"testing/fstest"
	"time"
)

type member struct {
	name, text string
	store      bool
	mode       fs.FileMode
	modified   time.Time
}

// packed writes a zip and returns its path.
func packed(t testing.TB, members ...member) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: m.modified}
		if m.store {
			h.Method = zip.Store
		}
		if m.mode != 0 {
			h.SetMode(m.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(m.name, "/") {
			if _, err := f.Write([]byte(m.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return written(t, out.Bytes())
}

func written(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.zip")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t testing.TB, path string) *FS {
	t.Helper()
	z, err := Open(path, detect.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	return z
}

func TestZipIsAFileSystem(t *testing.T) {
	z := opened(t, packed(t, member{name: "index.html", text: "<html>"}, member{name: "bin/a.dll", text: "MZ", store: true}, member{name: "empty/"}, member{name: "css/deep/x.css", text: strings.Repeat("a{}", 1000)}))
	if err := fstest.TestFS(z, "index.html", "bin/a.dll", "empty", "css/deep/x.css"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/a.dll", "css/deep/x.css"} { // stored and deflated
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		whole, err := fs.ReadFile(z, name)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, info.Size())
		if n, err := f.(io.ReaderAt).ReadAt(got[1:], 1); n != len(got)-1 || err != nil || !bytes.Equal(got[1:], whole[1:]) {
			t.Errorf("%s at random: %d bytes, %v", name, n, err)
		}
		f.Close()
	}
}

func TestRootIsTheFolderOfTheApplication(t *testing.T) {
	for name, c := range map[string]struct {
		files     []string
		root      string
		webDeploy bool
	}{
		"files at the top":         {[]string{"web.config", "bin/a.dll"}, ".", false},
		"one folder around all":    {[]string{"shop/web.config", "shop/bin/a.dll"}, "shop", false},
		"two folders around all":   {[]string{"out/shop/web.config"}, "out/shop", false},
		"only a bin":               {[]string{"bin/a.dll"}, ".", false},
		"two folders":              {[]string{"a/x", "b/y"}, ".", false},
		"Web Deploy":               {[]string{"archive.xml", "parameters.xml", "systemInfo.xml", "Content/C_C/agent/_work/1/s/obj/Release/Package/PackageTmp/Web.config", "Content/C_C/agent/_work/1/s/obj/Release/Package/PackageTmp/bin/a.dll"}, "Content/C_C/agent/_work/1/s/obj/Release/Package/PackageTmp", true},
		"Web Deploy of one folder": {[]string{"archive.xml", "Content/D_C/site/bin/a.dll"}, "Content/D_C/site", true},
		"a Content of the site":    {[]string{"web.config", "Content/site.css"}, ".", false},
		"backslashes":              {[]string{`shop\web.config`, `shop\bin\a.dll`}, "shop", false},
	} {
		var members []member
		for _, f := range c.files {
			members = append(members, member{name: f, text: "x"})
		}
		if z := opened(t, packed(t, members...)); z.Root != c.root || z.WebDeploy != c.webDeploy {
			t.Errorf("%s: root %q, Web Deploy %t, want %q, %t", name, z.Root, z.WebDeploy, c.root, c.webDeploy)
		}
	}
}

func TestEntriesThatAreNoFilesAreLeftOut(t *testing.T) {
	z := opened(t, packed(t, member{name: "a.txt", text: "a"}, member{name: "../evil.txt", text: "x"}, member{name: "/etc/passwd", text: "x"}, member{name: `C:\x.txt`, text: "x"},
		member{name: "link", text: "/etc/passwd", mode: fs.ModeSymlink | 0o777}, member{name: "b/../../c", text: "x"}))
	var found []string
	if err := fs.WalkDir(z, ".", func(p string, d fs.DirEntry, err error) error {
		found = append(found, p)
		return err
	}); err != nil || strings.Join(found, " ") != ". a.txt" || len(z.Skipped) != 5 {
		t.Errorf("%v, %v, skipped %q", found, err, z.Skipped)
	}
	// Of two entries the last one counts.
	z = opened(t, packed(t, member{name: "a.txt", text: "old"}, member{name: "a.txt", text: "new"}))
	if data, err := fs.ReadFile(z, "a.txt"); err != nil || string(data) != "new" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestZipThatIsNoApplicationIsRefused(t *testing.T) {
	whole, err := os.ReadFile(packed(t, member{name: "a.txt", text: "hello"}))
	if err != nil {
		t.Fatal(err)
	}
	encrypted := bytes.Clone(whole)
	dir := bytes.Index(encrypted, []byte("PK\x01\x02"))
	encrypted[dir+8] |= 1
	method := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(method[dir+10:], 99)
	for name, c := range map[string]struct{ path, want string }{
		"no zip":            {written(t, []byte("hello")), "is no zip that can be read"},
		"cut short":         {written(t, whole[:len(whole)-10]), "is no zip that can be read"},
		"encrypted":         {written(t, encrypted), "is encrypted"},
		"unknown method":    {written(t, method), "packed by method 99"},
		"a file and folder": {packed(t, member{name: "a", text: "x"}, member{name: "a/b", text: "x"}), "is a file and a folder"},
	} {
		z, err := Open(c.path, detect.Limits{})
		if z != nil {
			z.Close()
		}
		wrong := (*Error)(nil)
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "gone.zip"), detect.Limits{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing one: %v", err)
	}
	// A wrong checksum is an error when the file is read, and not a file.
	broken := bytes.Clone(whole)
	broken[bytes.Index(broken, []byte("PK\x01\x02"))+16] ^= 0xff
	z := opened(t, written(t, broken))
	if _, err := fs.ReadFile(z, "a.txt"); err == nil {
		t.Error("a file with a wrong checksum is read")
	}
}

// FuzzOpen: whatever the bytes are, there is an error or a file system, and no panic.
func FuzzOpen(f *testing.F) {
	for _, m := range [][]member{{{name: "a.txt", text: "hello"}}, {{name: `a\b\c.dll`, text: "MZ", store: true}, {name: "archive.xml"}, {name: "Content/x/web.config", text: "<configuration/>"}}} {
		data, err := os.ReadFile(packed(f, m...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		z, err := Open(written(t, data), detect.Limits{})
		if err != nil {
			return
		}
		defer z.Close()
		_ = fs.WalkDir(z, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			if !d.IsDir() {
				if file, err := z.Open(p); err == nil {
					_, _ = io.Copy(io.Discard, io.LimitReader(file, 1<<20))
					_, _ = file.(io.ReaderAt).ReadAt(make([]byte, 16), 0)
					file.Close()
				}
			}
			return nil
		})
	})
}

func TestFilesThatWouldGrowWithoutEndAreNeverUnpacked(t *testing.T) {
	bomb := packed(t, member{name: "a.bin", text: strings.Repeat("\x00", 200<<20)}, member{name: "b.txt", text: "b"})
	z := opened(t, bomb)
	if len(z.Refused) != 1 || z.Refused[0].Path != "a.bin" {
		t.Errorf("refused %v", z.Refused)
	}
	if _, err := fs.ReadFile(z, "a.bin"); err == nil || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("a bomb was unpacked: %v", err)
	}
	if data, err := fs.ReadFile(z, "b.txt"); err != nil || string(data) != "b" {
		t.Errorf("%q, %v", data, err)
	}
	wide, err := Open(bomb, detect.Limits{ZipRatio: 5000})
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Close()
	if len(wide.Refused) != 0 {
		t.Errorf("refused %v", wide.Refused)
	}
	if _, err := Open(bomb, detect.Limits{ZipEntries: 1}); err == nil || !strings.Contains(err.Error(), "--limits zip-entries=2") {
		t.Errorf("more files than the limit: %v", err)
	}
}
