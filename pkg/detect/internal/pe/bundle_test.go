package pe

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
)

func TestHostNamesItsDLL(t *testing.T) {
	f, data := openFile(t, filepath.Join(fixtures.App(t, "dotnet-console"), "Report.exe"))
	h, err := f.AppHost()
	if err != nil || h == nil {
		t.Fatalf("AppHost = %v, %v", h, err)
	}
	if !h.Bound || h.Bundle != nil || len(h.Markers) != 2 {
		t.Errorf("host %+v", h)
	}
	stands(t, data, h.Markers[0], hostFirstHalf)
	stands(t, data, h.Markers[1], hostSecondHalf)
	i := slices.IndexFunc(h.Candidates, func(c Text) bool { return c.Value == "Report.dll" })
	if i < 0 {
		t.Fatalf("candidates %v", h.Candidates)
	}
	stands(t, data, h.Candidates[i].Span, "Report.dll")
}

func TestManagedProgramIsNoHost(t *testing.T) {
	f, _ := openFile(t, filepath.Join(fixtures.App(t, "netfx-console"), "Import.exe"))
	if h, err := f.AppHost(); h != nil || err != nil {
		t.Errorf("AppHost = %v, %v", h, err)
	}
}

func TestBundlesOfEveryVersion(t *testing.T) {
	for _, name := range []string{"dotnet-console-singlefile", "dotnet-singlefile-v2", "dotnet-singlefile-v1"} {
		f, data := openFile(t, filepath.Join(fixtures.App(t, name), "Report.exe"))
		h, err := f.AppHost()
		if err != nil || h == nil || h.Bundle == nil {
			t.Fatalf("%s: AppHost = %+v, %v", name, h, err)
		}
		b := h.Bundle
		if !strings.Contains(string(b.RuntimeConfig), `"Microsoft.NETCore.App"`) || !strings.Contains(string(b.DepsJSON), "runtimeTarget") {
			t.Errorf("%s: runtimeconfig %q, deps %q", name, b.RuntimeConfig, b.DepsJSON)
		}
		if b.ExtractAll != (b.Major == 1) {
			t.Errorf("%s: version %d extracts all: %v", name, b.Major, b.ExtractAll)
		}
		i := slices.IndexFunc(b.Entries, func(e BundleEntry) bool { return e.Path == "Report.dll" })
		if i < 0 {
			t.Fatalf("%s: entries %+v", name, b.Entries)
		}
		if e := b.Entries[i]; e.Compressed == 0 {
			stands(t, data, Span{e.Offset, 2}, "MZ")
		}
		in, err := f.OpenEntry(b.Entries[i])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c, err := in.CLR()
		if err != nil || c.Name.Value != "Report" {
			t.Errorf("%s: assembly %+v, %v", name, c, err)
		}
	}
}
