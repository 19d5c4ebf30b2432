package build

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// move is how a base layer got into a repository.
type move int

const (
	moveNone     move = iota
	moveMounted       // it was there, or the registry mounted it
	moveStreamed      // it went through here
)

// baseMoves notes what became of each base layer in one repository.
type baseMoves struct {
	mu sync.Mutex
	by map[v1.Hash]move
}

func (m *baseMoves) of(h v1.Hash) move {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.by[h]
}

func (m *baseMoves) set(h v1.Hash, how move) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.by[h] = how
}

// baseLayer is a layer of a base; it notes when it is asked for its content.
type baseLayer struct {
	v1.Layer
	desc v1.Descriptor
	open func()
	tell func(done, total int64)
	read *atomic.Int64 // counts the bytes, where not nil
}

func (l *baseLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *baseLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *baseLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *baseLayer) Compressed() (io.ReadCloser, error) {
	l.open()
	r, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	if l.read != nil {
		r = &countedBody{ReadCloser: r, n: l.read, alive: func() {}}
	}
	return &countedReader{ReadCloser: r, total: l.desc.Size, tell: l.tell}, nil
}

// pushBases brings the base layers: those that are there stay, those that the
// registry has elsewhere are mounted, the others go through here, without disk.
func (j *job) pushBases(ctx context.Context, g *errgroup.Group, pusher *remote.Pusher, repo name.Repository, earlier []name.Repository) {
	moves := &baseMoves{by: map[v1.Hash]move{}}
	j.moved[repo.Name()] = moves
	for _, s := range j.sources {
		layers, err := s.image.Layers()
		if err != nil {
			g.Go(func() error { return err })
			return
		}
		for i, d := range s.manifest.Layers {
			if !d.MediaType.IsDistributable() && len(d.URLs) > 0 || moves.of(d.Digest) != moveNone {
				continue
			}
			moves.set(d.Digest, moveMounted)
			b := &baseLayer{Layer: layers[i], desc: d, tell: j.counted("base", d.Digest.String()), open: func() {
				moves.set(d.Digest, moveStreamed)
				j.say("base", d.Digest.String(), "streaming base layer %s, %s", d.Digest, megabytes(d.Size))
			}}
			// It was uploadable where it was; the media type is of no weight here.
			b.desc.MediaType = types.OCILayer
			from := s.ref
			if from == nil || from.Context().RegistryStr() != repo.RegistryStr() {
				// It stands in this registry since the repository before was filled.
				for _, e := range earlier {
					if e.RegistryStr() == repo.RegistryStr() {
						from = e.Digest(d.Digest.String())
					}
				}
			}
			if s.shared != nil {
				b.read = &j.shared // its wire is not this build's
			}
			g.Go(func() (err error) {
				defer caught(&err)
				if err := j.bring(ctx, pusher, repo, b, from); err != nil {
					return registryError("bringing base layer "+d.Digest.String()+" to", repo.Name(), repo.RegistryStr(), err)
				}
				return nil
			})
		}
	}
}

// bring puts a base layer into a repository, mounted from another where one has it.
func (j *job) bring(ctx context.Context, pusher *remote.Pusher, repo name.Repository, b *baseLayer, from name.Reference) error {
	arrived := false
	if j.session != nil {
		// Of a base of the same registry each build mounts the layers by itself.
		mount := from != nil && from.Context().RegistryStr() == repo.RegistryStr()
		other, here, done, err := j.session.land(ctx, repo, b.desc.Digest, !mount)
		if err != nil || here {
			return err
		}
		defer func() { done(arrived) }()
		if !mount && other != nil {
			from = other.Digest(b.desc.Digest.String())
		}
	}
	var l v1.Layer = b
	if from != nil {
		l = &remote.MountableLayer{Layer: b, Reference: from}
	}
	err := pusher.Upload(uploading(ctx, b.desc.Digest.String()), repo, l)
	arrived = err == nil
	return err
}

func (j *job) sayMoved(repo name.Repository) {
	var mounted, streamed int
	m := j.moved[repo.Name()]
	m.mu.Lock()
	for _, how := range m.by {
		if how == moveStreamed {
			streamed++
		} else {
			mounted++
		}
	}
	m.mu.Unlock()
	j.say("base", repo.Name(), "base layers in %s: %d present or mounted, %d streamed", repo.Name(), mounted, streamed)
}
