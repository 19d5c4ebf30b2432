package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/tonistiigi/fsutil"
)

// BuildKit builds images by a BuildKit daemon. A worker on Linux builds what needs
// no RUN; one on Windows builds everything.
type BuildKit struct {
	Registry Registry
	// Addr is the daemon's: unix://, tcp://, npipe://, ssh://, docker-container://NAME,
	// kube-pod://, ...; empty for BuildKit's own default.
	Addr string
	// TLSDir has ca.pem, cert.pem and key.pem for a daemon at tcp:// that asks for mTLS;
	// empty means none.
	TLSDir string
	// Hosts says which releases a worker on Windows builds; nil means all.
	Hosts HostRule
	// Status receives BuildKit's own progress, and nil at the end of each build, of
	// which there is one for each release; nil means none.
	Status func(*client.SolveStatus)
}

// builderBuildKit names the builder in messages and metadata.
const builderBuildKit = "buildkit"

// Check implements Builder.
func (b BuildKit) Check(req Request) error {
	switch {
	case req.Isolation != "":
		return &CannotError{"--isolation", builderBuildKit, "the daemon's own configuration decides on it", []string{"docker"}}
	}
	for _, o := range req.Outputs {
		switch {
		case o.Sparse:
			return &CannotError{"-o base=sparse", builderBuildKit, "it writes complete images only", []string{builderDirect}}
		case o.Type == "docker" && o.Dest == "":
			return &CannotError{"--load", builderBuildKit, "winpack gives its images to a registry or a file", []string{"docker", builderDirect}}
		}
	}
	return nil
}

// Build implements Builder. Each release is built by itself, on the base that its
// reference means now, pinned to digest and full os.version.
func (b BuildKit) Build(ctx context.Context, req Request) (Image, error) {
	if err := b.Check(req); err != nil {
		return Image{}, err
	}
	c, err := b.connect(ctx)
	if err != nil {
		return Image{}, err
	}
	defer c.Close()
	w, err := b.worker(ctx, c)
	if err != nil {
		return Image{}, err
	}
	return buildEach(ctx, b.Registry, req, builderBuildKit, func(ctx context.Context, g *gatherer) error {
		if err := b.runsOn(g, w); err != nil {
			return err
		}
		for i := range g.sources {
			if err := b.one(ctx, c, g, i); err != nil {
				return b.named(ctx, err)
			}
		}
		return nil
	})
}

// runsOn refuses what a worker can't build, before anything is sent.
func (b BuildKit) runsOn(g *gatherer, w Worker) error {
	if w.OS == "windows" {
		return g.keepReleases(b.Hosts, w.OSVersion)
	}
	if f := g.req.File; f != nil {
		if len(f.Runs) > 0 {
			return &UnsupportedError{Builder: builderBuildKit, Reasons: f.Runs, Builders: windowsBuilders("this worker runs on Linux")}
		}
		return nil
	}
	for i := range g.sources {
		plan := g.plan(i)
		reasons := plan.Builder.Reasons
		if plan.GrantsInBuild() {
			reasons = append(reasons, "it grants write access by RUN, since the container does not start as an administrator")
		}
		if plan.Builder.Windows || plan.GrantsInBuild() {
			return &UnsupportedError{Builder: builderBuildKit, Reasons: reasons, Builders: windowsBuilders("this worker runs on Linux")}
		}
	}
	return nil
}

// one builds one release and pushes it by digest, without a tag.
func (b BuildKit) one(ctx context.Context, c *client.Client, g *gatherer, i int) error {
	s, attrs, err := g.context(ctx, i)
	if err != nil {
		return err
	}
	attrs["platform"] = "windows/" + architecture
	if g.req.NoCache {
		attrs["no-cache"] = ""
	}
	if g.req.Epoch != nil {
		attrs["build-arg:SOURCE_DATE_EPOCH"] = fmt.Sprint(g.req.Epoch.Unix())
	}
	for key, value := range g.labels() {
		attrs["label:"+key] = value
	}
	notes, err := splitAnnotations(g.req.Annotations)
	if err != nil {
		return err
	}
	image := map[string]string{"oci-mediatypes": "true"}
	maps.Copy(image, prefixed("annotation.", g.annotations(i, notes["manifest"])))
	var exports []client.ExportEntry
	if g.req.Push && !g.req.DryRun {
		push := maps.Clone(image)
		push["name"], push["push"], push["push-by-digest"] = strings.Join(g.repositories(), ","), "true", "true"
		if g.insecure() {
			push["registry.insecure"] = "true"
		}
		exports = append(exports, client.ExportEntry{Type: client.ExporterImage, Attrs: push})
	}
	dir := ""
	if len(g.req.Outputs) > 0 && !g.req.DryRun {
		dir = g.layoutDir(i)
		attrs := maps.Clone(image)
		attrs["tar"] = "false"
		exports = append(exports, client.ExportEntry{Type: client.ExporterOCI, Attrs: attrs, OutputDir: dir})
	}
	resp, err := b.solve(ctx, c, g, client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs, Exports: exports,
		LocalMounts: map[string]fsutil.FS{"context": contextFS{s}, "dockerfile": textFS{"Dockerfile": s.dockerfile}},
		Session:     []session.Attachable{b.auth()},
		SharedKey:   g.req.Plan.Name, // the daemon compares a context with the last one of this name
	})
	if err != nil {
		return err
	}
	return g.built(ctx, i, resp.ExporterResponse["containerimage.digest"], dir)
}

