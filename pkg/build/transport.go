package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const (
	// retries and longestWait bound what a registry can make us wait.
	retries     = 5
	longestWait = time.Minute
	mountWait   = 300 * time.Millisecond
	// writeBuffer is what goes into one write to a registry: with Go's 4 KB an
	// upload on loopback takes several times as long.
	writeBuffer = 1 << 18
)

// wire counts bytes of bodies, honours Retry-After, and bounds how often and how
// long a registry is asked in vain: the layers above it (go-containerregistry's
// transport and uploads, and again) retry each for itself, which multiplies.
type wire struct {
	next          http.RoundTripper
	read, written atomic.Int64
	close         func()
	// say tells people that something is waited for.
	say func(host, message string)
	// answer is how long a registry may take to answer a question, and transfer
	// how long it may neither take nor give a byte, or check what it was given.
	answer, transfer time.Duration

	mu     sync.Mutex
	failed map[string]failure // by method, path and upload
}

// failure is how often something failed in a row, and how it did the last time.
type failure struct {
	times  int
	status int // 0 where there was no answer
	err    error
}

func newWire(next http.RoundTripper) *wire {
	w := &wire{
		next: next, close: func() {}, say: func(string, string) {}, failed: map[string]failure{},
		answer: 30 * time.Second, transfer: 5 * time.Minute,
	}
	if next != nil {
		return w
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
	w.next, w.close = t, t.CloseIdleConnections
	return w
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

// uploadName is the key of what a context says is uploaded.
type uploadName struct{}

// uploading marks the requests of one upload. Those of all uploads to a repository
// have the same paths, and what fails of one is no failure of another.
func uploading(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, uploadName{}, name)
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	upload, _ := req.Context().Value(uploadName{}).(string)
	key := req.Method + " " + req.URL.Host + sessionless(req.URL.Path) + " " + upload
	for attempt := 1; ; attempt++ {
		if f := w.failures(key); f.times >= retries {
			return nil, &gaveUpError{f}
		}
		body := req.Body
		if body != nil && body != http.NoBody && attempt > 1 {
			var err error
			if body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		resp, err := w.once(req, body)
		wait := time.Duration(0)
		switch {
		case err != nil && req.Context().Err() != nil:
			return nil, err
		case err != nil:
			cost := 1
			if errors.As(err, new(*silentError)) {
				cost = 2 // each takes long
			}
			w.fail(key, cost, 0, err)
			if worthRetrying(err) {
				w.say(req.URL.Host, "asking again: "+strings.Join(strings.Fields(err.Error()), " "))
			}
			return nil, err
		case busy(resp.StatusCode):
			w.fail(key, 1, resp.StatusCode, fmt.Errorf("%s answers %s", req.URL.Host, resp.Status))
			if wait = retryAfter(resp); wait == 0 && req.URL.Query().Has("mount") {
				// Above, a mount that is refused becomes a transfer of the whole blob.
				wait = mountWait << (attempt - 1)
			}
			w.say(req.URL.Host, fmt.Sprintf("asking again: the registry answers %s", resp.Status))
		default:
			w.succeed(key)
			if cannotAsk(req, resp.StatusCode) {
				resp.StatusCode, resp.Status = http.StatusNotFound, "404 Not Found"
			}
			return resp, nil
		}
		if wait == 0 || w.failures(key).times >= retries {
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

// once asks once. A registry that falls silent ends the request.
func (w *wire) once(req *http.Request, body io.ReadCloser) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	limit := w.answer
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		limit = w.transfer
	}
	silent := &silentError{req.URL.Host, limit}
	var answered atomic.Bool
	dog := time.AfterFunc(limit, func() {
		if !answered.Load() {
			cancel(silent)
		}
	})
	out := req.Clone(ctx)
	if body != nil && body != http.NoBody {
		out.Body = &countedBody{ReadCloser: body, n: &w.written, alive: func() { dog.Reset(limit) }}
		// Without it net/http would replay the body uncounted.
		out.GetBody = nil
	}
	resp, err := w.next.RoundTrip(out)
	answered.Store(true) // a body that is still read would start the timer again
	dog.Stop()
	if err != nil {
		if context.Cause(ctx) == error(silent) {
			err = silent
		}
		cancel(nil)
		return nil, err
	}
	if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/manifests/") {
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxManifest, host: req.URL.Host}
	}
	stalled := time.AfterFunc(w.transfer, func() { cancel(&silentError{req.URL.Host, w.transfer}) })
	resp.Body = &countedBody{
		ReadCloser: resp.Body, n: &w.read,
		alive: func() { stalled.Reset(w.transfer) },
		cause: func() error { return context.Cause(ctx) },
		end: func() {
			stalled.Stop()
			cancel(nil)
		},
	}
	return resp, nil
}

// maxManifest is the size that a manifest or index may have: twice what registries
// have to take (github.com/opencontainers/distribution-spec, "Pushing Manifests").
const maxManifest = 8 << 20

// cappedBody is a body that may not be longer than left: it is read into memory.
type cappedBody struct {
	io.ReadCloser
	left int64
	host string
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("%s answers with a manifest of more than %d MB, which none is", b.host, maxManifest>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	return n, err
}

// sessionless leaves out the name of an upload's session, which each attempt has
// of its own.
func sessionless(path string) string {
	const uploads = "/blobs/uploads/"
	if i := strings.LastIndex(path, uploads); i >= 0 {
		return path[:i+len(uploads)]
	}
	return path
}

// cannotAsk says that a registry does not tell whether it has a blob. Who may push and
// not pull then sends it.
func cannotAsk(req *http.Request, status int) bool {
	if req.Method != http.MethodHead || !strings.Contains(req.URL.Path, "/blobs/") {
		return false
	}
	switch status {
	case http.StatusMethodNotAllowed:
		return true
	case http.StatusUnauthorized, http.StatusForbidden: // the first 401 is the question for a login
		return req.Header.Get("Authorization") != ""
	}
	return false
}

func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
}

func (w *wire) failures(key string) failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[key]
}

func (w *wire) fail(key string, cost, status int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[key] = failure{w.failed[key].times + cost, status, err}
}

func (w *wire) succeed(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failed, key)
}

// gaveUpError ends the retries of the layers above; it is the last failure.
type gaveUpError struct{ failure }

func (e *gaveUpError) Error() string { return e.err.Error() }

// silentError is a registry that neither answers nor moves a byte.
type silentError struct {
	host  string
	limit time.Duration
}

func (e *silentError) Error() string {
	return fmt.Sprintf("%s took the connection and sent nothing for %s", e.host, e.limit)
}

// Timeout makes it worth a retry.
func (e *silentError) Timeout() bool   { return true }
func (e *silentError) Temporary() bool { return true }

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

// countedBody counts what is read of a body, and tells that it is alive.
type countedBody struct {
	io.ReadCloser
	n     *atomic.Int64
	alive func()
	cause func() error // why the request ended, nil where it did not
	end   func()
}

func (b *countedBody) Read(p []byte) (int, error) {
	b.alive()
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	if err != nil && err != io.EOF && b.cause != nil {
		if silent := (*silentError)(nil); errors.As(b.cause(), &silent) {
			err = silent
		}
	}
	b.alive()
	return n, err
}

func (b *countedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.end != nil {
		b.end()
	}
	return err
}

// again calls f until it succeeds, fails for good, or was called often enough. It
// is for answers that break off in their body, which remote does not ask for
// again. How often the registry itself is asked is bounded below.
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
