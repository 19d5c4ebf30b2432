package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/tonistiigi/fsutil"
	"google.golang.org/grpc/codes"
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
		return &CannotError{"--isolation", builderBuildKit, "the daemon's own configuration decides on it", []string{builderDocker}}
	}
	for _, o := range req.Outputs {
		switch {
		case o.Sparse:
			return &CannotError{"-o base=sparse", builderBuildKit, "it writes complete images only", []string{builderDirect}}
		case o.Type == "docker" && o.Dest == "":
			return &CannotError{"--load", builderBuildKit, "winpack gives its images to a registry or a file", []string{builderDocker, builderDirect}}
		}
	}
	for _, base := range req.Plan.Bases {
		if strings.HasPrefix(base.Reference, "oci:") {
			return &CannotError{"--base " + base.Reference, builderBuildKit, "it takes its bases from a registry", []string{builderDirect}}
		}
	}
	return b.check()
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
		if err := g.keepNeeded("", false); err != nil {
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
		reasons := slices.Clone(plan.Builder.Reasons)
		if plan.GrantsInBuild() {
			reasons = append(reasons, "it grants write access by RUN, since the container does not start as an administrator")
		}
		if plan.Builder.Windows || plan.GrantsInBuild() {
			return &UnsupportedError{Builder: builderBuildKit, Reasons: reasons, Builders: windowsBuilders("this worker runs on Linux")}
		}
	}
	return nil
}

// one builds one release and pushes it by digest, without a tag. A dry run ends before
// anything is sent.
func (b BuildKit) one(ctx context.Context, c *client.Client, g *gatherer, i int) error {
	s, attrs, err := g.context(ctx, i)
	if err != nil {
		return &appError{err}
	}
	notes, err := splitAnnotations(g.req.Annotations)
	if err != nil || g.req.DryRun {
		return err
	}
	release := g.sources[i]
	g.say("build", release.OS, "%s", strings.TrimSpace(release.OS+" on Windows "+release.OSVersion))
	attrs["platform"] = "windows/" + architecture
	if g.req.NoCache {
		attrs["no-cache"] = ""
	}
	if g.req.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	if g.req.Epoch != nil {
		attrs["build-arg:SOURCE_DATE_EPOCH"] = fmt.Sprint(g.req.Epoch.Unix())
	}
	for key, value := range g.req.Labels {
		attrs["label:"+key] = value
	}
	image := map[string]string{"oci-mediatypes": "true"}
	maps.Copy(image, prefixed("annotation.", g.annotations(i, notes["manifest"])))
	var exports []client.ExportEntry
	push := func(repositories []string, insecure string) {
		if len(repositories) == 0 {
			return
		}
		attrs := maps.Clone(image)
		attrs["name"], attrs["push"], attrs["push-by-digest"] = strings.Join(repositories, ","), "true", "true"
		// It also has the daemon take any certificate, so it is no matter of others.
		attrs["registry.insecure"] = insecure
		exports = append(exports, client.ExportEntry{Type: client.ExporterImage, Attrs: attrs})
	}
	if g.req.Push {
		secure, insecure := g.repositories()
		push(secure, "false")
		push(insecure, "true")
	}
	dir := ""
	if len(g.req.Outputs) > 0 {
		if dir, err = g.layoutDir(i); err != nil {
			return err
		}
		attrs := maps.Clone(image)
		attrs["tar"] = "false"
		exports = append(exports, client.ExportEntry{Type: client.ExporterOCI, Attrs: attrs, OutputDir: dir})
	}
	key, err := s.key(ctx)
	if err != nil {
		return &appError{contextError(err)}
	}
	building, end := context.WithCancel(ctx)
	defer end()
	files := contextFS{s, &firstError{end: end}}
	resp, err := b.solve(building, c, client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs, Exports: exports,
		LocalMounts: map[string]fsutil.FS{"context": files, "dockerfile": textFS{
			"Dockerfile": s.dockerfile,
			// Else the daemon goes by the one in the context, whichever counted here.
			"Dockerfile.dockerignore": []byte("# What is ignored was not sent.\n"),
		}},
		Session:   []session.Attachable{b.auth()},
		SharedKey: key,
	})
	switch own := files.failed.first(); {
	case own != nil:
		return &appError{own}
	case err != nil:
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
func (b BuildKit) solve(ctx context.Context, c *client.Client, opt client.SolveOpt) (*client.SolveResponse, error) {
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
// a registry answered: host, repository, status. registryAway is how it tells that it
// could not ask: host, repository, why.
var (
	registryStatus = regexp.MustCompile(`unexpected status from \w+ request to https?://([^/ ]+)/v2/([^ ]+?)/(?:blobs|manifests)/[^ ]*: (\d{3}) `)
	registryAway   = regexp.MustCompile(`failed to do request: \w+ "https?://([^/ ]+)/v2/([^ ]+?)/(?:blobs|manifests)/[^ ]*": (.*)$`)
)

// named says which daemon failed, and takes BuildKit's own chain of words apart.
func (b BuildKit) named(ctx context.Context, err error) error {
	var own *appError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &own):
		return own.error
	}
	for _, kept := range []any{new(*UnsupportedError), new(*AuthError), new(*RegistryError), new(*UnreachableError)} {
		if errors.As(err, kept) {
			return err
		}
	}
	mask := Masker(b.address())
	text := mask(err.Error())
	doing, cure := "pulling by BuildKit", "allow that in the daemon's buildkitd.toml: [registry.%q] http = true"
	if strings.Contains(text, "failed to push") {
		doing, cure = "pushing by BuildKit to", "allow that with --insecure-registry %s"
	}
	if m := registryStatus.FindStringSubmatch(text); m != nil {
		status, _ := strconv.Atoi(m[3])
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			return &AuthError{doing, m[1] + "/" + m[2], m[1], status}
		}
		return &RegistryError{Doing: doing, Name: m[1] + "/" + m[2], Status: status, Host: m[1], Err: errors.New(text)}
	}
	if m := registryAway.FindStringSubmatch(text); m != nil {
		if strings.Contains(m[3], plainHTTP) {
			return fmt.Errorf("%s %q: %s speaks plain http: "+cure, doing, m[1]+"/"+m[2], m[1], m[1])
		}
		return fmt.Errorf("%s %q: %s; the daemon at %s has to reach the registry, not this machine", doing, m[1]+"/"+m[2], m[3], Mask(b.address()))
	}
	switch grpcerrors.Code(err) {
	case codes.Unavailable:
		return b.unreachable(errors.New("it broke the connection off in the middle of the build"))
	case codes.Canceled: // and not by us
		return b.unreachable(errors.New("it ended the build before it was done"))
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
