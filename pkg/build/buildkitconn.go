package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/cli/cli/connhelper/commandconn"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/connhelper"
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer" // docker-container:// addresses
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/nerdctlcontainer"
	_ "github.com/moby/buildkit/client/connhelper/npipe"
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer"
	"github.com/moby/buildkit/client/connhelper/ssh"
	"github.com/moby/buildkit/util/appdefaults"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Worker is what a BuildKit daemon says of the machine that it builds on: of its
// first worker, which is the one that builds.
type Worker struct {
	Version      string
	OS           string   // "windows" or "linux"
	Architecture string   // like "amd64"
	OSVersion    string   // of a Windows host, its build
	Platforms    []string // all that it builds for: "linux/amd64", "windows(10.0.20348.2966)/amd64"
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

// AnswerTime is how long a builder may take to say what it is.
const AnswerTime = 10 * time.Second

// Endpoint says where the daemon is. It asks nobody. With an *AddressError it says as
// much as is known.
func (b BuildKit) Endpoint() (Endpoint, error) {
	at := Endpoint{Address: Mask(b.address())}
	if b.Addr == "" {
		at.From = byDefault
	}
	return at, b.check()
}

func (b BuildKit) address() string { return cmp.Or(b.Addr, appdefaults.Address) }

// check refuses an address or certificates that can be those of no daemon.
func (b BuildKit) check() error {
	scheme, _, ok := strings.Cut(b.address(), "://")
	known := []string{"unix", "tcp", "npipe", "ssh", "docker-container", "kube-pod", "podman-container", "nerdctl-container"}
	switch {
	case !ok:
		return addressError("BuildKit's address %q has no scheme: write it like unix:///run/buildkit/buildkitd.sock, tcp://HOST:1234 or docker-container://NAME", Mask(b.address()))
	case !slices.Contains(known, scheme):
		return addressError("BuildKit's address %q is of no kind that BuildKit has: write it like unix:///run/buildkit/buildkitd.sock, tcp://HOST:1234 or docker-container://NAME", Mask(b.address()))
	case b.TLSDir != "" && scheme != "tcp":
		return addressError("certificates are for BuildKit at tcp://HOST:PORT, and its address is %s: name such a one, or leave them out", Mask(b.address()))
	}
	if _, err := url.Parse(b.address()); err != nil {
		return addressError("BuildKit's address %q is no URL: %% in a name or password is written %%25", Mask(b.address()))
	}
	_, err := b.certificates()
	return err
}

// certificates are the files of TLSDir: of the authority, the own certificate, its key.
func (b BuildKit) certificates() (files []string, err error) {
	if b.TLSDir == "" {
		return nil, nil
	}
	for _, names := range [][]string{{"ca.pem", "ca.crt"}, {"cert.pem", "tls.crt"}, {"key.pem", "tls.key"}} {
		i := slices.IndexFunc(names, func(name string) bool {
			info, err := os.Stat(filepath.Join(b.TLSDir, name))
			return err == nil && !info.IsDir()
		})
		if i < 0 {
			return nil, addressError("the folder %q for mTLS with BuildKit lacks %s, or %s", b.TLSDir, names[0], names[1])
		}
		files = append(files, filepath.Join(b.TLSDir, names[i]))
	}
	return files, nil
}

// connect prepares the way to a daemon; nothing is asked.
func (b BuildKit) connect(ctx context.Context) (*client.Client, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	fail := func(err error) (*client.Client, error) {
		return nil, addressError("BuildKit's address %q: %s", Mask(b.address()), Masker(b.address())(bareURL(err).Error()))
	}
	u, err := url.Parse(b.address())
	if err != nil {
		return fail(err)
	}
	var opts []client.ClientOpt
	switch files, err := b.certificates(); {
	case err != nil:
		return nil, err
	case files != nil:
		opts = append(opts, client.WithServerConfig(u.Hostname(), files[0]), client.WithCredentials(files[1], files[2]))
	}
	helper, err := connhelper.GetConnectionHelper(b.address())
	if err == nil && u.Scheme == "ssh" {
		helper, err = sshHelper(u)
	}
	if err != nil {
		return fail(err)
	}
	if helper != nil {
		opts = append(opts, client.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := helper.ContextDialer(ctx, addr)
			if err != nil {
				return nil, err
			}
			return throughCommand(c), nil
		}))
	}
	c, err := client.New(ctx, b.address(), opts...)
	if err != nil {
		return fail(err)
	}
	return c, nil
}

