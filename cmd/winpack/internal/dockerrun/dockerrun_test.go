package dockerrun

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func table(t *testing.T) *winhost.Table {
	t.Helper()
	table, err := winhost.Load()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func host(t *testing.T, build string) *winhost.Host {
	t.Helper()
	b, err := winhost.ParseBuild(build)
	if err != nil {
		t.Fatal(err)
	}
	h := table(t).Server(b)
	return &h
}

func inspected(config v1.Config, versions ...string) build.Inspected {
	in := build.Inspected{Repository: "registry.example.com/team/shop"}
	for i, v := range versions {
		in.Images = append(in.Images, build.InspectedImage{Digest: "sha256:" + strings.Repeat(string(rune('a'+i)), 64), OSVersion: v, Config: config})
	}
	return in
}

const reference = "registry.example.com/team/shop:1"

// What an image says must not become another command, option or path.
func TestHostileImageAddsNothingToTheLine(t *testing.T) {
	for _, label := range []string{
		`C:\app";whoami;"`, "C:\\app\n", `C:\$(whoami)`, "C:\\`x`", `C:\%PATH%`, `C:\a!b`, `\\server\share`, `C:app`, `app`, `--privileged`, `C:\`, `C:\a\\b`, `C:\a\`,
		`C:\a:b`, `C:\a*`, `C:\“x”`, `C:\x .`, `..\..`, `/var/run/docker.sock`, "C:\\\u202ex", "", strings.Repeat(`C:\a`, 100),
	} {
		l, err := New(reference, inspected(v1.Config{Labels: map[string]string{dockerfile.LabelWrites: label}}, "10.0.20348.1"), host(t, "20348"), table(t))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(l.Args, "-v") {
			t.Errorf("the label %q gives %s", label, l)
		}
		if label != "" && len(l.Notes) == 0 {
			t.Errorf("%q is left out without a word", label)
		}
	}
	for _, label := range []string{"A=secret", "--privileged", "-x", "A B", "1A", "A\nB", "A$B", "é", strings.Repeat("A", 300)} {
		l, err := New(reference, inspected(v1.Config{Labels: map[string]string{dockerfile.LabelEnv: label}}, "10.0.20348.1"), host(t, "20348"), table(t))
		if err != nil || slices.Contains(l.Args, "-e") || len(l.Notes) == 0 {
			t.Errorf("the label %q gives %s, %v, %v", label, l, l.Notes, err)
		}
	}
	for _, port := range []string{"0/tcp", "65536/tcp", "-1/tcp", "x", "80/tcp --privileged", "80/sctp", "", "8 0"} {
		l, err := New(reference, inspected(v1.Config{ExposedPorts: map[string]struct{}{port: {}}}, "10.0.20348.1"), host(t, "20348"), table(t))
		if err != nil || slices.Contains(l.Args, "-p") || len(l.Notes) == 0 {
			t.Errorf("the port %q gives %s, %v, %v", port, l, l.Notes, err)
		}
	}
	many := v1.Config{ExposedPorts: map[string]struct{}{}, Labels: map[string]string{dockerfile.LabelEnv: strings.Repeat("A|", 5000), dockerfile.LabelWrites: strings.Repeat(`C:\a|`, 5000)}}
	for i := range 5000 {
		many.ExposedPorts[fmt.Sprintf("%d/udp", i+1)] = struct{}{}
	}
	if l, err := New(reference, inspected(many, "10.0.20348.1"), host(t, "20348"), table(t)); err != nil || len(l.Args) > 250 {
		t.Errorf("a line of %d words, %v", len(l.Args), err)
	}
}

func TestLineHasWhatTheImageAndTheHostNeed(t *testing.T) {
	site := v1.Config{
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "808/tcp": {}, "53/udp": {}},
		Labels: map[string]string{
			dockerfile.LabelKind: "aspnet", dockerfile.LabelWrites: `C:\inetpub\wwwroot\App_Data|C:\inetpub\wwwroot\logs|C:\data\logs`, dockerfile.LabelEnv: "API_KEY|ConnectionStrings__Main",
		},
	}
	for name, test := range map[string]struct {
		in   build.Inspected
		host string // empty: not known
		want string
		note string
	}{
		"a site": {inspected(site, "10.0.20348.5761", "10.0.26100.33650"), "26100",
			`docker run --rm --isolation process -p 53:53/udp -p 8080:80 -p 808:808 -e API_KEY -e ConnectionStrings__Main -v "shop-app-data:C:\inetpub\wwwroot\App_Data" -v "shop-logs:C:\inetpub\wwwroot\logs" -v "shop-logs-2:C:\data\logs" ` + reference,
			"taken from your environment"},
		"a console":           {inspected(v1.Config{}, "10.0.20348.5761"), "20348", "docker run --rm --isolation process " + reference, ""},
		"an older image":      {inspected(v1.Config{}, "10.0.17763.9376"), "20348", "docker run --rm --isolation hyperv " + reference, ""},
		"two older ones":      {inspected(v1.Config{}, "10.0.14393.9612", "10.0.17763.9376"), "20348", "docker run --rm --isolation hyperv registry.example.com/team/shop@sha256:" + strings.Repeat("b", 64), "named by its digest"},
		"a host not known":    {inspected(v1.Config{}, "10.0.20348.5761"), "", "docker run --rm " + reference, "--host BUILD"},
		"no os.version":       {inspected(v1.Config{}, ""), "20348", "docker run --rm " + reference, "does not say its Windows build"},
		"ports that collide":  {inspected(v1.Config{ExposedPorts: map[string]struct{}{"80/tcp": {}, "8080/tcp": {}, "443/tcp": {}}}, "10.0.20348.1"), "20348", "docker run --rm --isolation process -p 8081:80 -p 8443:443 -p 8080:8080 " + reference, ""},
		"DirectX":             {inspected(v1.Config{Labels: map[string]string{dockerfile.LabelDirectX: "true"}}, "10.0.20348.1"), "20348", "docker run --rm --isolation process --device class/5B45201D-F2F2-4F3B-85BB-30FF1F953599 " + reference, "graphics card"},
		"DirectX, no host":    {inspected(v1.Config{Labels: map[string]string{dockerfile.LabelDirectX: "true"}}, "10.0.20348.1"), "", "docker run --rm --isolation process --device class/5B45201D-F2F2-4F3B-85BB-30FF1F953599 " + reference, ""},
		"letters of a folder": {inspected(v1.Config{Labels: map[string]string{dockerfile.LabelWrites: `C:\app\Données & Co (1)`}}, "10.0.20348.1"), "20348", `docker run --rm --isolation process -v "shop-donn-es-co-1:C:\app\Données & Co (1)" ` + reference, ""},
	} {
		var h *winhost.Host
		if test.host != "" {
			h = host(t, test.host)
		}
		l, err := New(reference, test.in, h, table(t))
		if err != nil || l.String() != test.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, l, test.want)
		}
		if !strings.Contains(strings.Join(l.Notes, "\n"), test.note) {
			t.Errorf("%s: %q is not among the notes %q", name, test.note, l.Notes)
		}
		for range 5 {
			if again, err := New(reference, test.in, h, table(t)); err != nil || again.String() != l.String() || !slices.Equal(again.Notes, l.Notes) {
				t.Fatalf("%s: another line the second time: %s", name, again)
			}
		}
	}
}

// The base of a site exposes 80, which an image can't take back: where the site was
// bound elsewhere, nothing answers there.
func TestPortOfTheBaseAloneIsNotPublished(t *testing.T) {
	config := v1.Config{ExposedPorts: map[string]struct{}{"80/tcp": {}, "8081/tcp": {}, "53/udp": {}}, Labels: map[string]string{dockerfile.LabelPorts: "8081"}}
	l, err := New(reference, inspected(config, "10.0.20348.1"), nil, table(t))
	if want := "docker run --rm -p 53:53/udp -p 8081:8081 " + reference; err != nil || l.String() != want {
		t.Errorf("got %s, %v, want %s", l, err, want)
	}
	if !strings.Contains(strings.Join(l.Notes, "\n"), "port 80 is exposed by the base image") {
		t.Errorf("80 is left out without a word: %q", l.Notes)
	}
}

func TestImageThatTheHostCannotRunIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		in   build.Inspected
		host string
		want string
	}{
		"a newer one":        {inspected(v1.Config{}, "10.0.26100.1"), "20348", "never works"},
		"DirectX in Hyper-V": {inspected(v1.Config{Labels: map[string]string{dockerfile.LabelDirectX: "true"}}, "10.0.17763.1"), "20348", "devices work in no other"},
		"Linux":              {build.Inspected{Others: []string{"linux/arm64", "linux/amd64", "linux/amd64"}}, "20348", "no Windows image: it is for linux/amd64, linux/arm64"},
		"nothing at all":     {build.Inspected{}, "", "it holds nothing"},
	} {
		var h *winhost.Host
		if test.host != "" {
			h = host(t, test.host)
		}
		if l, err := New(reference, test.in, h, table(t)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %s, %v", name, l, err)
		}
	}
}

// A shell that gets the line hands the very words to docker.
func TestShellReadsTheLineAsItIsMeant(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("SKIPPED: there is no sh")
	}
	in := inspected(v1.Config{
		ExposedPorts: map[string]struct{}{"80/tcp": {}},
		Labels:       map[string]string{dockerfile.LabelWrites: `C:\app\a & b; (c) 'd' #e ~f {g} [h],i=j@k+l|D:\x\y`, dockerfile.LabelEnv: "A.B-C"},
	}, "10.0.20348.1")
	l, err := New(reference, in, host(t, "20348"), table(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(l.Args, "-v") {
		t.Fatalf("the folders are not in %s", l)
	}
	out, err := exec.Command(sh, "-c", `docker() { for a in docker "$@"; do printf '%s\n' "$a"; done; }; `+l.String()).CombinedOutput()
	if err != nil || strings.TrimSuffix(string(out), "\n") != strings.Join(l.Args, "\n") {
		t.Errorf("sh reads %s as\n%s, %v", l, out, err)
	}
}
