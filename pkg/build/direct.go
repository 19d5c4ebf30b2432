package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/detect/learned"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Direct builds images without a daemon: it writes the Windows layer itself and
// leaves the base layers where they are.
type Direct struct {
	Registry Registry
	// Session is what this build shares with others; nil where it stands alone. Its
	// transport is used, not that of Registry.
	Session *Session
	// Engine takes the image of an Output of type docker without Dest.
	Engine Docker
	// Learned gives what was learned of a base image by its digest, nil where nothing
	// was. The access lists of the base's folders come from there then.
	Learned func(digest string) (*learned.Contents, error)
}

// Check implements Builder.
func (d Direct) Check(req Request) error {
	if req.Isolation != "" {
		return &CannotError{"--isolation", builderDirect, "it runs nothing", []string{builderDocker}}
	}
	if slices.ContainsFunc(req.Outputs, func(o Output) bool { return o.Type == "docker" && o.Dest == "" }) {
		_, err := d.Engine.address()
		return err
	}
	return nil
}

// builderDirect names the builder in messages and metadata.
const builderDirect = "direct"

// job is one run of Build.
type job struct {
	reg     Registry
	session *Session     // nil where the build shares nothing
	shared  atomic.Int64 // bytes read by wires of the session
	engine  Docker
	learned func(digest string) (*learned.Contents, error) // nil where nothing is
	wire    *wire
	req     Request
	refs    []name.Reference
	sources []source
	omitted []dockerfile.Omitted
	layer   *winlayer.Layer // nil where the plan puts nothing into the image
	app     *blob           // nil until known, or where layer is
	created time.Time
	moved   map[string]*baseMoves // by repository
	// saved reads blobs again from the outputs that are written.
	saved  []func(v1.Hash) (io.ReadCloser, error)
	phases map[string]time.Duration
}

// Build makes the image and sends it to every destination of the request. A plan
// that has to run commands on Windows fails with an UnsupportedError, a login that
// is missing or wrong with an AuthError, other answers of a registry with a
// RegistryError. When ctx ends nothing goes on in the background, and what was
// being written to disk is removed.
func (d Direct) Build(ctx context.Context, req Request) (Image, error) {
	start := time.Now()
	if err := d.Supports(req.Plan); err != nil {
		return Image{}, err
	}
	transport := d.Registry.Transport
	if d.Session != nil {
		transport = d.Session.transport
	}
	j := &job{reg: d.Registry, session: d.Session, req: req, engine: d.Engine, learned: d.Learned, wire: newWire(transport), moved: map[string]*baseMoves{}, phases: map[string]time.Duration{}}
	j.wire.say = func(host, message string) { j.say("wait", host, "%s: %s", host, message) }
	defer j.wire.close()
	if err := j.check(); err != nil {
		return Image{}, err
	}
	img, err := j.run(ctx)
	if err != nil {
		if j.session != nil {
			j.session.failed(j.sources, j.repositories(), err)
		}
		if ctx.Err() != nil {
			return Image{}, ctx.Err()
		}
		return Image{}, err
	}
	img.BytesRead, img.BytesWritten = j.wire.read.Load()+j.shared.Load(), j.wire.written.Load()
	img.Durations, img.Phases = time.Since(start), j.phases
	j.event(Event{Stage: "done", Name: img.Digest}) // without a message: the caller says what came out
	return img, nil
}

// check refuses what can be refused before anything is asked or read.
func (j *job) check() error {
	for _, text := range j.req.References {
		ref, err := j.reg.parse(text)
		if err != nil {
			return err
		}
		if _, ok := ref.(name.Tag); !ok {
			return fmt.Errorf("reference %q: an image is pushed under a tag, not a digest", text)
		}
		j.refs = append(j.refs, ref)
	}
	if j.req.Push && len(j.refs) == 0 {
		return errors.New("pushing needs a reference; give one with -t")
	}
	for _, o := range j.req.Outputs {
		if o.Type != "oci" && o.Type != "docker" {
			return fmt.Errorf("output type %q: winpack writes oci and docker", o.Type)
		}
		if err := o.Check(); err != nil {
			return err
		}
		if !j.req.DryRun {
			if err := o.try(); err != nil {
				return err
			}
		}
		for _, b := range j.req.Plan.Bases {
			if dir, ok := strings.CutPrefix(b.Reference, "oci:"); ok && !o.Tar && samePath(dir, o.Dest) {
				return fmt.Errorf("output %q is the layout of the base image, which it would replace: name another folder", o.Dest)
			}
		}
	}
	if len(j.req.Plan.Bases) == 0 {
		return errors.New("the plan has no base image; give one with --base")
	}
	return CheckAnnotations(j.req.Annotations, len(j.req.Plan.Bases))
}

