package main

import (
	"archive/zip"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
)

// zipped packs a folder below a prefix, with the times of its files, and more.
func zipped(t testing.TB, to, dir, prefix string, more map[string]string) {
	t.Helper()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(out)
	add := func(h *zip.FileHeader, data []byte) error {
		h.Method = zip.Deflate
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return add(&zip.FileHeader{Name: prefix + filepath.ToSlash(rel), Modified: info.ModTime()}, data)
	})
	for name, text := range more {
		if err == nil {
			err = add(&zip.FileHeader{Name: name}, []byte(text))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A zip is the folder in it: the report and the image are the same.
func TestZipGivesWhatItsFolderGives(t *testing.T) {
	s := newSite(t)
	for fixture, built := range map[string]bool{"static": true, "demo": true, "native-web": true, "aspnet-core": false, "netfx-service": false, "dotnet-console-singlefile": false, "tomcat": false, "redis": false} {
		t.Run(fixture, func(t *testing.T) {
			dir := t.TempDir()
			app := fixtures.App(t, fixture)
			zipped(t, filepath.Join(dir, fixture+".zip"), app, fixture+"/", nil)
			want, _, _ := winpack(t, filepath.Dir(app), "detect", fixture, "--format", "json")
			got, stderr, code := winpack(t, dir, "detect", fixture+".zip", "--format", "json")
			if code != exitDone || got != want {
				t.Errorf("exit %d, another report\n%s%s", code, stderr, got)
			}
			if !built { // there is no base of it here
				return
			}
			folder := s.build(t, app, "--push", "-t", s.host+"/zip/"+fixture+":folder")
			if packed := s.build(t, filepath.Join(dir, fixture+".zip"), "--push", "-t", s.host+"/zip/"+fixture+":zip"); packed != folder {
				t.Errorf("the image of the zip is %s, that of the folder %s", packed, folder)
			}
		})
	}
}

func TestWebDeployPackageIsReadInPlace(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	package_ := filepath.Join(dir, "Shop.zip")
	zipped(t, package_, fixtures.App(t, "demo"), "Content/C_C/build/1/s/Shop/obj/Release/Package/PackageTmp/", map[string]string{
		"archive.xml": `<sitemanifest><iisApp path="C:\build"/></sitemanifest>`, "parameters.xml": "<parameters/>", "systemInfo.xml": "<systemInfo/>",
	})
	stdout, stderr, code := winpack(t, dir, "detect", "Shop.zip")
	if code != exitDone || !strings.HasPrefix(stdout, "Shop: ASP.NET site") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	s.build(t, package_, "--push", "-t", s.host+"/zip/deploy:1")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("something was unpacked: %v, %v", left, err)
	}
}

func TestZipTakesItsSettingsAndRefusesWhatNeedsAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, config := range map[string]string{"site.zip": "ports = [8088]\n", "files.zip": "[[files]]\nfrom = \"a\"\nto = \"C:/a\"\n", "wrong.zip": "port = 1\n"} {
		zipped(t, filepath.Join(dir, name), fixtures.App(t, "static"), "", map[string]string{"winpack.toml": config, "../out.txt": "x"})
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"detect site.zip", exitDone, "8088"},
		{"detect site.zip -v", exitDone, "../out.txt"},
		{"detect wrong.zip", exitUsage, "wrong.zip/winpack.toml:1:1: unknown key \"port\""},
		{"detect files.zip", exitUsage, "a winpack.toml in a zip can't name files"},
		{"dockerfile site.zip", exitUsage, "a Dockerfile copies from a folder"},
		{"build site.zip --files x -o type=oci,dest=x.tar", exitUsage, "unpack"},
		{"build site.zip -o type=oci,dest=site.zip", exitUsage, "would replace APP"},
		{"build -f Dockerfile site.zip --dry-run", exitUsage, "Dockerfile"},
		{"kube site.zip --image x", exitDone, "containerPort: 8088"},
	} {
		stdout, stderr, code := winpack(t, dir, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(filepath.ToSlash(stdout+stderr), test.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", test.args, code, test.code, test.want, stdout, stderr)
		}
	}
}

func TestBatchTakesZips(t *testing.T) {
	work := t.TempDir()
	zipped(t, filepath.Join(work, "a.zip"), fixtures.App(t, "static"), "a/", nil)
	inv, out := filepath.Join(work, "apps.csv"), filepath.Join(work, "out")
	write(t, inv, "name,source\na,a.zip\n")
	mustBatch(t, exitDone, inv, "-o", out)
	stdout, _ := mustBatch(t, exitDone, inv, "-o", out)
	if r := results(t, out)["a"]; r.Report == nil || string(r.Report.App.Kind) != "static" || !strings.Contains(stdout, "\n0 done now") {
		t.Errorf("%+v\n%s", r, stdout)
	}
}