// sshHelper is BuildKit's own way over ssh, but for questions that ssh would ask.
func sshHelper(u *url.URL) (*connhelper.ConnectionHelper, error) {
	at, err := ssh.SpecFromURL(u)
	if err != nil {
		return nil, err
	}
	args := sshOptions()
	if at.User != "" {
		args = append(args, "-l", at.User)
	}
	if at.Port != "" {
		args = append(args, "-p", at.Port)
	}
	args = append(args, "--", at.Host, "buildctl")
	if at.Socket != "" {
		args = append(args, "--addr", "unix://"+at.Socket)
	}
	args = append(args, "dial-stdio")
	return &connhelper.ConnectionHelper{ContextDialer: func(ctx context.Context, _ string) (net.Conn, error) {
		return commandconn.New(ctx, "ssh", args...)
	}}, nil
}

// Worker asks the daemon what it builds on. An *AddressError says that its address can
// be none, an *UnreachableError that nothing answers within some seconds.
func (b BuildKit) Worker(ctx context.Context) (Worker, error) {
	c, err := b.connect(ctx)
	if err != nil {
		return Worker{}, err
	}
	defer c.Close()
	return b.worker(ctx, c)
}

func (b BuildKit) worker(ctx context.Context, c *client.Client) (Worker, error) {
	asking, cancel := context.WithTimeout(ctx, AnswerTime)
	defer cancel()
	list, err := c.ListWorkers(asking)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Worker{}, ctx.Err()
	case asking.Err() != nil:
		err = errSilent
	case err != nil:
		err = b.cause(err)
	case len(list) == 0 || len(list[0].Platforms) == 0:
		err = errors.New("it has no worker")
	}
	if err != nil {
		return Worker{}, b.unreachable(err)
	}
	host := list[0].Platforms[0] // its own; others are emulated
	w := Worker{Version: list[0].BuildkitVersion.Version, OS: host.OS, Architecture: host.Architecture}
	if host.OS == "windows" {
		w.OSVersion = host.OSVersion
	}
	for _, p := range list[0].Platforms {
		text := p.OS + "/" + p.Architecture
		if p.OSVersion != "" {
			text = p.OS + "(" + p.OSVersion + ")/" + p.Architecture
		}
		w.Platforms = append(w.Platforms, text)
	}
	return w, nil
}

func (b BuildKit) unreachable(err error) error {
	return &UnreachableError{"BuildKit", Mask(b.address()), masked{Masker(b.address())(err.Error()), err}}
}

// dialFailed is how gRPC tells why there is no connection: the reason is quoted.
var dialFailed = regexp.MustCompile(`(?s)connection error: desc = (".*")$`)

// cause is why a daemon did not say what it is, in words of its own where gRPC has too
// many.
func (b BuildKit) cause(err error) error {
	var said interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &said) {
		return err
	}
	text := said.GRPCStatus().Message()
	if said.GRPCStatus().Code() != codes.Unavailable {
		return fmt.Errorf("what answers is no BuildKit daemon: %s", text)
	}
	if m := dialFailed.FindStringSubmatch(text); m != nil {
		if inner, err := strconv.Unquote(m[1]); err == nil {
			text = inner
		}
		for _, step := range []string{"transport: ", "Error while dialing: ", "authentication handshake failed: "} {
			text = strings.TrimPrefix(text, step)
		}
	}
	switch {
	case b.TLSDir == "" && strings.HasPrefix(b.address(), "tcp:") && strings.Contains(text, "server preface"):
		return errors.New("it breaks the connection off: a daemon with TLS needs --buildkit-tls, and what is no BuildKit daemon does the same")
	case strings.Contains(text, "does not look like a TLS handshake"):
		return errors.New("it speaks no TLS, which --buildkit-tls asks for")
	}
	return commandSaid(errors.New(text))
}
