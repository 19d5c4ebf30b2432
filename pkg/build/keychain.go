package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Keychain is where credentials come from: docker's config.json with its
// credential helpers, then podman's auth.json.
func Keychain() authn.Keychain {
	// The first one looks at podman's file only where docker has none.
	return authn.NewMultiKeychain(dockerKeychain{}, podmanKeychain{})
}

// CredentialsError says that a file of credentials can't be read.
type CredentialsError struct {
	Err string // with the path
}

func (e *CredentialsError) Error() string {
	return fmt.Sprintf("the credentials of docker login can't be read: %s: mend that file, or move it away and log in again", e.Err)
}

// dockerKeychain is docker's config.json.
type dockerKeychain struct{}

func (dockerKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	auth, err := authn.DefaultKeychain.Resolve(target)
	if err == nil || helperName.MatchString(err.Error()) {
		return auth, err
	}
	return nil, &CredentialsError{err.Error()}
}

// podmanKeychain reads containers/auth.json. Keys are a host or a host with a path;
// the longest that fits counts (containers-auth.json(5)).
type podmanKeychain struct{}

func (podmanKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, path := range podmanFiles() {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		cf, err := config.LoadFromReader(file)
		file.Close()
		if err != nil {
			return nil, &CredentialsError{fmt.Sprintf("%q: %v", path, err)}
		}
		for key := target.String(); ; {
			look := key
			if look == name.DefaultRegistry {
				look = authn.DefaultAuthKey
			}
			cfg, err := cf.GetAuthConfig(look)
			if err != nil {
				return nil, fmt.Errorf("reading credentials of %q: %w", path, err)
			}
			cfg.ServerAddress = ""
			if cfg != (types.AuthConfig{}) {
				return authn.FromConfig(authn.AuthConfig{
					Username: cfg.Username, Password: cfg.Password, Auth: cfg.Auth,
					IdentityToken: cfg.IdentityToken, RegistryToken: cfg.RegistryToken,
				}), nil
			}
			i := strings.LastIndexByte(key, '/')
			if i < 0 {
				break
			}
			key = key[:i]
		}
	}
	return authn.Anonymous, nil
}

// CredentialFiles are where Keychain looks, in its order: docker's file first.
// They need not exist.
func CredentialFiles() []string {
	return append([]string{filepath.Join(config.Dir(), config.ConfigFileName)}, podmanFiles()...)
}

func podmanFiles() []string {
	var files []string
	if f := os.Getenv("REGISTRY_AUTH_FILE"); f != "" {
		files = append(files, f)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".config")
	}
	if dir != "" {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	return files
}
