package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// gatherer takes the images that a daemon builds, one for each release, and makes
// of them what was asked for: tags, an index, saved layouts.
type gatherer struct {
	*job
	builder string
	tmp     string // a folder of ours, "" until needed
	made    []v1.Image
}

// buildEach resolves the bases and has each release built by make, which calls
// built for every one of them.
func buildEach(ctx context.Context, reg Registry, req Request, builder string, build func(context.Context, *gatherer) error) (Image, error) {
	start := time.Now()
	j := &job{reg: reg, req: req, wire: newWire(reg.Transport), moved: map[string]*baseMoves{}, phases: map[string]time.Duration{}}
	j.wire.say = func(host, message string) { j.say("wait", host, "%s: %s", host, message) }
	defer j.wire.close()
	if err := j.check(); err != nil {
		return Image{}, err
	}
	bases, err := wanted(req.Plan.Bases, req.Platforms)
	if err != nil {
		return Image{}, err
	}
	at := time.Now()
	if j.sources, j.omitted, err = resolve(bases, req.Optional, func(b dockerfile.Base) (source, error) { return j.base(ctx, b) }); err != nil {
		return Image{}, err
	}
	if err := CheckAnnotations(req.Annotations, len(j.sources)); err != nil {
		return Image{}, err
	}
	at = j.phase("resolve", at)
	for _, o := range j.omitted {
		j.say("resolve", o.OS, "%s is left out: %s", o.OS, o.Why)
	}
	for _, s := range j.sources {
		j.say("resolve", s.Reference, "%s is Windows %s, %s", s.Reference, s.OSVersion, s.Digest)
	}
	g := &gatherer{job: j, builder: builder}
	defer func() {
		if g.tmp != "" {
			os.RemoveAll(g.tmp)
		}
	}()
	if err := build(ctx, g); err != nil {
		if ctx.Err() != nil {
			return Image{}, ctx.Err()
		}
		return Image{}, err
	}
	at = j.phase("build", at)
	img, err := g.finish(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Image{}, ctx.Err()
		}
		return Image{}, err
	}
	j.phase("push", at)
	img.BytesRead, img.BytesWritten = j.wire.read.Load(), j.wire.written.Load()
	img.Durations, img.Phases = time.Since(start), j.phases
	return img, nil
}

// plan is that of one release, on the base that was resolved.
func (g *gatherer) plan(i int) dockerfile.Plan {
	s := g.sources[i]
	plan := g.req.Plan
	at := slices.IndexFunc(plan.Bases, func(b dockerfile.Base) bool { return b.OS == s.OS && b.Reference == s.Reference })
	plan = plan.ForBase(max(at, 0))
	base := s.Base
	if s.ref != nil { // of a mirror, where there is one
		base.Reference = shownName(s.ref)
		if _, pinned := s.ref.(name.Digest); pinned {
			base.Reference, base.Digest = shownName(s.ref.Context().Digest(s.Digest)), ""
		}
	}
	plan.Bases = []dockerfile.Base{base}
	// Windows does not tell variables apart by case, a builder on Linux does.
	env := map[string]string{}
	for key, value := range plan.Config.Env {
		for _, line := range s.config.Config.Env {
			if old, _, _ := strings.Cut(line, "="); strings.EqualFold(old, key) {
				key = old
			}
		}
		env[key] = value
	}
	plan.Config.Env = env
	return plan
}

// pinned is the base of a release by its digest, where it is pulled from.
func (g *gatherer) pinned(i int) string {
	s := g.sources[i]
	return shownName(s.ref.Context().Digest(s.Digest))
}

