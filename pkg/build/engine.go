package build

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	clicontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"
)

// Endpoint is where a builder is.
type Endpoint struct {
	Address string // fit to be shown: name and password in it are masked
	// From says who names it: a variable, "docker context NAME", "default" where
	// nobody does, and nothing where the caller does.
	From string
}

// AddressError is an address, or what belongs to it, that can be that of no builder.
// Nothing was asked.
type AddressError struct{ Err error }

func (e *AddressError) Error() string { return e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

func addressError(format string, args ...any) error {
	return &AddressError{fmt.Errorf(format, args...)}
}

// byDefault is Endpoint.From where nobody names an address.
const byDefault = "default"

// engineAddress is where an engine is, and how it is spoken to.
type engineAddress struct {
	host string
	from string
	tls  *tls.Config // nil: without TLS
}

// Endpoint says where the engine is, as docker finds it: the address that was given,
// that of DOCKER_HOST, of the context of DOCKER_CONTEXT or config.json, the default.
// It asks nobody. With an *AddressError it says as much as is known.
func (d Docker) Endpoint() (Endpoint, error) {
	at, err := d.address()
	return Endpoint{Mask(at.host), at.from}, err
}

func (d Docker) address() (engineAddress, error) {
	var at engineAddress
	var err error
	switch env := os.Getenv(client.EnvOverrideHost); {
	case d.Host != "":
		at.host = d.Host
	case env != "":
		at.host, at.from = env, client.EnvOverrideHost
	default:
		if at, err = contextAddress(); err != nil || at.from != byDefault {
			return at, err
		}
	}
	scheme, _, ok := strings.Cut(at.host, "://")
	switch {
	case !ok:
		return at, addressError("the engine's address %q has no scheme: write it like unix:///run/docker.sock, tcp://HOST:2376 or ssh://HOST", Mask(at.host))
	case scheme != "unix" && scheme != "tcp" && scheme != "npipe" && scheme != "ssh" && scheme != "http" && scheme != "https":
		return at, addressError("the engine's address %q is of no kind that docker has: write it like unix:///run/docker.sock, tcp://HOST:2376 or ssh://HOST", Mask(at.host))
	}
	if _, err := url.Parse(at.host); err != nil {
		return at, addressError("the engine's address %q is no URL: %% in a name or password is written %%25", Mask(at.host))
	}
	if scheme == "tcp" || scheme == "https" {
		at.tls, err = tlsOfEnvironment()
	}
	return at, err
}

// tlsOfEnvironment is how docker speaks to tcp:// addresses outside of its contexts:
// DOCKER_TLS_VERIFY asks for TLS, DOCKER_TLS for one that takes any certificate.
func tlsOfEnvironment() (*tls.Config, error) {
	verify := os.Getenv(client.EnvTLSVerify) != ""
	if !verify && os.Getenv("DOCKER_TLS") == "" {
		return nil, nil
	}
	dir := cmp.Or(os.Getenv(client.EnvOverrideCertPath), dockerDir())
	var files clicontext.TLSData
	for name, data := range map[string]*[]byte{"ca.pem": &files.CA, "cert.pem": &files.Cert, "key.pem": &files.Key} {
		var err error
		*data, err = os.ReadFile(filepath.Join(dir, name))
		switch own := name != "ca.pem"; {
		case errors.Is(err, os.ErrNotExist) && (own || !verify): // not every engine asks who calls
		case err != nil:
			return nil, addressError("reading the certificates of Docker in %q, which DOCKER_CERT_PATH names: %s: %w", dir, name, pathCause(err))
		}
	}
	return engineTLS(files, !verify, fmt.Sprintf("DOCKER_CERT_PATH, %q", dir))
}

// engineTLS are certificates as an engine is spoken to with; from says whose they are.
func engineTLS(files clicontext.TLSData, anyone bool, from string) (*tls.Config, error) {
	cfg := &tls.Config{InsecureSkipVerify: anyone, MinVersion: tls.VersionTLS12}
	if files.CA != nil {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(files.CA) {
			return nil, addressError("reading the certificates of %s: ca.pem holds none", from)
		}
	}
	if files.Cert != nil && files.Key != nil {
		pair, err := tls.X509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, addressError("reading the certificates of %s: %w", from, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// dockerDir is the folder of docker's configuration.
func dockerDir() string { return cmp.Or(os.Getenv(config.EnvOverrideConfigDir), config.Dir()) }

// contextAddress is the address of the docker context in use.
func contextAddress() (engineAddress, error) {
	usual := engineAddress{host: client.DefaultDockerHost, from: byDefault}
	dir := dockerDir()
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		file, err := config.Load(dir)
		if err != nil {
			return usual, addressError("reading docker's configuration in %q: %w", dir, err)
		}
		name = file.CurrentContext
	}
	if name == "" || name == "default" {
		return usual, nil
	}
	at := engineAddress{from: fmt.Sprintf("docker context %s", name)}
	s := store.New(filepath.Join(dir, "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter("docker", func() any { return &clicontext.EndpointMetaBase{} })))
	meta, err := s.GetMetadata(name)
	if errors.Is(err, os.ErrNotExist) {
		return at, addressError("there is no docker context %q in %q: choose another by DOCKER_CONTEXT, or name the engine by --docker-host", name, dir)
	}
	if err != nil {
		return at, addressError("reading the docker context %q: %w; choose another by DOCKER_CONTEXT, or name the engine by --docker-host", name, err)
	}
	end, ok := meta.Endpoints["docker"].(clicontext.EndpointMetaBase)
	if !ok || end.Host == "" {
		return at, addressError("the docker context %q has no engine: name one by --docker-host", name)
	}
	at.host = end.Host
	if strings.HasPrefix(end.Host, "unix:") || strings.HasPrefix(end.Host, "npipe:") {
		return at, nil
	}
	files, err := clicontext.LoadTLSData(s, name, "docker")
	if err != nil {
		return at, addressError("reading the certificates of the docker context %q: %w", name, err)
	}
	if files == nil && !end.SkipTLSVerify {
		return at, nil
	}
	at.tls, err = engineTLS(*cmp.Or(files, &clicontext.TLSData{}), end.SkipTLSVerify, fmt.Sprintf("the docker context %q", name))
	return at, err
}

// Engine is what a Docker engine says of itself.
type Engine struct {
	Version      string
	OS           string // "windows" or "linux": of the containers that it runs
	Architecture string // like "amd64"
	OSName       string // its machine's system in its own words
	// OSVersion is the host's Windows build, like 10.0.20348.2966, as far as it says.
	OSVersion string
	Isolation string // "process" or "hyperv": its default
}

// Engine asks the engine what it is. An *AddressError says that its address can be
// none, an *UnreachableError that none answers within some seconds.
func (d Docker) Engine(ctx context.Context) (Engine, error) {
	c, err := d.connect()
	if err != nil {
		return Engine{}, err
	}
	defer c.Close()
	return c.ask(ctx)
}
