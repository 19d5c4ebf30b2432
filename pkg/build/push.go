package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// push sends layers, configurations and manifests to every repository, then tags.
// Nothing is tagged before everything below is there.
func (j *job) push(ctx context.Context) (finished, bool, error) {
	pusher, err := remote.NewPusher(j.wire.options(ctx, j.reg)...)
	if err != nil {
		return finished{}, false, err
	}
	former, err := j.former(ctx)
	if err != nil {
		return finished{}, false, err
	}
	repos := j.repositories()
	var done finished
	for i, repo := range repos {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(5)
		// The app's layer first: it takes longest, and refused logins show at once.
		if j.layer != nil {
			g.Go(func() (err error) {
				defer caught(&err)
				return j.pushApp(gctx, pusher, repo, repos[0], i > 0)
			})
		}
		j.pushBases(gctx, g, pusher, repo, repos[:i])
		if err := g.Wait(); err != nil {
			return finished{}, false, j.named(repo, err)
		}
		if done, err = j.finish(); err != nil {
			return finished{}, false, err
		}
		known := func(ref name.Reference) bool {
			return ref.Context() == repo && former[ref.Name()] == done.top.desc.Digest
		}
		if !slices.ContainsFunc(j.refs, known) { // else its manifests are there
			if err := j.pushDocuments(ctx, pusher, repo, done); err != nil {
				return finished{}, false, j.named(repo, err)
			}
		}
		j.sayMoved(repo)
	}
	for _, ref := range j.refs {
		if former[ref.Name()] == done.top.desc.Digest {
			continue
		}
		if err := pusher.Put(ctx, ref, done.top); err != nil {
			return finished{}, false, registryError("pushing", ref.Name(), ref.Context().RegistryStr(), err)
		}
		j.say("push", shownName(ref), "%s is %s", shownName(ref), done.top.desc.Digest)
	}
	unchanged := true
	for _, ref := range j.refs {
		unchanged = unchanged && former[ref.Name()] == done.top.desc.Digest
	}
	return done, unchanged, nil
}

// repositories are those of the references, each once.
func (j *job) repositories() []name.Repository {
	var repos []name.Repository
	for _, ref := range j.refs {
		if !slices.Contains(repos, ref.Context()) {
			repos = append(repos, ref.Context())
		}
	}
	return repos
}

// named gives an error of a registry its name, and leaves those of the app alone.
func (j *job) named(repo name.Repository, err error) error {
	var app *appError
	if errors.As(err, &app) {
		return app.error
	}
	var auth *AuthError
	var reg *RegistryError
	var damaged *DamagedError
	if errors.As(err, &auth) || errors.As(err, &reg) || errors.As(err, &damaged) {
		return err
	}
	return registryError("pushing to", repo.Name(), repo.RegistryStr(), err)
}

// appError is an error of the app's files, met while they were uploaded.
type appError struct{ error }

