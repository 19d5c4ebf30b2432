package detect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestScriptsNameTheCOMObjectsThatTheyMakeOnTheServer(t *testing.T) {
	page := func(text string) fstest.MapFS {
		return fstest.MapFS{"default.asp": {Data: []byte("<%@ Language=VBScript %>\r\n" + text)}}
	}
	for name, c := range map[string]struct {
		folder fstest.MapFS
		want   []string // of findings: rule, path, line, id
		base   string   // why Server Core, where that is not clear anyway
	}{
		"a component of another maker": {page("<%\r\nSet Up = Server.CreateObject(\"Persits.Upload.1\")\r\n%>"), []string{"WP1414 default.asp:3"}, ""},
		"one that nobody knows":        {page("<% set a = CreateObject ( \"Acme.Tax\" ) %>"), []string{"WP1415 default.asp:2"}, ""},
		"a part of Windows":            {page("<% set a = Server.CreateObject(\"ADODB.Connection\") : set b = Server.CreateObject(\"Scripting.Dictionary\") %>"), nil, ""},
		"one in two spellings":         {page("<% set a = CreateObject(\"Acme.Tax\") : set b = CreateObject(\"ACME.tax\") %>\n<% set c = CreateObject(\"acme.tax\") %>"), []string{"WP1415 default.asp:2", "WP1415 default.asp:2", "WP1415 default.asp:3"}, ""},
		"JScript":                      {page("<% var a = Server.CreateObject('Acme.Tax') %>"), []string{"WP1415 default.asp:2"}, ""},
		"in global.asa":                {fstest.MapFS{"default.asp": {Data: []byte("<% x = 1 %>")}, "global.asa": {Data: []byte("<OBJECT RUNAT=Server SCOPE=Session ID=Tax PROGID=\"Acme.Tax\">\n</OBJECT>\n<SCRIPT LANGUAGE=VBScript RUNAT=Server>\nSub Session_OnStart\n Set a = CreateObject(\"Acme.Other\")\nEnd Sub\n</SCRIPT>")}}, []string{"WP1415 global.asa:1", "WP1415 global.asa:5"}, ""},
		"a comment":                    {page("<%\r\n' Set Up = Server.CreateObject(\"Persits.Upload\")\r\nx = 1 ' CreateObject(\"Acme.Tax\")\r\nREM CreateObject(\"Acme.Tax\")\r\n%>"), nil, ""},
		"on the client":                {page("<script language=\"vbscript\">\r\nSet Up = CreateObject(\"Acme.Tax\")\r\n</script><object id=x progid=\"Acme.Tax\"></object> <% x = 1 %> CreateObject(\"Acme.Tax\")"), nil, ""},
		"no literal":                   {page("<% set a = CreateObject(name & \"Acme.Tax\") %>"), nil, ""},
		"no name of a class":           {page("<% set a = CreateObject(\"one\") : set b = CreateObject(\"two words.x\") %>"), nil, ""},
		"a page of ASP.NET":            {fstest.MapFS{"a.aspx": {Data: []byte("<%@ Page Language=\"VB\" %>\n<script runat=\"server\">\nDim a = Server.CreateObject(\"Persits.Upload\")\n</script>\n")}}, []string{"WP1414 a.aspx:3"}, ""},
		"PHP":                          {fstest.MapFS{"index.php": {Data: []byte("<?php\n$w = new COM(\"Acme.Tax\");\n// $x = new COM('Acme.Other');\n$d = new Command('Acme.No');\n")}}, []string{"WP1415 index.php:2"}, ""},
		"a part of Windows, from PHP":  {fstest.MapFS{"index.php": {Data: []byte("<?php\n$w = new \\COM('ADODB.Connection');\n")}}, nil, "the COM class ADODB.Connection is not known on Nano Server"},
		"Python": {fstest.MapFS{"requirements.txt": {Data: []byte("flask\npywin32\n")}, "app.py": {Data: []byte("from flask import Flask\nimport win32com.client\napp = Flask(__name__)\nx = win32com.client.Dispatch('Acme.Tax')\nif __name__ == '__main__':\n    app.run()\n")}},
			[]string{"WP1415 app.py:4"}, ""},
		"a script of another kind": {fstest.MapFS{"default.asp": {Data: []byte("<% x = 1 %>")}, "old/tools/index.py": {Data: []byte("x = Dispatch('Acme.Tax')\n")}}, nil, ""},
	} {
		r, err := Inspect(c.folder, Options{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range r.Findings {
			if f.Rule == "WP1414" || f.Rule == "WP1415" {
				for _, e := range f.Evidence {
					got = append(got, fmt.Sprintf("%s %s:%d", f.Rule, e.Path, e.Line))
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) || r.App.Kind == KindUnknown {
			t.Errorf("%s (%s): found %v, want %v", name, r.App.Kind, got, c.want)
		}
		once := map[string]bool{}
		for _, f := range r.Findings {
			if once[strings.ToLower(f.Message)] {
				t.Errorf("%s: told twice: %s", name, f.Message)
			}
			once[strings.ToLower(f.Message)] = true
		}
		if c.base != "" && !slices.ContainsFunc(r.Needs.Families, func(f FamilyNeed) bool { return f.Family == FamilyServerCore && f.Why == c.base }) {
			t.Errorf("%s: the base is for %v, want %q", name, r.Needs.Families, c.base)
		}
	}
}
