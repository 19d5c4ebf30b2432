package winlayer

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/klauspost/compress/gzip"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

var when = time.Date(2024, 5, 6, 7, 8, 9, 987654321, time.UTC)

func read(t testing.TB, l *Layer) []byte {
	t.Helper()
	rc, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range layercheck.CheckLayer(bytes.NewReader(plain(t, b))) {
		t.Error(p)
	}
	return b
}

func plain(t testing.TB, blob []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sourced(fsys fstest.MapFS) []Entry {
	var entries []Entry
	for name := range fsys {
		entries = append(entries, Entry{Path: "app/" + name, Source: name})
	}
	return entries
}

// listed walks entries in the order that a layer has, with the folders above them.
func listed(entries ...Entry) Walk {
	all := map[string]Entry{}
	for _, e := range entries {
		for i, c := range e.Path {
			if above := e.Path[:i]; c == '/' && i > 0 && all[above].Path == "" {
				all[above] = Entry{Path: above, Folder: true}
			}
		}
		all[e.Path] = e
	}
	key := func(e Entry) string { return strings.ReplaceAll(e.Path, "/", "\x00") }
	return exactly(slices.SortedFunc(maps.Values(all), func(a, b Entry) int { return strings.Compare(key(a), key(b)) })...)
}

func exactly(entries ...Entry) Walk {
	return func(visit func(Entry) error) error {
		for _, e := range entries {
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	}
}

// layer is one of entries in any order.
func layer(t testing.TB, opts Options, entries ...Entry) *Layer {
	t.Helper()
	l, err := New(t.Context(), listed(entries...), opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sample() fstest.MapFS {
	return fstest.MapFS{
		"a.txt":       {Data: []byte("a"), ModTime: when},
		"bin/é ü.dll": {Data: bytes.Repeat([]byte("0123456789"), 300_000), ModTime: when.Add(-time.Hour)},
		"empty":       {ModTime: when.Add(-48 * time.Hour)},
		"bin/" + strings.Repeat("d", 200) + "/" + strings.Repeat("f", 200): {Data: []byte("deep"), ModTime: when},
	}
}

func TestHeadersHoldWhatWindowsReads(t *testing.T) {
	epoch := when.Add(-30 * time.Minute)
	l := layer(t, Options{FS: sample(), Epoch: &epoch}, append(sourced(sample()), Entry{Path: "start.cmd", Content: []byte("x")})...)
	content := plain(t, read(t, l))
	for _, p := range layercheck.CheckLayer(bytes.NewReader(content)) {
		t.Error(p)
	}
	want := map[string]string{
		"Hives":           "5 16 2024-05-06T06:38:09Z ",
		"Files":           "5 16 2024-05-06T06:38:09Z ",
		"Files/app":       "5 16 2024-05-06T06:38:09Z " + DefaultFolder,
		"Files/app/a.txt": "0 32 2024-05-06T06:38:09Z " + DefaultFile,
		"Files/app/empty": "0 32 2024-05-04T07:08:09Z " + DefaultFile,
		"Files/start.cmd": "0 32 2024-05-06T06:38:09Z " + DefaultFile,
	}
	var order []string
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, h.Name)
		seconds := fmt.Sprintf("%d.000000000", h.ModTime.Unix())
		if !h.AccessTime.Equal(h.ModTime) || !h.ChangeTime.Equal(h.ModTime) || h.PAXRecords["LIBARCHIVE.creationtime"] != seconds {
			t.Errorf("%s: times %v %v %v %q", h.Name, h.ModTime, h.AccessTime, h.ChangeTime, h.PAXRecords["LIBARCHIVE.creationtime"])
		}
		text := ""
		if raw, ok := h.PAXRecords["MSWINDOWS.rawsd"]; ok {
			b, _ := base64.StdEncoding.DecodeString(raw)
			d, err := sddl.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			text = d.String()
		}
		got := fmt.Sprintf("%c %s %s %s", h.Typeflag, h.PAXRecords["MSWINDOWS.fileattr"], h.ModTime.UTC().Format(time.RFC3339), text)
		if w, ok := want[h.Name]; ok && w != got {
			t.Errorf("%s is %s, want %s", h.Name, got, w)
		}
		delete(want, h.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if order[0] != "Hives" || order[1] != "Files" {
		t.Errorf("the layer starts with %q", order[:2])
	}
}

func TestLayerWithoutFilesTakesEpochOr1980(t *testing.T) {
	epoch := when
	for _, c := range []struct {
		epoch *time.Time
		want  time.Time
	}{{nil, FallbackTime}, {&epoch, when.Truncate(time.Second)}} {
		l := layer(t, Options{Epoch: c.epoch}, Entry{Path: "data", Folder: true})
		if !l.Time().Equal(c.want) {
			t.Errorf("time is %v, want %v", l.Time(), c.want)
		}
	}
}

func TestBytesDoNotDependOnCoresOrFormerRuns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []byte
	for _, cores := range []int{2, 1, 8, 1} {
		runtime.GOMAXPROCS(cores)
		l := layer(t, Options{FS: sample()}, sourced(sample())...)
		blob := read(t, l)
		if first == nil {
			first = blob
		}
		if !bytes.Equal(blob, first) || !bytes.Equal(read(t, l), first) {
			t.Fatalf("other bytes with %d cores", cores)
		}
	}
}

func TestDigestsAreKnownOnceRead(t *testing.T) {
	l := layer(t, Options{FS: sample()}, sourced(sample())...)
	if _, err := l.Digest(); !errors.Is(err, stream.ErrNotComputed) {
		t.Errorf("digest before reading: %v", err)
	}
	if _, err := l.Size(); !errors.Is(err, stream.ErrNotComputed) {
		t.Errorf("size before reading: %v", err)
	}
	want, err := l.Hash(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.DiffID(); got != want || err != nil {
		t.Errorf("diff ID after hashing is %v, %v", got, err)
	}
	if _, err := l.Digest(); !errors.Is(err, stream.ErrNotComputed) {
		t.Errorf("digest after hashing: %v", err)
	}
	blob := read(t, l)
	if size, err := l.Size(); size != int64(len(blob)) || err != nil {
		t.Errorf("size is %d, %v, want %d", size, err, len(blob))
	}
	if got, _ := l.DiffID(); got != want {
		t.Errorf("diff ID after reading is %v, after hashing it was %v", got, want)
	}
}

func TestNamesThatWindowsRefusesFail(t *testing.T) {
	for _, name := range []string{
		"", "/a", "a/", "a//b", "../a", "a/.", "q?", "a*b", "a<b", "a|b", `a"b`, "a:b", `a\b`, "tab\t", "nul\x00", "con", "Aux.txt", "com1.tar.gz",
		"LPT¹", "nul .txt", "conin$", "dot.", "space ", "\xff", ".wh.a", "x/.wh..wh..opq", "a.$WCIDIRS$", strings.Repeat("n", 256), strings.Repeat("d", 246) + "/f",
		strings.Repeat("𝒳", 128), strings.Repeat("abcdefgh/", 3642) + "f",
	} {
		if _, err := New(t.Context(), listed(Entry{Path: name}), Options{}); err == nil {
			t.Errorf("%.60q is accepted", name)
		}
	}
	for _, name := range []string{"con1", "com0", "com10", "console.txt", "a b", ".hidden", "ß", "a~1", strings.Repeat("é", 255), strings.Repeat("d", 245) + "/f"} {
		if _, err := New(t.Context(), listed(Entry{Path: name}), Options{}); err != nil {
			t.Errorf("%.60q is refused: %v", name, err)
		}
	}
}

func TestNamesThatAreOneOnWindowsFail(t *testing.T) {
	folder := func(path string) Entry { return Entry{Path: path, Folder: true} }
	for _, pair := range [][]Entry{
		{{Path: "A"}, {Path: "a"}}, {{Path: "É.TXT"}, {Path: "é.txt"}}, {folder("Bin"), {Path: "Bin/a"}, folder("bin"), {Path: "bin/b"}},
		{{Path: "a"}, {Path: "a"}}, {{Path: "Ж"}, {Path: "ж"}}, {folder("A"), {Path: "a"}}, {{Path: "A"}, {Path: "B"}, {Path: "a"}},
	} {
		if _, err := New(t.Context(), exactly(pair...), Options{}); err == nil || !strings.Contains(err.Error(), "one name") && !strings.Contains(err.Error(), "twice") {
			t.Errorf("%v: %v", pair, err)
		}
	}
	for _, pair := range [][2]string{{"SS", "ß"}, {"i", "ı"}, {"e\u0301", "é"}} {
		if _, err := New(t.Context(), exactly(Entry{Path: pair[0]}, Entry{Path: pair[1]}), Options{}); err != nil {
			t.Errorf("%q and %q: %v", pair[0], pair[1], err)
		}
	}
}

func TestWalkThatIsInNoOrderFails(t *testing.T) {
	folder, file := Entry{Path: "app", Folder: true}, Entry{Path: "app/a.txt", Content: []byte("a")}
	for what, entries := range map[string][]Entry{
		"a name twice":       {folder, file, file},
		"a folder too late":  {file, folder},
		"no folder":          {file},
		"a file as folder":   {{Path: "app"}, file},
		"another spelling":   {{Path: "App", Folder: true}, file},
		"a name too late":    {{Path: "b"}, {Path: "a"}},
		"a folder once left": {folder, {Path: "b"}, file},
	} {
		if _, err := New(t.Context(), exactly(entries...), Options{}); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if l, err := New(t.Context(), exactly(folder, file, Entry{Path: "app-2", Folder: true}, Entry{Path: "b"}), Options{}); err != nil || l.Len() != 4 {
		t.Errorf("a walk in order: %v", err)
	}
}

// growing is a file that is written to while it is read.
type growing struct {
	fs.File
	path string
}

func (g growing) Read(p []byte) (int, error) {
	n, err := g.File.Read(p)
	if f, oerr := os.OpenFile(g.path, os.O_APPEND|os.O_WRONLY, 0); oerr == nil {
		_, _ = f.Write([]byte("more"))
		f.Close()
	}
	return n, err
}

type growingFS struct {
	fs.FS
	dir string
}

func (g growingFS) Open(name string) (fs.File, error) {
	f, err := g.FS.Open(name)
	return growing{f, filepath.Join(g.dir, name)}, err
}

func TestEndOfContextAndEarlyCloseStopEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	noise := make([]byte, 32<<20) // does not fit into the buffers, compressed or not
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	big := fstest.MapFS{"big": {Data: noise, ModTime: when}}
	l := layer(t, Options{FS: big}, sourced(big)...)
	ctx, cancel := context.WithCancel(context.Background())
	rc := l.Stream(ctx)
	cancel()
	if _, err := io.ReadAll(rc); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	rc.Close()
	rc, _ = l.Compressed()
	if _, err := rc.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	rc.Close()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines are left, %d were there", n, before)
	}
	if _, err := l.Digest(); err == nil {
		t.Error("a layer that was not read to its end has a digest")
	}
}

func TestSparseFileOf3GBAndSizesAbove8GBWork(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 3 GB of zeros")
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big.dll"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(3 << 30); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l := layer(t, Options{FS: os.DirFS(dir)}, Entry{Path: "big.dll", Source: "big.dll"})
	if _, err := l.Hash(context.Background()); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(header("Files/huge", false, 9<<30, when, "")); err != nil {
		t.Fatal(err)
	}
	if h, err := tar.NewReader(&b).Next(); err != nil || h.Size != 9<<30 {
		t.Errorf("a file of 9 GB is read as %v, %v", h, err)
	}
}

// bomb is an app whose file panics when it is read.
type bomb struct{ fstest.MapFS }

func (bomb) Open(string) (fs.File, error) { panic("boom") }

// The layer is written on a goroutine of its own, whose panic would end a process that
// builds other apps too.
func TestPanicOfAnAppIsAnErrorOfItsLayer(t *testing.T) {
	files := fstest.MapFS{"a.txt": {Data: []byte("x"), ModTime: when}}
	l, err := New(t.Context(), listed(Entry{Path: "app/a.txt", Source: "a.txt"}), Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	l.opts.FS = bomb{files}
	r := l.Stream(t.Context())
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err == nil || !strings.Contains(err.Error(), "internal error: boom") {
		t.Errorf("got %v", err)
	}
}