func (j *job) run(ctx context.Context) (Image, error) {
	bases, err := wanted(j.req.Plan.Bases, j.req.Platforms)
	if err != nil {
		return Image{}, err
	}
	start := time.Now()
	host, err := j.loadHost(ctx)
	if err != nil {
		return Image{}, err
	}
	if j.sources, j.omitted, err = resolve(bases, j.req.Optional, func(b dockerfile.Base) (source, error) { return j.base(ctx, b) }); err != nil {
		return Image{}, err
	}
	for _, o := range j.omitted {
		j.say("resolve", o.OS, "%s is left out: %s", o.OS, o.Why)
	}
	if !j.req.Push && !slices.ContainsFunc(j.req.Outputs, func(o Output) bool { return o.Type != "docker" || o.Dest != "" }) {
		if err := j.keepReleases(j.engine.Hosts, host); err != nil { // nothing else wants the others
			return Image{}, err
		}
	}
	if err := j.keepNeeded(host, false); err != nil {
		return Image{}, err
	}
	start = j.phase("resolve", start)
	for _, s := range j.sources {
		j.say("resolve", s.Reference, "%s is Windows %s, %s", s.Reference, s.OSVersion, s.Digest)
	}
	rows, err := j.folderRows()
	if err != nil {
		return Image{}, err
	}
	j.layer, err = appLayer(ctx, j.req.Plan, j.req.App, layerOptions{
		Rows:     rows,
		Epoch:    j.req.Epoch,
		Trees:    j.req.Trees,
		Progress: j.counted("layer", "app"),
	})
	if err != nil {
		return Image{}, err
	}
	start = j.phase("list", start)
	j.created = winlayer.FallbackTime
	if j.layer != nil {
		j.created = j.layer.Time()
	} else if j.req.Epoch != nil {
		j.created = j.req.Epoch.UTC().Truncate(time.Second)
	}

	var img Image
	var done finished
	switch {
	case j.req.Push && !j.req.DryRun:
		if done, img.Unchanged, err = j.push(ctx); err != nil {
			return Image{}, err
		}
		start = j.phase("push", start)
	case j.layer != nil && j.req.DryRun:
		// Only reading it tells its digest.
		r := j.layer.Stream(ctx)
		_, err = io.Copy(io.Discard, r)
		if err = cmp.Or(err, r.Close()); err != nil {
			return Image{}, err
		}
	}
	if !j.req.DryRun {
		for _, o := range readableFirst(j.req.Outputs) {
			one := -1
			if o.Type == "docker" {
				if one = 0; o.Dest == "" {
					one = ownRelease(j.sources, host)
				}
			}
			if done, err = j.saveLayer(ctx, o, one); err != nil {
				return Image{}, err
			}
			start = j.phase("save", start)
		}
	}
	if done.releases == nil {
		if done, err = j.finish(); err != nil {
			return Image{}, err
		}
	}
	return j.result(img, done), nil
}

// base resolves a base, with other builds where there are any.
func (j *job) base(ctx context.Context, b dockerfile.Base) (source, error) {
	if j.session == nil {
		return resolveOne(ctx, j.reg, j.wire, b)
	}
	s, read, err := j.session.base(ctx, j.reg, j.wire.say, b)
	j.shared.Add(read)
	return s, err
}

// finish assembles the image, once the layer is known.
func (j *job) finish() (finished, error) {
	if j.layer != nil && j.app == nil {
		digest, err := j.layer.Digest()
		if err != nil {
			return finished{}, err
		}
		size, err := j.layer.Size()
		if err != nil {
			return finished{}, err
		}
		diffID, err := j.layer.DiffID()
		if err != nil {
			return finished{}, err
		}
		j.app = &blob{v1.Descriptor{MediaType: types.OCILayer, Size: size, Digest: digest}, diffID}
	}
	return assemble(j.sources, j.req, j.app, j.created)
}

func (j *job) result(img Image, done finished) Image {
	img.Omitted = j.omitted
	img.Digest = digestText(done.top.desc.Digest)
	img.MediaType = string(done.top.desc.MediaType)
	img.Size = done.top.desc.Size
	for _, ref := range j.refs {
		img.References = append(img.References, shownName(ref))
	}
	for _, r := range done.releases {
		out := Release{
			OS: r.OS, OSVersion: r.OSVersion,
			Base: r.Reference, BaseDigest: r.Digest,
			Digest: digestText(r.image.desc.Digest), ConfigDigest: digestText(r.configFile.desc.Digest),
			BaseLayers: len(r.manifest.Layers),
		}
		if r.ref != nil {
			out.BaseReference = shownName(r.ref)
		}
		for _, d := range r.layers {
			out.Size += d.Size
		}
		if j.app != nil {
			out.LayerDigest, out.LayerDiffID, out.LayerSize = j.app.desc.Digest.String(), j.app.diffID.String(), j.app.desc.Size
		}
		for _, d := range r.manifest.Layers {
			how := moveNone
			for _, m := range j.moved {
				how = max(how, m.of(d.Digest))
			}
			switch how {
			case moveStreamed:
				out.BaseStreamed++
			case moveMounted:
				out.BaseMounted++
			}
		}
		img.Releases = append(img.Releases, out)
	}
	return img
}

// digestText is empty for a digest that is not known.
func digestText(h v1.Hash) string {
	if h == (v1.Hash{}) {
		return ""
	}
	return h.String()
}

// phase adds the time since start to a phase and returns the start of the next.
func (j *job) phase(name string, start time.Time) time.Time {
	now := time.Now()
	j.phases[name] += now.Sub(start)
	return now
}

func (j *job) event(e Event) {
	if j.req.Progress != nil {
		j.req.Progress(e)
	}
}

// eventStep is how many bytes pass between two events of progress.
const eventStep = 1 << 20

// counted returns a function that tells how far something is, not for every byte. When
// something is sent again it begins anew, and may be called while the first attempt
// has not noticed its end yet.
func (j *job) counted(stage, name string) func(done, total int64) {
	var last atomic.Int64
	return func(done, total int64) {
		if before := last.Load(); done < before || done-before >= eventStep || done == total {
			last.Store(done)
			j.event(Event{Stage: stage, Name: name, Done: done, Total: total})
		}
	}
}

// countedReader tells how much of a blob has passed.
type countedReader struct {
	io.ReadCloser
	done, total int64
	tell        func(done, total int64)
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.done += int64(n)
	r.tell(r.done, r.total)
	return n, err
}

// shownName is a reference as people and other tools write it.
func shownName(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}

func (j *job) say(stage, name, format string, args ...any) {
	j.event(Event{Stage: stage, Name: name, Message: fmt.Sprintf(format, args...)})
}

func megabytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
