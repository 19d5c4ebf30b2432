package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/build"
)

func says(a Answer) Probe { return func(context.Context) (Answer, error) { return a, nil } }

func dead(text string) Probe {
	return func(context.Context) (Answer, error) { return Answer{}, errors.New(text) }
}

func check(t *testing.T, o Options) Document {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Temp == "" {
		o.Temp, o.Dir = t.TempDir(), t.TempDir()
	}
	d, err := Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func outputs(t *testing.T, d Document) (text, document string) {
	t.Helper()
	var b strings.Builder
	if err := d.Text(&b); err != nil {
		t.Fatal(err)
	}
	j, err := report.JSON(d)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), string(j)
}

func TestSchemaRejectsWhatIsNoDoctorsReport(t *testing.T) {
	s := schema.Compile(t, Schema)
	_, good := outputs(t, check(t, Options{
		Targets:    []Target{{Name: "buildkit", Address: "unix:///x", From: "default", Probe: dead("gone")}, {Name: "docker", Address: "unix:///y", From: "DOCKER_HOST", Named: true, Probe: says(Answer{Version: "27", OS: "linux"})}},
		Registries: []RegistryTarget{{Host: "127.0.0.1:1", Plain: true}},
		Settings:   []Setting{{"HTTPS_PROXY", "http://p"}},
		Catalog:    Catalog{"2026-11-24", ""},
	}))
	if err := s.Validate(t, []byte(good)); err != nil {
		t.Fatalf("the schema rejects a good document: %v\n%s", err, good)
	}
	for _, change := range []struct{ what, from, to string }{
		{"another schema", `"winpack/doctor/v1"`, `"winpack/doctor/v2"`},
		{"an unknown key at the top", `"schema":`, `"more": 1, "schema":`},
		{"an unknown builder", `"name": "buildkit"`, `"name": "kaniko"`},
		{"a builder that works and has a problem", `"name": "docker",
      "works": false`, `"name": "docker", "works": true`},
		{"a missing key", `"isolation":`, `"isolated":`},
		{"a status that is text", `"status": 0`, `"status": "0"`},
		{"a purpose that is none", `"purpose": "base"`, `"purpose": "other"`},
		{"a date that is none", `"2026-11-24"`, `"yesterday"`},
		{"a list that is null", `"files": []`, `"files": null`},
	} {
		bad := strings.Replace(good, change.from, change.to, 1)
		if bad == good {
			t.Errorf("%s: %q is not in the document", change.what, change.from)
		} else if s.Validate(t, []byte(bad)) == nil {
			t.Errorf("the schema takes %s", change.what)
		}
	}
}

// What an engine answers decides what a person is told to build with.
func TestBuildersAreJudgedByWhatTheyAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		target             Target
		answer             Answer
		err                error
		works, runs, alive bool
		said               string
	}{
		"windows engine":   {Target{Name: "docker"}, Answer{OS: "windows", Isolation: "process"}, nil, true, true, true, ""},
		"linux engine":     {Target{Name: "docker"}, Answer{OS: "linux"}, nil, false, false, true, "runs linux containers"},
		"silent engine":    {Target{Name: "docker"}, Answer{}, nil, false, false, true, "runs other containers"},
		"dead engine":      {Target{Name: "docker"}, Answer{}, errors.New("refused"), false, false, false, "refused"},
		"windows release":  {Target{Name: "docker"}, Answer{OS: "windows", Build: "10.0.26100.1"}, nil, true, true, true, ""},
		"old windows":      {Target{Name: "docker"}, Answer{OS: "windows", Build: "10.0.17763.1"}, nil, true, true, true, ""},
		"windows buildkit": {Target{Name: "buildkit"}, Answer{OS: "windows"}, nil, true, true, true, ""},
		"linux buildkit":   {Target{Name: "buildkit"}, Answer{OS: "linux"}, nil, true, false, true, ""},
	} {
		b := (Options{Releases: releases(), Hosts: rule}).judge(test.target, test.answer, test.err)
		if b.Works != test.works || b.RunsWindows != test.runs || b.Answers != test.alive || !strings.Contains(b.Problem, test.said) || (b.Problem == "") != test.works {
			t.Errorf("%s: %+v", name, b)
		}
		if (b.Does == "") == test.works || (b.Remedy == "") != test.works {
			t.Errorf("%s does not say what it does, or what to do: %+v", name, b)
		}
	}
}

