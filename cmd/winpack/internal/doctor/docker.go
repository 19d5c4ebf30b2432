package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxAnswer bounds what an engine says of itself, in bytes.
const maxAnswer = 1 << 20

// Docker asks the Docker engine at an address (unix, tcp or npipe). secure is how
// tcp is spoken to; nil is without TLS.
func Docker(address string, secure func() (*tls.Config, error)) Probe {
	return func(ctx context.Context) (Answer, error) {
		base := "http://docker"
		transport := &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, address) },
		}
		if host, ok := strings.CutPrefix(address, "tcp://"); ok && secure != nil {
			config, err := secure()
			if err != nil {
				return Answer{}, err
			}
			transport.TLSClientConfig = config
			base = "https://" + host
		}
		client := &http.Client{Transport: transport}
		var version struct{ Version, Os, Arch string }
		if err := ask(ctx, client, base+"/version", &version); err != nil {
			return Answer{}, err
		}
		// An engine that tells its version and no more is an engine all the same.
		var info struct{ OperatingSystem, OSVersion, Isolation string }
		_ = ask(ctx, client, base+"/info", &info)
		answer := Answer{Version: version.Version, OS: version.Os, Architecture: version.Arch, OSVersion: info.OSVersion}
		if info.OperatingSystem != "" {
			answer.OSVersion = strings.TrimSpace(info.OperatingSystem + " " + info.OSVersion)
		}
		if strings.EqualFold(version.Os, "windows") {
			answer.Isolation = cmp.Or(info.Isolation, "default")
		}
		return answer, nil
	}
}

func ask(ctx context.Context, client *http.Client, address string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return errors.New(problemOf(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode == http.StatusBadRequest && req.URL.Scheme == "http" {
			return errors.New("it does not speak plain http: an engine with TLS needs DOCKER_TLS_VERIFY and DOCKER_CERT_PATH")
		}
		return fmt.Errorf("it answers %s to %s, as no Docker engine does", resp.Status, req.URL.Path)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("its answer to %s is not that of a Docker engine", req.URL.Path)
	}
	return nil
}

// DockerTLS reads ca.pem, cert.pem and key.pem of a folder, as DOCKER_CERT_PATH
// names it.
func DockerTLS(dir string) (*tls.Config, error) {
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of DOCKER_CERT_PATH: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("there is no certificate in %q", filepath.Join(dir, "ca.pem"))
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of DOCKER_CERT_PATH: %w", err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// dial opens a connection to the address of a daemon.
func dial(ctx context.Context, address string) (net.Conn, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil, errors.New("the address has no scheme: write it like unix:///run/x.sock or tcp://HOST:PORT")
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	switch scheme {
	case "unix":
		return dialer.DialContext(ctx, "unix", rest)
	case "tcp":
		return dialer.DialContext(ctx, "tcp", strings.TrimRight(rest, "/"))
	case "npipe":
		return dialPipe(ctx, strings.ReplaceAll(rest, "/", `\`))
	}
	return nil, fmt.Errorf("addresses of %s:// are not asked here", scheme)
}
