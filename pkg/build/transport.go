package build

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const (
	// retries and longestWait bound what a registry can make us wait.
	retries     = 5
	longestWait = time.Minute
	// writeBuffer is what goes into one write to a registry: with Go's 4 KB an
	// upload on loopback takes several times as long.
	writeBuffer = 1 << 18
)

// wire counts bytes of bodies and honours Retry-After.
type wire struct {
	next          http.RoundTripper
	read, written atomic.Int64
	close         func()
}

func newWire(next http.RoundTripper) *wire {
	if next != nil {
		return &wire{next: next, close: func() {}}
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       writeBuffer,
		ReadBufferSize:        writeBuffer,
	}
	return &wire{next: t, close: t.CloseIdleConnections}
}

// options are those of every request.
func (w *wire) options(ctx context.Context, reg Registry) []remote.Option {
	keychain := reg.Keychain
	if keychain == nil {
		keychain = Keychain()
	}
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(w),
		remote.WithAuthFromKeychain(keychain),
		remote.WithRetryPredicate(worthRetrying),
		remote.WithRetryBackoff(remote.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: retries}),
		remote.WithUserAgent("winpack"),
	}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		out := req.Clone(req.Context())
		if req.Body != nil && req.Body != http.NoBody {
			if attempt > 1 {
				body, err := req.GetBody()
				if err != nil {
					return nil, err
				}
				out.Body = body
			}
			out.Body = &countedBody{out.Body, &w.written}
			// Without it net/http would replay the body uncounted.
			out.GetBody = nil
		}
		resp, err := w.next.RoundTrip(out)
		if err != nil {
			return nil, err
		}
		resp.Body = &countedBody{resp.Body, &w.read}
		wait := retryAfter(resp)
		if wait == 0 || attempt == retries {
			return resp, nil
		}
		// A blob's session starts anew, from above; all else is simply asked again.
		again := req.Method != http.MethodPatch && (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
		timer := time.NewTimer(wait)
		select {
		case <-req.Context().Done():
			timer.Stop()
			resp.Body.Close()
			return nil, req.Context().Err()
		case <-timer.C:
		}
		if !again {
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<16)
		resp.Body.Close()
	}
}

// retryAfter is how long a busy registry asks to wait, 0 where it doesn't ask or
// asks for too much.
func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := resp.Header.Get("Retry-After")
	wait := time.Duration(0)
	if s, err := strconv.Atoi(text); err == nil && s > 0 && s <= int(longestWait/time.Second) {
		wait = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	if wait < 0 || wait > longestWait {
		return 0
	}
	return wait
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// again calls f until it succeeds, fails for good, or was called often enough. It
// is for answers that break off in their body, which remote does not ask for again.
func again(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == retries || !worthRetrying(err) {
			return err
		}
		timer := time.NewTimer(time.Duration(attempt) * 300 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
