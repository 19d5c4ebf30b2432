package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/detect"
)

// serverExport is an export of an IIS server with a site of files and one of ASP.NET, and
// of a third one that is not in it.
func serverExport(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "web01")
	site := func(name, path string) string {
		return `<site name="` + name + `"><application path="/"><virtualDirectory path="/" physicalPath="` + path + `" /></application><bindings><binding protocol="http" bindingInformation="*:80:" /></bindings></site>`
	}
	write(t, filepath.Join(dir, "Windows", "System32", "inetsrv", "config", "applicationHost.config"),
		"<configuration><system.applicationHost><sites>\n"+site("Default Web Site", `%SystemDrive%\inetpub\wwwroot`)+"\n"+site("Shop", `D:\web\shop`)+"\n"+site("Gone", `E:\gone`)+"\n</sites></system.applicationHost></configuration>")
	for from, to := range map[string]string{"static": "C/inetpub/wwwroot", "demo": "data/shop"} {
		copied := filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(copied, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(copied, os.DirFS(fixtures.App(t, from))); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Chtimes(path, time.Time{}, fixtures.ModTime)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReportOfAFolderWithSeveralApps(t *testing.T) {
	dir := serverExport(t)
	stdout, stderr, code := winpack(t, filepath.Dir(dir), "detect", "web01", "--map", `D:\web=data`, "--format", "json", "--closure")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := schema.Compile(t, report.Schema).Validate(t, []byte(stdout)); err != nil {
		t.Error(err)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(stdout), &raw); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"app", "base", "needs"} {
		if _, there := raw[key]; there {
			t.Errorf("%q stands at the top", key)
		}
	}
	var got []string
	for _, a := range r.Apps {
		got = append(got, a.Name+" "+string(a.Kind)+" "+a.Path+" "+strings.Join(a.Sites, ",")+" "+a.Base.Family)
	}
	want := []string{"Default-Web-Site static C/inetpub/wwwroot Default Web Site servercore", "Gone unknown . Gone ", "Shop aspnet data/shop Shop servercore"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c := r.Apps[2].Closure; c == nil || !slices.ContainsFunc(c.Modules, func(m detect.Module) bool { return len(m.Askers) > 0 && m.Askers[0].Path == "data/shop/bin/Shop.dll" }) {
		t.Errorf("closure %+v", c)
	}
	for _, f := range r.Findings {
		if f.App == "" {
			t.Errorf("%s names no app", f.Rule)
		}
	}
	if len(r.Problems) != 1 || r.Problems[0].App != "Gone" || !strings.Contains(r.Problems[0].Message, "line 4:") {
		t.Errorf("problems %+v", r.Problems)
	}
	text, _, _ := winpack(t, filepath.Dir(dir), "detect", "web01", "--map", `D:\web=data`)
	for _, want := range []string{"3 apps\n", "Shop: ASP.NET site", "in data/shop, site \"Shop\"", "data/shop/Web.config:7: error WP1301", "applicationHost.config:4: warning:", `winpack build web01 --map 'D:\web=data' --app Default-Web-Site -t`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	one, _, code := winpack(t, filepath.Dir(dir), "detect", "web01", "--map", `D:\web=data`, "--app", "default web site", "--format", "json")
	var single report.Report
	if err := json.Unmarshal([]byte(one), &single); err != nil || code != exitDone || single.App.Name != "Default-Web-Site" || len(single.Apps) > 0 || single.App.Path != "C/inetpub/wwwroot" {
		t.Errorf("exit %d, %v, %+v", code, err, single.App)
	}
	for _, format := range []string{"json", "sarif"} {
		saved := filepath.Join(t.TempDir(), "r.json")
		write(t, saved, stdout)
		if out, stderr, code := winpack(t, ".", "report", saved, "--format", format); code != exitDone || !strings.Contains(out, "WP1301") {
			t.Errorf("report --format %s: exit %d: %s", format, code, stderr)
		}
	}
}

func TestAppOfAFolderWithSeveralIsNamed(t *testing.T) {
	dir := serverExport(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"dockerfile", "web01"}, exitUsage, `APP "web01" holds 3 apps: name one with --app: Default-Web-Site, Gone, Shop`},
		{[]string{"build", "web01", "--dry-run"}, exitUsage, "name one with --app"},
		{[]string{"kube", "web01", "--image", "r/x"}, exitUsage, "name one with --app"},
		{[]string{"init", "web01", "--stdout"}, exitUsage, "name one with --app"},
		{[]string{"detect", "web01", "--app", "Shopp"}, exitUsage, `--app "Shopp": no app of "web01" is called so; it holds Default-Web-Site, Gone, Shop`},
		{[]string{"dockerfile", "web01", "--app", "Shop", "--app", "Gone"}, exitUsage, "an image is made of one at a time"},
		{[]string{"dockerfile", "web01", "--app", "Gone"}, exitFailed, "line 4"},
		{[]string{"detect", "web01/data/shop", "--app", "x"}, exitUsage, "is one app, shop: leave --app out"},
		{[]string{"detect", "web01", "--app", ""}, exitUsage, "--app is empty"},
		{[]string{"detect", "web01", "--map", "data"}, exitUsage, `map "data" is not PATH=DIR`},
		{[]string{"detect", "web01", "--map", `D:\web=../data`}, exitUsage, "DIR is relative to APP, and lies in it"},
		{[]string{"detect", "web01", "--map", `web=data`}, exitUsage, "PATH is a folder of the server"},
		{[]string{"kube", "web01", "--app", "Default Web Site", "--image", "r.example.com/x"}, exitDone, ""},
		{[]string{"init", "web01", "--app", "Default Web Site", "--stdout"}, exitDone, ""},
	} {
		_, stderr, code := winpack(t, filepath.Dir(dir), c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d: %s", c.args, code, stderr)
		}
	}
	write(t, filepath.Join(dir, "winpack.toml"), "map = ['D:\\web=data']\nignore = [\"data/shop/css\", \"C\", \"**/*.ashx\"]\n")
	stdout, stderr, code := winpack(t, filepath.Dir(dir), "dockerfile", "web01", "--app", "shop")
	if code != exitDone || !strings.Contains(stdout, "web01-Shop.winpack") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	file, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "web01-Shop.winpack", "Dockerfile"))
	if err != nil || !strings.Contains(string(file), `COPY ["web01/data/shop/", "C:/inetpub/wwwroot/"]`) {
		t.Errorf("%v\n%s", err, file)
	}
	ignored, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "web01-Shop.winpack", "Dockerfile.dockerignore"))
	if err != nil || !strings.Contains(string(ignored), "\nweb01/data/shop/css\n") || strings.Contains(string(ignored), "shop/C\n") || !strings.Contains(string(ignored), "\nweb01/data/shop/**/*.ashx\n") {
		t.Errorf("%v\n%s", err, ignored)
	}
	if _, stderr, code := winpack(t, filepath.Dir(dir), "dockerfile", "web01", "--app", "shop", "--check"); code != exitDone {
		t.Errorf("--check: exit %d: %s", code, stderr)
	}
}

