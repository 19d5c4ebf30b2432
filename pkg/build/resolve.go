package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// architecture is the only one that Windows applications' base images all have.
const architecture = "amd64"

// source is one base image, resolved.
type source struct {
	dockerfile.Base
	image    v1.Image
	ref      name.Reference // where it was pulled from; nil for a local layout
	config   *v1.ConfigFile
	manifest *v1.Manifest
	shared   *lookup // where other builds use it too
}

// Resolve finds the one image that each base means now and returns the bases with
// Digest (of that image, not of an index) and the full OSVersion set. Where an
// image index has several revisions of the wanted Windows build, the newest is
// taken. Of optional bases those that are not published are left out, as long as
// one is. No layer is read.
func Resolve(ctx context.Context, reg Registry, bases []dockerfile.Base, optional bool) ([]dockerfile.Base, []dockerfile.Omitted, error) {
	out, _, omitted, err := ResolveImages(ctx, reg, bases, optional)
	return out, omitted, err
}

// ResolveImages is Resolve, and gives the configuration of each image too.
func ResolveImages(ctx context.Context, reg Registry, bases []dockerfile.Base, optional bool) ([]dockerfile.Base, []dockerfile.ImageConfig, []dockerfile.Omitted, error) {
	w := newWire(reg.Transport)
	defer w.close()
	sources, omitted, err := resolve(bases, optional, func(b dockerfile.Base) (source, error) { return resolveOne(ctx, reg, w, b) })
	if err != nil {
		return nil, nil, nil, err
	}
	out, images := make([]dockerfile.Base, len(sources)), make([]dockerfile.ImageConfig, len(sources))
	for i, s := range sources {
		out[i] = s.Base
		c := s.config.Config
		images[i] = dockerfile.ImageConfig{
			Env: c.Env, WorkingDir: c.WorkingDir, User: c.User, Shell: c.Shell,
			Entrypoint: c.Entrypoint, Cmd: c.Cmd, ArgsEscaped: c.ArgsEscaped,
		}
	}
	return out, images, omitted, nil
}

// UnpublishedError is a base that a registry lacks for a release.
type UnpublishedError struct {
	Err error
	// Releases says that the registry has the image, for other releases.
	Releases bool
}

func (e *UnpublishedError) Error() string { return e.Err.Error() }
func (e *UnpublishedError) Unwrap() error { return e.Err }

