package kube

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/winpack/winpack/fixtures/kubernetes"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// decode reads a stream of documents strictly, by the types of k8s.io/api.
func decode(text []byte) ([]any, error) {
	var out []any
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			return nil, err
		}
		into, ok := map[string]any{
			"Deployment": new(appsv1.Deployment), "Job": new(batchv1.Job), "Service": new(corev1.Service), "ServiceAccount": new(corev1.ServiceAccount),
			"PodDisruptionBudget": new(policyv1.PodDisruptionBudget), "ClusterRole": new(rbacv1.ClusterRole), "RoleBinding": new(rbacv1.RoleBinding),
			"GMSACredentialSpec": new(CredentialSpec),
		}[head.Kind]
		if !ok {
			return nil, errors.New("no kind that winpack writes: " + head.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			return nil, err
		}
		out = append(out, into)
	}
	return out, nil
}

// verify holds a stream against the types, the API server's own validation, and
// Check.
func verify(t *testing.T, text []byte) []any {
	t.Helper()
	objects, err := decode(text)
	if err != nil {
		t.Fatalf("decoding strictly: %v\n%s", err, text)
	}
	for _, o := range objects {
		if complaints, err := Check(o); err != nil || len(complaints) > 0 {
			t.Errorf("Windows does not do this: %q, %v", complaints, err)
		}
	}
	if complaints := kubernetes.Document(t, text); complaints != nil {
		t.Errorf("the API server refuses it: %q", complaints)
	}
	return objects
}

func TestDecodingIsStrict(t *testing.T) {
	for _, bad := range []string{"kind: Deployment\nspec:\n  replica: 1\n", "kind: Deployment\nkind: Deployment\n", "kind: Pod\n", "kind: Job\nspec: []\n", "x"} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q is decoded", bad)
		}
	}
}

func TestManifestsOfEachFixtureAreTakenByTheServerAndByWindows(t *testing.T) {
	apps := fixtureApps(t)
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		t.Run(name, func(t *testing.T) { verify(t, yamlOf(t, apps[name])) })
	}
}

