package build

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// UnsupportedError is a plan that a builder cannot carry out, because a step has to
// run on Windows.
type UnsupportedError struct {
	Builder  string // empty for the direct one
	Reasons  []string
	Builders []string // the builders that could
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this takes commands that run on Windows, and the builder %s runs none: %s; use %s",
		cmp.Or(e.Builder, builderDirect), strings.Join(e.Reasons, "; "), strings.Join(e.Builders, " or "))
}

func unsupported(reasons []string) error {
	return &UnsupportedError{Reasons: reasons, Builders: windowsBuilders("")}
}

// windowsBuilders are those that run commands on Windows, and how to name them.
// note says why the builder at hand is none.
func windowsBuilders(note string) []string {
	out := []string{"a Docker engine on Windows (--builder docker, --docker-host ADDR)", "a BuildKit worker on Windows (--builder buildkit, --buildkit-addr ADDR)"}
	if note != "" {
		out[1] += ": " + note
	}
	return out
}

// CannotError is what a builder cannot honour of a request, though another could.
type CannotError struct {
	What    string // "--annotation", "-o type=oci", ...
	Builder string
	Why     string
	Others  []string // values of --builder that could
}

func (e *CannotError) Error() string {
	s := fmt.Sprintf("%s: the builder %s can't do that: %s", e.What, e.Builder, e.Why)
	if len(e.Others) > 0 {
		s += "; use --builder " + strings.Join(e.Others, " or --builder ")
	}
	return s
}

// AuthError is a registry that refuses what the credentials, or their absence,
// allow.
type AuthError struct {
	Doing  string // "pushing", "pulling"
	Name   string
	Host   string
	Status int // 401 or 403
}

func (e *AuthError) Error() string {
	why := "the registry asks for a login, or refuses the one it got"
	if e.Status == http.StatusForbidden {
		why = "this login may not do that"
	}
	return fmt.Sprintf("%s %q: %s; run `docker login %s`", e.Doing, e.Name, why, e.Host)
}

// DamagedError is a blob that is not what its name says, or is not there.
type DamagedError struct {
	Digest    string
	Want, Got int64  // bytes
	Missing   bool   // there is none
	Of        string // what it belongs to, if that is known
}

func (e *DamagedError) Error() string {
	of := ""
	if e.Of != "" {
		of = fmt.Sprintf(" of %q", e.Of)
	}
	how := "is damaged: its content has another digest"
	switch {
	case e.Missing:
		return fmt.Sprintf("blob %s%s is missing: copy the whole image there again (a layout of base=sparse is no base)", e.Digest, of)
	case e.Got < e.Want:
		how = fmt.Sprintf("is damaged: it has %d bytes of %d", e.Got, e.Want)
	case e.Got > e.Want:
		how = fmt.Sprintf("is damaged: it has more than its %d bytes", e.Want)
	}
	return fmt.Sprintf("blob %s%s %s: copy the image there again", e.Digest, of, how)
}

// RegistryError is any other answer of a registry, after every retry.
type RegistryError struct {
	Doing  string
	Name   string
	Status int // 0 where there was no answer
	Err    error
	Host   string
	// Mirrored is true where a mirror was asked in place of the image's own registry.
	Mirrored bool
}

func (e *RegistryError) Error() string {
	what := fmt.Sprintf("%s %q: ", e.Doing, e.Name)
	var said *transport.Error
	switch {
	case e.Status == http.StatusNotFound && e.Mirrored:
		return what + "the mirror has no such image; copy it there, or leave --mirror out"
	case e.Status == http.StatusNotFound && !strings.HasPrefix(e.Doing, "pulling") && !strings.HasPrefix(e.Doing, "reading"):
		return what + "the registry answers 404, which says that it has no such repository: check the name, or create the repository or its project first"
	case e.Status == http.StatusNotFound:
		return what + "the registry has no such image; check the name and the tag"
	case e.Status == http.StatusTooManyRequests:
		return what + "the registry answers 429, too many requests, after every retry; wait, or log in for a higher limit"
	case e.Status >= 500:
		return what + fmt.Sprintf("the registry answers %d after every retry; try again later", e.Status)
	case errors.As(e.Err, &said):
		return what + refusal(said)
	}
	return what + wayProblem(e.Host, e.Err)
}

// plainHTTP is what net/http says of a server that takes no TLS.
const plainHTTP = "server gave HTTP response to HTTPS client"

