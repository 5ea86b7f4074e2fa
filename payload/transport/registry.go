// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func (t Target) reference(o Options) (name.Reference, error) {
	options := []name.Option{name.StrictValidation}
	if o.SkipTLSVerify {
		options = append(options, name.Insecure)
	}
	if t.digest != "" {
		return name.NewDigest(t.repository+"@"+t.digest, options...)
	}
	return name.NewTag(t.repository+":"+t.tag, options...)
}

func (o Options) remote(ctx context.Context, repository name.Repository) ([]remote.Option, error) {
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(transport), remote.WithUserAgent("kata-payload")}
	if o.AuthFile == "" {
		return append(options, remote.WithAuthFromKeychain(authn.DefaultKeychain)), nil
	}
	auth, err := authFromFile(o.AuthFile, repository)
	if err != nil {
		return nil, fmt.Errorf("reading credentials from %s: %w", o.AuthFile, err)
	}
	return append(options, remote.WithAuth(auth)), nil
}

func (o Options) transport() (http.RoundTripper, error) {
	standard, ok := remote.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the default transport is not net/http's")
	}
	own := standard.Clone()
	if o.SkipTLSVerify {
		own.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // The user asked for it by name.
	}
	return own, nil
}

// authFromFile looks for the most specific entry: registry/a/b, registry/a, registry
// (containers-auth.json(5)).
func authFromFile(file string, repository name.Repository) (authn.Authenticator, error) {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // Nothing was written.
	all, err := config.LoadFromReader(f)
	if err != nil {
		return nil, err
	}
	for scope := repository.Name(); scope != ""; scope = parent(scope) {
		auth, err := entry(all, scope)
		if auth != nil || err != nil {
			return auth, err
		}
	}
	if scope := legacyKey(all, repository.RegistryStr()); scope != "" {
		auth, err := entry(all, scope)
		if auth != nil || err != nil {
			return auth, err
		}
	}
	return authn.Anonymous, nil
}

// legacyKey returns the first key that older tools wrote for a registry: as a URL, of which only
// the host counts, as skopeo, podman and docker read it. The empty string means that there is none.
func legacyKey(all *configfile.ConfigFile, registry string) string {
	for _, key := range slices.Sorted(maps.Keys(all.AuthConfigs)) {
		for _, scheme := range []string{"https://", "http://"} {
			rest, found := strings.CutPrefix(key, scheme)
			if host, _, _ := strings.Cut(rest, "/"); found && host == registry {
				return key
			}
		}
	}
	return ""
}

func parent(scope string) string {
	return scope[:max(strings.LastIndex(scope, "/"), 0)]
}

// entry returns nil where the file has nothing for exactly that scope. The library's own search is
// for helper programs only: it would take any entry of the same host.
func entry(all *configfile.ConfigFile, scope string) (authn.Authenticator, error) {
	if scope == name.DefaultRegistry {
		scope = authn.DefaultAuthKey
	}
	found, listed := all.AuthConfigs[scope]
	if !listed && (all.CredentialHelpers[scope] != "" || all.CredentialsStore != "") {
		var err error
		if found, err = all.GetAuthConfig(scope); err != nil {
			return nil, err
		}
	}
	auth := authn.AuthConfig{
		Username: found.Username, Password: found.Password, Auth: found.Auth,
		IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}
	if auth == (authn.AuthConfig{}) {
		return nil, nil //nolint:nilnil // Having nothing to say is one of the three answers.
	}
	return authn.FromConfig(auth), nil
}