// scenarios are what no fixture has: a made report and plan, or other options.
func scenarios(t *testing.T) map[string]app {
	t.Helper()
	fixture := fixtureApps(t)
	with := func(name string, change func(*app)) app {
		a, ok := fixture[name]
		if !ok {
			t.Fatalf("there is no fixture %s", name)
		}
		change(&a)
		return a
	}
	fact := func(key, value string) detect.Fact {
		return detect.Fact{Key: key, Value: value, Detector: "made", Evidence: []detect.Evidence{{Path: "Web.config", Line: 1}}}
	}
	add := func(a *app, facts ...detect.Fact) { a.report.Facts = slices.Concat(a.report.Facts, facts) }
	bases := func(a *app, releases ...string) {
		catalog, err := dockerfile.LoadCatalog()
		if err != nil {
			t.Fatal(err)
		}
		a.plan.Bases = nil
		for _, os := range releases {
			release, ok := catalog.Release(os)
			if !ok {
				t.Fatalf("no release %s", os)
			}
			a.plan.Bases = append(a.plan.Bases, dockerfile.Base{OS: os, OSVersion: release.OSVersion, Family: a.plan.Family, Administrator: a.plan.Administrator()})
		}
	}
	return map[string]app{
		"gmsa": with("aspnet-mvc", func(a *app) {
			add(a, fact("iis-feature", "windows-authentication"), fact("integrated-security", "Main"))
			a.options.Namespace = "line-of-business"
		}),
		"gmsa-given": with("aspnet-mvc", func(a *app) { a.options.GMSA = "webapp1.contoso" }),
		"sessions-shared": with("aspnet-mvc", func(a *app) {
			a.report.Facts = slices.DeleteFunc(slices.Clone(a.report.Facts), func(f detect.Fact) bool { return f.Key == "machine-key-missing" })
			add(a, fact("session-state", "SQLServer"), fact("machine-key", "fixed"))
			a.options.Image = "registry.example.com/team/shop@sha256:" + strings.Repeat("0", 64)
			a.options.PullSecrets = []string{"registry-login", "second.login"}
			a.options.HealthPath = "/health?deep=0"
		}),
		"sessions-in-process": with("aspnet-mvc", func(a *app) {
			add(a, fact("session-state", "InProc"))
			a.options.Replicas = 3
		}),
		"directx": with("native-console", func(a *app) {
			add(a, fact("directx", "d3d12.dll"))
			a.plan.Family = "server"
			bases(a, "ltsc2022")
			a.options.Workload = WorkloadDeployment
		}),
		"wcf-tcp": with("wcf-http", func(a *app) { a.plan.Config.Ports = []int{80, 808} }),
		"several-ports": with("aspnet-core", func(a *app) {
			a.plan.Config.Ports = []int{5000, 443, 65535, 8080}
			bases(a, "ltsc2025")
		}),
		"console-with-port":   with("native-web", func(a *app) { a.plan.Config.Ports = []int{9000} }),
		"console-on-http-sys": with("netfx-console", func(a *app) { add(a, fact("import", "httpapi.dll")) }),
		"job-asked-for":       with("dotnet-worker-service", func(a *app) { a.options.Workload = WorkloadJob }),
		"variable-missing": with("aspnet-core", func(a *app) {
			add(a, fact("environment-dropped", "API_KEY: it holds a secret, or has the name of one: give it to the container"))
			a.plan.Config.Labels = map[string]string{dockerfile.LabelEnv: "API_KEY|ConnectionStrings__Orders"}
		}),
		"variable-given": with("aspnet-core", func(a *app) {
			add(a, fact("environment-dropped", "API_KEY: it holds a secret, or has the name of one: give it to the container"))
			a.plan.Config.Env = map[string]string{"Api_Key": "x"}
			a.plan.Config.Labels = map[string]string{dockerfile.LabelEnv: "API_KEY"}
		}),
		"secret-without-variable": with("aspnet-core", func(a *app) {
			for _, value := range []string{"connection string My Db, password", "MY SECRET", "Smtp:Password"} {
				f := fact("secret", value)
				f.Evidence = []detect.Evidence{{Path: "appsettings.json", Line: 3, Detail: value}}
				add(a, f)
			}
		}),
		"port-80-second": with("static", func(a *app) { a.plan.Config.Ports = []int{8080, 80} }),
		"assumed-releases": with("static", func(a *app) {
			for i := range a.plan.Bases {
				a.plan.Bases[i].Reference = "registry.example.com/base:1"
			}
		}),
		"ltsc2019": with("static", func(a *app) { bases(a, "ltsc2019") }),
		"ltsc2022": with("static", func(a *app) { bases(a, "ltsc2022") }),
		"unknown": with("static", func(a *app) {
			a.report.App.Kind, a.plan.Kind, a.plan.Config.Ports = detect.KindUnknown, detect.KindUnknown, nil
			a.report.Facts = []detect.Fact{}
			a.plan.Bases = []dockerfile.Base{{OS: "ltsc2022", Reference: "registry.example.com/node:1"}}
		}),
		"hostile-name": with("static", func(a *app) {
			a.report.App.Name = "1 \u202eshop\n---\nkind: Secret # x\r\n\u0085é"
		}),
	}
}

// The manifests of made cases are goldens in testdata, and hold before the server
// as those of the fixtures do.
func TestManifestsOfMadeCases(t *testing.T) {
	all := scenarios(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			text := yamlOf(t, all[name])
			verify(t, text)
			compare(t, filepath.Join("testdata", name+".yaml"), text)
			for range 3 {
				if again := yamlOf(t, all[name]); !bytes.Equal(again, text) {
					t.Fatal("the same input gives other bytes")
				}
			}
		})
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := all[strings.TrimSuffix(e.Name(), ".yaml")]; !ok {
			t.Errorf("%s is the golden of no case", e.Name())
		}
	}
}

func TestNotesSayWhatIsLeftToDo(t *testing.T) {
	all := scenarios(t)
	for name, want := range map[string]string{
		"gmsa":     "holds values to fill in",
		"ltsc2019": "Windows Server 2019 nodes no more",
		"directx":  "",
	} {
		m, err := New(all[name].report, all[name].plan, all[name].options)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.Notes, "\n"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: the notes are %q, want %q", name, got, want)
		}
	}
	a := all["directx"]
	a.plan.Family = "nanoserver"
	if m, err := New(a.report, a.plan, a.options); err != nil || !strings.Contains(strings.Join(m.Notes, "\n"), "server family only") {
		t.Errorf("DirectX on Nano Server: %q, %v", m.Notes, err)
	}
	a = fixtureApps(t)["aspnet-35"]
	if m, err := New(a.report, a.plan, a.options); err != nil || !strings.Contains(strings.Join(m.Notes, "\n"), "--gmsa NAME") {
		t.Errorf("authentication mode Windows: %q, %v", m.Notes, err)
	}
}

