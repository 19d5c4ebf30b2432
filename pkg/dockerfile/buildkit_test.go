package dockerfile

import (
	"strings"
	"testing"
)

func TestWhatBuildKitGetsWrongIsSaidBefore(t *testing.T) {
	folders := []string{`C:\inetpub`, `C:\inetpub\wwwroot`}
	for _, test := range []struct{ text, note, err string }{
		{"FROM x\nCOPY --link a C:/app/\n", "", "Dockerfile:2: COPY --link: BuildKit makes a layer of Linux"},
		{"FROM x\nADD --link a C:/app/\n", "", "Dockerfile:2: ADD --link"},
		{"FROM x\nCOPY --chown=ContainerUser a C:/app/\n", "--chown and --chmod say nothing", ""},
		{"FROM x\nCOPY a C:/Inetpub/wwwroot/\n", `access list of C:\inetpub\wwwroot`, ""},
		{"FROM x\nCOPY a /inetpub/x.txt\n", `access list of C:\inetpub by`, ""},
		{"FROM x\nCOPY a C:/inetpubx/\n", "", ""},
		{"FROM x\nCOPY a inetpub/\n", "", ""},
		{"FROM x AS other\nCOPY --link a C:/app/\nFROM y\nCOPY a C:/app/\n", "", ""},
	} {
		p, err := Parse("Dockerfile", []byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		notes, err := p.CheckForBuildKit(nil, folders)
		if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("%q: %v, want %q", test.text, err, test.err)
		}
		if (len(notes) > 0) != (test.note != "") || len(notes) > 0 && !strings.Contains(notes[0].Text, test.note) {
			t.Errorf("%q: %v, want %q", test.text, notes, test.note)
		}
	}
}
