package winhost

import (
	"strings"
	"testing"
)

func table(t *testing.T) *Table {
	t.Helper()
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A table with a mistake is refused, wherever the mistake is.
func TestTableWithAMistakeIsRefused(t *testing.T) {
	for what, change := range map[string][2]string{
		"an unknown key":                                           {`process = "yes"`, `proces = "yes"`},
		"an unknown state":                                         {`process = "yes"`, `process = "maybe"`},
		"a pair of an unknown host":                                {`host = "ac23h2"`, `host = "ac24h2"`},
		"a pair of an unknown container":                           {`container = "ltsc2016"`, `container = "ltsc2012"`},
		"a pair that is there twice":                               {`container = "ltsc2019"`, `container = "ltsc2016"`},
		"a source that nobody named":                               {`source = ["portability"]`, `source = ["hearsay"]`},
		"a row without source":                                     {`source = ["hcsshim"]`, `source = []`},
		"a row without confidence":                                 {`confidence = "medium"`, `confidence = ""`},
		"builds that run backwards":                                {`builds = [22000, 26099]`, `builds = [26099, 22000]`},
		"a server of which nobody knows whether Kubernetes has it": {`kubernetes = "never"`, ``},
		"a client that Kubernetes has":                             {`client = true`, "client = true\nkubernetes = \"supported\""},
		"a split without a revision":                               {`revision = 1040`, `revision = 0`},
		"stale hosts of no build":                                  {`builds = [17763, 26100]`, `builds = []`},
		"stable builds out of order":                               {`stable = [20348, 26100]`, `stable = [26100, 20348]`},
	} {
		text := strings.Replace(hostsText, change[0], change[1], 1)
		if text == hostsText {
			t.Errorf("%s: %q is not in the table", what, change[0])
		} else if _, err := parse(text); err == nil {
			t.Errorf("the table is taken with %s", what)
		}
	}
	if _, err := parse(hostsText); err != nil {
		t.Errorf("the table itself is refused: %v", err)
	}
}

func TestBuildThatIsNoneIsRefused(t *testing.T) {
	for _, bad := range []string{"", "0", "-5", "26100.1742", "10.0", "10.0.", "10.0.x", "10.0.26100.", "10.0.26100.1.2", "11.0.26100", "10.0.-1", " 26100", "26100 ", "99999999", "ltsc2022", "10.0.26100.x", "+26100", "٢٦"} {
		if b, err := ParseBuild(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, b)
		} else if !strings.Contains(err.Error(), "10.0.BUILD") {
			t.Errorf("%q: the error does not say how to write it: %v", bad, err)
		}
	}
	for in, want := range map[string]string{"26100": "10.0.26100", "10.0.20348": "10.0.20348", "10.0.17763.1040": "10.0.17763.1040"} {
		if b, err := ParseBuild(in); err != nil || b.String() != want {
			t.Errorf("%q is %s, %v, want %s", in, b, err, want)
		}
	}
}