// A release that no node runs is an error where it is alone, and a note beside others.
func TestReleaseWithoutNodes(t *testing.T) {
	a := fixtureApps(t)["static"]
	old := dockerfile.Base{OS: "ltsc2016", OSVersion: "10.0.14393", Family: "servercore"}
	with := a.plan
	with.Bases = append([]dockerfile.Base{old}, a.plan.Bases...)
	m, err := New(a.report, with, a.options)
	if err != nil || !strings.Contains(strings.Join(m.Notes, "\n"), "runs ltsc2016") {
		t.Errorf("beside others: %q, %v", m.Notes, err)
	}
	with.Bases = []dockerfile.Base{old}
	var option *OptionError
	if _, err := New(a.report, with, a.options); !errors.As(err, &option) || !strings.Contains(err.Error(), "--os") {
		t.Errorf("alone: %v", err)
	}
}

func TestNamesAreTakenByKubernetes(t *testing.T) {
	for in, want := range map[string]string{
		"Shop": "shop", "shop_web.Frontend": "shop-web-frontend", "7zip": "app-7zip", "": "app", "---": "app", "été": "t-@", "店": "app-@", "a..b--c": "a-b-c",
		strings.Repeat("x", 100): strings.Repeat("x", 43) + "-@", strings.Repeat("y", 42) + "-zzzzzzzzz": strings.Repeat("y", 42) + "-@", "com1": "com1", strings.Repeat("x", 50): strings.Repeat("x", 50),
	} {
		want = strings.ReplaceAll(want, "@", sum([]byte(in))[:6])
		if got := Name(in); got != want || CheckName(got) != nil {
			t.Errorf("%q becomes %q (%v), want %q", in, got, CheckName(got), want)
		}
	}
	if Name("ЖЖ") == Name("ЯЯ") || Name(strings.Repeat("x", 60)+"1") == Name(strings.Repeat("x", 60)+"2") {
		t.Error("two apps have one name")
	}
	for _, bad := range []string{"", "Shop", "1shop", "-a", "a-", "a.b", "a_b", strings.Repeat("x", 51), "é"} {
		if CheckName(bad) == nil {
			t.Errorf("%q passes as a name", bad)
		}
	}
	for _, bad := range []string{"", "Line", "a.b", "-a", strings.Repeat("x", 64)} {
		if CheckNamespace(bad) == nil {
			t.Errorf("%q passes as a namespace", bad)
		}
	}
	for _, bad := range []string{"", "gmsa-WebApp1", "a b", "-a"} {
		if CheckReference(bad) == nil {
			t.Errorf("%q passes as a reference", bad)
		}
	}
	for _, bad := range []string{"", "health", "/a b", "/a\n", "/é", "http://x/"} {
		if CheckPath(bad) == nil {
			t.Errorf("%q passes as a path", bad)
		}
	}
}

func TestProbesAreTimedForTheFamily(t *testing.T) {
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	start := func(family string, iis bool) int32 {
		r := f.family(family, iis)
		return r.StartupPeriod * r.StartupFailures
	}
	if nano, core := start("nanoserver", false), start("servercore", true); nano < 120 || core < 300 || core <= nano {
		t.Errorf("the start may take %d s on Nano Server and %d s in IIS on Server Core", nano, core)
	}
	if r := f.family("tomorrow", true); r.Family != "servercore" || !r.IIS {
		t.Errorf("an unknown family is timed as %s", r.Family)
	}
	if r := f.family("server", true); r.Family != "server" {
		t.Errorf("server with IIS is timed as %s", r.Family)
	}
}

// Where no variable replaces a secret of the app, no Secret is written, and the manifest
// says why.
func TestManifestSaysWhyThereIsNoSecret(t *testing.T) {
	const why = "No Secret: the app's configuration holds secrets"
	for name, want := range map[string]bool{"demo": true, "aspnet-core": false, "static": false} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "fixtures", name, "deployment.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), why) != want || strings.Contains(string(text), "secretKeyRef") && want {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestPortsHaveNamesOfTheirOwn(t *testing.T) {
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ports []int
		http  bool
		want  []string
	}{
		{[]int{8080, 80}, true, []string{"http-8080", "http"}},
		{[]int{80, 8080}, true, []string{"http", "http-8080"}},
		{[]int{9001}, true, []string{"http"}},
		{[]int{9001, 9002}, true, []string{"http", "http-9002"}},
		{[]int{9001, 80}, false, []string{"tcp-9001", "tcp-80"}},
	} {
		if got := f.portNames(test.ports, test.http); !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.ports, got, test.want)
		}
	}
}
