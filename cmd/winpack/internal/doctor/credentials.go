package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
)

// maxConfig bounds a credential file, in bytes.
const maxConfig = 1 << 20

// Credentials are where registry credentials can come from; what they are is
// never read out of a helper, and never kept.
type Credentials struct {
	Files []CredentialFile `json:"files"` // that exist
}

// CredentialFile is a config.json of docker or an auth.json of podman.
type CredentialFile struct {
	Path       string   `json:"path"`
	Registries int      `json:"registries"` // with credentials in the file
	Helpers    []Helper `json:"helpers"`
	Problem    string   `json:"problem"` // why it can't be read

	hosts   []string          // that have credentials in the file
	store   string            // helper for all hosts
	perHost map[string]string // helper for one
}

// Helper is a program that keeps credentials. It is looked for, and not run.
type Helper struct {
	Name  string `json:"name"` // docker-credential-NAME
	Found bool   `json:"found"`
}

func readCredentials(paths []string) Credentials {
	c := Credentials{Files: []CredentialFile{}}
	for _, path := range paths {
		if slices.ContainsFunc(c.Files, func(f CredentialFile) bool { return f.Path == path }) {
			continue
		}
		if f, ok := readCredentialFile(path); ok {
			c.Files = append(c.Files, f)
		}
	}
	return c
}

func readCredentialFile(path string) (CredentialFile, bool) {
	f := CredentialFile{Path: path, Helpers: []Helper{}}
	cf, err := loadConfig(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, false
	case err != nil:
		f.Problem = strings.Join(strings.Fields(err.Error()), " ")
		return f, true
	}
	for host := range cf.AuthConfigs {
		f.hosts = append(f.hosts, hostOf(host))
	}
	f.Registries = len(f.hosts)
	f.store, f.perHost = cf.CredentialsStore, cf.CredentialHelpers
	helpers := map[string]bool{}
	for _, name := range append(slices.Collect(maps.Values(f.perHost)), f.store) {
		if name != "" {
			helpers[program(name)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(helpers)) {
		_, err := exec.LookPath(name)
		f.Helpers = append(f.Helpers, Helper{name, err == nil})
	}
	return f, true
}

func loadConfig(path string) (*configfile.ConfigFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("it is larger than %d bytes", maxConfig)
	}
	return config.LoadFromReader(io.LimitReader(file, maxConfig))
}

func program(helper string) string { return "docker-credential-" + helper }

// hostOf is the host of a key of auths, which may be an address.
func hostOf(key string) string {
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	host, _, _ := strings.Cut(key, "/")
	return host
}

// of says where the credentials of a registry come from; empty means that it is
// asked without any.
func (c Credentials) of(host string) string {
	for _, f := range c.Files {
		if helper := f.perHost[host]; helper != "" {
			return program(helper)
		}
		if f.store != "" {
			return program(f.store)
		}
		if slices.Contains(f.hosts, host) {
			return f.Path
		}
	}
	return ""
}

// stops says why no registry can be asked: a file that can't be read, or a helper
// for all registries that is not there. Empty means that nothing does.
func (c Credentials) stops() string {
	for _, f := range c.Files {
		if f.Problem != "" {
			return "the credentials of " + f.Path + " can't be read"
		}
		if f.store != "" && slices.Contains(f.Helpers, Helper{program(f.store), false}) {
			return "the credential helper " + program(f.store) + " of " + f.Path + " is not installed"
		}
	}
	return ""
}
