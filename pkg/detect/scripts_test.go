package detect_test

import (
	"slices"
	"testing"
)

// A variable of a page is no account of a service.
func TestServiceAccountOfScripts(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       bool
	}{
		"a batch file":             {"install.cmd", `sc config Mailer obj= CORP\svc`, true},
		"a batch file, in lines":   {"install.cmd", "sc create Mailer binPath= C:\\app\\m.exe ^\r\n  obj= CORP\\svc", true},
		"a script of VBScript":     {"install.vbs", `shell.Run "sc.exe config Mailer obj= CORP\svc"`, true},
		"a variable of JavaScript": {"list.asp", "<%= 1 %>\n<script>var obj= new Grid();</script>", false},
	} {
		if r := look(t, files(c.file, c.text, "default.asp", "<% Response.Write 1 %>")); slices.Contains(rules(r), "WP1719") != c.want {
			t.Errorf("%s: %v", name, rules(r))
		}
	}
}
