package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer" // docker-container:// addresses
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer"
	_ "github.com/moby/buildkit/client/connhelper/ssh"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/tonistiigi/fsutil"
)

// BuildKit builds images by a BuildKit daemon. A worker on Linux builds what needs
// no RUN; one on Windows builds everything.
type BuildKit struct {
	Registry Registry
	// Addr is the daemon's: unix://, tcp://, npipe://, docker-container://NAME, ...;
	// empty for BuildKit's own default.
	Addr string
	// TLSDir has ca.pem, cert.pem and key.pem for a daemon that asks for mTLS; empty
	// means none.
	TLSDir string
	// Hosts says which releases a worker on Windows builds; nil means all.
	Hosts HostRule
	// Status receives BuildKit's own progress, and nil at the end of each build, of
	// which there is one for each release; nil means none.
	Status func(*client.SolveStatus)
}

// builderBuildKit names the builder in messages and metadata.
const builderBuildKit = "buildkit"

// Worker is what a BuildKit daemon says of the machine that it builds on.
type Worker struct {
	Version   string
	Platforms []string // "linux/amd64", "windows(10.0.20348.2966)/amd64"
	// Windows says that it runs on Windows; OSVersion is then the host's build.
	Windows   bool
	OSVersion string
}

// UnreachableError is a builder that does not answer.
type UnreachableError struct {
	Builder string // "BuildKit", "Docker engine"
	Addr    string
	Err     error
}

func (e *UnreachableError) Error() string {
	cure := "check that it runs and that the address is right"
	if e.Builder == "BuildKit" {
		cure += " (--buildkit-addr, BUILDKIT_HOST)"
	} else {
		cure += " (--docker-host, DOCKER_HOST, `docker context ls`)"
	}
	return fmt.Sprintf("no %s answers at %s: %s; %s", e.Builder, e.Addr, strings.Join(strings.Fields(e.Err.Error()), " "), cure)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// answerTime is how long a builder may take to say who it is.
const answerTime = 10 * time.Second

func (b BuildKit) connect(ctx context.Context) (*client.Client, error) {
	var opts []client.ClientOpt
	if b.TLSDir != "" {
		files := make([]string, 3)
		for i, names := range [][]string{{"ca.pem", "ca.crt"}, {"cert.pem", "tls.crt"}, {"key.pem", "tls.key"}} {
			for _, n := range names {
				path := filepath.Join(b.TLSDir, n)
				if _, err := os.Stat(path); err == nil {
					files[i] = path
					break
				}
			}
			if files[i] == "" {
				return nil, fmt.Errorf("the folder %q for mTLS with BuildKit lacks %s", b.TLSDir, names[0])
			}
		}
		server := ""
		if u, err := url.Parse(b.Addr); err == nil {
			server = u.Hostname()
		}
		opts = append(opts, client.WithServerConfig(server, files[0]), client.WithCredentials(files[1], files[2]))
	}
	c, err := client.New(ctx, b.Addr, opts...)
	if err != nil {
		return nil, &UnreachableError{"BuildKit", b.address(), err}
	}
	return c, nil
}

func (b BuildKit) address() string {
	if b.Addr == "" {
		return "its default address"
	}
	if u, err := url.Parse(b.Addr); err == nil {
		return u.Redacted()
	}
	return b.Addr
}

// Worker asks the daemon what it builds on. An *UnreachableError says that nothing
// answers within some seconds.
func (b BuildKit) Worker(ctx context.Context) (Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := b.connect(ctx)
	if err != nil {
		return Worker{}, err
	}
	defer c.Close()
	return b.worker(ctx, c)
}

func (b BuildKit) worker(ctx context.Context, c *client.Client) (Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	list, err := c.ListWorkers(ctx)
	if err == nil && len(list) == 0 {
		err = errors.New("it has no worker")
	}
	if err != nil {
		return Worker{}, &UnreachableError{"BuildKit", b.address(), err}
	}
	w := Worker{Version: list[0].BuildkitVersion.Version}
	for i, p := range list[0].Platforms {
		text := p.OS + "/" + p.Architecture
		if p.OSVersion != "" {
			text = p.OS + "(" + p.OSVersion + ")/" + p.Architecture
		}
		w.Platforms = append(w.Platforms, text)
		if i == 0 && p.OS == "windows" {
			w.Windows, w.OSVersion = true, p.OSVersion
		}
	}
	return w, nil
}

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
	return buildEach(ctx, b.Registry, req, builderBuildKit, func(ctx context.Context, g *gatherer) error {
		c, err := b.connect(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		w, err := b.worker(ctx, c)
		if err != nil {
			return err
		}
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
	if w.Windows {
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
	for key, value := range g.req.Labels {
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
		if dir, err = g.layoutDir(i); err != nil {
			return err
		}
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
		return &UnreachableError{"BuildKit", b.address(), errors.New("it broke the connection off in the middle of the build")}
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("building by BuildKit at %s: %s; the daemon needs the registry in its own buildkitd.toml: [registry.\"HOST\"] http = true", b.address(), text)
	}
	return fmt.Errorf("building by BuildKit at %s: %s", b.address(), text)
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
