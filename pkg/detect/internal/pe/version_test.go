package pe

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const resourceSource = `#include <winver.h>
1 VERSIONINFO
FILEVERSION 20,11,1,3
PRODUCTVERSION 1,2,3,4
BEGIN
  BLOCK "StringFileInfo"
  BEGIN
    BLOCK "040904b0"
    BEGIN
      VALUE "FileVersion", "another text"
    END
  END
END
`

// The version is that which real compilers of resources write.
func TestFileVersionOfCompilers(t *testing.T) {
	managed := compile(t, `using System.Reflection; [assembly: AssemblyFileVersion("4.5.6.0")] class C { static void Main() {} }`, ".cs", nil, "mcs", "-nologo", "-out:OUT", "IN")
	without := compile(t, "int main(void) { return 0; }", ".c", nil, "x86_64-w64-mingw32-gcc", "-s", "-o", "OUT", "IN")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{"mcs": {managed, "4.5.6"}, "windres": {withResource(t), "20.11.1.3"}, "none": {without, ""}} {
		f := open(t, c.data)
		v, err := f.FileVersion()
		if err != nil || v.Value != c.want {
			t.Errorf("%s: %q, %v, want %q", name, v.Value, err, c.want)
		}
		if c.want == "20.11.1.3" && binary.LittleEndian.Uint32(c.data[v.Offset:]) != 20<<16|11 {
			t.Errorf("%s: the version does not stand at %d", name, v.Offset)
		}
	}
}

// withResource is a native program with a version resource.
func withResource(t testing.TB) []byte {
	t.Helper()
	const windres = "x86_64-w64-mingw32-windres" // comes with the compiler
	dir := t.TempDir()
	source, object := filepath.Join(dir, "v.rc"), filepath.Join(dir, "v.o")
	if err := os.WriteFile(source, []byte(resourceSource), 0o644); err != nil {
		t.Fatal(err)
	}
	needTool(t, windres, "binutils-mingw-w64-x86-64")
	if msg, err := exec.Command(windres, source, object).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	return compile(t, "int main(void) { return 0; }", ".c", nil, "x86_64-w64-mingw32-gcc", "-s", "-o", "OUT", "IN", object)
}

// Whatever stands in the resource directory, there is an answer or an error.
func TestBrokenVersionResourceIsAnError(t *testing.T) {
	data := withResource(t)
	f := open(t, data)
	start, err := f.rva(f.dir(dirResource).rva, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	right, err := f.FileVersion()
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for at := start; at < start+96; at++ {
		for _, v := range []byte{0, 0x7f, 0xff} {
			changed := append([]byte{}, data...)
			changed[at] = v
			got, err := open(t, changed).FileVersion()
			if err != nil || got.Value == "" {
				wrong++
			} else if got.Value != right.Value {
				t.Errorf("byte %d as %#x: another version, %q", at-start, v, got.Value)
			}
		}
	}
	if wrong == 0 {
		t.Error("nothing that was changed was seen")
	}
}