// refusal is what a registry says of a request that it refuses, and what to do.
func refusal(e *transport.Error) string {
	cure := "the registry's log says more"
	if e.StatusCode == http.StatusRequestEntityTooLarge {
		cure = "raise the limit of the registry, or of the proxy in front of it"
	}
	var reasons []string
	for _, d := range e.Errors {
		switch d.Code {
		case transport.DigestInvalidErrorCode, transport.SizeInvalidErrorCode:
			cure = "something on the way changes what is sent: look at the proxies, and try again"
		case transport.NameInvalidErrorCode, transport.TagInvalidErrorCode:
			cure = "check the name that -t gives"
		case transport.UnsupportedErrorCode, transport.ManifestInvalidErrorCode:
			cure = "the registry does not take such images: use a newer one"
		}
		reasons = append(reasons, strings.TrimSuffix(strings.Join(strings.Fields(fmt.Sprintf("%s (%s)", d.Message, d.Code)), " "), " ()"))
	}
	if len(reasons) == 0 {
		reasons = []string{strings.ToLower(http.StatusText(e.StatusCode))}
	}
	return fmt.Sprintf("the registry answers %d: %s; %s", e.StatusCode, strings.Join(reasons, ", "), cure)
}

var helperName = regexp.MustCompile(`docker-credential-[\w.-]+`)

// wayProblem says what is wrong with the way to a registry, and what to do.
func wayProblem(host string, err error) string {
	var unknown x509.UnknownAuthorityError
	var wrong x509.HostnameError
	var dns *net.DNSError
	var op *net.OpError
	var file *CredentialsError
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case errors.As(err, &file):
		return file.Error()
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Sprintf("the proxy on the way to %s does not answer (%s): check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY", host, op.Err)
	case strings.Contains(text, http.StatusText(http.StatusProxyAuthRequired)):
		return fmt.Sprintf("the proxy on the way to %s asks for a login: give it in HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT", host)
	case helperName.MatchString(text) && (errors.Is(err, exec.ErrNotFound) || strings.Contains(text, "not found")):
		return fmt.Sprintf("docker's config.json names the credential helper %s, which is not in PATH: install it, or take it out of credsStore and credHelpers", helperName.FindString(text))
	case helperName.MatchString(text):
		return fmt.Sprintf("the credential helper %s fails: try `%s list`, or `docker login %s` again (%s)", helperName.FindString(text), helperName.FindString(text), host, text)
	case strings.Contains(text, plainHTTP):
		return fmt.Sprintf("%s speaks plain http: allow that with --insecure-registry %s", host, host)
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of %s is signed by nobody whom this machine trusts: add its CA to the system's certificates, or name the file in SSL_CERT_FILE", host)
	case errors.As(err, &wrong):
		return fmt.Sprintf("the certificate of %s is for another name: %s", host, strings.Join(strings.Fields(wrong.Error()), " "))
	case errors.As(err, &dns) && strings.HasSuffix(dns.Name, "docker.io"):
		return fmt.Sprintf("the host %s is not known: a name without a host, like foo:1, is one of Docker Hub; else check the DNS server or HTTPS_PROXY of this machine", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %s is not known: check the name, and the DNS server or HTTPS_PROXY of this machine", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s: check host and port, and that the registry runs", host)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Sprintf("%s broke the connection off after every retry: try again, or look at the registry's log", host)
	}
	return text
}

func (e *RegistryError) Unwrap() error { return e.Err }

// registryError names what failed, on what, and the cure.
func registryError(doing, name, host string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if damaged := (*DamagedError)(nil); errors.As(err, &damaged) {
		return damaged // met while it was sent
	}
	status := 0
	if gave := (*gaveUpError)(nil); errors.As(err, &gave) {
		status, err = gave.status, gave.err
	}
	var terr *transport.Error
	if errors.As(err, &terr) {
		status = terr.StatusCode
		// While a base is streamed, either registry may have refused.
		if r := terr.Request; r != nil && strings.HasPrefix(r.URL.Path, "/v2/") {
			host = r.URL.Host
		}
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return &AuthError{doing, name, host, status}
	}
	return &RegistryError{Doing: doing, Name: name, Status: status, Err: err, Host: host}
}

// Temporary says whether a build failed by what may be over a little later: a
// registry that is busy or fails, or the way to it.
func Temporary(err error) bool {
	var reg *RegistryError
	if !errors.As(err, &reg) {
		return false
	}
	switch {
	case reg.Status != 0:
		return busy(reg.Status)
	case errors.Is(reg.Err, syscall.ECONNREFUSED), errors.As(reg.Err, new(*net.DNSError)):
		return true
	}
	return worthRetrying(reg.Err)
}

// worthRetrying tells faults of the way from those of the request.
func worthRetrying(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*gaveUpError)) {
		return false
	}
	var terr *transport.Error
	if errors.As(err, &terr) {
		return terr.StatusCode == http.StatusTooManyRequests || terr.StatusCode == http.StatusRequestTimeout ||
			terr.StatusCode >= 500 || terr.Temporary()
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	var nerr net.Error
	return errors.As(err, &nerr) && nerr.Timeout()
}

// caught makes an error of a panic: that of one build must not end the process,
// which may run others.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = internalError(p)
	}
}

func internalError(p any) error { return fmt.Errorf("internal error: %v", p) }