// resolve finds the image of each base by one. Of optional ones those that are not
// published are left out, as long as one is.
func resolve(bases []dockerfile.Base, optional bool, one func(dockerfile.Base) (source, error)) ([]source, []dockerfile.Omitted, error) {
	found, errs := make([]source, len(bases)), make([]error, len(bases))
	// The images go on to use ctx when their layers are read: it is not the group's.
	var g errgroup.Group
	g.SetLimit(4)
	for i, b := range bases {
		g.Go(func() error {
			defer caught(&errs[i])
			found[i], errs[i] = one(b)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	var out []source
	var omitted []dockerfile.Omitted
	for i, err := range errs {
		switch {
		case err == nil:
			out = append(out, found[i])
		case optional && errors.As(err, new(*UnpublishedError)):
			omitted = append(omitted, dockerfile.Omitted{OS: bases[i].OS, Why: err.Error()})
		default:
			return nil, nil, err
		}
	}
	if len(out) == 0 && len(errs) > 0 {
		return nil, nil, errs[0]
	}
	seen := map[string]string{}
	for _, s := range out {
		if other, ok := seen[s.OSVersion]; ok {
			return nil, nil, fmt.Errorf("resolving %q: it is Windows build %s, which %q is already: an index holds one image per build, so name each release once", s.Reference, s.OSVersion, other)
		}
		seen[s.OSVersion] = s.Reference
	}
	return out, omitted, nil
}

func resolveOne(ctx context.Context, reg Registry, w *wire, b dockerfile.Base) (source, error) {
	var candidates []candidate
	var ref name.Reference
	if dir, ok := strings.CutPrefix(b.Reference, "oci:"); ok {
		idx, err := layout.ImageIndexFromPath(dir)
		if err == nil {
			candidates, err = fromIndex(idx, 0)
		}
		if err != nil {
			return source{}, fmt.Errorf("reading base image %q: %w; is it an OCI layout folder?", b.Reference, err)
		}
		for i, c := range candidates {
			candidates[i].open = func() (v1.Image, error) {
				img, err := c.open()
				if err != nil {
					return nil, err
				}
				return newLocalImage(img, b.Reference)
			}
		}
	} else {
		var err error
		if ref, err = reg.pullReference(b.Reference); err != nil {
			return source{}, err
		}
		if b.Digest != "" && !strings.Contains(ref.Name(), "@") {
			ref = ref.Context().Digest(b.Digest)
		}
		err = again(ctx, func() error {
			candidates, err = fromRegistry(ref, w.options(ctx, reg))
			return err
		})
		if err != nil {
			shown := b.Reference
			own, parseErr := reg.parse(b.Reference)
			mirrored := parseErr == nil && own.Context() != ref.Context()
			if mirrored {
				shown += " (from " + ref.Name() + ")"
			}
			err = registryError("pulling", shown, ref.Context().RegistryStr(), err)
			if reg := (*RegistryError)(nil); errors.As(err, &reg) && reg.Status == http.StatusNotFound {
				reg.Mirrored = mirrored
				err = &UnpublishedError{Err: err}
			}
			return source{}, err
		}
	}
	s, err := choose(ctx, b, candidates)
	s.ref = ref
	return s, err
}

// candidate is one image of a base; platform is the index's word on it.
type candidate struct {
	platform *v1.Platform
	open     func() (v1.Image, error)
}

func fromRegistry(ref name.Reference, opts []remote.Option) ([]candidate, error) {
	desc, err := remote.Get(ref, opts...)
	if err != nil {
		return nil, err
	}
	if desc.MediaType.IsIndex() {
		idx, err := desc.ImageIndex()
		if err != nil {
			return nil, err
		}
		return fromIndex(idx, 0)
	}
	return []candidate{{open: desc.Image}}, nil
}

// fromIndex lists the images of an index. Indexes in indexes are what layouts have.
func fromIndex(idx v1.ImageIndex, depth int) ([]candidate, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	if depth > 3 {
		return nil, errors.New("indexes are nested too deep")
	}
	var out []candidate
	for _, d := range m.Manifests {
		switch {
		case d.MediaType.IsIndex():
			child, err := idx.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			more, err := fromIndex(child, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		case d.MediaType.IsImage():
			digest := d.Digest
			out = append(out, candidate{d.Platform, func() (v1.Image, error) { return idx.Image(digest) }})
		}
	}
	return out, nil
}

// choose takes the newest revision of the wanted build.
func choose(ctx context.Context, b dockerfile.Base, candidates []candidate) (source, error) {
	fail := func(format string, args ...any) (source, error) {
		return source{}, fmt.Errorf("resolving %q: "+format, append([]any{b.Reference}, args...)...)
	}
	var best source
	var seen []string
	var incomplete error
	for _, c := range candidates {
		if p := c.platform; p != nil && (p.OS != "" && p.OS != "windows" || p.Architecture != "" && p.Architecture != architecture) {
			continue
		}
		if p := c.platform; p != nil && p.OSVersion != "" && !sameBuild(p.OSVersion, b.OSVersion) {
			seen = append(seen, p.OSVersion)
			continue
		}
		var img v1.Image
		var cfg *v1.ConfigFile
		err := again(ctx, func() (err error) {
			if img, err = c.open(); err == nil {
				cfg, err = img.ConfigFile()
			}
			return err
		})
		if err != nil {
			return fail("reading its configuration: %w", err)
		}
		if cfg.OS != "windows" || cfg.Architecture != architecture {
			seen = append(seen, cfg.OS+"/"+cfg.Architecture)
			continue
		}
		version, err := parseVersion(cfg.OSVersion)
		if err != nil {
			incomplete = fmt.Errorf("its os.version is %q, and Windows needs build and revision (10.0.BUILD.REVISION) to choose an image; use a base that has them", cfg.OSVersion)
			continue
		}
		if p := c.platform; p != nil && p.OSVersion != "" && p.OSVersion != cfg.OSVersion {
			incomplete = fmt.Errorf("its index says os.version %q and its configuration %q; use the reference of another base", p.OSVersion, cfg.OSVersion)
			continue
		}
		if !sameBuild(cfg.OSVersion, b.OSVersion) {
			seen = append(seen, cfg.OSVersion)
			continue
		}
		if best.image != nil {
			if b.OSVersion == "" && !sameBuild(cfg.OSVersion, buildOf(best.OSVersion)) {
				return fail("it has several Windows releases (%s and %s); name one with --os", best.OSVersion, cfg.OSVersion)
			}
			old, err := parseVersion(best.OSVersion)
			if err != nil || slices.Compare(version[:], old[:]) <= 0 {
				continue
			}
		}
		best.image, best.config, best.Base = img, cfg, b
		best.OSVersion = cfg.OSVersion
	}
	if best.image == nil {
		if incomplete != nil {
			return fail("%w", incomplete)
		}
		if len(seen) == 0 {
			return fail("it holds no windows/%s image", architecture)
		}
		slices.Sort(seen)
		if b.OSVersion == "" {
			return fail("it has no windows/%s image, only %s: name an image of Windows", architecture, strings.Join(slices.Compact(seen), ", "))
		}
		_, err := fail("it has no windows/%s image of build %s, only %s; choose another --os or --base", architecture, b.OSVersion, strings.Join(slices.Compact(seen), ", "))
		return source{}, &UnpublishedError{Err: err, Releases: true}
	}
	digest, err := best.image.Digest()
	if err != nil {
		return fail("%w", err)
	}
	best.Digest = digest.String()
	if best.manifest, err = best.image.Manifest(); err != nil {
		return fail("%w", err)
	}
	if n := len(best.manifest.Layers); n != len(best.config.RootFS.DiffIDs) {
		return fail("its manifest has %d layers and its configuration %d", n, len(best.config.RootFS.DiffIDs))
	}
	if len(best.config.Config.OnBuild) > 0 {
		return fail("it has ONBUILD instructions, which docker build and buildx carry out and winpack does not: take a base without them")
	}
	return best, nil
}

// sameBuild says whether a full version is of a wanted build, or is the wanted full
// version. An empty want is any.
func sameBuild(full, want string) bool {
	return want == "" || full == want || strings.HasPrefix(full, want+".")
}

// CompareOSVersions orders full versions of Windows by their numbers. One that is none
// comes before all others.
func CompareOSVersions(a, b string) int {
	v, err := parseVersion(a)
	w, werr := parseVersion(b)
	switch {
	case err != nil && werr != nil:
		return 0
	case err != nil:
		return -1
	case werr != nil:
		return 1
	}
	return slices.Compare(v[:], w[:])
}

func buildOf(full string) string { return full[:strings.LastIndexByte(full, '.')] }

func parseVersion(s string) (v [4]int, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, errors.New("a full version has four numbers")
	}
	for i, p := range parts {
		if v[i], err = strconv.Atoi(p); err != nil || v[i] < 0 {
			return v, errors.New("a full version has four numbers")
		}
	}
	return v, nil
}

// parse reads a reference of an image in a registry.
func (reg Registry) parse(text string) (name.Reference, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, fmt.Errorf("reading reference %q: %w", text, err)
	}
	if slices.Contains(reg.Insecure, ref.Context().RegistryStr()) {
		return name.ParseReference(text, name.Insecure)
	}
	return ref, nil
}

// pullReference is where a base is pulled from: its mirror, where it has one.
func (reg Registry) pullReference(text string) (name.Reference, error) {
	ref, err := reg.parse(text)
	if err != nil {
		return nil, err
	}
	host := ref.Context().RegistryStr()
	mirror := reg.Mirrors[host]
	if mirror == "" && host == name.DefaultRegistry {
		mirror = reg.Mirrors["docker.io"]
	}
	if mirror == "" {
		return ref, nil
	}
	sep := ":"
	if _, ok := ref.(name.Digest); ok {
		sep = "@"
	}
	return reg.parse(strings.TrimSuffix(mirror, "/") + "/" + ref.Context().RepositoryStr() + sep + ref.Identifier())
}
