package build

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func TestOutputThatCannotBeIsRefusedBeforeAnythingIsPushed(t *testing.T) {
	dir := t.TempDir()
	file, folder, layout := filepath.Join(dir, "file"), filepath.Join(dir, "folder"), filepath.Join(dir, "layout")
	for _, d := range []string{folder, layout} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{file, filepath.Join(folder, "x"), filepath.Join(layout, "oci-layout")} {
		if err := os.WriteFile(f, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		o    Output
		want string // "-": it can be
	}{
		{Output{Type: "oci", Dest: filepath.Join(dir, "none", "a.tar"), Tar: true}, "does not exist"},
		{Output{Type: "oci", Dest: filepath.Join(file, "a.tar"), Tar: true}, "no folder"},
		{Output{Type: "oci", Dest: folder, Tar: true}, "is a folder"},
		{Output{Type: "oci", Dest: file}, "is a file"},
		{Output{Type: "oci", Dest: folder}, "something else"},
		{Output{Type: "oci", Dest: file, Tar: true}, "-"},
		{Output{Type: "oci", Dest: layout}, "-"},
		{Output{Type: "oci", Dest: filepath.Join(dir, "new")}, "-"},
	} {
		err := test.o.Check()
		if test.want == "-" {
			if err != nil {
				t.Errorf("%s: %v", test.o.Dest, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.o.Dest, err, test.want)
		}
	}

	host := bases(t, standin.Options{})
	req := request(host)
	req.Outputs = []Output{{Type: "oci", Dest: folder}}
	if _, err := direct(host).Build(t.Context(), req); err == nil {
		t.Error("a folder of other things was taken")
	}
	if _, err := remote.Head(parse(t, host+"/team/shop:1")); err == nil {
		t.Error("the image was pushed before its other destination was looked at")
	}
}

// A release that nobody asked for is left out where the base is not published for it.
func TestReleaseThatTheBaseLacksIsLeftOutUnlessAskedFor(t *testing.T) {
	host := bases(t, standin.Options{})
	req := request(host)
	req.Plan.Bases[1].Reference = aspnet + "ltsc2099"
	if _, err := direct(host).Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "mirror has no such image") {
		t.Errorf("asked for: %v", err)
	}
	req.Optional = true
	img := mustBuild(t, direct(host), req)
	if len(img.Releases) != 1 || len(img.Omitted) != 1 || img.Omitted[0].OS != "ltsc2025" {
		t.Errorf("%d releases, left out %v", len(img.Releases), img.Omitted)
	}
	// The same base for both, as --base gives: it is of one release only.
	req.Plan.Bases[1].Reference = aspnet + "ltsc2022"
	if img := mustBuild(t, direct(host), req); len(img.Releases) != 1 || len(img.Omitted) != 1 {
		t.Errorf("%d releases, left out %v", len(img.Releases), img.Omitted)
	}
	req.Plan.Bases[0].Reference = aspnet + "ltsc2099"
	req.Plan.Bases[1].Reference = aspnet + "ltsc2099"
	if _, err := direct(host).Build(t.Context(), req); err == nil {
		t.Error("an image without any release")
	}
}

func TestProblemOfTheWayToARegistryNamesItsCure(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	defer secure.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	// go-containerregistry takes loopback addresses for insecure by itself.
	for url, want := range map[string]string{
		"https://" + strings.TrimPrefix(plain.URL, "http://"): "--insecure-registry",
		secure.URL:                          "SSL_CERT_FILE",
		"https://" + closed.Addr().String(): "nothing listens",
		"https://registry.example.invalid/": "is not known",
		"https://behind.example.invalid/":   "check HTTPS_PROXY",
	} {
		client := http.DefaultClient
		if strings.Contains(want, "HTTPS_PROXY") { // the variable itself is read once in a process
			dead := &neturl.URL{Scheme: "http", Host: closed.Addr().String()}
			client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(dead)}}
		}
		_, err := client.Get(url)
		if err == nil {
			t.Fatalf("%s answers", url)
		}
		got := registryError("pulling", "x", "registry.example.com", err)
		var reg *RegistryError
		if !errors.As(got, &reg) || !strings.Contains(got.Error(), want) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%s: %v, want %q", url, got, want)
		}
	}
}

// Only where a mirror was asked is leaving it out a way.
func TestImageThatIsNotThereIsNoMirrorsFault(t *testing.T) {
	host := registry.Start(t)
	for ref, mirror := range map[string]bool{host + "/team/none": false, host + "/team/none:1": false, "mcr.microsoft.com/team/none": true} {
		_, _, err := Resolve(t.Context(), direct(host).Registry, []dockerfile.Base{{Reference: ref, OSVersion: "10.0.20348"}}, false)
		if err == nil || strings.Contains(err.Error(), "--mirror") != mirror || strings.Contains(err.Error(), "(from ") != mirror {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// What a registry refuses is said in its words, without the map of its details.
func TestRefusalOfARegistryNamesItsCure(t *testing.T) {
	for body, want := range map[string]string{
		`{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content","detail":{"Digest":"x","Reason":{}}}]}`: "provided digest did not match uploaded content (DIGEST_INVALID); something on the way",
		`{"errors":[{"code":"NAME_INVALID","message":"invalid\nname"}]}`:                                                                        "invalid name (NAME_INVALID); check the name",
		"<html>nginx</html>": "the registry answers 400: bad request; the registry's log says more",
	} {
		resp := &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body))}
		err := registryError("pushing", "x", "registry.example.com", transport.CheckError(resp, 200))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "map[") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestStreamedBaseTellsHowFarItIs(t *testing.T) {
	from := bases(t, standin.Options{LayerSize: 3 << 20})
	to := registry.Start(t)
	d := direct(from)
	d.Registry.Insecure = append(d.Registry.Insecure, to)
	req := request(to)
	var mu sync.Mutex
	far := map[string][]int64{}
	total := map[string]int64{}
	req.Progress = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Stage == "base" && e.Total > 0 {
			far[e.Name] = append(far[e.Name], e.Done)
			total[e.Name] = e.Total
		}
	}
	img := mustBuild(t, d, req)
	if img.Releases[0].BaseStreamed == 0 || len(far) == 0 {
		t.Fatalf("nothing was streamed, or nothing told: %+v", img.Releases[0])
	}
	for layer, done := range far {
		if done[len(done)-1] != total[layer] || total[layer] > 2<<20 && len(done) < 2 {
			t.Errorf("%s: %v of %d", layer, done, total[layer])
		}
	}
}

func TestAnnotationGoesWhereItsPrefixSays(t *testing.T) {
	host := bases(t, standin.Options{})
	req := request(host)
	req.Annotations = map[string]string{"index:com.example.a": "1", "manifest:com.example.b": "2", "com.example.c": "3", "manifest-descriptor:com.example.d": "4"}
	mustBuild(t, direct(host), req)
	tag, err := name.ParseReference(host+"/team/shop:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	one, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations["com.example.a"] != "1" || one.Annotations["com.example.b"] != "2" || one.Annotations["com.example.c"] != "3" || m.Manifests[0].Annotations["com.example.d"] != "4" {
		t.Errorf("index %v, descriptor %v, manifest %v", m.Annotations, m.Manifests[0].Annotations, one.Annotations)
	}
	req.Plan.Bases = req.Plan.Bases[:1]
	if _, err := direct(host).Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "index") {
		t.Errorf("an annotation of an index that is not made: %v", err)
	}
}
