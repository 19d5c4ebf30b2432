package dockerfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

const nanoserver = "mcr.microsoft.com/windows/nanoserver:"

// planOf evaluates a Dockerfile on a small context.
func planOf(text string, files fstest.MapFS) (Plan, []Note, error) {
	p, err := Parse("Dockerfile", []byte(text))
	if err != nil {
		return Plan{}, nil, err
	}
	return p.Plan(FileOptions{Context: files, Base: Base{Reference: nanoserver + "ltsc2022", OSVersion: "10.0.20348.1"}})
}

func TestFileBasesFollowARGBASE(t *testing.T) {
	const aspnet = "mcr.microsoft.com/dotnet/framework/aspnet:"
	for _, test := range []struct {
		what, text string
		asked      []string
		want       []string // "OS REFERENCE", or what the error says
	}{
		{"its own", "FROM " + nanoserver + "ltsc2022", nil, []string{"ltsc2022 " + nanoserver + "ltsc2022"}},
		{"its own, asked for", "FROM " + nanoserver + "1809", []string{"ltsc2019"}, []string{"ltsc2019 " + nanoserver + "1809"}},
		{"pinned", "FROM " + nanoserver + "1809@sha256:" + strings.Repeat("0", 64), nil, []string{"ltsc2019 " + nanoserver + "1809@sha256:" + strings.Repeat("0", 64)}},
		{"another than its own", "FROM " + nanoserver + "ltsc2022", []string{"ltsc2025"}, []string{"! leave ltsc2025 out"}},
		{"its own by another argument", "ARG TAG=1809\nFROM " + nanoserver + "$TAG", []string{"ltsc2022"}, []string{"! which is of ltsc2019"}},
		{"part of the name", "ARG BASE=ltsc2022\nFROM " + nanoserver + "${BASE}", []string{"ltsc2025"}, []string{"! which is of ltsc2022"}},
		{"ARG BASE that nothing uses", "ARG BASE=x\nFROM " + nanoserver + "ltsc2022", []string{"ltsc2025"}, []string{"! which is of ltsc2022"}},
		{"by ARG BASE", "ARG BASE=" + nanoserver + "ltsc2022\nFROM $BASE", nil, []string{"ltsc2022 " + nanoserver + "ltsc2022"}},
		{"for other releases", "ARG BASE=" + nanoserver + "ltsc2022\nFROM $BASE", []string{"ltsc2025", "ltsc2019"},
			[]string{"ltsc2025 " + nanoserver + "ltsc2025", "ltsc2019 " + nanoserver + "1809"}},
		{"through a stage", "ARG BASE=" + nanoserver + "ltsc2022\nFROM ${BASE} AS first\nFROM x AS other\nFROM first", []string{"ltsc2025"}, []string{"ltsc2025 " + nanoserver + "ltsc2025"}},
		{"with a default in FROM", "ARG BASE\nFROM ${BASE:-" + nanoserver + "ltsc2022}", []string{"ltsc2025"}, []string{"ltsc2025 " + nanoserver + "ltsc2025"}},
		{"not published", "ARG BASE=" + nanoserver + "ltsc2022\nFROM $BASE", []string{"ltsc2016"}, []string{"! no base image of mcr.microsoft.com/windows/nanoserver"}},
		{"listed", "# " + listComment + "\n#   " + listFlag + nanoserver + "ltsc2025@sha256:1\nARG BASE=" + nanoserver + "ltsc2022\nFROM $BASE", nil,
			[]string{"ltsc2022 " + nanoserver + "ltsc2022", "ltsc2025 " + nanoserver + "ltsc2025@sha256:1"}},
		{"listed and asked for", "# " + listComment + "\n#   " + listFlag + nanoserver + "ltsc2025@sha256:1\nARG BASE=" + nanoserver + "ltsc2022\nFROM $BASE", []string{"ltsc2025"},
			[]string{"ltsc2025 " + nanoserver + "ltsc2025@sha256:1"}},
		{"another version in the list", "# " + listComment + "\n#   " + listFlag + aspnet + "4.8-windowsservercore-ltsc2019\nARG BASE=" + aspnet + "4.8.1-windowsservercore-ltsc2022\nFROM $BASE", nil,
			[]string{"ltsc2022 " + aspnet + "4.8.1-windowsservercore-ltsc2022", "ltsc2019 " + aspnet + "4.8-windowsservercore-ltsc2019"}},
		{"another version by the catalog", "ARG BASE=" + aspnet + "4.8.1-windowsservercore-ltsc2022\nFROM $BASE", []string{"ltsc2019"},
			[]string{"ltsc2019 " + aspnet + "4.8-windowsservercore-ltsc2019"}},
		{"a list that was left behind", "# " + listComment + "\n#   " + listFlag + nanoserver + "ltsc2025\nARG BASE=" + aspnet + "4.8.1-windowsservercore-ltsc2022\nFROM $BASE", nil,
			[]string{"ltsc2022 " + aspnet + "4.8.1-windowsservercore-ltsc2022"}},
		{"unknown", "FROM example.com/x:1", nil, []string{" example.com/x:1"}},
		{"unknown, asked for", "FROM example.com/x:1", []string{"ltsc2022"}, []string{"ltsc2022 example.com/x:1"}},
		{"unknown in the list of winpack", "# " + listComment + "\n#   " + listFlag + "example.com/x:1\nARG BASE=example.com/x:1\nFROM $BASE", nil,
			[]string{"ltsc2022 example.com/x:1", "ltsc2025 example.com/x:1"}},
		{"unknown and pinned in the list", "# " + listComment + "\n#   " + listFlag + "example.com/x:1@sha256:2\nARG BASE=example.com/x:1@sha256:1\nFROM $BASE", nil,
			[]string{" example.com/x:1@sha256:1", " example.com/x:1@sha256:2"}},
		{"none", "ARG BASE\nFROM $BASE", nil, []string{"! ARG BASE has no default"}},
		{"no release", "FROM " + nanoserver + "ltsc2022", []string{"ltsc1999"}, []string{"! unknown Windows release"}},
	} {
		p, err := Parse("Dockerfile", []byte(test.text))
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		from, err := p.From(nil)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		bases, err := catalog(t).FileBases(from, p.Listed(), test.asked)
		var got []string
		for _, b := range bases {
			got = append(got, b.OS+" "+b.Reference)
		}
		if wrong, ok := strings.CutPrefix(test.want[0], "! "); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %q, %v; want the error %q", test.what, got, err, wrong)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.what, err, diff)
		}
	}
}

