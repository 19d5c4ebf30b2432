package detect_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// The mutation check: of every binary and text of the fixtures every region of bytes is changed,
// and files are cut short. What detection says then is the right answer, or unknown, or
// a problem says what is unknown now. Another answer is one that the bytes themselves
// give: it has to cite them.
//
// WINPACK_MUTATIONS=all changes every single byte in every way (script/mutate).

// mutation is one change of one file.
type mutation struct {
	offset, length int
	how            string // one of ways
}

// ways are how bytes are changed.
var ways = []string{"invert", "lowest bit", "zero", "cut"}

// apply changes data, or says that the change would be none. undo makes it good.
func (m mutation) apply(data []byte) (changed []byte, undo func()) {
	region := data[m.offset : m.offset+m.length]
	if m.how == "cut" {
		return data[:m.offset], func() {}
	}
	before := bytes.Clone(region)
	for i, b := range region {
		switch m.how {
		case "invert":
			region[i] = ^b
		case "lowest bit":
			region[i] = b ^ 1
		case "zero":
			region[i] = 0
		}
	}
	if bytes.Equal(before, region) {
		return nil, nil
	}
	return data, func() { copy(region, before) }
}

// answer is what is compared: one value for each field, "" for what is not known.
type answer struct{ field, value string }

// family is the smallest image family that meets all needs.
func family(r detect.Report) string {
	if r.App.Kind == detect.KindUnknown {
		return ""
	}
	for _, f := range []string{detect.FamilyServer, detect.FamilyServerCore} {
		if slices.ContainsFunc(r.Needs.Families, func(n detect.FamilyNeed) bool { return n.Family == f && n.Release == "" }) {
			return f
		}
	}
	return detect.FamilyNanoServer
}

// runtimeOf is the runtime that runs the app, with its version.
func runtimeOf(r detect.Report) string {
	rt := r.Needs.Runtime
	if rt == nil || rt.Version == "" {
		return ""
	}
	return rt.Name + " " + rt.Version
}

func answers(r detect.Report) []answer {
	kind, becomes := string(r.App.Kind), string(r.App.Becomes)
	if r.App.Kind == detect.KindUnknown {
		kind = ""
	}
	if r.App.Becomes == detect.KindUnknown {
		becomes = ""
	}
	return []answer{
		{"kind", kind}, {"becomes", becomes},
		{"framework", r.App.Framework.Name}, {"version", r.App.Framework.Version}, {"runtime", runtimeOf(r)},
		{"architecture", r.App.Architecture}, {"family", family(r)},
	}
}

// fieldFacts are the keys of the facts that an answer rests on.
var fieldFacts = map[string][]string{
	"kind":         {"kind", "site", "program", "several-programs"},
	"becomes":      {"kind", "source-becomes"},
	"framework":    {"framework"},
	"version":      {"framework"},
	"architecture": {"architecture"},
	"family":       {"framework", "kind", "loads", "source-becomes"},
	"runtime":      {"kind", "runtime", "server-version"},
}

// cited is the evidence that a report gives for a field.
func cited(r detect.Report, field string) []detect.Evidence {
	var ev []detect.Evidence
	for _, f := range r.Facts {
		if f.OverruledBy == "" && slices.Contains(fieldFacts[field], f.Key) {
			ev = append(ev, f.Evidence...)
		}
	}
	if field == "family" {
		for _, n := range r.Needs.Families {
			ev = append(ev, n.Evidence...)
		}
	}
	return ev
}

// wrong says what is wrong with the report got of an app in which [from, to) of a file
// was changed, which lies in a line; "" for nothing. A file that was cut ends at to in both.
func wrong(want, got detect.Report, file string, from, to int64, line int) string {
	for _, p := range got.Problems {
		if p.Path == file && !slices.Contains(want.Problems, p) {
			return ""
		}
	}
	right := answers(want)
	for i, a := range answers(got) {
		if a.value == "" || a.value == right[i].value {
			continue
		}
		inside := func(e detect.Evidence) bool {
			if e.Line > 0 {
				return e.Path == file && e.Line == line
			}
			return e.Path == file && e.Offset <= from && to <= e.Offset+e.Length
		}
		if !slices.ContainsFunc(cited(got, a.field), inside) {
			return fmt.Sprintf("%s is %q in place of %q, without a problem and without evidence of these bytes", a.field, a.value, right[i].value)
		}
	}
	return ""
}

