package build

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// Session is what many builds share, so that each registry is asked once for what
// is the same for all: connections, the way to log in, the bases that were
// resolved, and which of its repositories has a base layer. It is safe for
// concurrent use. It grows with the number of bases, not with that of builds.
type Session struct {
	ctx       context.Context
	transport http.RoundTripper
	close     func()

	mu    sync.Mutex
	bases map[baseKey]*lookup
	blobs map[blobKey]*landing
}

// NewSession starts a session. ctx is that of reading base images, which go on to
// be read for later builds; where it ends, so do they. transport is used for every
// request; nil means a default one.
func NewSession(ctx context.Context, transport http.RoundTripper) *Session {
	w := newWire(transport)
	return &Session{
		ctx: ctx, transport: &greeter{next: w.next, said: map[string]greeting{}}, close: w.close,
		bases: map[baseKey]*lookup{}, blobs: map[blobKey]*landing{},
	}
}

// Close ends the connections that nobody uses any more.
func (s *Session) Close() { s.close() }

// baseKey is all that decides which image a base is.
type baseKey struct{ reference, scheme, digest, osVersion string }

// lookup is a base that is resolved, or is being.
type lookup struct {
	done   chan struct{}
	source source
	err    error
}

// base resolves a base, unless another build has. bytes is what this call read
// from registries. The error of another build is none of this one's: it asks again.
func (s *Session) base(ctx context.Context, reg Registry, say func(host, message string), b dockerfile.Base) (found source, bytes int64, err error) {
	if strings.HasPrefix(b.Reference, "oci:") {
		found, err = resolveOne(ctx, reg, nil, b)
		return found, 0, err
	}
	ref, err := reg.pullReference(b.Reference)
	if err != nil {
		return source{}, 0, err
	}
	key := baseKey{ref.Name(), ref.Context().Scheme(), b.Digest, b.OSVersion}
	for {
		s.mu.Lock()
		l, known := s.bases[key]
		if !known {
			l = &lookup{done: make(chan struct{})}
			s.bases[key] = l
		}
		s.mu.Unlock()
		if !known {
			bytes, err = s.look(reg, say, b, l)
			return l.source, bytes, err
		}
		select {
		case <-ctx.Done():
			return source{}, 0, ctx.Err()
		case <-l.done:
		}
		if l.err != nil {
			continue
		}
		found = l.source
		osVersion, digest := found.OSVersion, found.Digest
		found.Base = b
		found.OSVersion, found.Digest = osVersion, digest
		return found, 0, nil
	}
}

// look resolves a base for l, and tells those that wait for it.
func (s *Session) look(reg Registry, say func(host, message string), b dockerfile.Base, l *lookup) (bytes int64, err error) {
	l.err = errors.New("resolving the base ended early") // which it does by a panic only
	defer func() {
		if l.err != nil {
			s.forget(l)
		}
		close(l.done)
	}()
	// A wire of its own: what fails for one base is no failure of another.
	w := newWire(s.transport)
	w.say = say
	l.source, l.err = resolveOne(s.ctx, reg, w, b)
	l.source.shared = l
	w.say = func(string, string) {} // this build may be over when it is used again
	return w.read.Load(), l.err
}

// forget makes later builds resolve a base anew.
func (s *Session) forget(l *lookup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, other := range s.bases {
		if other == l {
			delete(s.bases, key)
		}
	}
}

// failed takes back what may be wrong after a build that a registry ended: the
// wire of a base counts failures, and a blob may have gone.
func (s *Session) failed(sources []source, repos []name.Repository, err error) {
	if !errors.As(err, new(*RegistryError)) {
		return
	}
	for _, src := range sources {
		if src.shared != nil {
			s.forget(src.shared)
		}
		s.mu.Lock()
		for _, d := range src.manifest.Layers {
			for _, repo := range repos {
				if l := s.blobs[blobKey{repo.RegistryStr(), d.Digest}]; l != nil {
					l.repos = slices.DeleteFunc(slices.Clone(l.repos), func(r name.Repository) bool { return r == repo })
				}
			}
		}
		s.mu.Unlock()
	}
}

type blobKey struct {
	registry string
	digest   v1.Hash
}

// landing is where a registry has a blob.
type landing struct {
	repos    []name.Repository // the first maxLandings
	bringing chan struct{}     // while a build brings it; closed when it is done
}

// maxLandings bounds the repositories that are remembered for a blob. One is enough
// to mount it from; more spare a question where several apps share a repository.
const maxLandings = 16

// land says where the registry of repo has a blob: in repo itself (here), or in
// another repository that it can be mounted from. Where it is not known to have it,
// from is nil and the caller brings it; with alone set, others that ask meanwhile
// wait for it, so that it passes the network once. done has to be called with what
// became of it, unless here.
func (s *Session) land(ctx context.Context, repo name.Repository, digest v1.Hash, alone bool) (from *name.Repository, here bool, done func(ok bool), err error) {
	key := blobKey{repo.RegistryStr(), digest}
	for {
		s.mu.Lock()
		l := s.blobs[key]
		if l == nil {
			l = &landing{}
			s.blobs[key] = l
		}
		if slices.Contains(l.repos, repo) {
			s.mu.Unlock()
			return nil, true, nil, nil
		}
		wait := l.bringing
		switch {
		case len(l.repos) > 0:
			from, wait = &l.repos[0], nil
		case alone && wait == nil:
			mine := make(chan struct{})
			l.bringing = mine
			s.mu.Unlock()
			return nil, false, func(ok bool) {
				s.landed(l, repo, ok)
				s.mu.Lock()
				l.bringing = nil
				s.mu.Unlock()
				close(mine)
			}, nil
		case !alone:
			wait = nil
		}
		s.mu.Unlock()
		if wait == nil {
			return from, false, func(ok bool) { s.landed(l, repo, ok) }, nil
		}
		select {
		case <-ctx.Done():
			return nil, false, nil, ctx.Err()
		case <-wait:
		}
	}
}

func (s *Session) landed(l *landing, repo name.Repository, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok && len(l.repos) < maxLandings && !slices.Contains(l.repos, repo) {
		l.repos = append(slices.Clip(l.repos), repo)
	}
}

// greeter asks each registry once how to log in (GET /v2/), which go-containerregistry
// does anew for every repository.
type greeter struct {
	next http.RoundTripper
	mu   sync.Mutex
	said map[string]greeting
}

type greeting struct {
	status int
	header http.Header
	err    error // that of a registry which speaks plain http, asked by https
}

// RoundTrip implements http.RoundTripper.
func (g *greeter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.URL.Path != "/v2/" || req.URL.RawQuery != "" || req.Header.Get("Authorization") != "" {
		return g.next.RoundTrip(req)
	}
	key := req.URL.Scheme + "://" + req.URL.Host
	g.mu.Lock()
	said, known := g.said[key]
	g.mu.Unlock()
	if known && said.err != nil {
		return nil, said.err
	} else if known {
		return &http.Response{
			Status: http.StatusText(said.status), StatusCode: said.status, Header: said.header.Clone(),
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, Request: req,
		}, nil
	}
	resp, err := g.next.RoundTrip(req)
	switch {
	case err != nil && strings.Contains(err.Error(), plainHTTP):
		said = greeting{err: err}
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != "":
		said = greeting{status: resp.StatusCode, header: resp.Header.Clone()}
	default:
		return resp, nil
	}
	g.mu.Lock()
	g.said[key] = said
	g.mu.Unlock()
	return resp, err
}