func TestReleasesOfAWindowsHostAreToldApart(t *testing.T) {
	for built, test := range map[string]struct{ does, missing string }{
		"":             {"releases that its Windows can run; it does not say its build", ""},
		"10.0.17763.1": {"older releases than those of the default", "ltsc2022 and ltsc2025"},
		"10.0.20348.1": {", for ltsc2022", "ltsc2025"},
		"10.0.26100.1": {", for ltsc2022 and ltsc2025", ""},
	} {
		newer := Target{Name: "docker", Probe: says(Answer{OS: "windows", Build: built})}
		d := check(t, Options{Targets: []Target{newer}, Releases: releases(), Hosts: rule})
		if b := d.Builders[1]; !strings.HasSuffix(b.Does, test.does) && !strings.Contains(b.Does, test.does) || b.Releases == nil || (len(b.Releases) == 2) != (built != "") {
			t.Errorf("%q: %+v", built, b)
		}
		want := []Missing{}
		if test.missing != "" {
			want = append(want, Missing{What: "a builder for RUN steps of " + test.missing})
		}
		if len(d.Missing) != len(want) || len(want) > 0 && d.Missing[0].What != want[0].What {
			t.Errorf("%q: missing is %+v, want %+v", built, d.Missing, want)
		}
		// Another builder that can is enough.
		d = check(t, Options{Targets: []Target{newer, {Name: "buildkit", Probe: says(Answer{OS: "windows", Build: "10.0.26100"})}}, Releases: releases(), Hosts: rule})
		if len(d.Missing) != 0 {
			t.Errorf("%q beside one that can: %+v", built, d.Missing)
		}
	}
}

func TestWhatIsNamedHasToAnswer(t *testing.T) {
	gone := Target{Name: "docker", Address: "tcp://127.0.0.1:1", From: "default", Probe: dead("refused")}
	variable, flag := gone, gone
	variable.Named = true
	flag.Named, flag.Flag = true, true
	linux := flag
	linux.Probe = says(Answer{OS: "linux"})
	closed := RegistryTarget{Host: "127.0.0.1:1", Plain: true}
	named := closed
	named.Named = true
	for name, test := range map[string]struct {
		o     Options
		works bool
		miss  string // of what is missing
		quiet string // not told as missing
	}{
		"nothing there":             {Options{Targets: []Target{gone}}, true, "RUN steps of Windows", "docker:"},
		"variable names a dead one": {Options{Targets: []Target{variable}}, true, "docker: refused", ""},
		"flag names a dead one":     {Options{Targets: []Target{flag}}, false, "docker: refused", ""},
		"flag names a linux one":    {Options{Targets: []Target{linux}}, true, "docker: the engine runs linux containers", ""},
		"base registry is away":     {Options{Registries: []RegistryTarget{closed}}, true, "127.0.0.1:1: ", ""},
		"named registry is away":    {Options{Registries: []RegistryTarget{named}}, false, "127.0.0.1:1: ", ""},
		"windows builder":           {Options{Targets: []Target{{Name: "docker", Probe: says(Answer{OS: "windows"})}}}, true, "", "RUN steps of Windows"},
		"no temporary folder":       {Options{Temp: "/no/such/folder", Dir: "/"}, true, "temporary files", ""},
	} {
		d := check(t, test.o)
		var missing []string
		for _, m := range d.Missing {
			missing = append(missing, m.What)
			if m.Remedy == "" {
				t.Errorf("%s: nothing is said to do about %q", name, m.What)
			}
		}
		all := strings.Join(missing, "\n")
		if d.Works != test.works || !strings.Contains(all, test.miss) || test.quiet != "" && strings.Contains(all, test.quiet) {
			t.Errorf("%s: works %v, missing %q", name, d.Works, missing)
		}
	}
}

const secret = "Xyzzy-plugh-4711"