// mutated is an app of which one file is changed in place.
type mutated struct {
	name string // of the fixture
	app  fstest.MapFS
	file string
	data []byte
	want detect.Report
	// coarse is set for a file that another app had as well.
	coarse bool
}

type inspector func(fs.FS) (detect.Report, error)

func inspectFS(fsys fs.FS) (detect.Report, error) {
	return detect.Inspect(fsys, detect.Options{Name: "app"})
}

// check runs mutations, and returns what is wrong after each.
func (m *mutated) check(look inspector, muts []mutation) []string {
	var out []string
	for _, mut := range muts {
		changed, undo := mut.apply(m.data)
		if changed == nil {
			continue
		}
		m.app[m.file] = &fstest.MapFile{Data: changed}
		got, err := look(m.app)
		from, to := int64(mut.offset), int64(mut.offset+mut.length)
		if mut.how == "cut" {
			from = int64(len(changed))
			to = from
		}
		why := ""
		if err != nil {
			why = "error: " + err.Error()
		} else {
			line := 0
			if lined(m.file) {
				line = 1 + bytes.Count(m.data[:mut.offset], []byte{'\n'})
			}
			why = wrong(m.want, got, m.file, from, to, line)
		}
		if why != "" {
			out = append(out, fmt.Sprintf("%s of %d bytes at 0x%x of %s (%d bytes): %s", mut.how, mut.length, mut.offset, m.file, len(m.data), why))
		}
		undo()
	}
	m.app[m.file] = &fstest.MapFile{Data: m.data}
	return out
}

// mutable says whether a file is one whose bytes are changed.
func mutable(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".exe", ".dll", ".jar", ".war", ".ear", ".class":
		return true
	}
	return lined(name)
}

// lined says whether places in a file are told by their lines.
func lined(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".config", ".json", ".xml", ".csproj", ".txt", ".aspx", ".asp", ".js", ".py", ".html", ".bat", ".cmd", ".conf", ".php", ".cfg", ".toml":
		return true
	}
	return false
}

// apps are the files to mutate of all fixtures.
func apps(t *testing.T) []*mutated {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	var out []*mutated
	seen := map[string]bool{}
	for _, name := range names {
		app := fstest.MapFS{}
		root := fixtures.App(t, name)
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			app[filepath.ToSlash(rel)] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := inspectFS(app)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range slices.Sorted(func(yield func(string) bool) {
			for f := range app {
				if !yield(f) {
					return
				}
			}
		}) {
			if !mutable(file) {
				continue
			}
			own := fstest.MapFS{}
			for k, v := range app {
				own[k] = v
			}
			data := bytes.Clone(app[file].Data)
			h := fnv.New128a()
			h.Write(data)
			key := string(h.Sum(nil))
			out = append(out, &mutated{name: name, app: own, file: file, data: data, want: want, coarse: seen[key]})
			seen[key] = true
		}
	}
	return out
}

func TestChangedBytesGiveNoOtherAnswerWithoutEvidence(t *testing.T) {
	all := os.Getenv("WINPACK_MUTATIONS") == "all"
	var next, count atomic.Int64
	var mu sync.Mutex
	todo := apps(t)
	found := make([][]string, len(todo))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(todo)); i = next.Add(1) - 1 {
				muts := mutations(todo[i].data, todo[i].coarse || lined(todo[i].file), all)
				if testing.Short() { // under the race detector, which makes each ten times as long
					kept := 0
					for j := 0; j < len(muts); j += 40 {
						muts[kept] = muts[j]
						kept++
					}
					muts = muts[:kept]
				}
				count.Add(int64(len(muts)))
				bad := todo[i].check(inspectFS, muts)
				mu.Lock()
				found[i] = bad
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total := 0
	for i, bad := range found {
		total += len(bad)
		for j, why := range bad {
			if j == 10 && !all {
				t.Errorf("%s: %d more", todo[i].name, len(bad)-j)
				break
			}
			t.Errorf("%s: %s", todo[i].name, why)
		}
	}
	t.Logf("%d changes of %d files, %d wrong", count.Load(), len(todo), total)
}