// The line that runs something comes first, since it is what needs Windows.
func TestUnsupportedNamesTheLineThatNeedsWindows(t *testing.T) {
	p, err := Parse("x/Dockerfile", []byte("FROM "+nanoserver+"ltsc2022 AS a\nCOPY --from=busybox / C:/\nFROM a\nADD https://x/y z\n\nRUN secret\n"))
	if err != nil {
		t.Fatal(err)
	}
	unsupported := (*UnsupportedError)(nil)
	if err := p.Supported(nil); !errors.As(err, &unsupported) || unsupported.Line != 6 || !unsupported.NeedsWindows() || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	p, err = Parse("x/Dockerfile", []byte("FROM "+nanoserver+"ltsc2022 AS a\nADD https://x/y z\nFROM a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Supported(nil); !errors.As(err, &unsupported) || unsupported.Line != 2 || unsupported.NeedsWindows() {
		t.Errorf("the error is %v", err)
	}
	_, _, err = planOf("FROM "+nanoserver+"ltsc2022\nENV U=https://example.com/x\nADD $U C:/x/\n", nil)
	if !errors.As(err, &unsupported) || unsupported.Line != 3 {
		t.Errorf("an address in a variable gives %v", err)
	}
}

// What ADD would unpack is refused, and what only looks like it is copied.
func TestADDOfAnArchiveIsRefused(t *testing.T) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "x", Mode: 0o644}), w.Close()); err != nil {
		t.Fatal(err)
	}
	squeeze := func(data []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	zst, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bz2, err := base64.StdEncoding.DecodeString(bzip2Tar)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data    []byte
		archive bool
	}{
		"a.tar": {packed.Bytes(), true}, "a.tgz": {squeeze(packed.Bytes()), true}, "a.tar.zst": {zst.EncodeAll(packed.Bytes(), nil), true},
		"a.tar.bz2": {bz2, true}, "a.txt": {packed.Bytes(), true}, "a.tar.xz": {[]byte("\xfd7zXZ\x00..."), true},
		"text.tar": {[]byte("text"), false}, "empty.tar": {nil, false}, "text.gz": {squeeze([]byte("text")), false}, "broken.gz": {[]byte("\x1f\x8b\x08..."), false},
		"zero": {make([]byte, 2048), false}, "app.zip": {[]byte("PK\x03\x04"), false}, "broken.bz2": {[]byte("BZh9xxxx"), false},
	} {
		files := fstest.MapFS{name: {Data: test.data}}
		for instruction, refused := range map[string]bool{"ADD": test.archive, "COPY": false, "ADD --unpack=false": false} {
			_, _, err := planOf("FROM "+nanoserver+"ltsc2022\n"+instruction+" "+name+" C:/x/\n", files)
			if got := errors.As(err, new(*UnsupportedError)); got != refused || err != nil && !got {
				t.Errorf("%s %s: %v", instruction, name, err)
			}
		}
	}
}

