package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Annotations that winpack writes itself.
const (
	// The OCI image specification's pre-defined annotations.
	annotationBaseName   = "org.opencontainers.image.base.name"
	annotationBaseDigest = "org.opencontainers.image.base.digest"
	annotationRefName    = "org.opencontainers.image.ref.name"
	// What containerd and BuildKit read the full name from.
	annotationImageName = "io.containerd.image.name"
)

// blob is what a manifest says of a layer that winpack wrote.
type blob struct {
	desc   v1.Descriptor
	diffID v1.Hash
}

// artifact is a document of the image: its bytes and what names them.
type artifact struct {
	desc v1.Descriptor
	raw  []byte
}

func newArtifact(v any, mt types.MediaType) (artifact, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return artifact{}, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	return artifact{v1.Descriptor{MediaType: mt, Size: size, Digest: digest}, raw}, err
}

// configure makes the configuration of one release: the base's, and the plan's on
// top, as docker build on Windows does it. app is nil where no layer is added.
func configure(s source, req Request, app *blob, created time.Time) *v1.ConfigFile {
	cfg := s.config.DeepCopy()
	cfg.OS, cfg.Architecture = "windows", architecture
	cfg.Created = v1.Time{Time: created}
	// The base's build host has no place in what is built on it.
	cfg.Author, cfg.Container = "", ""
	//lint:ignore SA1019 bases still carry the field
	cfg.DockerVersion = ""
	cfg.Config.Hostname, cfg.Config.Domainname, cfg.Config.Image = "", "", ""

	plan := req.Plan
	if s.Base.Config != nil {
		plan.Config = *s.Base.Config
	}
	c := &cfg.Config
	if plan.Config.Whole {
		whole(cfg, plan.Config)
	} else if entrypoint := plan.Entrypoint(false); len(entrypoint) > 0 {
		c.Entrypoint, c.Cmd = entrypoint, nil
		// True would make Windows take the exec form for one raw command line.
		c.ArgsEscaped = false
	}
	if len(plan.Config.Cmd) > 0 && !plan.Config.Whole {
		c.Cmd, c.ArgsEscaped = slices.Clone(plan.Config.Cmd), false
	}
	if h := plan.Config.Health; h != nil {
		c.Healthcheck = &v1.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
	c.Env = mergeEnv(c.Env, plan.Config.Env)
	if plan.Config.WorkingDir != "" {
		c.WorkingDir = plan.Config.WorkingDir
	}
	if plan.Config.User != "" {
		c.User = plan.Config.User
	}
	for _, p := range plan.Config.Ports {
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[strconv.Itoa(p)+"/tcp"] = struct{}{}
	}
	labels := maps.Clone(c.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, plan.Config.Labels)
	maps.Copy(labels, req.Labels)
	if len(labels) > 0 {
		c.Labels = labels
	}
	history := v1.History{Created: v1.Time{Time: created}, CreatedBy: createdBy(), EmptyLayer: app == nil}
	cfg.History = append(fullHistory(cfg), history)
	if app != nil {
		cfg.RootFS.DiffIDs = append(cfg.RootFS.DiffIDs, app.diffID)
	}
	return cfg
}

// whole takes over a configuration that is the image's own.
func whole(cfg *v1.ConfigFile, own dockerfile.Config) {
	c := &cfg.Config
	c.Entrypoint, c.Cmd, c.ArgsEscaped = slices.Clone(own.Entrypoint), slices.Clone(own.Cmd), own.ArgsEscaped
	c.Shell, c.User, c.WorkingDir = slices.Clone(own.Shell), own.User, own.WorkingDir
	if own.StopSignal != "" {
		c.StopSignal = own.StopSignal
	}
	cfg.Author = own.Author
	for _, port := range own.Expose {
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[port] = struct{}{}
	}
	for _, v := range own.Volumes {
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[v] = struct{}{}
	}
}

// createdBy is what history says of the app's layer. It names the form that the layer
// is written in and not the program's version: as long as the form stays, another
// version makes the same image.
func createdBy() string { return fmt.Sprintf("winpack, layer format %d", winlayer.Format) }

// fullHistory is a history with an entry for each layer: a base without one, or
// with too few, gets them in front.
func fullHistory(cfg *v1.ConfigFile) []v1.History {
	layers := 0
	for _, h := range cfg.History {
		if !h.EmptyLayer {
			layers++
		}
	}
	var missing []v1.History
	for range len(cfg.RootFS.DiffIDs) - layers {
		missing = append(missing, v1.History{Comment: "base layer"})
	}
	return append(missing, cfg.History...)
}

// mergeEnv sets variables in KEY=VALUE form; Windows does not tell names apart by
// case, so that Path replaces PATH.
func mergeEnv(base []string, set map[string]string) []string {
	out := slices.Clone(base)
	for _, key := range slices.Sorted(maps.Keys(set)) {
		line := key + "=" + set[key]
		at := slices.IndexFunc(out, func(old string) bool {
			name, _, _ := strings.Cut(old, "=")
			return strings.EqualFold(name, key)
		})
		if at >= 0 {
			out[at] = line
		} else {
			out = append(out, line)
		}
	}
	return out
}

// ociType is the OCI name of a media type of Docker; the content is the same.
func ociType(mt types.MediaType) types.MediaType {
	switch mt {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	}
	return mt
}

// release is the finished image of one Windows build.
type release struct {
	source
	configFile artifact
	image      artifact
	layers     []v1.Descriptor // the base's, then the app's
	osFeatures []string        // of the configuration
}

// finished is everything but the layers' content.
type finished struct {
	releases []release
	top      artifact // the index, or the only release's manifest
}

// assemble writes configurations, manifests and, for several releases, the index.
func assemble(sources []source, req Request, app *blob, created time.Time) (finished, error) {
	notes, err := splitAnnotations(req.Annotations)
	if err != nil {
		return finished{}, err
	}
	var out finished
	for _, s := range sources {
		r := release{source: s}
		cfg := configure(s, req, app, created)
		if r.configFile, err = newArtifact(withStartInterval(cfg, s.health(req.Plan)), types.OCIConfigJSON); err != nil {
			return finished{}, err
		}
		for _, d := range s.manifest.Layers {
			r.layers = append(r.layers, v1.Descriptor{MediaType: ociType(d.MediaType), Size: d.Size, Digest: d.Digest, URLs: d.URLs})
		}
		if app != nil {
			r.layers = append(r.layers, app.desc)
		}
		annotations := map[string]string{annotationBaseDigest: s.Digest}
		if !strings.HasPrefix(s.Reference, "oci:") { // a folder's name is no one else's business
			annotations[annotationBaseName] = s.Reference
		}
		maps.Copy(annotations, notes["manifest"])
		manifest := v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
			Config: r.configFile.desc, Layers: r.layers, Annotations: annotations,
		}
		if r.image, err = newArtifact(manifest, types.OCIManifestSchema1); err != nil {
			return finished{}, err
		}
		r.osFeatures = cfg.OSFeatures
		out.releases = append(out.releases, r)
	}
	out.top, err = topOf(out.releases, notes)
	return out, err
}

