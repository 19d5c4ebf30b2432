package winlayer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestFileThatChangesFailsByItsName(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"grows":       func(p string) error { return os.WriteFile(p, []byte("longer content"), 0o644) },
		"shrinks":     func(p string) error { return os.Truncate(p, 1) },
		"is touched":  func(p string) error { return os.Chtimes(p, when, when.Add(time.Nanosecond*100)) },
		"goes away":   os.Remove,
		"is a folder": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "data.bin")
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		l := layer(t, Options{FS: os.DirFS(dir)}, Entry{Path: "data.bin", Source: "data.bin"})
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		rc, _ := l.Compressed()
		if _, err := io.ReadAll(rc); err == nil || !strings.Contains(err.Error(), `"data.bin"`) || strings.Contains(err.Error(), dir) {
			t.Errorf("a file that %s: %v", what, err)
		}
		rc.Close()
		if _, err := l.Digest(); err == nil {
			t.Errorf("a file that %s: the layer has a digest", what)
		}
	}
}

func TestFileThatGrowsWhileItIsReadFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte("line"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := layer(t, Options{FS: growingFS{os.DirFS(dir), dir}}, Entry{Path: "log", Source: "log"})
	if _, err := l.Hash(context.Background()); err == nil || !strings.Contains(err.Error(), `"log" changed`) {
		t.Errorf("error is %v", err)
	}
}

func TestSameSizeAndTimeWithOtherContentFailsByItsName(t *testing.T) {
	fsys := fstest.MapFS{"a": {Data: []byte("one"), ModTime: when}, "b": {Data: []byte("same"), ModTime: when}}
	l := layer(t, Options{FS: fsys}, sourced(fsys)...)
	read(t, l)
	fsys["a"].Data = []byte("two")
	if _, err := l.Hash(context.Background()); err == nil || !strings.Contains(err.Error(), `"a" changed between two readings`) {
		t.Errorf("other content gives %v", err)
	}
}
