package build

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxAnswer bounds what an engine says of itself, in bytes.
const maxAnswer = 4 << 20

// engineConn is the way to an engine.
type engineConn struct {
	*client.Client
	shown string // its address, for messages
	mask  func(string) string

	mu     sync.Mutex
	failed error // why the last connection did not come about, which Client does not tell
	// left is how many bytes may still be read while the engine is asked what it is;
	// bounded says whether that counts.
	left    atomic.Int64
	bounded atomic.Bool
}

// connect prepares the way to an engine; nothing is asked.
func (d Docker) connect() (*engineConn, error) {
	at, err := d.address()
	if err != nil {
		return nil, err
	}
	conn := &engineConn{shown: Mask(at.host), mask: Masker(at.host)}
	transport := &http.Transport{TLSClientConfig: at.tls, MaxIdleConns: 6, IdleConnTimeout: 30 * time.Second}
	opts := []client.Opt{
		client.WithAPIVersionNegotiation(), client.WithVersionFromEnv(), client.WithUserAgent("winpack"),
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
	}
	helper, err := connhelper.GetConnectionHelperWithSSHOpts(at.host, sshOptions())
	switch {
	case err != nil:
		return nil, addressError("the engine's address %q: %s", conn.shown, conn.mask(bareURL(err).Error()))
	case helper != nil: // ssh://
		opts = append(opts, client.WithHost(helper.Host), client.WithDialContext(helper.Dialer))
	default:
		opts = append(opts, client.WithHost(at.host))
	}
	if conn.Client, err = client.NewClientWithOpts(opts...); err != nil {
		return nil, addressError("the engine's address %q: %s", conn.shown, conn.mask(bareURL(err).Error()))
	}
	if helper != nil {
		transport.Proxy = nil // which WithHost sets
	}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		conn.mu.Lock()
		conn.failed = err
		conn.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if helper != nil {
			c = throughCommand(c)
		}
		return boundedConn{c, conn}, nil
	}
	return conn, nil
}

// boundedConn is a connection of which no more is read than engineConn allows.
type boundedConn struct {
	net.Conn
	of *engineConn
}

func (c boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.of.bounded.Load() && c.of.left.Add(-int64(n)) < 0 {
		return n, errors.New("its answer has no end")
	}
	return n, err
}

// ask asks the engine what it is. The error is an *UnreachableError, or that of ctx
// where somebody ended it.
func (c *engineConn) ask(ctx context.Context) (Engine, error) {
	asking, cancel := context.WithTimeout(ctx, AnswerTime)
	defer cancel()
	c.left.Store(maxAnswer)
	c.bounded.Store(true)
	info, err := c.Info(asking)
	c.bounded.Store(false)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Engine{}, ctx.Err()
	case asking.Err() != nil:
		err = errSilent
	case err != nil:
		err = c.cause(err)
	case info.OSType == "":
		err = errors.New("what answers is no Docker engine: it does not say what its containers run on")
	}
	if err != nil {
		return Engine{}, &UnreachableError{"Docker engine", c.shown, masked{c.mask(err.Error()), err}}
	}
	return engineOf(info), nil
}

// errSilent is a builder that does not answer in time.
var errSilent = errors.New("no answer in time")

// masked is an error whose text is safe to show.
type masked struct {
	text string
	error
}

func (m masked) Error() string { return m.text }
func (m masked) Unwrap() error { return m.error }

// cause is why an engine did not say what it is, in words of its own where docker's
// client has too many.
func (c *engineConn) cause(err error) error {
	c.mu.Lock()
	failed := c.failed
	c.mu.Unlock()
	if failed != nil {
		return failed
	}
	err = bareURL(err)
	text := err.Error()
	switch {
	case strings.Contains(text, "HTTP request to an HTTPS server"), strings.Contains(text, "malformed HTTP response"):
		return errors.New("it does not speak plain http: an engine with TLS needs DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or a docker context with its certificates")
	case strings.Contains(text, "does not look like a TLS handshake"), strings.Contains(text, plainHTTP):
		return errors.New("it speaks no TLS, which DOCKER_TLS_VERIFY, DOCKER_TLS or the docker context asks for")
	case strings.Contains(text, "Error response from daemon: "), strings.Contains(text, "request returned "), strings.Contains(text, "Error reading remote info"):
		return fmt.Errorf("what answers is no Docker engine, or keeps from saying so: %s", strings.TrimPrefix(text, "Error response from daemon: "))
	}
	return commandSaid(err)
}

// bareURL takes `Get "http://...": ` off an error: the address is told beside it, and
// may hold a password.
func bareURL(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// osBuild is where an engine on Windows has the full build: "Microsoft Windows Server
// Version 21H2 (OS Build 20348.2966)" (moby, pkg/parsers/operatingsystem).
var osBuild = regexp.MustCompile(`\(OS Build (\d+(?:\.\d+)?)\)`)

func engineOf(info system.Info) Engine {
	e := Engine{
		Version: info.ServerVersion, OS: strings.ToLower(info.OSType), OSName: info.OperatingSystem, Isolation: string(info.Isolation),
		// It says x86_64, as uname does.
		Architecture: platforms.Normalize(ocispecs.Platform{OS: info.OSType, Architecture: info.Architecture}).Architecture,
	}
	if e.OS != "windows" {
		return e
	}
	// OSVersion is "10.0.20348"; engines before 20.10 have it in the kernel's version
	// only: "10.0 20348 (20348.1.amd64fre.fe_release.210507-1500)".
	kernel := strings.Fields(info.KernelVersion)
	switch m := osBuild.FindStringSubmatch(info.OperatingSystem); {
	case m != nil:
		e.OSVersion = "10.0." + m[1]
	case strings.HasPrefix(info.OSVersion, "10.0."):
		e.OSVersion = info.OSVersion
	case len(kernel) > 1 && kernel[0] == "10.0":
		e.OSVersion = "10.0." + kernel[1]
	}
	return e
}
