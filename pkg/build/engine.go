package build

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/connhelper"
	clicontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"
)

// Engine is what a Docker engine says of itself.
type Engine struct {
	Version string
	OS      string // "windows" or "linux": of the containers that it runs
	// OSVersion is the host's Windows build, like 10.0.20348.2966, as far as it says.
	OSVersion string
	Isolation string // "process" or "hyperv": its default
}

// engineClient connects to an engine as docker does: the address that was given,
// DOCKER_HOST, the context of DOCKER_CONTEXT or of config.json, the default socket.
// shown is the address for messages.
func engineClient(host string) (c *client.Client, shown string, err error) {
	opts := []client.Opt{client.WithAPIVersionNegotiation(), client.WithUserAgent("winpack")}
	host = cmp.Or(host, os.Getenv("DOCKER_HOST"))
	if host == "" {
		meta, files, err := currentContext()
		if err != nil {
			return nil, "", err
		}
		if meta != nil {
			host = meta.Host
			tls, err := contextTLS(*meta, files)
			if err != nil {
				return nil, "", err
			}
			if tls != nil {
				opts = append(opts, client.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: tls}}))
			}
		}
	} else if strings.HasPrefix(host, "tcp://") && os.Getenv("DOCKER_CERT_PATH") != "" {
		opts = append(opts, client.WithTLSClientConfigFromEnv())
	}
	shown = cmp.Or(host, client.DefaultDockerHost)
	if u, err := url.Parse(shown); err == nil {
		shown = u.Redacted()
	}
	helper, err := connhelper.GetConnectionHelper(cmp.Or(host, client.DefaultDockerHost))
	switch {
	case err != nil:
		return nil, shown, &UnreachableError{"Docker engine", shown, err}
	case helper != nil: // ssh://
		opts = append(opts,
			client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: helper.Dialer}}),
			client.WithHost(helper.Host), client.WithDialContext(helper.Dialer))
	default:
		opts = append(opts, client.WithHost(cmp.Or(host, client.DefaultDockerHost)))
	}
	c, err = client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, shown, &UnreachableError{"Docker engine", shown, err}
	}
	return c, shown, nil
}

// currentContext is the endpoint of the docker context in use; nil for the default
// one. files reads what belongs to its TLS.
func currentContext() (*clicontext.EndpointMetaBase, *clicontext.TLSData, error) {
	dir := cmp.Or(os.Getenv(config.EnvOverrideConfigDir), config.Dir())
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		file, err := config.Load(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("reading docker's configuration in %q: %w", dir, err)
		}
		name = file.CurrentContext
	}
	if name == "" || name == "default" {
		return nil, nil, nil
	}
	s := store.New(filepath.Join(dir, "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter("docker", func() any { return &clicontext.EndpointMetaBase{} })))
	meta, err := s.GetMetadata(name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the docker context %q: %w; choose another by DOCKER_CONTEXT, or name the engine by --docker-host", name, err)
	}
	end, ok := meta.Endpoints["docker"].(clicontext.EndpointMetaBase)
	if !ok {
		return nil, nil, fmt.Errorf("the docker context %q has no engine: name one by --docker-host", name)
	}
	files, err := clicontext.LoadTLSData(s, name, "docker")
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificates of the docker context %q: %w", name, err)
	}
	return &end, files, nil
}

func contextTLS(meta clicontext.EndpointMetaBase, files *clicontext.TLSData) (*tls.Config, error) {
	if files == nil && !meta.SkipTLSVerify {
		return nil, nil
	}
	cfg := &tls.Config{InsecureSkipVerify: meta.SkipTLSVerify, MinVersion: tls.VersionTLS12}
	if files != nil && files.CA != nil {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(files.CA) {
			return nil, errors.New("the docker context's ca.pem holds no certificate")
		}
	}
	if files != nil && files.Cert != nil && files.Key != nil {
		pair, err := tls.X509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the docker context's certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Engine asks the engine what it is. An *UnreachableError says that none answers
// within some seconds.
func (d Docker) Engine(ctx context.Context) (Engine, error) {
	c, shown, err := engineClient(d.Host)
	if err != nil {
		return Engine{}, err
	}
	defer c.Close()
	return ask(ctx, c, shown)
}

func ask(ctx context.Context, c *client.Client, shown string) (Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	info, err := c.Info(ctx)
	if err != nil {
		return Engine{}, &UnreachableError{"Docker engine", shown, err}
	}
	e := Engine{Version: info.ServerVersion, OS: info.OSType, Isolation: string(info.Isolation)}
	if e.OS == "windows" {
		// OSVersion is "10.0.20348.2966"; engines before 20.10 have it in the kernel's
		// version only: "10.0 20348 (20348.1.amd64fre.fe_release.210507-1500)".
		if e.OSVersion = info.OSVersion; !strings.HasPrefix(e.OSVersion, "10.0.") {
			kernel := strings.Fields(info.KernelVersion)
			if e.OSVersion = ""; len(kernel) > 1 && kernel[0] == "10.0" {
				e.OSVersion = "10.0." + kernel[1]
			}
		}
	}
	return e, nil
}
