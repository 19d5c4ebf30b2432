package detect

import (
	"slices"
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