// A check that finds nothing has to be one that would.
func TestTheMutationCheckFindsWhatLies(t *testing.T) {
	right := detect.Report{App: detect.App{Kind: detect.KindNativeService, Architecture: "x64"}}
	kind := func(k detect.Kind, ev ...detect.Evidence) detect.Report {
		return detect.Report{App: detect.App{Kind: k, Architecture: "x64"}, Facts: []detect.Fact{{Key: "kind", Value: string(k), Evidence: ev}}}
	}
	with := func(r detect.Report, p ...detect.Problem) detect.Report { r.Problems = p; return r }
	atLine := func(p string, line int) detect.Evidence { return detect.Evidence{Path: p, Line: line} }
	at := func(p string, from, n int64) detect.Evidence {
		return detect.Evidence{Path: p, Offset: from, Length: n}
	}
	overruled := kind(detect.KindNativeConsole, at("a.exe", 0, 100))
	overruled.Facts[0].OverruledBy = "another"
	other := kind(detect.KindNativeService)
	other.App.Architecture = "x86"
	other.Facts = append(other.Facts, detect.Fact{Key: "kind", Evidence: []detect.Evidence{at("a.exe", 0, 100)}})
	known := detect.Problem{Path: "a.exe", Message: "as ever"}
	for name, c := range map[string]struct {
		want, got detect.Report
		bad       string
	}{
		"the same":                  {right, kind(detect.KindNativeService), ""},
		"unknown":                   {right, kind(detect.KindUnknown), ""},
		"another, unsaid":           {right, kind(detect.KindNativeConsole), "kind is"},
		"another, cited":            {right, kind(detect.KindNativeConsole, at("a.exe", 10, 4)), ""},
		"another, wider":            {right, kind(detect.KindNativeConsole, at("a.exe", 0, 100)), ""},
		"another, in its line":      {right, kind(detect.KindNativeConsole, atLine("a.exe", 3)), ""},
		"another, in another line":  {right, kind(detect.KindNativeConsole, atLine("a.exe", 2)), "kind is"},
		"another, beside":           {right, kind(detect.KindNativeConsole, at("a.exe", 14, 4)), "kind is"},
		"another, in part":          {right, kind(detect.KindNativeConsole, at("a.exe", 12, 4)), "kind is"},
		"another, in another file":  {right, kind(detect.KindNativeConsole, at("b.exe", 0, 100)), "kind is"},
		"another, by what lost":     {right, overruled, "kind is"},
		"another field":             {right, other, "architecture is"},
		"another, with a problem":   {right, with(kind(detect.KindNativeConsole), detect.Problem{Path: "a.exe", Message: "cut"}), ""},
		"a problem of another file": {right, with(kind(detect.KindNativeConsole), detect.Problem{Path: "b.exe", Message: "cut"}), "kind is"},
		"a problem as before":       {with(right, known), with(kind(detect.KindNativeConsole), known), "kind is"},
	} {
		if why := wrong(c.want, c.got, "a.exe", 10, 14, 3); !strings.HasPrefix(why, c.bad) || (c.bad == "") != (why == "") {
			t.Errorf("%s: %q, want %q", name, why, c.bad)
		}
	}

	// And of a whole run: a detector that takes what is no PE for a program of its own.
	data := []byte("MZ, and more that is none")
	m := &mutated{app: fstest.MapFS{"a.exe": {Data: data}}, file: "a.exe", data: data, want: right}
	liar := func(fsys fs.FS) (detect.Report, error) {
		if b, _ := fs.ReadFile(fsys, "a.exe"); string(b[:min(2, len(b))]) == "MZ" {
			return right, nil
		}
		return kind(detect.KindNativeConsole), nil
	}
	muts := mutations(data, false, true)
	if bad := m.check(liar, muts); len(bad) != 2*4 || !strings.Contains(bad[0], "invert of 1 bytes at 0x0") {
		t.Errorf("%d of %d changes are wrong: %q", len(bad), len(muts), bad)
	}
	if string(data) != "MZ, and more that is none" {
		t.Errorf("a change was not undone: %q", data)
	}
}
