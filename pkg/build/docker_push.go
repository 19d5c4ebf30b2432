package build

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// enginePush pushes a tag and returns the digest that the registry gave it.
func enginePush(ctx context.Context, c *client.Client, tag string, auth registry.AuthConfig, say func(string)) (string, error) {
	encoded, err := registry.EncodeAuthConfig(auth)
	if err != nil {
		return "", err
	}
	body, err := c.ImagePush(ctx, tag, image.PushOptions{RegistryAuth: encoded})
	if err != nil {
		return "", err
	}
	defer body.Close()
	digest := ""
	err = messages(body, say, func(aux json.RawMessage) {
		var r struct{ Digest string }
		if json.Unmarshal(aux, &r) == nil && r.Digest != "" {
			digest = r.Digest
		}
	})
	return digest, err
}

// credentials are those of this machine, for an engine.
func (d Docker) credentials(ctx context.Context, repo name.Repository) (registry.AuthConfig, error) {
	keychain := d.Registry.Keychain
	if keychain == nil {
		keychain = Keychain()
	}
	who, err := keychain.Resolve(repo)
	if err != nil {
		return registry.AuthConfig{}, err
	}
	cfg, err := authn.Authorization(ctx, who)
	if err != nil {
		return registry.AuthConfig{}, err
	}
	host := repo.RegistryStr()
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey // by which an engine knows Docker Hub
	}
	return registry.AuthConfig{Username: cfg.Username, Password: cfg.Password, Auth: cfg.Auth, IdentityToken: cfg.IdentityToken,
		RegistryToken: cfg.RegistryToken, ServerAddress: host}, nil
}

// pushError tells what a registry refused an engine, which passes its words on.
func pushError(tag, host string, err error) error {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "unauthorized"), strings.Contains(text, "no basic auth credentials"), strings.Contains(text, "authentication required"):
		return &AuthError{"pushing by the engine", tag, host, http.StatusUnauthorized}
	case strings.HasPrefix(text, "denied"), strings.Contains(text, "access to the resource is denied"):
		return &AuthError{"pushing by the engine", tag, host, http.StatusForbidden}
	case strings.Contains(text, plainHTTP):
		return fmt.Errorf("pushing %q: %s speaks plain http: allow that in the engine's daemon.json: \"insecure-registries\": [%q]", tag, host, host)
	}
	return fmt.Errorf("pushing %q: %w", tag, err)
}
