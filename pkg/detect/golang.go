package detect

import (
	"path"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// isGo tells programs of the Go linker by what every one of them has: its own
// section table (".symtab" last, no ".idata$" parts of a C linker) or the build
// information at the start of its data.
func (t *Tree) isGo(b *image) (why string, mark pe.Span) {
	const buildInfo = "\xff Go buildinf:"
	t.withPE(b.path, func(f *pe.File) error {
		for _, s := range f.Sections {
			if s.Name == ".symtab" {
				why, mark = "section .symtab, which the Go linker writes", s.Header
				return nil
			}
		}
		for _, s := range f.Sections {
			if s.Name == ".data" || s.Name == ".go.buildinfo" {
				start := pe.Span{Offset: int64(s.Offset), Length: min(int64(s.Size), 64<<10)}
				if at := t.findIn(b.path, []pe.Span{start}, buildInfo)[0]; at >= 0 {
					why, mark = "Go build information", pe.Span{Offset: at, Length: int64(len(buildInfo))}
					return nil
				}
			}
		}
		return nil
	})
	return why, mark
}

// goNames is what the names tell that the Go linker keeps of the functions which can be
// reached.
type goNames struct {
	service []Evidence    // runs a service, whoever started the program
	netapi  []pe.Function // of netapi32.dll, which Go loads at the first call without importing it
}

// netapiCalls are the wrappers by which Go programs call netapi32.dll, most of them by
// the look-ups of package os/user (go.dev/issue/21867; src/os/user/lookup_windows.go).
var netapiCalls = []string{"syscall.NetGetJoinInformation", "syscall.NetUserGetInfo", "internal/syscall/windows.NetUserGetLocalGroups",
	"golang.org/x/sys/windows.NetGetJoinInformation", "golang.org/x/sys/windows.NetUserGetInfo", "golang.org/x/sys/windows.NetUserEnum"}

// goNames reads those names. A program that also asks IsWindowsService looks at the
// process which started it: in a container it stays in the foreground, so that it is no
// service here.
func (t *Tree) goNames(b *image) goNames {
	texts := []string{"\x00golang.org/x/sys/windows/svc.Run\x00", "\x00golang.org/x/sys/windows/svc.IsWindowsService\x00"}
	for _, call := range netapiCalls {
		texts = append(texts, "\x00"+call+"\x00")
	}
	places := t.findIn(b.path, t.sections(b, ".rdata"), texts...)
	span := func(i int) pe.Span { return pe.Span{Offset: places[i] + 1, Length: int64(len(texts[i]) - 2)} }
	var n goNames
	if places[0] >= 0 && places[1] < 0 {
		n.service = []Evidence{at(b.path, span(0), "runs golang.org/x/sys/windows/svc.Run, and does not ask IsWindowsService")}
	}
	for i, call := range netapiCalls {
		if places[2+i] >= 0 {
			n.netapi = append(n.netapi, pe.Function{Name: strings.TrimPrefix(path.Ext(call), "."), Span: span(2 + i)})
		}
	}
	return n
}

// loadsNetapi judges the calls of netapi32.dll that no import table shows.
func (t *Tree) loadsNetapi(b *image, functions []pe.Function) []Fact {
	const dll = "netapi32.dll"
	if len(functions) == 0 {
		return nil
	}
	ev := at(b.path, functions[0].Span, "calls "+functions[0].Name+" of "+dll)
	if local := t.byName[strings.ToLower(path.Join(b.dir, dll))]; local != nil {
		t.recordNative(b.path, dll, local.path, ev, HowLoad, nil)
		return nil
	}
	t.recordNative(b.path, dll, "", ev, HowLoad, functions)
	return t.library(dll, functions, b.path, ev, HowLoad)
}
