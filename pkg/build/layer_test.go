package build

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/build/layercheck"
	"github.com/winpack/winpack/pkg/dockerfile"
)

var layerTime = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

func copyStep(to string, exclude ...string) dockerfile.Step {
	return dockerfile.Step{Kind: dockerfile.StepCopy, From: ".", To: to, Exclude: exclude}
}

func grantStep(to, sid string) dockerfile.Step {
	return dockerfile.Step{Kind: dockerfile.StepGrant, To: to, Trustee: dockerfile.Trustee{Name: "x", SID: sid}}
}

// unpack checks a layer and returns what is below Files: content of files, nil
// for folders, and descriptors as SDDL.
func unpack(t testing.TB, l *winlayer.Layer) (files map[string][]byte, lists map[string]string) {
	t.Helper()
	rc, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	content, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range layercheck.CheckLayer(bytes.NewReader(content)) {
		t.Error(p)
	}
	files, lists = map[string][]byte{}, map[string]string{}
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, lists
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, "Files/")
		if !ok {
			continue
		}
		files[name] = nil
		if h.Typeflag == tar.TypeReg {
			if files[name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := base64.StdEncoding.DecodeString(h.PAXRecords["MSWINDOWS.rawsd"])
		if err != nil {
			t.Fatal(err)
		}
		d, err := sddl.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		lists[name] = d.String()
	}
}