// The image of an app in a folder with several is that of its folder alone.
func TestImageOfAnAppIsThatOfItsFolder(t *testing.T) {
	s := newSite(t)
	dir := serverExport(t)
	folder := s.build(t, filepath.Join(dir, "data", "shop"), "--push", "-t", s.host+"/apps/shop:folder")
	app := s.build(t, dir, "--map", `D:\web=data`, "--app", "Shop", "--push", "-t", s.host+"/apps/shop:app")
	if app != folder {
		t.Errorf("the app's image is %s, that of its folder %s", app, folder)
	}
	packed := filepath.Join(t.TempDir(), "web01.zip")
	zipped(t, packed, dir, "", nil)
	if zip := s.build(t, packed, "--map", `D:\web=data`, "--app", "Shop", "--push", "-t", s.host+"/apps/shop:zip"); zip != folder {
		t.Errorf("the image out of a zip is %s, that of its folder %s", zip, folder)
	}
}

func TestBatchNamesAppsOfASource(t *testing.T) {
	dir := serverExport(t)
	write(t, filepath.Join(dir, "winpack.toml"), "map = ['D:\\web=data']\n")
	list := filepath.Join(filepath.Dir(dir), "apps.csv")
	write(t, list, "name,source,app\nall,web01,\nall-2,web01/C/inetpub/wwwroot,\nshop,web01,Shop\nnone,web01,Nothing\n")
	out := filepath.Join(t.TempDir(), "out")
	mustBatch(t, exitFailed, list, "-o", out)
	got := results(t, out)
	if r := got["all"]; r.Status != result.OK || len(r.Report.Apps) != 3 {
		t.Errorf("all: %s %s", r.Status, r.Error)
	}
	if r := got["shop"]; r.Status != result.OK || r.Report.App.Name != "Shop" || r.Report.App.Kind != "aspnet" {
		t.Errorf("shop: %s %s", r.Status, r.Error)
	}
	if r := got["none"]; r.Status != result.Failed || !strings.Contains(r.Error, "no app of") {
		t.Errorf("none: %s %s", r.Status, r.Error)
	}
	if _, err := os.Stat(filepath.Join(out, "apps", "shop", "Dockerfile")); err != nil {
		t.Error(err)
	}
	csv, _, _ := winpack(t, ".", "report", out, "--format", "csv")
	var names []string
	for _, line := range strings.Split(strings.TrimSpace(csv), "\n")[1:] {
		name, _, _ := strings.Cut(line, ",")
		names = append(names, name)
	}
	if want := []string{"all/Default-Web-Site", "all/Gone", "all/Shop", "all-2", "none", "shop"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	for _, format := range []string{"html", "json", "sarif", "text"} {
		if _, stderr, code := winpack(t, ".", "report", out, "--format", format); code != exitDone {
			t.Errorf("report --format %s: exit %d: %s", format, code, stderr)
		}
	}
	built := filepath.Join(t.TempDir(), "out")
	mustBatch(t, exitFailed, list, "-o", built, "--build")
	if r := results(t, built)["all"]; r.Status != result.Failed || !strings.Contains(r.Error, "holds 3 apps") {
		t.Errorf("with --build: %s %q", r.Status, r.Error)
	}
}
