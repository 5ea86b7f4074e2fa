// SPDX-License-Identifier: Apache-2.0

// Package config reads crio.conf and its drop-in directory the way CRI-O 1.37 does, mistakes
// included. It uses the TOML library CRI-O uses, so that both refuse the same documents.
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
	// TypeVM marks a handler that is a containerd shim.
	TypeVM = "vm"
	// TypeOCI marks a handler that is an OCI runtime; the empty type means the same.
	TypeOCI = "oci"
	// TypePod marks a handler that runs under a per-pod monitor.
	TypePod = "pod"

	defaultRuntime = "crun"
)

// Config is the merged configuration. Keys that it does not name are accepted and ignored.
type Config struct {
	Crio struct {
		Root
		API     API     `toml:"api"`
		Runtime Runtime `toml:"runtime"`
		Image   Image   `toml:"image"`
		Network Network `toml:"network"`
	} `toml:"crio"`
}

// Default is the configuration before any file is read.
func Default() Config {
	var c Config
	c.Crio.Root.Root = "/var/lib/containers/storage"
	c.Crio.RunRoot = "/run/containers/storage"
	c.Crio.LogDir = "/var/log/crio/pods"
	c.Crio.API.Listen = "/run/crio/crio.sock"
	c.Crio.Runtime.DefaultRuntime = defaultRuntime
	c.Crio.Runtime.LogLevel = "info"
	c.Crio.Runtime.DropInfraCtr = true
	c.Crio.Runtime.Runtimes = map[string]*Handler{defaultRuntime: {RuntimeType: TypeOCI, RuntimeRoot: "/run/crun"}}
	return c
}

// Source says where the configuration comes from.
type Source struct {
	File     string // the main file
	Dir      string // the drop-in directory
	Required bool   // whether a main file that does not exist is an error
}

// Read merges the main file and then every regular file below the directory, in lexical order
// whatever its name.
func (s Source) Read() (Config, error) {
	c := Default()
	if err := c.decode(s.File); err != nil && (s.Required || !errors.Is(err, fs.ErrNotExist)) {
		return Config{}, fmt.Errorf("update config from file: %w", err)
	}
	if err := c.walk(s.Dir); err != nil {
		return Config{}, fmt.Errorf("update config from path: %w", err)
	}
	return c, nil
}

// walk follows no link to a directory and opens every other one: a dangling link is an error.
func (c *Config) walk(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := filepath.Walk(dir, func(path string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		return c.decode(path)
	})
	if err != nil {
		return fmt.Errorf("walk path: %w", err)
	}
	return nil
}

func (c *Config) decode(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := toml.Decode(string(data), c); err != nil {
		return fmt.Errorf("unable to decode configuration %s: %w", path, err) //nolint:revive // CRI-O's own words
	}
	return nil
}