func build(t testing.TB, app fs.FS, steps ...dockerfile.Step) *winlayer.Layer {
	t.Helper()
	l, err := appLayer(t.Context(), dockerfile.Plan{Steps: steps}, app, layerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func refused(t testing.TB, app fs.FS, steps ...dockerfile.Step) string {
	t.Helper()
	_, err := appLayer(t.Context(), dockerfile.Plan{Steps: steps}, app, layerOptions{})
	if err == nil {
		t.Errorf("%+v gives a layer instead of an error", steps)
		return ""
	}
	return err.Error()
}

func TestCopyLeavesOutWhatIsExcluded(t *testing.T) {
	app := fstest.MapFS{".git/config": {}, "winpack.toml": {}, "Web.config": {Data: []byte("x")}, "bin/a.dll": {}, "bin/.git": {}}
	files, _ := unpack(t, build(t, app, copyStep(`C:\inetpub\wwwroot`, ".GIT", "winpack.toml")))
	var got []string
	for name := range files {
		got = append(got, name)
	}
	slices.Sort(got)
	want := []string{"inetpub", "inetpub/wwwroot", "inetpub/wwwroot/Web.config", "inetpub/wwwroot/bin", "inetpub/wwwroot/bin/.git", "inetpub/wwwroot/bin/a.dll"}
	if !slices.Equal(got, want) {
		t.Errorf("the layer holds %q, want %q", got, want)
	}
}

func TestFoldersOfTheBaseKeepTheirLists(t *testing.T) {
	rows, err := folderACLs()
	if err != nil {
		t.Fatal(err)
	}
	_, lists := unpack(t, build(t, fstest.MapFS{"a.txt": {}, "sub/b.txt": {}}, copyStep(`C:\INETPUB\WWWROOT`), copyStep(`C:\app`), copyStep(`C:\Program Files\shop`)))
	for _, path := range []string{"inetpub", "inetpub/wwwroot", "Program Files"} {
		at := slices.IndexFunc(rows, func(r aclRow) bool { return r.path == path })
		if want := rows[at].self.String(); lists[path] != want {
			t.Errorf("%s has %s, want %s", path, lists[path], want)
		}
	}
	for path, want := range map[string]string{"app": winlayer.DefaultFolder, "app/sub": winlayer.DefaultFolder, "app/a.txt": winlayer.DefaultFile} {
		if lists[path] != want {
			t.Errorf("%s has %s, want %s", path, lists[path], want)
		}
	}
	for _, path := range []string{"inetpub/wwwroot/a.txt", "inetpub/wwwroot/sub", "inetpub/wwwroot/sub/b.txt"} {
		for _, reader := range []string{"0x1200a9;;;BU)", "0x1200a9;;;IS)"} {
			if !strings.Contains(lists[path], reader) {
				t.Errorf("%s cannot be read by the app pool: %s", path, lists[path])
			}
		}
	}
	if s := lists["inetpub/wwwroot/sub"]; strings.Contains(s, ";LC;") || strings.Contains(s, ";DC;") {
		t.Errorf("users can add files to the site: %s", s)
	}
}

func TestFoldersOfTheBaseWithUnknownListsAreRefused(t *testing.T) {
	for _, to := range []string{`C:\Windows\System32`, `C:\Users\Public`, `C:\Program Files (x86)\shop`} {
		if msg := refused(t, fstest.MapFS{"a": {}}, copyStep(to)); !strings.Contains(msg, "folder of its own") {
			t.Errorf("%s: %s", to, msg)
		}
	}
}

func TestGrantReachesFolderAndEveryShippedFile(t *testing.T) {
	app := fstest.MapFS{"App_Data/db.mdf": {}, "App_Data/x/y": {}, "App_Data2/z": {}}
	_, lists := unpack(t, build(t, app,
		grantStep(`C:\inetpub\wwwroot\app_data`, "S-1-5-32-568"), copyStep(`C:\inetpub\wwwroot`), grantStep(`C:\logs\new`, "S-1-5-32-545"),
		grantStep(`C:\inetpub\wwwroot\App_Data`, "S-1-5-32-568")))
	const file, folder = "(A;;0x1301bf;;;IS)", "(A;OICI;0x1301bf;;;IS)"
	for path, want := range map[string]string{
		"inetpub/wwwroot/App_Data": folder, "inetpub/wwwroot/App_Data/x": folder,
		"inetpub/wwwroot/App_Data/db.mdf": file, "inetpub/wwwroot/App_Data/x/y": file, "logs/new": "(A;OICI;0x1301bf;;;BU)",
	} {
		if strings.Count(lists[path], want) != 1 {
			t.Errorf("%s has %s, want %s once", path, lists[path], want)
		}
	}
	for _, path := range []string{"inetpub/wwwroot", "inetpub/wwwroot/App_Data2", "inetpub/wwwroot/App_Data2/z", "logs"} {
		if strings.Contains(lists[path], "0x1301bf") {
			t.Errorf("%s is granted too: %s", path, lists[path])
		}
	}
}

func TestGrantOnAFolderOfTheBasePrecedesInheritedEntries(t *testing.T) {
	_, lists := unpack(t, build(t, fstest.MapFS{"a": {}}, copyStep(`C:\inetpub\wwwroot`), grantStep(`C:\inetpub\wwwroot`, "S-1-5-32-568")))
	if s := lists["inetpub/wwwroot"]; !strings.Contains(s, "(A;OICI;0x1301bf;;;IS)(A;ID;FA;") {
		t.Errorf("the list is %s", s)
	}
}

func TestStartScriptIsInTheLayerWithoutGrants(t *testing.T) {
	plan := dockerfile.Plan{Steps: []dockerfile.Step{copyStep(`C:\app`), {Kind: dockerfile.StepStart, Why: "test", Commands: []string{"ver"}}}}
	_, content, ok := plan.StartScript(false)
	if !ok {
		t.Fatal("the plan has no script")
	}
	l, err := appLayer(t.Context(), plan, fstest.MapFS{"a": {Data: []byte("x"), ModTime: layerTime}}, layerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := unpack(t, l)
	path, err := windowsPath(dockerfile.ScriptPath())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(files[path], content) {
		t.Errorf("%s is %q, want %q", path, files[path], content)
	}
}

func TestRunStepAndBadTargetsAreRefused(t *testing.T) {
	app := fstest.MapFS{"a": {}}
	if msg := refused(t, app, dockerfile.Step{Kind: dockerfile.StepRun}); !strings.Contains(msg, "Windows builder") {
		t.Error(msg)
	}
	for _, to := range []string{"", "app", `D:\app`, `C:\..\x`, `C:\a\..\b`, `C:\con`, `\\host\share`} {
		refused(t, app, copyStep(to))
	}
	refused(t, app, grantStep(`C:\`, "S-1-5-32-545"))
	refused(t, app, grantStep(`C:\app`, "Users"))
	refused(t, app, dockerfile.Step{Kind: dockerfile.StepCopy, From: "../x", To: `C:\app`})
}

func TestCopyOfTwoNamesThatAreOneOnWindowsFailsByBothNames(t *testing.T) {
	for _, pair := range [][2]string{{"é.txt", "É.txt"}, {"bin/a", "Bin/b"}} {
		msg := refused(t, fstest.MapFS{pair[0]: {}, pair[1]: {}}, copyStep(`C:\app`))
		if a, b := strings.Split(pair[0], "/")[0], strings.Split(pair[1], "/")[0]; !strings.Contains(msg, a) || !strings.Contains(msg, b) {
			t.Errorf("%q: %s", pair, msg)
		}
	}
	if msg := refused(t, fstest.MapFS{"what?.txt": {}}, copyStep(`C:\app`)); !strings.Contains(msg, `"what?.txt"`) {
		t.Error(msg)
	}
}

func TestLaterCopyWins(t *testing.T) {
	app := fstest.MapFS{"a/x.txt": {Data: []byte("first")}, "b/X.TXT": {Data: []byte("second")}}
	files, _ := unpack(t, build(t, app,
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "a", To: `C:\app`}, dockerfile.Step{Kind: dockerfile.StepCopy, From: "b", To: `C:\APP`}))
	if string(files["app/x.txt"]) != "second" || len(files) != 2 {
		t.Errorf("the layer holds %q", files)
	}
}

func TestCopiesThatMeetInAFolderBecomeOne(t *testing.T) {
	app := fstest.MapFS{
		"Site/Bin/a.dll": {Data: []byte("a")}, "Site/readme.txt": {Data: []byte("site")},
		"more/b.dll": {Data: []byte("b")}, "more/A.DLL": {Data: []byte("newer")}, "more/deep/x": {Data: []byte("x")}, "tool.exe": {Data: []byte("tool")},
	}
	files, lists := unpack(t, build(t, app,
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "Site", To: `C:\app`},
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "more", To: `C:\App\bin`},
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "tool.exe", To: `C:\app\Tools`},
		grantStep(`C:\app\BIN\a.dll`, "S-1-5-32-545"), grantStep(`C:\app\tools\logs`, "S-1-5-32-545")))
	want := map[string]string{"app/Bin/a.dll": "newer", "app/Bin/b.dll": "b", "app/Bin/deep/x": "x", "app/readme.txt": "site", "app/Tools/tool.exe": "tool"}
	for name, content := range want {
		if string(files[name]) != content {
			t.Errorf("%s is %q, want %q", name, files[name], content)
		}
	}
	if len(files) != len(want)+5 { // app, bin, deep, Tools, logs
		t.Errorf("the layer holds %d names: %q", len(files), files)
	}
	if !strings.Contains(lists["app/Bin/a.dll"], "(A;;0x1301bf;;;BU)") || strings.Contains(lists["app/Bin/b.dll"], "0x1301bf") {
		t.Errorf("the grant on a file gives %s and beside it %s", lists["app/Bin/a.dll"], lists["app/Bin/b.dll"])
	}
	if !strings.Contains(lists["app/Tools/logs"], "(A;OICI;0x1301bf;;;BU)") || strings.Contains(lists["app/Tools"], "0x1301bf") {
		t.Errorf("the grant on a new folder gives %s and above it %s", lists["app/Tools/logs"], lists["app/Tools"])
	}
	msg := refused(t, fstest.MapFS{"a/x": {}, "b/X/y": {}},
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "a", To: `C:\app`}, dockerfile.Step{Kind: dockerfile.StepCopy, From: "b", To: `C:\app`})
	if !strings.Contains(msg, `"C:\app\x" is put into the image twice`) {
		t.Error(msg)
	}
	// Names of one copy stay an error beside another copy.
	msg = refused(t, fstest.MapFS{"a/é": {}, "a/É": {}, "b/z": {}},
		dockerfile.Step{Kind: dockerfile.StepCopy, From: "b", To: `C:\app`}, dockerfile.Step{Kind: dockerfile.StepCopy, From: "a", To: `C:\app`})
	if !strings.Contains(msg, `"a/É" and "a/é" are one name`) {
		t.Error(msg)
	}
}

func TestFileThatComesOrGoesBetweenTwoReadingsFailsTheBuild(t *testing.T) {
	for what, change := range map[string]func(app fstest.MapFS){
		"comes":        func(app fstest.MapFS) { app["b/new"] = &fstest.MapFile{} },
		"comes last":   func(app fstest.MapFS) { app["z"] = &fstest.MapFile{} },
		"goes":         func(app fstest.MapFS) { delete(app, "b/x") },
		"goes at last": func(app fstest.MapFS) { delete(app, "c") },
		"is a folder":  func(app fstest.MapFS) { delete(app, "c"); app["c/d"] = &fstest.MapFile{} },
	} {
		app := fstest.MapFS{"a": {}, "b/x": {}, "c": {}}
		l := build(t, app, copyStep(`C:\app`))
		change(app)
		if _, err := l.Hash(t.Context()); err == nil || !strings.Contains(err.Error(), "build again when nothing writes to") {
			t.Errorf("a file %s: %v", what, err)
		}
	}
}

// random makes a tree of odd but allowed names.
func random(r *rand.Rand) map[string][]byte {
	letters := []rune("abcXYZ019 .-_~#%&'()+,;=@[]{}éÉßжЖ漢字𝒳🙂")
	name := func() string {
		n := make([]rune, 1+r.IntN(12))
		for i := range n {
			n[i] = letters[r.IntN(len(letters))]
		}
		return string(n)
	}
	files, seen := map[string][]byte{}, map[string]bool{}
	for range 40 {
		parts := []string{name()}
		for range r.IntN(4) {
			parts = append(parts, name())
		}
		full := strings.Join(parts, "/")
		if winlayer.CheckPath(full, true) != nil {
			continue
		}
		clash := false
		for i := range parts {
			p := strings.Join(parts[:i+1], "/")
			if seen[winlayer.Fold(p)] {
				clash = true
			}
		}
		if clash {
			continue
		}
		for i := range parts {
			seen[winlayer.Fold(strings.Join(parts[:i+1], "/"))] = true
		}
		data := make([]byte, r.IntN(5000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		files[full] = data
	}
	return files
}

func TestRandomTreesArriveByteForByte(t *testing.T) {
	for seed := range uint64(60) {
		want := random(rand.New(rand.NewPCG(seed, 1)))
		app := fstest.MapFS{}
		for name, data := range want {
			app[name] = &fstest.MapFile{Data: data, ModTime: layerTime}
		}
		files, _ := unpack(t, build(t, app, copyStep(`C:\app`), grantStep(`C:\app`, "S-1-5-32-545")))
		count := 0
		for name, data := range files {
			if data == nil {
				continue
			}
			count++
			if w, ok := want[strings.TrimPrefix(name, "app/")]; !ok || !bytes.Equal(w, data) {
				t.Fatalf("seed %d: %q has other content", seed, name)
			}
		}
		if count != len(want) {
			t.Fatalf("seed %d: %d files of %d", seed, count, len(want))
		}
	}
}

// The working directory is in the image, as WORKDIR of a Dockerfile has it there. A
// folder of the base is there already, and stays as it is.
func TestWorkingDirectoryIsInTheLayer(t *testing.T) {
	for dir, want := range map[string]string{
		`C:\data\w`:             "data/w",
		`C:\Program Files\shop`: "Program Files/shop",
		`C:\app`:                "app",
		`C:\Windows\Temp`:       "",
		`C:\Windows\System32\x`: "",
		`C:\`:                   "",
		"":                      "",
	} {
		plan := dockerfile.Plan{Steps: []dockerfile.Step{copyStep(`C:\app`)}}
		plan.Config.WorkingDir = dir
		l, err := appLayer(t.Context(), plan, fstest.MapFS{"a.txt": {}}, layerOptions{})
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		files, _ := unpack(t, l)
		if _, there := files[want]; want != "" && !there || want == "" && len(files) != 2 {
			t.Errorf("%s: the layer holds %v", dir, slices.Sorted(maps.Keys(files)))
		}
	}
}
