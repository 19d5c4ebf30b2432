package build

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linked makes a folder with files and links: name → content, or "-> target".
func linked(t *testing.T, tree map[string]string) string {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range tree {
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, filepath.Join(dir, name))
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLinksInsideTheAppBecomeWhatTheyLeadTo(t *testing.T) {
	dir := linked(t, map[string]string{"a/file": "text", "b/link": "-> ../a/file", "b/again": "-> link", "c/folder": "-> ../a", "b/deep": "-> ../c/folder/file"})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for what, app := range map[string]fs.FS{"DirFS": os.DirFS(dir), "Root": root.FS()} {
		files, _ := unpack(t, build(t, app, copyStep(`C:\app`)))
		for _, name := range []string{"app/a/file", "app/b/link", "app/b/again", "app/c/folder/file", "app/b/deep"} {
			if string(files[name]) != "text" {
				t.Errorf("%s: %s is %q", what, name, files[name])
			}
		}
	}
}

func TestLinksOutOfTheAppOrIntoALoopFailByTheirName(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, target := range map[string]string{
		"absolute": secret, "dots": "../../../../../../etc/passwd", "itself": "bad", "missing": "nowhere", "drive": `C:\Windows`,
		"its folder": ".", "folder above": "..", "through a file": "../a/file/x", "backslashes": `..\..\x`,
	} {
		dir := linked(t, map[string]string{"a/file": "text", "b/bad": "-> " + target})
		if msg := refused(t, os.DirFS(dir), copyStep(`C:\app`)); !strings.Contains(msg, `"b/bad"`) && what != "through a file" {
			t.Errorf("%s: %s", what, msg)
		}
	}
	dir := linked(t, map[string]string{"a/one": "-> ../b/two", "b/two": "-> ../a/one", "b/x": "-> ../a", "a/y": "-> ../b"})
	if msg := refused(t, os.DirFS(dir), copyStep(`C:\app`)); !strings.Contains(msg, "link") {
		t.Error(msg)
	}
}

func TestPipeFailsByItsName(t *testing.T) {
	dir := t.TempDir()
	if err := mkfifo(filepath.Join(dir, "pipe")); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	if msg := refused(t, os.DirFS(dir), copyStep(`C:\app`)); !strings.Contains(msg, `"pipe"`) {
		t.Error(msg)
	}
}
