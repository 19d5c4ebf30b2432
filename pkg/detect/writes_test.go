package detect

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSettingThatNamesALogFileMeansItsFolder(t *testing.T) {
	fsys := fstest.MapFS{
		"appsettings.json": {Data: []byte(`{
			"Logging": {"File": {"LogPath": "./logs/app-.log"}},
			"Export": {"ExportFolder": "out/v1.2"},
			"Upload": {"UploadPath": "files/in", "CacheDir": "/cache/", "TempFolder": "~/tmp\\x", "LogDir": "audit/%date%/x", "BackupPath": "%ProgramData%/b", "ExportPath": "//nas/x", "DataFolder": "http://host/data"}
		}`)},
		"NLog.config":       {Data: []byte(`<nlog><targets><target name="f" fileName="${basedir}/trace/${shortdate}.log"/><target name="h" fileName="%date.log"/><target name="g" fileName="${logger}/a.log"/></targets></nlog>`)},
		"out/v1.2/keep.txt": {Data: []byte("x")},
	}
	tree, err := newTree(fsys, "")
	if err != nil {
		t.Fatal(err)
	}
	var got, elsewhere []string
	for _, f := range detectConfig(tree) {
		switch f.Key {
		case "write":
			got = append(got, f.Value)
		case "write-elsewhere":
			elsewhere = append(elsewhere, f.Value)
		}
	}
	if len(elsewhere) != 2 {
		t.Errorf("folders elsewhere %q, want two", elsewhere)
	}
	slices.Sort(got)
	if want := []string{".", "audit", "cache", "files/in", "logs", "out/v1.2", "tmp/x", "trace"}; !slices.Equal(got, want) {
		t.Errorf("written folders %q, want %q", got, want)
	}
}

// A start script would fail where it makes such a folder, and a build where it names it.
func TestFoldersThatCannotBeMadeAreNotGranted(t *testing.T) {
	app := fstest.MapFS{
		"Default.aspx": {Data: []byte(`<%@ Page Language="C#" %>`)},
		"readme":       {Data: []byte("x")},
		"logs/old.log": {Data: []byte("x")},
		"web.config": {Data: []byte(`<configuration><appSettings>
			<add key="LogPath" value="default.ASPX\app.log"/>
			<add key="UploadPath" value="con/x"/>
			<add key="CacheDir" value="/readme/"/>
			<add key="TempPath" value="a?b/c/"/>
			<add key="DataPath" value="logs/today/"/>
		</appSettings></configuration>`)},
	}
	r, err := Inspect(app, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Needs.Writes) != 1 || r.Needs.Writes[0].Path != "logs/today" {
		t.Errorf("write access to %v", r.Needs.Writes)
	}
	for i, want := range []string{
		`line 2: the application is set to write to the folder "default.ASPX", where the file Default.aspx is;`,
		`line 3: the application is set to write to the folder "con/x", which Windows cannot make: "con" is the device CON;`,
		`line 4: the application is set to write to the folder "readme", where the file readme is;`,
		`line 5: the application is set to write to the folder "a?b/c", which Windows cannot make: character '?';`,
	} {
		if i >= len(r.Problems) || !strings.HasPrefix(r.Problems[i].Message, want) || r.Problems[i].Path != "web.config" {
			t.Errorf("problems %v, want %s", r.Problems, want)
		}
	}
	// As of folders that are no setting's: App_Data as a file.
	app = fstest.MapFS{"App_Data": {}, "Default.aspx": app["Default.aspx"], "web.config": {Data: []byte(`<configuration><connectionStrings><add name="x" connectionString="Data Source=|DataDirectory|x.db"/></connectionStrings></configuration>`)}}
	if r, err = Inspect(app, Options{}); err != nil || len(r.Needs.Writes) != 0 || len(r.Problems) != 1 {
		t.Errorf("write access to %v, problems %v, %v", r.Needs.Writes, r.Problems, err)
	}
}