// former asks what the tags hold now, by their names. Where winpack made one with the
// very layer, in the form of today, the layer is taken as it is there.
func (j *job) former(ctx context.Context) (map[string]v1.Hash, error) {
	out := map[string]v1.Hash{}
	for _, ref := range j.refs {
		var desc *remote.Descriptor
		err := again(ctx, func() (err error) {
			desc, err = remote.Get(ref, j.wire.options(ctx, j.reg)...)
			return err
		})
		if err != nil {
			var status *RegistryError
			err = registryError("reading", ref.Name(), ref.Context().RegistryStr(), err)
			// It is not there, or this login may push and not pull; pushing tells more.
			if errors.As(err, new(*AuthError)) || errors.As(err, &status) && status.Status >= 400 && !busy(status.Status) {
				continue
			}
			return nil, err
		}
		out[ref.Name()] = desc.Digest
		// Mounting works within a registry only.
		if j.layer == nil || j.app != nil || ref.Context() != j.refs[0].Context() {
			continue
		}
		if err := j.reuse(ctx, desc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// reuse compares the layer, uncompressed, with the last one of an image.
func (j *job) reuse(ctx context.Context, desc *remote.Descriptor) error {
	var img v1.Image
	candidates := []candidate{{open: desc.Image}}
	if desc.MediaType.IsIndex() {
		idx, err := desc.ImageIndex()
		if err == nil {
			candidates, err = fromIndex(idx, 0)
		}
		if err != nil {
			return nil // not ours
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	img, err := candidates[0].open()
	if err != nil {
		return ctx.Err()
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return ctx.Err()
	}
	m, err := img.Manifest()
	if err != nil {
		return ctx.Err()
	}
	n := len(m.Layers)
	ours := len(cfg.History) > 0 && cfg.History[len(cfg.History)-1].CreatedBy == createdBy()
	if !ours || n == 0 || n != len(cfg.RootFS.DiffIDs) || m.Layers[n-1].MediaType != types.OCILayer {
		return nil
	}
	diffID, err := j.layer.Hash(ctx)
	if err != nil {
		return err
	}
	if diffID == cfg.RootFS.DiffIDs[n-1] {
		d := m.Layers[n-1]
		j.app = &blob{v1.Descriptor{MediaType: d.MediaType, Size: d.Size, Digest: d.Digest}, diffID}
	}
	return nil
}

// upload is the app's layer on its way: the digest may not be known yet.
type upload struct {
	ctx   context.Context
	layer *winlayer.Layer
	known *blob

	mu  sync.Mutex
	err error // of the app's files
}

func (u *upload) Digest() (v1.Hash, error) {
	if u.known != nil {
		return u.known.desc.Digest, nil
	}
	return u.layer.Digest()
}

func (u *upload) Size() (int64, error) {
	if u.known != nil {
		return u.known.desc.Size, nil
	}
	return u.layer.Size()
}

func (u *upload) DiffID() (v1.Hash, error)             { return u.layer.DiffID() }
func (u *upload) MediaType() (types.MediaType, error)  { return types.OCILayer, nil }
func (u *upload) Uncompressed() (io.ReadCloser, error) { return u.layer.Uncompressed() }
func (u *upload) Compressed() (io.ReadCloser, error) {
	return &uploadReader{u.layer.Stream(u.ctx), u}, nil
}

type uploadReader struct {
	io.ReadCloser
	u *upload
}

func (r *uploadReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	// A cancelled context is the way's fault, not the app's.
	if err != nil && err != io.EOF && r.u.ctx.Err() == nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, context.Canceled) {
		r.u.mu.Lock()
		if r.u.err == nil {
			r.u.err = err
		}
		r.u.mu.Unlock()
		// Hidden from the retries: a second reading would fail as well.
		err = &appError{fmt.Errorf("%s", err.Error())}
	}
	return n, err
}

func (j *job) pushApp(ctx context.Context, pusher *remote.Pusher, repo, first name.Repository, again bool) error {
	u := &upload{ctx: ctx, layer: j.layer, known: j.app}
	var l v1.Layer = u
	if again && repo.RegistryStr() == first.RegistryStr() {
		digest, err := u.Digest()
		if err != nil {
			return err
		}
		l = &remote.MountableLayer{Layer: u, Reference: first.Digest(digest.String())}
	}
	err := pusher.Upload(uploading(ctx, "app"), repo, l)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return &appError{u.err}
	}
	return err
}

// RawManifest and MediaType make an artifact something to push.
func (a artifact) RawManifest() ([]byte, error)        { return a.raw, nil }
func (a artifact) MediaType() (types.MediaType, error) { return a.desc.MediaType, nil }

// pushDocuments sends configurations, and the manifests that an index names.
func (j *job) pushDocuments(ctx context.Context, pusher *remote.Pusher, repo name.Repository, done finished) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, r := range done.releases {
		g.Go(func() (err error) {
			defer caught(&err)
			if err := pusher.Upload(uploading(ctx, r.configFile.desc.Digest.String()), repo, static.NewLayer(r.configFile.raw, types.OCIConfigJSON)); err != nil {
				return err
			}
			if len(done.releases) == 1 {
				return nil
			}
			return pusher.Put(ctx, repo.Digest(r.image.desc.Digest.String()), r.image)
		})
	}
	return g.Wait()
}
