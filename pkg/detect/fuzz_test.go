package detect

import (
	"encoding/json"
	"testing"
	"testing/fstest"
)

func FuzzInspect(f *testing.F) {
	f.Add("web.config", []byte(`<configuration><system.web/></configuration>`), "a.exe", []byte("MZ"))
	f.Add("appsettings.json", []byte(`{"a":1,}`), "Default.aspx", []byte(`<%@ Page %>`))
	f.Add("a.runtimeconfig.json", []byte(`{"runtimeOptions":{"framework":{"name":"x","version":"8.0"}}}`), "a.dll", []byte("MZ"))
	f.Fuzz(func(t *testing.T, name1 string, data1 []byte, name2 string, data2 []byte) {
		r, err := Inspect(fstest.MapFS{name1: {Data: data1}, name2: {Data: data2}}, Options{Name: "x"})
		if err != nil {
			return
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzWebConfig(f *testing.F) {
	f.Add([]byte(`<configuration><connectionStrings><add name="a" connectionString="a='b;c';d=&quot;"/></connectionStrings></configuration>`))
	f.Add([]byte(`<configuration><location path="x"><system.webServer><rewrite/></system.webServer></location></configuration>`))
	f.Add([]byte("\xff\xfe<\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Inspect(fstest.MapFS{"web.config": {Data: data}, "a.exe.config": {Data: data}}, Options{}); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("{ // c\n \"a\": [1, 2,], /* x */ \"b\": \"\\u0000\" }"))
	f.Add([]byte("[[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseJSON(data)
		if err == nil {
			n.each("", func(_ string, n *node) {
				if n.line < 1 {
					t.Errorf("line %d", n.line)
				}
			})
		}
		// plain JSON stays what it is
		var v any
		if json.Unmarshal(data, &v) == nil && err != nil && len(data) < 1000 {
			if _, deep := err.(*limitError); !deep {
				t.Errorf("valid JSON was refused: %v", err)
			}
		}
	})
}
