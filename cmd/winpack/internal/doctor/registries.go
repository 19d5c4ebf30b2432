package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/winpack/winpack/pkg/build"
)

// RegistryTarget is a registry to ask.
type RegistryTarget struct {
	Host   string
	Mirror string // asked instead, with its path; empty without one
	Plain  bool   // plain http is allowed
	Named  bool   // on the command line
}

// asked is the host that is really asked.
func (t RegistryTarget) asked() string {
	if t.Mirror != "" {
		return hostOf(t.Mirror)
	}
	return t.Host
}

// Registry is what is known of a registry.
type Registry struct {
	Host    string `json:"host"`
	Mirror  string `json:"mirror"`  // what is asked instead; empty without one
	Purpose string `json:"purpose"` // "base" for the registry of base images, else "named"
	Answers bool   `json:"answers"`
	Address string `json:"address"` // that answered, or was asked last
	Status  int    `json:"status"`  // of HTTP, 0 without an answer
	Login   bool   `json:"login"`   // it wants one
	// Credentials say where credentials for it would come from: a file or a helper.
	Credentials string `json:"credentials"`
	Problem     string `json:"problem"`
	Remedy      string `json:"remedy"`
}

// skew is how far this machine's clock is ahead of a registry's.
type skew struct {
	host    string
	seconds int
}

func askRegistry(ctx context.Context, t RegistryTarget) (Registry, *skew) {
	r := Registry{Host: t.Host, Mirror: build.Mask(t.Mirror), Purpose: "base"}
	if t.Named {
		r.Purpose = "named"
	}
	r.Remedy = "see whether the name is right, and whether a proxy is needed (HTTPS_PROXY)"
	if !t.Named {
		r.Remedy += "; another registry can stand in for it: --mirror " + t.Host + "=HOST/PATH"
	}
	var options []name.Option
	if t.Plain {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(t.asked(), options...)
	if err != nil {
		r.Problem = err.Error()
		return r, nil
	}
	schemes := []string{"https"}
	if registry.Scheme() == "http" {
		schemes = append(schemes, "http")
	}
	for _, scheme := range schemes {
		r.Address = scheme + "://" + registry.RegistryStr() + "/v2/"
		resp, err := get(ctx, r.Address)
		if err != nil {
			r.Problem = problemOf(err)
			if errors.As(err, new(*tls.CertificateVerificationError)) {
				r.Remedy = "let SSL_CERT_FILE name the certificates of your authority; Windows and macOS take them from the system"
				break // what plain http says would hide it
			}
			continue
		}
		r.Status = resp.StatusCode
		r.Login = resp.StatusCode == http.StatusUnauthorized
		switch {
		case resp.StatusCode == http.StatusOK, r.Login:
			r.Answers, r.Problem, r.Remedy = true, "", ""
		default:
			r.Problem = "it answers " + resp.Status + ", as no registry does"
		}
		return r, clockSkew(t.asked(), resp)
	}
	return r, nil
}

// get asks as the builders do: through the proxy of the environment.
func get(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "winpack")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<12)
	return resp, nil
}

// problemOf says in one line why a question had no answer.
func problemOf(err error) string {
	var wrongScheme tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &wrongScheme):
		return "it speaks plain http, which --insecure-registry allows"
	}
	// `Get "https://...": ` says again what the address says.
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	return err.Error()
}

func clockSkew(host string, resp *http.Response) *skew {
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return nil
	}
	return &skew{host, int(time.Since(theirs).Seconds())}
}

// ahead says for people how wrong the clock is.
func ahead(c Clock) string {
	d := time.Duration(c.AheadSeconds) * time.Second
	if d < 0 {
		return fmt.Sprintf("%s behind that of %s", -d, c.Against)
	}
	return fmt.Sprintf("%s ahead of that of %s", d, c.Against)
}