func prefixed(prefix string, table map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range table {
		out[prefix+k] = v
	}
	return out
}

// solve runs a build and hands its progress on. When ctx ends, so does the build in
// the daemon.
func (b BuildKit) solve(ctx context.Context, c *client.Client, g *gatherer, opt client.SolveOpt) (*client.SolveResponse, error) {
	status := make(chan *client.SolveStatus)
	var wg sync.WaitGroup
	wg.Go(func() {
		for s := range status {
			if b.Status != nil {
				b.Status(s)
			}
		}
		if b.Status != nil {
			b.Status(nil)
		}
	})
	resp, err := c.Solve(ctx, nil, opt, status)
	wg.Wait()
	return resp, err
}

// registryStatus is how containerd, which pushes and pulls for BuildKit, tells what
// a registry answered: host, repository, status.
var registryStatus = regexp.MustCompile(`unexpected status from \w+ request to https?://([^/ ]+)/v2/([^ ]+?)/(?:blobs|manifests)/[^ ]*: (\d{3}) `)

// named says which daemon failed, and takes BuildKit's own chain of words apart.
func (b BuildKit) named(ctx context.Context, err error) error {
	var link *linkError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &link):
		return link
	}
	for _, kept := range []any{new(*UnsupportedError), new(*AuthError), new(*RegistryError), new(*UnreachableError)} {
		if errors.As(err, kept) {
			return err
		}
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if m := registryStatus.FindStringSubmatch(text); m != nil {
		doing, status := "pushing to", 0
		if _, err := fmt.Sscan(m[3], &status); err != nil {
			return err
		}
		if !strings.Contains(text, "failed to push") {
			doing = "pulling from"
		}
		if status == 401 || status == 403 {
			return &AuthError{doing + " (by BuildKit)", m[1] + "/" + m[2], m[1], status}
		}
		return &RegistryError{Doing: doing + " (by BuildKit)", Name: m[1] + "/" + m[2], Status: status, Host: m[1], Err: err}
	}
	switch {
	case strings.Contains(text, "error reading from server: EOF"), strings.Contains(text, "connection refused"), strings.Contains(text, "code = Unavailable"), strings.Contains(text, "transport is closing"):
		return b.unreachable(errors.New("it broke the connection off in the middle of the build"))
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("building by BuildKit at %s: %s; the daemon needs the registry in its own buildkitd.toml: [registry.\"HOST\"] http = true", Mask(b.address()), text)
	}
	return fmt.Errorf("building by BuildKit at %s: %s", Mask(b.address()), text)
}

// auth gives the daemon the credentials of this machine, host by host.
func (b BuildKit) auth() session.Attachable {
	keychain := b.Registry.Keychain
	if keychain == nil {
		keychain = Keychain()
	}
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: func(ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
			if host == authprovider.DockerHubRegistryHost {
				host = name.DefaultRegistry
			}
			reg, err := name.NewRegistry(host)
			if err != nil {
				return types.AuthConfig{}, err
			}
			who, err := keychain.Resolve(reg)
			if err != nil {
				return types.AuthConfig{}, err
			}
			cfg, err := authn.Authorization(ctx, who)
			if err != nil {
				return types.AuthConfig{}, err
			}
			return types.AuthConfig{Username: cfg.Username, Password: cfg.Password, Auth: cfg.Auth,
				IdentityToken: cfg.IdentityToken, RegistryToken: cfg.RegistryToken, ServerAddress: host}, nil
		},
	})
}
