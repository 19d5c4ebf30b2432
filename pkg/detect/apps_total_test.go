package detect_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// Apps of a folder are looked at at the same time; which of them what may be read of all
// files does not suffice for is no chance.
func TestAppsOfAFolderAreTheSameWhereTheTotalIsReached(t *testing.T) {
	var pairs []any
	for i := range 40 {
		app := fmt.Sprintf("app%02d/", i)
		pairs = append(pairs, app+"web.config", "<configuration>"+strings.Repeat("<!-- -->", 40*(i%7))+"</configuration>", app+"Default.aspx", "<%@ Page %>"+strings.Repeat(" ", 100*i))
	}
	app := pack(t, pairs...)
	before := runtime.GOMAXPROCS(8)
	defer runtime.GOMAXPROCS(before)
	for _, limit := range []string{"120KB", "200KB", "10GB"} {
		var l detect.Limits
		if err := l.Set("total", limit); err != nil {
			t.Fatal(err)
		}
		first := ""
		for range 20 {
			r, err := detect.Inspect(app, detect.Options{Name: "all", Limits: l})
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if reached := strings.Contains(string(b), "limit total"); len(r.Apps) == 0 || reached != (limit != "10GB") {
				t.Fatalf("%s: %d apps, %.300s", limit, len(r.Apps), b)
			}
			if first == "" {
				first = string(b)
			} else if first != string(b) {
				t.Fatalf("%s: two reports of one folder differ", limit)
			}
		}
	}
}
