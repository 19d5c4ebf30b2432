package layercheck

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

var when = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

func rawsd(t testing.TB) string {
	d, err := sddl.Parse("O:BAG:SYD:(A;;FA;;;BA)(A;;0x1200a9;;;BU)")
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(d.Binary())
}

func header(t testing.TB, name string, folder bool, change ...func(*tar.Header)) *tar.Header {
	h := &tar.Header{
		Format: tar.FormatPAX, Name: name, Typeflag: tar.TypeReg, ModTime: when, AccessTime: when, ChangeTime: when, Mode: 0o644,
		PAXRecords: map[string]string{"MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": rawsd(t), "LIBARCHIVE.creationtime": "1714979289.000000000"},
	}
	if folder {
		h.Typeflag = tar.TypeDir
		h.PAXRecords["MSWINDOWS.fileattr"] = "16"
	}
	for _, c := range change {
		c(h)
	}
	return h
}

func pack(t testing.TB, headers ...*tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		if h.Size > 0 {
			if _, err := w.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// good is a layer that a bad one differs from in one thing.
func good(t testing.TB, more ...*tar.Header) []*tar.Header {
	bare := func(h *tar.Header) { delete(h.PAXRecords, "MSWINDOWS.rawsd") }
	return append([]*tar.Header{
		header(t, "Hives", true, bare), header(t, "Files", true, bare), header(t, "Files/app", true), header(t, "Files/app/a.txt", false),
	}, more...)
}

func rules(problems []Problem) []Rule {
	var got []Rule
	for _, p := range problems {
		if !slices.Contains(got, p.Rule) {
			got = append(got, p.Rule)
		}
	}
	slices.Sort(got)
	return got
}

func record(key, value string) func(*tar.Header) {
	return func(h *tar.Header) {
		if value == "" {
			delete(h.PAXRecords, key)
		} else {
			h.PAXRecords[key] = value
		}
	}
}

func link(kind byte, target, attr string) func(*tar.Header) {
	return func(h *tar.Header) {
		h.Typeflag, h.Linkname = kind, target
		h.PAXRecords["MSWINDOWS.fileattr"] = attr
	}
}

func TestGoodLayersAreClean(t *testing.T) {
	stream := header(t, "Files/app/a.txt:note", false)
	for name, headers := range map[string][]*tar.Header{
		"plain":                                good(t),
		"alternate stream":                     good(t, stream),
		"symlink":                              good(t, header(t, "Files/app/l", false, link(tar.TypeSymlink, "a.txt", "1024"))),
		"absolute symlink":                     good(t, header(t, "Files/app/l", false, link(tar.TypeSymlink, `C:\app`, "1040"))),
		"hard link":                            good(t, header(t, "Files/app/l", false, link(tar.TypeLink, "Files/app/a.txt", "32"))),
		"hard link below":                      good(t, header(t, "Files/app/l", false, link(tar.TypeLink, "Files/Windows/x", "32"))),
		"short fraction, as Windows writes it": good(t, header(t, "Files/b", false, record("LIBARCHIVE.creationtime", "1714979289.5"))),
		"utility VM": good(t, header(t, "UtilityVM", true), header(t, "UtilityVM/Files", true), header(t, "UtilityVM/Files/a", false),
			header(t, "UtilityVM/Files/l", false, link(tar.TypeLink, "UtilityVM/Files/a", "32")), header(t, "UtilityVM/Files/.wh.b", false)),
		"whiteout":         good(t, header(t, "Files/app/.wh.gone", false)),
		"sharp s":          good(t, header(t, "Files/app/ß", false), header(t, "Files/app/SS", false)),
		"trailing slash":   good(t, header(t, "Files/b/", true), header(t, "Files/b/x", false)),
		"long names":       good(t, header(t, "Files/"+strings.Repeat("d", 245), true), header(t, "Files/"+strings.Repeat("é", 255), false)),
		"older descriptor": good(t, header(t, "Files/b", false, record("MSWINDOWS.rawsd", ""), record("MSWINDOWS.sd", "O:BAD:(A;;FA;;;BA)"))),
	} {
		for _, p := range CheckLayer(bytes.NewReader(pack(t, headers...))) {
			t.Errorf("%s: %s", name, p)
		}
	}
}

func TestEachRuleFlagsExactlyItsBadLayer(t *testing.T) {
	file := func(name string, change ...func(*tar.Header)) []*tar.Header {
		return good(t, header(t, name, false, change...))
	}
	unreadable, err := sddl.Parse("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;OICIIO;GR;;;BU)(A;;0x100020;;;BU)")
	if err != nil {
		t.Fatal(err)
	}
	noOwner, err := sddl.Parse("D:(A;;FA;;;BA)")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule    Rule
		what    string
		headers []*tar.Header
	}{
		{Outside, "no prefix", file("app/b.txt")},
		{Outside, "prefix in other case", file("files/b.txt")},
		{NoParent, "no folder entry", file("Files/other/b.txt")},
		{NoParent, "Files itself", []*tar.Header{header(t, "Files/a", false)}},
		{NoParent, "folder entry comes later", good(t, header(t, "Files/z/b", false), header(t, "Files/z", true))},
		{NoParent, "parent is a file", file("Files/app/a.txt/b")},
		{Twice, "file twice", file("Files/app/a.txt")},
		{Twice, "Files twice", good(t, header(t, "Files/", true))},
		{CaseCollision, "ASCII", file("Files/app/A.TXT")},
		{CaseCollision, "other scripts", good(t, header(t, "Files/é", false), header(t, "Files/É", false))},
		{CaseCollision, "folders", good(t, header(t, "Files/App", true))},
		{IllegalName, "question mark", file("Files/q?")},
		{IllegalName, "backslash", file(`Files/a\b`)},
		{IllegalName, "control character", file("Files/a\x01")},
		{IllegalName, "stream of nothing", file("Files/x:y")},
		{IllegalName, "device", file("Files/con.txt")},
		{IllegalName, "numbered device", file("Files/Lpt1")},
		{IllegalName, "trailing dot", file("Files/dot.")},
		{IllegalName, "trailing space", file("Files/space ")},
		{IllegalName, "not UTF-8", file("Files/\xff")},
		{IllegalName, "dots", file("Files/app/../x")},
		{IllegalName, "name of the importer", file("Files/app.$wcidirs$")},
		{LongName, "file name", file("Files/" + strings.Repeat("n", 256))},
		{LongName, "folder name", good(t, header(t, "Files/"+strings.Repeat("n", 246), true))},
		{LongName, "UTF-16 units count", file("Files/" + strings.Repeat("𝒳", 128))},
		{BadLink, "BuildKit's prefix", file("Files/l", link(tar.TypeSymlink, "Files/app/a.txt", "1024"))},
		{BadLink, "Linux path", file("Files/l", link(tar.TypeSymlink, "/app/a.txt", "1024"))},
		{BadLink, "path through a link", good(t, header(t, "Files/l", false, link(tar.TypeSymlink, "app", "1040")), header(t, "Files/l/x", false))},
		{BadLink, "hard link out", file("Files/l", link(tar.TypeLink, "app/a.txt", "32"))},
		{BadLink, "hard link in other case", file("Files/l", link(tar.TypeLink, "Files/App/a.txt", "32"))},
		{BadLink, "hard link to a folder", file("Files/l", link(tar.TypeLink, "Files/app", "32"))},
		{BadWhiteout, "outside Files", good(t, header(t, "Hives/.wh.x", false))},
		{BadWhiteout, "opaque", file("Files/app/.wh..wh..opq")},
		{BadWhiteout, "of what is there", file("Files/app/.wh.a.txt")},
		{BadType, "device", file("Files/d", link(tar.TypeChar, "", "32"))},
		{NoDescriptor, "file", file("Files/b", record("MSWINDOWS.rawsd", ""))},
		{BadDescriptor, "no base64", file("Files/b", record("MSWINDOWS.rawsd", "!"))},
		{BadDescriptor, "cut off", file("Files/b", record("MSWINDOWS.rawsd", "AQAEgBQAAAA="))},
		{NotReadable, "administrators only", file("Files/b", record("MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(unreadable.Binary())))},
		{BadDescriptor, "no owner", file("Files/b", record("MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(noOwner.Binary())))},
		{BadDescriptor, "no list", file("Files/b", record("MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(sddl.Descriptor{Owner: "S-1-5-18"}.Binary())))},
		{BadDescriptor, "older form", file("Files/b", record("MSWINDOWS.rawsd", ""), record("MSWINDOWS.sd", "O:XX"))},
		{NoAttributes, "file", file("Files/b", record("MSWINDOWS.fileattr", ""))},
		{BadAttributes, "no number", file("Files/b", record("MSWINDOWS.fileattr", "0x20"))},
		{BadAttributes, "file that says folder", file("Files/b", record("MSWINDOWS.fileattr", "16"))},
		{BadAttributes, "link without its bit", file("Files/l", link(tar.TypeSymlink, "app", "32"))},
		{NoTimes, "creation", file("Files/b", record("LIBARCHIVE.creationtime", ""))},
		{NoTimes, "access", file("Files/b", func(h *tar.Header) { h.AccessTime = time.Time{} })},
		{NoTimes, "change", file("Files/b", func(h *tar.Header) { h.ChangeTime = time.Time{} })},
		{BadTimes, "unpadded fraction", file("Files/b", record("LIBARCHIVE.creationtime", "1714979289.50000000"), func(h *tar.Header) { h.ModTime = when.Add(50 * time.Millisecond) })},
		{BadTimes, "fraction that is none", file("Files/b", record("LIBARCHIVE.creationtime", "1714979289.x"))},
		{BadTimes, "no number", file("Files/b", record("LIBARCHIVE.creationtime", "now"))},
		{BadTimes, "year 3000", file("Files/b", func(h *tar.Header) { h.ModTime = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) })},
	} {
		got := rules(CheckLayer(bytes.NewReader(pack(t, c.headers...))))
		if !slices.Equal(got, []Rule{c.rule}) {
			t.Errorf("%s (%s): flagged as %q", c.rule, c.what, got)
		}
	}
	cut := pack(t, good(t, header(t, "Files/b", false, func(h *tar.Header) { h.Size = 4096 }))...)
	if got := rules(CheckLayer(bytes.NewReader(cut[:len(cut)-4000]))); !slices.Equal(got, []Rule{Unreadable}) {
		t.Errorf("a layer that is cut off is flagged as %q", got)
	}
	if got := CheckLayer(io.LimitReader(strings.NewReader(strings.Repeat("no tar ", 200)), 1024)); len(got) == 0 {
		t.Error("text passes as a layer")
	}
}

// A layer of BuildKit's COPY --link is a Linux layer: nothing of it arrives.
func TestLinuxLayerIsFlagged(t *testing.T) {
	linux := func(h *tar.Header) { h.PAXRecords, h.AccessTime, h.ChangeTime = nil, time.Time{}, time.Time{} }
	got := rules(CheckLayer(bytes.NewReader(pack(t, header(t, "app/", true, linux), header(t, "app/a.txt", false, linux)))))
	if !slices.Equal(got, []Rule{Outside}) {
		t.Errorf("flagged as %q", got)
	}
}

// What crane append makes of a tar of ".": a second Files, one owner-only
// descriptor for all, no attributes, no access and change times.
func TestCraneAppendLayerIsFlagged(t *testing.T) {
	ownerOnly, err := sddl.Parse("O:BUG:BU")
	if err != nil {
		t.Fatal(err)
	}
	crane := func(h *tar.Header) {
		h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
		h.PAXRecords = map[string]string{"MSWINDOWS.rawsd": base64.StdEncoding.EncodeToString(ownerOnly.Binary())}
	}
	none := func(h *tar.Header) { h.PAXRecords, h.AccessTime, h.ChangeTime = nil, time.Time{}, time.Time{} }
	got := rules(CheckLayer(bytes.NewReader(pack(t,
		header(t, "Hives", true, none), header(t, "Files", true, none), header(t, "Files/", true, crane), header(t, "Files/a.txt", false, crane)))))
	if want := []Rule{BadDescriptor, NoAttributes, NoTimes, Twice}; !slices.Equal(got, want) {
		t.Errorf("flagged as %q, want %q", got, want)
	}
}
