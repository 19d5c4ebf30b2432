package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// demoRegistry is an in-memory registry. With an upstream it is a pull-through
// cache as well: what stands below prefix is asked for there, and a blob that
// an upstream manifest names counts as present in every repository, but its
// bytes are fetched only when a client asks for them.
type demoRegistry struct {
	local http.Handler
	up    *upstreamRegistry
}

type upstreamRegistry struct {
	base   string // "https://host"
	prefix string // "mcr/"

	mu          sync.Mutex
	blobs       map[string]upstreamBlob
	moved       int64
	movedLayers int64
}

type upstreamBlob struct {
	repository string
	size       int64
	layer      bool
}

func newRegistry(up *upstreamRegistry) *demoRegistry {
	if up != nil {
		up.blobs = map[string]upstreamBlob{}
	}
	return &demoRegistry{local: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))), up: up}
}

// blobBytes is how many bytes of blobs clients had from upstream, configs included.
func (r *demoRegistry) blobBytes() int64 {
	r.up.mu.Lock()
	defer r.up.mu.Unlock()
	return r.up.moved
}

// layerBytes is how much of that was of layers.
func (r *demoRegistry) layerBytes() int64 {
	r.up.mu.Lock()
	defer r.up.mu.Unlock()
	return r.up.movedLayers
}

var route = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

func (r *demoRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.up == nil {
		r.local.ServeHTTP(w, req)
		return
	}
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	if m := route.FindStringSubmatch(req.URL.Path); m != nil && read {
		repository, kind, reference := m[1], m[2], m[3]
		remote, isUp := strings.CutPrefix(repository, r.up.prefix)
		switch {
		case kind == "manifests" && isUp:
			r.up.manifest(w, req, remote, reference)
			return
		case kind == "blobs":
			if blob, ok := r.up.blob(reference); ok {
				r.up.serveBlob(w, req, blob, reference)
				return
			}
		}
	}
	// A mount of an upstream blob succeeds without a byte.
	if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/blobs/uploads/") {
		digest := req.URL.Query().Get("mount")
		if _, ok := r.up.blob(digest); ok {
			w.Header().Set("Location", strings.TrimSuffix(req.URL.Path, "uploads/")+digest)
			w.Header().Set("Docker-Content-Digest", digest)
			w.WriteHeader(http.StatusCreated)
			return
		}
	}
	r.local.ServeHTTP(w, req)
}

func (u *upstreamRegistry) blob(digest string) (upstreamBlob, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok := u.blobs[digest]
	return b, ok
}

// maxManifest bounds what is read of an upstream manifest.
const maxManifest = 8 << 20

func (u *upstreamRegistry) manifest(w http.ResponseWriter, req *http.Request, repository, reference string) {
	resp, err := u.get(req.Context(), req.Method, repository, "manifests", reference, req.Header.Values("Accept"))
	if err != nil {
		upstreamFailed(w, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest))
	if err != nil {
		upstreamFailed(w, err)
		return
	}
	u.remember(repository, body)
	for _, h := range []string{"Content-Type", "Docker-Content-Digest", "Content-Length"} {
		if v := resp.Header.Get(h); v != "" {
			w.Header().Set(h, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	w.Write(body)
}

// remember notes the blobs that a manifest names. An index names none.
func (u *upstreamRegistry) remember(repository string, manifest []byte) {
	var m v1.Manifest
	if json.Unmarshal(manifest, &m) != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, d := range append(m.Layers, m.Config) {
		if d.Digest.Hex != "" {
			u.blobs[d.Digest.String()] = upstreamBlob{repository, d.Size, d.Digest != m.Config.Digest}
		}
	}
}

func (u *upstreamRegistry) serveBlob(w http.ResponseWriter, req *http.Request, blob upstreamBlob, digest string) {
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(blob.size, 10))
	if req.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	resp, err := u.get(req.Context(), http.MethodGet, blob.repository, "blobs", digest, nil)
	if err != nil {
		w.Header().Del("Content-Length")
		upstreamFailed(w, err)
		return
	}
	defer resp.Body.Close()
	io.Copy(w, &countedBody{resp.Body, u, blob.layer})
}

// countedBody counts what comes from upstream before a client can have it, so
// that whoever has a whole blob finds it counted.
type countedBody struct {
	io.Reader
	up    *upstreamRegistry
	layer bool
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.up.mu.Lock()
	defer c.up.mu.Unlock()
	c.up.moved += int64(n)
	if c.layer {
		c.up.movedLayers += int64(n)
	}
	return n, err
}

func (u *upstreamRegistry) get(ctx context.Context, method, repository, kind, reference string, accept []string) (*http.Response, error) {
	url := fmt.Sprintf("%s/v2/%s/%s/%s", u.base, repository, kind, reference)
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header["Accept"] = accept
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotFound {
		resp.Body.Close()
		return nil, fmt.Errorf("%s/%s: %w", repository, reference, errNotFound)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp, nil
}

func upstreamFailed(w http.ResponseWriter, err error) {
	code, name := http.StatusBadGateway, "UNKNOWN"
	if errors.Is(err, errNotFound) {
		code, name = http.StatusNotFound, "MANIFEST_UNKNOWN"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": name, "message": err.Error()}}})
}