// Addresses, variables, files and errors are full of them.
func TestNoSecretIsShown(t *testing.T) {
	dir := t.TempDir()
	auth := filepath.Join(dir, "config.json")
	if err := os.WriteFile(auth, []byte(`{"auths": {"r.example.com": {"auth": "dTpYeXp6eS1wbHVnaC00NzEx"}, "https://u:`+secret+`@other/": {}}, "credHelpers": {"x": "nowhere"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "auth.json")
	if err := os.WriteFile(broken, []byte(`{"auths": {"r.example.com": {"auth": "`+secret+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "tcp://user:" + secret + `"a b@127.0.0.1:1`
	d := check(t, Options{
		Targets: []Target{
			{Name: "buildkit", Address: address, From: "BUILDKIT_HOST", Named: true, Probe: BuildKit(build.BuildKit{Addr: address})},
			{Name: "docker", Address: address, From: "DOCKER_HOST", Named: true, Probe: Docker(build.Docker{Host: address})},
			{Name: "docker", Address: "ssh://" + secret + "@host", From: "DOCKER_HOST", Named: true, Probe: Docker(build.Docker{Host: "ssh://" + secret + "@host"})},
			{Name: "docker", Address: secret + "@host", From: "DOCKER_HOST", Named: true, Probe: dead(`parse "x://u:` + secret + `@h": bad, ` + secret + `, u:` + secret + `@h`)},
		},
		Registries:      []RegistryTarget{{Host: "r.example.com", Mirror: "u:" + secret + "@127.0.0.1:1/x"}},
		CredentialFiles: []string{auth, broken},
		Settings:        []Setting{{"HTTPS_PROXY", "http://u:" + secret + "@proxy:3128"}, {"HTTP_PROXY", "u:" + secret + "@proxy"}},
	})
	text, document := outputs(t, d)
	if strings.Contains(text+document, secret) || strings.Contains(text+document, "dTpYeXp6") {
		t.Errorf("a secret is shown:\n%s\n%s", text, document)
	}
	if d.Credentials.Files[0].Registries != 2 || d.Credentials.Files[1].Problem == "" {
		t.Errorf("the files were not read: %+v", d.Credentials)
	}
	if err := schema.Compile(t, Schema).Validate(t, []byte(document)); err != nil {
		t.Errorf("%v\n%s", err, document)
	}
	for from, want := range map[string]string{
		"http://u:p@proxy:3128": "http://***@proxy:3128", "u:p@proxy": "***@proxy", "unix:///run/x.sock": "unix:///run/x.sock",
		"tcp://a:b@c@host": "tcp://***@host", "unix:///home/me@corp/x.sock": "unix:///home/me@corp/x.sock", "u:p://x@host": "***@host", "localhost,.corp": "localhost,.corp", "docker-container://bk": "docker-container://bk",
	} {
		if got := build.Mask(from); got != want {
			t.Errorf("%q is masked as %q, want %q", from, got, want)
		}
	}
}

func TestTextFitsATerminalAndHidesEscapes(t *testing.T) {
	d := check(t, Options{
		Targets: []Target{
			{Name: "docker", Address: "tcp://\x1b[2J:1", From: "DOCKER_HOST", Named: true, Probe: dead("a\x1b]0;x\x07\nb " + strings.Repeat("word ", 60))},
			{Name: "buildkit", Address: "unix:///x", From: "default", Probe: says(Answer{Version: "\x1b[31m", OS: "linux", OSVersion: "\u202e"})},
		},
		Registries: []RegistryTarget{{Host: "127.0.0.1:1", Mirror: "127.0.0.1:2/a", Plain: true}},
		Settings:   []Setting{{"NO_PROXY", "\x1b[2J"}},
		Catalog:    Catalog{"2026-11-24", "2026-11-20"},
	})
	text, document := outputs(t, d)
	if strings.ContainsAny(text+document, "\x1b\x07\u202e") {
		t.Error("a control character stands in the output")
	}
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("a long line: %s", line)
		}
	}
	for _, want := range []string{"as of 2026-11-24, 4 days after its newest source", "127.0.0.1:1, for which 127.0.0.1:2/a is asked", "works: Dockerfiles without a RUN step", "GB free"} {
		if !strings.Contains(text, want) && want != "GB free" {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// A daemon that takes the connection and says nothing must not hold the doctor up.
func TestSilentDaemonsAndRegistriesAreGivenUp(t *testing.T) {
	host := silent(t)
	d := check(t, Options{
		Timeout: 200 * time.Millisecond,
		Targets: []Target{
			{Name: "buildkit", Probe: BuildKit(build.BuildKit{Addr: "tcp://" + host})},
			{Name: "docker", Probe: Docker(build.Docker{Host: "tcp://" + host})},
		},
		Registries: []RegistryTarget{{Host: host, Plain: true}},
	})
	for _, problem := range []string{d.Builders[1].Problem, d.Builders[2].Problem, d.Registries[0].Problem} {
		if problem != "no answer in time" {
			t.Errorf("a silent one is said to have the problem %q", problem)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, Options{Targets: []Target{{Name: "docker", Probe: Docker(build.Docker{Host: "tcp://" + host})}}, Timeout: time.Hour, Temp: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt gives %v", err)
	}
}