func builds(t *testing.T, versions string) []Build {
	t.Helper()
	var list []Build
	for v := range strings.FieldsSeq(versions) {
		if v == "-" {
			list = append(list, Build{})
			continue
		}
		b, err := ParseBuild(v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

func TestEachHostRunsWhatMicrosoftSaysItRuns(t *testing.T) {
	const (
		l16, l19, l22, l25 = "10.0.14393.9612", "10.0.17763.9376", "10.0.20348.5761", "10.0.26100.33650"
	)
	for _, test := range []struct {
		host    string
		client  bool
		images  string
		directX bool
		want    string // image's index, isolation, and "digest" where the index would not do; "" for refused
		say     string // in the note or in the refusal
	}{
		{"26100", false, l25, false, "0 process", ""},
		{"26100", false, l22, false, "0 process", ""},
		{"26100", false, l22 + " " + l25, false, "1 process", ""},
		{"26100", false, l25 + " " + l22, false, "0 process", ""},
		{"26100", false, l19, false, "0 hyperv", ""},
		{"26100", false, l16 + " " + l19, false, "1 hyperv digest", ""},
		{"20348", false, l22 + " " + l25, false, "0 process", ""},
		{"20348", false, l25, false, "", "newer than its host never works"},
		{"20348", false, l19, false, "0 hyperv", ""},
		{"20348", false, l19, true, "", "devices work in no other"},
		{"26100", false, l22, true, "0 process", ""},
		{"17763", false, l19, false, "0 process", ""},
		{"17763", false, l22 + " " + l25, false, "", "Windows Server 2019"},
		{"25398", false, l22, false, "0 process", ""},
		{"25398", false, l25, false, "", "never works"},
		{"25398", false, l19, false, "0 hyperv", "ltsc2022 is the only release"},
		// The update of February 2020 parts Windows Server 2019 in two.
		{"10.0.17763.1000", false, l19, false, "0 hyperv", ""},
		{"10.0.17763.1000", false, "10.0.17763.999", false, "0 process", ""},
		{"10.0.17763.1040", false, l19, false, "0 process", "older than the image"},
		{"10.0.17763.9999", false, l19, false, "0 process", ""},
		{"10.0.17763.1000", false, l19, true, "", "devices work in no other"},
		{"10.0.26100.1", false, l25, false, "0 process", "0xc0370106"},
		{"10.0.26100.1", false, l22, false, "0 process", ""},
		// Windows Server 2016: only the very revision, and who does not tell it gets Hyper-V.
		{"10.0.14393.9612", false, l16, false, "0 process", "revision"},
		{"10.0.14393.1", false, l16, false, "0 hyperv", ""},
		{"14393", false, l16, false, "0 hyperv", ""},
		// Clients take Hyper-V by themselves.
		{"26100", true, l22 + " " + l25, false, "1 hyperv", ""},
		{"26100", true, l25, true, "0 process", ""},
		{"22631", true, l22, false, "0 hyperv", ""},
		{"22631", true, l25, false, "", "never works"},
		{"19045", true, l19, false, "0 hyperv", ""},
		{"19045", true, l22, false, "", "never works"},
		// 25H2 is reported not to run ltsc2025: the older image, which the index does not give it.
		{"26200", true, l22 + " " + l25, false, "0 hyperv digest", "this old"},
		{"26200", true, l25, false, "0 hyperv", "0xc0370112"},
		{"28000", true, l22, false, "0 hyperv", "this old"},
		{"28000", true, l22 + " " + l25, false, "1 hyperv", ""},
		// Builds that no row has follow the runtime's own rule.
		{"27500", false, l22 + " " + l25, false, "1 process", ""},
		{"27500", false, l22, false, "0 hyperv", ""},
		{"18363", false, "10.0.18363.1", false, "0 process", ""},
		{"26100", false, "10.0.19042.1", false, "0 hyperv", ""},
		// An image that does not say its build decides nothing.
		{"26100", false, "-", false, "0 ", ""},
		{"26100", false, "- " + l25, false, "1 process", ""},
	} {
		b := builds(t, test.host)[0]
		h := table(t).Host(b, test.client)
		got, err := table(t).Choose(h, builds(t, test.images), test.directX)
		text := ""
		if err == nil {
			text = string(rune('0'+got.Image)) + " " + got.Isolation
			if !got.ByName {
				text += " digest"
			}
		}
		if text != test.want {
			t.Errorf("%s with %s (DirectX %v): %q, %v, want %q", h.Name, test.images, test.directX, text, err, test.want)
			continue
		}
		said := got.Note
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, test.say) {
			t.Errorf("%s with %s: %q does not say %q", h.Name, test.images, said, test.say)
		}
	}
}

// --host names a build alone: a server, where servers have that build.
func TestBuildAloneIsTakenForAServer(t *testing.T) {
	for number, client := range map[int]bool{26100: false, 17763: false, 26200: true, 22631: true, 19045: true, 27500: false} {
		if h := table(t).Server(Build{number, -1}); h.Client != client {
			t.Errorf("build %d is taken for %+v", number, h)
		}
	}
}

func TestNodesAreThoseThatRunTheImageInProcessIsolation(t *testing.T) {
	for images, want := range map[string]string{
		"10.0.20348":            "10.0.20348 10.0.26100<ltsc2022",
		"10.0.20348 10.0.26100": "10.0.20348 10.0.26100<ltsc2022",
		"10.0.26100":            "10.0.26100",
		"10.0.17763":            "10.0.17763",
		"10.0.17763 10.0.20348": "10.0.17763 10.0.20348 10.0.26100<ltsc2022",
		"10.0.14393":            "",
	} {
		var got []string
		for _, n := range table(t).Nodes(builds(t, images)) {
			text := n.Build
			if len(n.Older) > 0 {
				text += "<" + strings.Join(n.Older, ",")
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: nodes %q, want %q", images, text, want)
		}
	}
}
