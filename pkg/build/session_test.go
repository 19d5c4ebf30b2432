package build

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// together builds n apps at the same time in one session, each into a repository of
// its own, and returns the images by number.
func together(t *testing.T, d Direct, n int, request func(i int) Request) ([]Image, []error) {
	t.Helper()
	d.Session = NewSession(t.Context(), nil)
	defer d.Session.Close()
	images, errs := make([]Image, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { images[i], errs[i] = d.Build(t.Context(), request(i)) })
	}
	wg.Wait()
	return images, errs
}

// greetings counts the questions for the way to log in.
func greetings(p *registry.Proxy) (n int) {
	for _, r := range p.Requests() {
		if r.Path == "/v2/" {
			n++
		}
	}
	return n
}

func TestBuildsOfASessionAskOnceForABaseAndStreamItOnce(t *testing.T) {
	from := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 2 << 20}))
	to := registry.NewProxy(t, registry.Start(t))
	req := func(i int) Request {
		r := request(to.Host)
		r.References = []string{fmt.Sprintf("%s/team/shop%d:1", to.Host, i)}
		return r
	}
	d := direct(from.Host)
	d.Registry.Insecure = append(d.Registry.Insecure, to.Host)
	alone := mustBuild(t, d, req(0))
	asked, greeted := len(from.Requests()), greetings(to)
	_, down := from.BlobBytes()
	from.Forget()
	to.Forget()

	const apps = 6
	images, errs := together(t, d, apps, func(i int) Request { return req(i + 1) })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := len(from.Requests()); got > asked {
		t.Errorf("the base was asked for with %d requests, and alone with %d", got, asked)
	}
	if _, got := from.BlobBytes(); got > down {
		t.Errorf("%d bytes of base layers were read, and alone %d", got, down)
	}
	if got := greetings(to); got > apps { // those that start at the same moment may each ask
		t.Errorf("the target was asked %d times how to log in by %d builds, and %d times by one", got, apps, greeted)
	}
	streamed, read := 0, int64(0)
	for i, img := range images {
		if img.Digest != alone.Digest {
			t.Errorf("app %d has digest %s, and alone %s", i, img.Digest, alone.Digest)
		}
		read += img.BytesRead
		for _, r := range img.Releases {
			streamed += r.BaseStreamed
		}
		if _, err := remote.Index(parse(t, img.References[0])); err != nil {
			t.Error(err)
		}
	}
	want := 0
	for _, r := range alone.Releases {
		want += r.BaseStreamed
	}
	if streamed != want || want == 0 {
		t.Errorf("%d base layers were streamed, want %d", streamed, want)
	}
	if read < down {
		t.Errorf("the builds own up to %d bytes read, and %d of base layers alone passed", read, down)
	}
}

// What a registry refuses one build is no failure of the others.
func TestBuildThatFailsTakesNoOtherOfItsSessionAlong(t *testing.T) {
	from := registry.NewProxy(t, bases(t, standin.Options{LayerSize: 1 << 20}))
	to := registry.NewProxy(t, registry.Start(t))
	// The first build that reads a base layer gives up; another one has to bring it.
	from.Inject(registry.Fault{Method: "GET", Path: "/blobs/sha256", Skip: 2, Times: 3, Status: 403})
	from.Inject(registry.Fault{Method: "GET", Path: "/manifests/", Times: 1, Status: 401})
	to.Inject(registry.Fault{Path: "/team/shop3/", Status: 403})
	d := direct(from.Host)
	d.Registry.Insecure = append(d.Registry.Insecure, to.Host)
	const apps = 8
	_, errs := together(t, d, apps, func(i int) Request {
		r := request(to.Host)
		r.References = []string{fmt.Sprintf("%s/team/shop%d:1", to.Host, i)}
		return r
	})
	failed := 0
	for i, err := range errs {
		if err != nil {
			failed++
			if !errors.As(err, new(*AuthError)) {
				t.Errorf("app %d: %v", i, err)
			}
		}
	}
	if errs[3] == nil || failed > 5 || failed == apps {
		t.Errorf("%d of %d builds failed: %v", failed, apps, errs)
	}
}

func TestSessionThatEndsEndsItsBuilds(t *testing.T) {
	from := registry.NewProxy(t, bases(t, standin.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	d := direct(from.Host)
	d.Session = NewSession(ctx, nil)
	defer d.Session.Close()
	mustBuild(t, d, request(from.Host))
	cancel()
	r := request(from.Host)
	r.References = []string{from.Host + "/other:1"}
	if _, err := d.Build(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTemporaryTellsWhatIsWorthAnotherTry(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&RegistryError{Status: 429}, true},
		{&RegistryError{Status: 503}, true},
		{&RegistryError{Status: 404}, false},
		{&RegistryError{Err: syscall.ECONNRESET}, true},
		{&RegistryError{Err: syscall.ECONNREFUSED}, true},
		{&RegistryError{Err: errors.New("certificate")}, false},
		{fmt.Errorf("app: %w", &RegistryError{Status: 500}), true},
		{&AuthError{Status: 401}, false},
		{errors.New("x"), false},
	} {
		if got := Temporary(test.err); got != test.want {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}