// context is what is sent for one release, and BuildKit's options that belong to it.
func (g *gatherer) context(ctx context.Context, i int) (*sent, map[string]string, error) {
	if g.sources[i].ref == nil {
		return nil, nil, fmt.Errorf("base %q is a folder, which BuildKit and an engine can't take as a base: push it to a registry, or use --builder %s", g.sources[i].Reference, builderDirect)
	}
	attrs := map[string]string{}
	if f := g.req.File; f != nil {
		s, err := fileContext(ctx, g.req)
		for key, value := range f.Args {
			attrs["build-arg:"+key] = value
		}
		for key, value := range platformArgs(g.sources[i].OSVersion) {
			// The classic builder doesn't know them, and warns of those without a use.
			if _, given := f.Args[key]; !given && bytes.Contains(f.Text, []byte(key)) {
				attrs["build-arg:"+key] = value
			}
		}
		if len(f.Images) == 0 {
			attrs["build-arg:"+dockerfile.BaseArg] = g.pinned(i)
		}
		for _, image := range f.Images {
			attrs["context:"+image] = "docker-image://" + g.pinned(i)
		}
		return s, attrs, contextError(err)
	}
	s, err := planContext(ctx, g.req, g.plan(i))
	return s, attrs, contextError(err)
}

// platformArgs are the build arguments that say what is built, as the direct builder
// has them: buildx gives them for --platform "windows(VERSION)/amd64".
func platformArgs(osVersion string) map[string]string {
	return map[string]string{
		"TARGETPLATFORM": "windows(" + osVersion + ")/" + architecture, "TARGETOS": "windows",
		"TARGETOSVERSION": osVersion, "TARGETARCH": architecture,
	}
}

// annotations are those of a release's manifest.
func (g *gatherer) annotations(i int, asked map[string]string) map[string]string {
	s := g.sources[i]
	out := map[string]string{annotationBaseDigest: s.Digest, annotationBaseName: s.Reference}
	maps.Copy(out, asked)
	return out
}

// repositories are where the image goes, each once: those over https, and those where
// the user allows plain http.
func (g *gatherer) repositories() (secure, insecure []string) {
	for _, ref := range g.refs {
		to := &secure
		if slices.Contains(g.reg.Insecure, ref.Context().RegistryStr()) {
			to = &insecure
		}
		if repo := strings.TrimSuffix(shownName(ref.Context().Tag("x")), ":x"); !slices.Contains(*to, repo) {
			*to = append(*to, repo)
		}
	}
	return secure, insecure
}

// layoutDir is a folder for the layout of one release.
func (g *gatherer) layoutDir(i int) (string, error) {
	if g.tmp == "" {
		// Beside the first output, so that it is on a disk with room for it.
		to, err := g.req.Outputs[0].place()
		if err == nil {
			g.tmp, err = g.req.Outputs[0].scratch(to)
		}
		if err != nil {
			return "", fmt.Errorf("writing %q: %w", g.req.Outputs[0].Dest, err)
		}
	}
	return filepath.Join(g.tmp, fmt.Sprint(i)), nil
}

// built takes what was made of a release: by digest from the first repository, or
// from a layout.
func (g *gatherer) built(ctx context.Context, i int, digest, dir string) error {
	if g.req.DryRun {
		return nil
	}
	if dir != "" {
		idx, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			return fmt.Errorf("reading what the builder saved: %w", err)
		}
		all, err := fromIndex(idx, 0)
		if err == nil && len(all) != 1 {
			err = fmt.Errorf("it holds %d images, not one", len(all))
		}
		var img v1.Image
		if err == nil {
			img, err = all[0].open()
		}
		if err != nil {
			return fmt.Errorf("reading what the builder saved: %w", err)
		}
		g.made = append(g.made, img)
		return nil
	}
	if digest == "" {
		return errors.New("the builder gave no digest of what it pushed")
	}
	ref := g.refs[0].Context().Digest(digest)
	var img v1.Image
	err := again(ctx, func() (err error) {
		img, err = remote.Image(ref, g.wire.options(ctx, g.reg)...)
		return err
	})
	if err != nil {
		return registryError("reading", ref.Name(), ref.Context().RegistryStr(), err)
	}
	g.made = append(g.made, img)
	return nil
}