// bzip2Tar is an archive of one empty file, made by tar and bzip2.
const bzip2Tar = "QlpoOTFBWSZTWXzvVYMAAHX7gMiAAEBAAH2AAADgAJ5AAgggAFQlKbTKaGTI09TCSJqZGRkGh3mnwkEo" +
	"QhFd6E9W0KskgdM/jvJE2A5gLiyvLGN1dmfarKW6MmZ+xMiP3REDQu5IpwoSD53qsGA="

// A few lines that name each other do not fill the memory.
func TestExpansionIsBounded(t *testing.T) {
	grow := "FROM " + nanoserver + "ltsc2022\nENV A=0123456789\n" + strings.Repeat("ENV A=$A$A$A$A\n", 40)
	wide := "FROM " + nanoserver + "ltsc2022\nENV A=" + strings.Repeat("x", 30000) + "\nENV B=" + strings.Repeat("$A", 20000) + "\n"
	replace := "FROM " + nanoserver + "ltsc2022\nENV A=" + strings.Repeat("x", 30000) + "\nENV B=${A//x/" + strings.Repeat("y", 30000) + "}\n"
	heredoc := "FROM " + nanoserver + "ltsc2022\nENV A=" + strings.Repeat("x", 30000) + "\nCOPY <<E C:/x/\n" + strings.Repeat("$A\n", 100000) + "E\n"
	for _, text := range []string{grow, wide, replace, heredoc} {
		if _, _, err := planOf(text, nil); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%.60q...: %v", text, err)
		}
	}
}

// What is not known of the base is said, where it decides what COPY does.
func TestFilesThatReplaceEachOtherAreTold(t *testing.T) {
	files := fstest.MapFS{"a.txt": {}, "B.txt": {}, "dir/a.txt": {}}
	for text, told := range map[string]bool{
		"COPY a.txt B.txt C:/x\n":                   true,
		"COPY *.txt C:/x\n":                         true,
		"COPY a.txt dir/a.txt C:/x/\n":              true,
		"COPY a.txt B.txt C:/x/\n":                  false,
		"COPY a.txt C:/x/\nCOPY B.txt C:/x/a.txt\n": false, // meant
		"COPY dir a.txt C:/x/\n":                    false,
	} {
		_, notes, err := planOf("FROM "+nanoserver+"ltsc2022\n"+text, files)
		found := slices.ContainsFunc(notes, func(n Note) bool { return strings.Contains(n.Text, "is written more than once") })
		if err != nil || found != told {
			t.Errorf("%q: %v %v, want told %t", text, notes, err, told)
		}
	}
}

func TestNotesSayWhatIsNotKnown(t *testing.T) {
	files := fstest.MapFS{"a.txt": {}, "id": {}}
	_, notes, err := planOf("FROM "+nanoserver+"ltsc2022\nCOPY a.txt C:/x/b.txt\nCOPY id C:/x/id\nCOPY a.txt C:/y\nCOPY --chmod=755 id C:/z/\n", files)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, n := range notes {
		lines = append(lines, n.Line)
	}
	if !slices.Equal(lines, []int{4, 5}) {
		t.Errorf("notes are %v", notes)
	}
}

// Whatever a Dockerfile holds, it is read or refused.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		"FROM x\nCOPY a C:\\b\n", "# escape=`\nFROM x AS y\nENV A=${B:-c} D='e'\nFROM y\nCOPY --parents --exclude=* a/./b* /\n",
		"ARG BASE\nFROM ${BASE:-x}\nCOPY <<E <<-F /x\nE\nF\nEXPOSE 1-2/udp $P\n", "FROM x\nHEALTHCHECK --interval=1s CMD [\"a\"]\nADD a*[b] ..\nWORKDIR \\\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plan, _, err := planOf(text, fstest.MapFS{"a/b.txt": {}, "a/b/c": {}, "c": {}})
		for _, s := range plan.Steps {
			if !strings.HasPrefix(s.To, `C:\`) {
				t.Errorf("%q copies to %q", text, s.To)
			}
		}
		if err == nil && len(plan.Bases) != 1 {
			t.Errorf("%q has no base", text)
		}
	})
}
