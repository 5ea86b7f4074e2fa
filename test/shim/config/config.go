// SPDX-License-Identifier: Apache-2.0

// Package config reads the part of a Kata configuration.toml (Go dialect) that the test shim obeys.
// Like the real shim it merges config.d, which lies next to the resolved main file.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

const (
	// ModelNone is the only internetworking_model that goes with disable_new_netns.
	ModelNone = "none"

	modelDefault = "tcfilter"
	dropInDir    = "config.d"
)

// ErrHostNetwork refuses a sandbox in the host's network, which Kata cannot attach a VM to.
var ErrHostNetwork = errors.New("Host networking requested, not supported by runtime") //nolint:staticcheck // Kata's own words

// Config is what the shim obeys; every other key is accepted and ignored.
type Config struct {
	Hypervisor struct {
		QEMU struct {
			// Image is the guest's; empty means none.
			Image string `toml:"image"`
		} `toml:"qemu"`
	} `toml:"hypervisor"`
	Runtime struct {
		DisableNewNetNS      bool   `toml:"disable_new_netns"`
		InternetworkingModel string `toml:"internetworking_model"`
	} `toml:"runtime"`
}

// Load reads the file and then its drop-ins in lexical order. An empty path means the defaults.
func Load(path string) (Config, error) {
	var c Config
	c.Runtime.InternetworkingModel = modelDefault
	if path == "" {
		return c, nil
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Config{}, fmt.Errorf("resolving configuration: %w", err)
	}
	if err := decode(resolved, &c); err != nil {
		return Config{}, err
	}
	if err := decodeDropIns(filepath.Join(filepath.Dir(resolved), dropInDir), &c); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

// AdmitsHostNetwork returns ErrHostNetwork unless the shim is configured to stay out of networking
// altogether.
func (c Config) AdmitsHostNetwork() error {
	if c.Runtime.DisableNewNetNS {
		return nil
	}
	return ErrHostNetwork
}

func (c Config) check() error {
	if c.Runtime.DisableNewNetNS && c.Runtime.InternetworkingModel != ModelNone {
		return fmt.Errorf("config disable_new_netns only works with %q internetworking_model, not %q",
			ModelNone, c.Runtime.InternetworkingModel)
	}
	return nil
}

func decodeDropIns(dir string, into *Config) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing drop-ins: %w", err)
	}
	for _, entry := range entries {
		if err := decode(filepath.Join(dir, entry.Name()), into); err != nil {
			return err
		}
	}
	return nil
}

func decode(path string, into *Config) error {
	if _, err := toml.DecodeFile(path, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}
