package build

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
)

// The layers that retry lie on each other; together they ask as often as one.
func TestRegistryThatIsAlwaysBusyIsAskedAFewTimesOnly(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		for _, method := range []string{"GET", "PATCH"} {
			from := bases(t, standin.Options{})
			to := registry.NewProxy(t, registry.Start(t))
			to.Inject(registry.Fault{Method: method, Status: status, Times: 1 << 20})
			_, err := direct(from).Build(t.Context(), request(to.Host))
			var reg *RegistryError
			if !errors.As(err, &reg) || reg.Status != status || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %d: %v", method, status, err)
			}
			asked := map[string]int{}
			for _, r := range to.Requests() {
				asked[r.Method+" "+sessionless(r.Path)]++
			}
			for what, times := range asked {
				limit := retries
				if strings.HasSuffix(what, "/blobs/uploads/") {
					limit *= 5 // the layers of two bases and the app's, each by itself
				}
				if strings.HasPrefix(what, method+" ") && times > limit {
					t.Errorf("%d: %s was asked %d times", status, what, times)
				}
			}
		}
	}
}

// silentHost takes connections and answers nothing.
func silentHost(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
	})
	return ln.Addr().String()
}

func TestRegistryThatNeverAnswersIsGivenUp(t *testing.T) {
	host := silentHost(t)
	w := newWire(nil)
	defer w.close()
	w.answer, w.transfer = 50*time.Millisecond, 100*time.Millisecond
	var said atomic.Int32
	w.say = func(host, message string) { said.Add(1) } // from several goroutines
	b := shopPlan("ltsc2022").Bases[0]
	b.Reference = host + "/shop/base:1"
	_, err := resolveOne(t.Context(), Registry{Insecure: []string{host}}, w, b)
	var reg *RegistryError
	if !errors.As(err, &reg) || !strings.Contains(err.Error(), "sent nothing") {
		t.Errorf("got %v", err)
	}
	if said.Load() == 0 {
		t.Error("nobody was told that something is waited for")
	}
}

// A registry may send a manifest without end, which is read into memory.
func TestManifestWithoutEndIsGivenUp(t *testing.T) {
	var sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		rw.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		piece := bytes.Repeat([]byte(" "), 1<<16)
		for {
			n, err := rw.Write(piece)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	w := newWire(nil)
	defer w.close()
	b := shopPlan("ltsc2022").Bases[0]
	b.Reference = host + "/shop/base:1"
	_, err := resolveOne(t.Context(), Registry{Insecure: []string{host}}, w, b)
	if err == nil || !strings.Contains(err.Error(), "a manifest of more than 8 MB") {
		t.Errorf("got %v", err)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d MB were taken", n>>20)
	}
}
