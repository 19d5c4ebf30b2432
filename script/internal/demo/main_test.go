package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures/standin"
)

// The demo is the first thing that anybody sees of winpack: its commands are run whole,
// with a base from another registry and, where that does not answer, with a stand-in.
func TestDemoGoesFromTheFolderToThePushedImage(t *testing.T) {
	upstream := httptest.NewServer(newRegistry(nil))
	defer upstream.Close()
	if err := standin.Push(t.Context(), strings.TrimPrefix(upstream.URL, "http://"), standin.Options{}, "netfx-aspnet-4.8.1"); err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Chdir("../../..")
	for name, c := range map[string]struct {
		upstream, base, not string
	}{
		"upstream answers":         {upstream.URL, "BASE IMAGE: the real one", "A STAND-IN"},
		"upstream does not answer": {gone.URL, "BASE IMAGE: A STAND-IN", "the real one"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), &out, c.upstream); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			want := []string{
				c.base, "$ winpack detect shop", "ASP.NET", "FROM ${BASE}", "an index of 2 images",
				"windows/amd64:10.0.20348", "windows/amd64:10.0.26100", "layer valid for Windows", "files of the app byte for byte",
			}
			if c.upstream == upstream.URL {
				want = append(want, "bytes of base layers that moved: 0\n")
			}
			for _, w := range want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("no %q in\n%s", w, out.String())
				}
			}
			if strings.Contains(out.String(), c.not) {
				t.Errorf("%q in\n%s", c.not, out.String())
			}
		})
	}
}
