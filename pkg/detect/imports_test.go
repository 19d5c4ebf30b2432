package detect

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

func TestWhatAnImportAsksFor(t *testing.T) {
	tree, err := newTree(fstest.MapFS{"sub/local.dll": {Data: []byte("x")}, "msvcp140.dll": {Data: []byte("x")}}, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dll       string
		functions string
		family    string
		fact      string
	}{
		{"kernel32.dll", "CreateFileW GetProcAddress", "", ""},
		{"kernel32.dll", "GetProcessAffinityMask", "", ""},
		{"kernel32.dll", "GetNumaProcessorNode", FamilyServerCore, ""},
		{"user32.dll", "MessageBoxW", "", ""},
		{"user32.dll", "CreateWindowExW", FamilyServerCore, ""},
		{"ws2_32.dll", "socket", "", ""},
		{"netapi32.dll", "NetUserAdd", FamilyServerCore, ""},
		{"oledlg.dll", "", FamilyServer, ""},
		{"mfplat.dll", "", FamilyServer, ""},
		{"vcruntime140.dll", "", FamilyServerCore, "import-redist"},
		{"msvcp140.dll", "", "", ""}, // lies beside the program
		{"oci.dll", "", FamilyServerCore, "import-driver"},
		{"mqrt.dll", "", FamilyServerCore, "import-feature"},
		{"local.dll", "", "", ""},
		{"nobody-knows.dll", "", FamilyServerCore, "import-unknown"},
		{"api-ms-win-crt-runtime-l1-1-0.dll", "", "", ""},
		{"api-ms-win-core-file-l1-2-1.dll", "", "", ""},
		{"api-ms-win-shell-unheard-l1-1-0.dll", "", FamilyServerCore, ""},
		{"ext-ms-win-anything-l1-1-0.dll", "", "", ""},
	} {
		var functions []pe.Function
		for _, f := range strings.Fields(c.functions) {
			functions = append(functions, pe.Function{Name: f})
		}
		family, keys := "", []string{}
		for _, f := range tree.library(c.dll, functions, "", Evidence{Path: "a.exe"}, HowImport) {
			keys = append(keys, f.Key)
			if n, ok := f.item.(FamilyNeed); ok {
				family = n.Family
			}
		}
		if family != c.family || c.fact != "" && !slices.Contains(keys, c.fact) {
			t.Errorf("%s %s: family %q, facts %v; want %q, %s", c.dll, c.functions, family, keys, c.family, c.fact)
		}
	}
}

func TestReferencesThatNeedMoreThanNanoServer(t *testing.T) {
	for _, c := range []struct{ ref, family, need string }{
		{"System.Drawing.Common", "dotnet", FamilyServerCore},
		{"System.Drawing.Primitives", "dotnet", ""},
		{"System.DirectoryServices", "dotnet", FamilyServerCore},
		{"System.Net.HttpListener", "dotnet", FamilyServerCore},
		{"System.Net.Http", "dotnet", ""},
		{"System.Printing", "netfx", FamilyServer},
		{"Microsoft.Office.Interop.Excel", "dotnet", FamilyServerCore},
		{"System.Drawing", "netfx", ""},
	} {
		got := ""
		for _, f := range dependencyFacts(c.ref, c.family, "", Evidence{}) {
			if n, ok := f.item.(FamilyNeed); ok {
				got = n.Family
			}
		}
		if got != c.need {
			t.Errorf("%s on %s: %q, want %q", c.ref, c.family, got, c.need)
		}
	}
}