// topOf is the only release's manifest, or the index of several.
func topOf(releases []release, notes map[string]map[string]string) (artifact, error) {
	if len(releases) == 1 {
		return releases[0].image, nil
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Annotations: notes["index"]}
	for _, r := range releases {
		desc := r.image.desc
		desc.Platform = &v1.Platform{OS: "windows", Architecture: architecture, OSVersion: r.OSVersion, OSFeatures: r.osFeatures}
		desc.Annotations = notes["manifest-descriptor"]
		index.Manifests = append(index.Manifests, desc)
	}
	return newArtifact(index, types.OCIImageIndex)
}

// health is the health check that a plan sets on a base.
func (s source) health(plan dockerfile.Plan) *dockerfile.Health {
	if s.Base.Config != nil {
		return s.Base.Config.Health
	}
	return plan.Config.Health
}

// withStartInterval adds the one part of a health check that v1.ConfigFile lacks.
func withStartInterval(cfg *v1.ConfigFile, h *dockerfile.Health) any {
	if h == nil || h.StartInterval == 0 {
		return cfg
	}
	type health struct {
		v1.HealthConfig
		StartInterval time.Duration `json:",omitempty"`
	}
	type config struct {
		v1.Config
		Healthcheck health `json:"Healthcheck"`
	}
	return struct {
		*v1.ConfigFile
		Config config `json:"config"`
	}{cfg, config{cfg.Config, health{*cfg.Config.Healthcheck, h.StartInterval}}}
}

// CheckAnnotations says whether annotations can be written to an image of so many
// releases: nil, or why not.
func CheckAnnotations(annotations map[string]string, releases int) error {
	notes, err := splitAnnotations(annotations)
	if err == nil && len(notes["index"]) > 0 && releases == 1 {
		return errors.New("an annotation of the index needs more than one release: the image of one has no index")
	}
	return err
}

// splitAnnotations sorts annotations by where they go, as buildx spells it:
// "index:KEY", "manifest:KEY", "index,manifest:KEY", "manifest-descriptor:KEY";
// KEY alone is the manifest's.
func splitAnnotations(all map[string]string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for key, value := range all {
		places := []string{"manifest"}
		if before, after, ok := strings.Cut(key, ":"); ok && !strings.ContainsAny(before, "./") {
			places, key = strings.Split(before, ","), after
		}
		for _, place := range places {
			switch place {
			case "index", "manifest", "manifest-descriptor":
			default:
				return nil, fmt.Errorf("annotation %q: unknown place %q; use index, manifest or manifest-descriptor", key, place)
			}
			if out[place] == nil {
				out[place] = map[string]string{}
			}
			out[place][key] = value
		}
	}
	return out, nil
}

// Supports says whether a plan can be built without Windows: nil, or an
// UnsupportedError.
func (Direct) Supports(plan dockerfile.Plan) error {
	reasons := slices.Clone(plan.Builder.Reasons)
	run := plan.Builder.Windows
	for _, s := range plan.Steps {
		if s.Kind == dockerfile.StepRun {
			run = true
			if len(reasons) == 0 && s.Why != "" {
				reasons = append(reasons, s.Why)
			}
		}
	}
	if !run {
		return nil
	}
	if len(reasons) == 0 {
		reasons = []string{"a RUN step"}
	}
	return unsupported(reasons)
}
