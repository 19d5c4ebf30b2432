package detect_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// Each signal has a file or a reference that fires its rule, and a near miss.
func TestSignalsFireAndTheirNearMissesDoNot(t *testing.T) {
	samples := map[string][2]string{ // a file, or an assembly with a slash in front; and the near miss
		"key-store": {"certs/site.PFX", "certs/site.pfx.txt"}, "credential-file": {"keys/id_rsa", "keys/id_rsa.pub"},
		"sql-data-file": {"App_Data/shop.mdf", "App_Data/shop.mdf.md"}, "access-file": {"db/old.accdb", "db/old.accdb.md"},
		"kernel-driver": {"drv/filter.sys", "drv/filter.sys.md"}, "database-engine": {"db/bin/mysqld.exe", "db/bin/mysql.exe"},
		"licence-dongle": {"bin/hasp_windows_x64_1.dll", "bin/hasp.txt"}, "remote-desktop": {"admin.rdp", "admin.rdp.md"},
		"chromium": {"cef/libcef.dll", "cef/libcef.txt"}, "rdp-control": {"/MSTSCLib", "/MSTSCLibrary"}, "activex": {"/AxInterop.Flash", "/AxTools"},
		"com-interop": {"/Interop.Scripting", "/InteropServices.Tools"}, "scheduled-task": {"/Microsoft.Win32.TaskScheduler", "/Quartz"},
		"iis-configuration": {"/Microsoft.Web.Administration", "/Microsoft.Web.Infrastructure"}, "sharepoint": {"/Microsoft.SharePoint", "/Microsoft.SharePoint.Client"},
		"biztalk": {"/Microsoft.BizTalk.Pipeline", "/Microsoft.BizTalkTools"}, "appfabric": {"/Microsoft.ApplicationServer.Caching.Client", "/Microsoft.ApplicationServer.Store"},
		"ssis": {"/Microsoft.SqlServer.ManagedDTS", "/Microsoft.SqlServer.Types"},
	}
	fires := func(sample, rule string) bool {
		m := files("index.html", "<!DOCTYPE html><html></html>")
		if assembly, ok := strings.CutPrefix(sample, "/"); ok {
			m = csharp(t, [3]string{assembly + ".dll", "public class T { public static void F() {} }", "-target:library"},
				[3]string{"App.exe", "class P { static void Main() { T.F(); } }", "-r:" + assembly + ".dll"})
		} else {
			m[sample] = &fstest.MapFile{Data: []byte("x")}
		}
		r := look(t, m)
		i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == rule })
		if i >= 0 && (strings.Contains(r.Findings[i].Message, "{") || !strings.Contains(strings.ToLower(r.Findings[i].Message), strings.ToLower(strings.TrimPrefix(sample[strings.LastIndex(sample, "/")+1:], "/")))) {
			t.Errorf("%s does not name what was seen: %s", rule, r.Findings[i].Message)
		}
		return i >= 0
	}
	seen := 0
	for _, rule := range detect.Rules() {
		if rule.Fact != "signal" {
			continue
		}
		seen++
		sample, ok := samples[rule.Values[0]]
		if !ok || len(rule.Values) != 1 {
			t.Errorf("%s: no sample of %v", rule.ID, rule.Values)
			continue
		}
		if !fires(sample[0], rule.ID) {
			t.Errorf("%s does not fire for %s", rule.ID, sample[0])
		}
		if fires(sample[1], rule.ID) {
			t.Errorf("%s fires for %s", rule.ID, sample[1])
		}
	}
	if seen != len(samples) {
		t.Errorf("%d rules, and %d samples", seen, len(samples))
	}
	r := look(t, files("index.html", "<!DOCTYPE html><html></html>", "node_modules/x/test/key.pfx", "x"))
	if slices.Contains(rules(r), "WP1601") {
		t.Error("a key of a package's own tests is told")
	}
}
