package pe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/winpack/winpack/fixtures"
)

// told is all that a file says of itself.
func told(f *File) []any {
	all := []any{f.Sections, f.Defects}
	say := func(v any, err error) { all = append(all, v, err) }
	clr, err := f.CLR()
	if clr != nil {
		say([]any{clr.Name, clr.RuntimeVersion, clr.TargetFramework, clr.TargetPlatform}, err)
		refs, err := clr.AssemblyRefs()
		say(refs, err)
	}
	arch, err := f.Architecture()
	say(arch, err)
	imports, err := f.Imports()
	say(imports, err)
	exports, err := f.Exports()
	say(exports, err)
	return all
}

// With memory that files share, what one said must not change when another is read.
func TestWhatWasReadStaysGoodWhenItsPagesAreUsedAgain(t *testing.T) {
	data := compile(t, "int printf(const char*, ...); int main() { return printf(\"x\"); }", ".c", nil, "x86_64-w64-mingw32-gcc", "-o", "OUT", "IN")
	dll, err := os.ReadFile(filepath.Join(fixtures.App(t, "aspnet-webforms"), "bin", "Shop.dll"))
	if err != nil {
		t.Fatal(err)
	}
	var pages Pages
	for _, content := range [][]byte{data, dll, data[:len(data)/2]} {
		alone, err := Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		f, err := pages.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		said := told(f)
		f.Close()
		if len(pages.free) == 0 {
			t.Fatal("nothing was given back")
		}
		for _, p := range pages.free {
			for i := range p {
				p[i] = 0xaa
			}
		}
		if got, want := fmt.Sprintf("%+v", said), fmt.Sprintf("%+v", told(alone)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if _, err := f.src.at(0, 1); err == nil {
			t.Error("a closed file is read")
		}
	}
}
