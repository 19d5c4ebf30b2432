package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/detect/learned"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Learned is what a cache holds of base images. Each is read once, for all jobs that
// share it. It is safe for concurrent use; nil holds nothing.
type Learned struct {
	cache   string
	Headers []learned.Header

	mu   sync.Mutex
	read map[string]func() (*learned.Contents, error)
}

// OpenLearned lists what a cache holds; nil where that is nothing.
func OpenLearned(cache string) (*Learned, error) {
	if cache == "" {
		return nil, nil
	}
	headers, err := learned.List(cache)
	if err != nil {
		return nil, fmt.Errorf("reading what was learned of base images: %w", err)
	}
	if len(headers) == 0 {
		return nil, nil
	}
	return &Learned{cache: cache, Headers: headers, read: map[string]func() (*learned.Contents, error){}}, nil
}

// Of is what was learned of an image; nil where nothing was.
func (l *Learned) Of(digest string) (*learned.Contents, error) {
	if l == nil || !slices.ContainsFunc(l.Headers, func(h learned.Header) bool { return h.Digest == digest }) {
		return nil, nil
	}
	l.mu.Lock()
	read := l.read[digest]
	if read == nil {
		read = sync.OnceValues(func() (*learned.Contents, error) { return learned.Load(l.cache, digest) })
		l.read[digest] = read
	}
	l.mu.Unlock()
	return read()
}

// Identity names what is known, for what depends on it; empty where that is nothing.
func (l *Learned) Identity() string {
	if l == nil {
		return ""
	}
	var words []string
	for _, h := range l.Headers {
		words = append(words, h.Reference, h.Digest)
	}
	return strings.Join(words, " ")
}

// bases are the learned images that detection is to use: of each reference and release
// the newest. Where the user names a base, and it was learned, no other of its family.
func (l *Learned) bases(catalog dockerfile.Catalog, base string) []detect.Base {
	if l == nil {
		return nil
	}
	newest := map[string]learned.Header{}
	for _, h := range l.Headers {
		for _, r := range catalog.Releases {
			if !strings.HasPrefix(h.OSVersion, r.OSVersion+".") {
				continue
			}
			key := h.Reference + " " + r.ID
			if old, ok := newest[key]; !ok || build.CompareOSVersions(h.OSVersion, old.OSVersion) > 0 {
				newest[key] = h
			}
		}
	}
	named := map[string]bool{} // families and releases of the base that is named
	for key, h := range newest {
		if h.Reference == base {
			named[h.Family+key[strings.LastIndexByte(key, ' '):]] = true
		}
	}
	var out []detect.Base
	for key, h := range newest {
		os := key[strings.LastIndexByte(key, ' ')+1:]
		if h.Reference != base && named[h.Family+" "+os] {
			continue
		}
		digest := h.Digest
		out = append(out, detect.Base{
			LearnedBase: detect.LearnedBase{OS: os, Family: h.Family, Reference: h.Reference, Digest: digest},
			Contents:    func() (*learned.Contents, error) { return l.Of(digest) },
		})
	}
	return out // detection puts them in order
}

// detectOptions are those of detection.
func (job Job) detectOptions(name string) (detect.Options, error) {
	opt := detect.Options{Name: name, Limits: job.Limits, Maps: job.Maps, Closure: job.Closure}
	if job.Learned == nil {
		return opt, nil
	}
	catalog, err := job.catalog()
	if err != nil {
		return opt, err
	}
	opt.Bases = job.Learned.bases(catalog, job.Base)
	if opt.OS = job.OS; len(opt.OS) == 0 {
		opt.OS = dockerfile.DefaultOS()
	}
	for _, r := range catalog.Releases {
		opt.Releases = append(opt.Releases, r.ID)
	}
	return opt, nil
}
