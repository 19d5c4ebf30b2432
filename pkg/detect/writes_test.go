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
			"Upload": {"UploadPath": "files/in"}
		}`)},
		"out/v1.2/keep.txt": {Data: []byte("x")},
	}
	tree, err := newTree(fsys, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range detectConfig(tree) {
		if f.Key == "write" {
			got = append(got, f.Value)
		}
	}
	slices.Sort(got)
	if want := []string{"files/in", "logs", "out/v1.2"}; !slices.Equal(got, want) {
		t.Errorf("written folders %q, want %q", got, want)
	}
}