// finish assembles what was made, checks it, tags it and saves it.
func (g *gatherer) finish(ctx context.Context) (Image, error) {
	if g.req.DryRun || len(g.made) == 0 { // an engine keeps it
		return g.unmade(), nil
	}
	done, err := g.assemble()
	if err != nil {
		return Image{}, err
	}
	if g.req.Push {
		pusher, err := remote.NewPusher(g.wire.options(ctx, g.reg)...)
		if err != nil {
			return Image{}, err
		}
		for _, ref := range g.refs {
			if err := pusher.Put(ctx, ref, done.top); err != nil {
				return Image{}, registryError("pushing", ref.Name(), ref.Context().RegistryStr(), err)
			}
			g.say("push", shownName(ref), "%s is %s", shownName(ref), done.top.desc.Digest)
		}
	}
	for _, o := range g.req.Outputs {
		if g.builder == builderDocker {
			break // the engine has saved it
		}
		saved := done
		if o.Type == "docker" {
			saved = finished{releases: done.releases[:1], top: done.releases[0].image}
		}
		if _, err := g.save(ctx, o, func(string) (finished, []content, error) {
			all, err := g.contents(saved)
			return saved, all, err
		}); err != nil {
			return Image{}, err
		}
	}
	return g.job.result(Image{}, done), nil
}

// unmade is what is known of an image without its manifests: before it is made, or
// where only an engine has it.
func (g *gatherer) unmade() Image {
	var done finished
	for _, s := range g.sources {
		done.releases = append(done.releases, release{source: s})
	}
	img := g.job.result(Image{}, done)
	img.Digest = ""
	for i := range img.Releases {
		img.Releases[i].Digest, img.Releases[i].ConfigDigest = "", ""
	}
	return img
}

// assemble reads manifests and configurations, and writes the index.
func (g *gatherer) assemble() (finished, error) {
	notes, err := splitAnnotations(g.req.Annotations)
	if err != nil {
		return finished{}, err
	}
	var done finished
	for i, img := range g.made {
		s := g.sources[i]
		cfg, err := img.ConfigFile()
		if err != nil {
			return finished{}, fmt.Errorf("reading the configuration that %s made: %w", g.builder, err)
		}
		if cfg.OS != "windows" || cfg.OSVersion != s.OSVersion {
			return finished{}, fmt.Errorf("%s made an image of %s %q, and %s %q was wanted", g.builder, cfg.OS, cfg.OSVersion, "windows", s.OSVersion)
		}
		r := release{source: s}
		m, err := img.Manifest()
		if err != nil {
			return finished{}, err
		}
		if r.image.raw, err = img.RawManifest(); err != nil {
			return finished{}, err
		}
		if r.configFile.raw, err = img.RawConfigFile(); err != nil {
			return finished{}, err
		}
		digest, err := img.Digest()
		if err != nil {
			return finished{}, err
		}
		r.image.desc = v1.Descriptor{MediaType: m.MediaType, Size: int64(len(r.image.raw)), Digest: digest}
		r.configFile.desc, r.layers = m.Config, m.Layers
		r.osFeatures = cfg.OSFeatures
		done.releases = append(done.releases, r)
	}
	done.top, err = topOf(done.releases, notes)
	return done, err
}

// contents are all blobs of what was made.
func (g *gatherer) contents(done finished) ([]content, error) {
	var out []content
	for i, r := range done.releases {
		out = append(out, bytesContent(r.configFile), bytesContent(r.image))
		layers, err := g.made[i].Layers()
		if err != nil {
			return nil, err
		}
		for n, d := range r.layers {
			if !d.MediaType.IsDistributable() && len(d.URLs) > 0 {
				continue
			}
			out = append(out, content{desc: d, open: layers[n].Compressed})
		}
	}
	return distinct(append(out, bytesContent(done.top))), nil
}

func bytesContent(a artifact) content {
	return content{desc: a.desc, open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(a.raw))), nil
	}}
}

// distinct sorts contents by digest and drops what is there twice.
func distinct(all []content) []content {
	slices.SortStableFunc(all, func(a, b content) int { return strings.Compare(a.desc.Digest.String(), b.desc.Digest.String()) })
	return slices.CompactFunc(all, func(a, b content) bool { return a.desc.Digest == b.desc.Digest })
}
