// SPDX-License-Identifier: Apache-2.0

// Package handler holds CRI-O's table of runtime handlers: what makes one valid, and what a reload
// does and fails to do. Its error texts are CRI-O's, because people and tests search logs for them.
package handler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

// shimName is CRI-O's rule for the file name of a vm handler's binary.
var shimName = regexp.MustCompile(`^containerd-shim-[a-zA-Z0-9\-\+]+$`)

func validate(name string, h *config.Handler) error {
	checks := []func() error{
		func() error { return validateType(name, h) },
		func() error { return validatePath(name, h) },
		func() error { return validateConfigPath(name, h) },
		func() error { return validateAnnotations(h) },
		func() error { return validateRest(name, h) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func validateType(name string, h *config.Handler) error {
	if slices.Contains([]string{"", config.TypeOCI, config.TypeVM, config.TypePod}, h.RuntimeType) {
		return nil
	}
	return fmt.Errorf("invalid `runtime_type` %q for runtime %q", h.RuntimeType, name)
}

func validatePath(name string, h *config.Handler) error {
	if h.RuntimePath == "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("%q not found in $PATH: %w", name, err)
		}
		h.RuntimePath = path
	} else if _, err := os.Stat(h.RuntimePath); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("invalid runtime_path for runtime '%s': %w", name, err)
	}
	if h.RuntimeType == config.TypeVM && !shimName.MatchString(filepath.Base(h.RuntimePath)) {
		return fmt.Errorf("invalid runtime_path for runtime '%s': containerd binary naming pattern is not followed", name)
	}
	return nil
}

func validateConfigPath(name string, h *config.Handler) error {
	if h.RuntimeConfigPath == "" {
		return nil
	}
	if h.RuntimeType != config.TypeVM {
		return errors.New("runtime_config_path can only be used with the 'vm' runtime type")
	}
	if _, err := os.Stat(h.RuntimeConfigPath); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("invalid runtime_config_path for runtime '%s': %w", name, err)
	}
	return nil
}

func validateAnnotations(h *config.Handler) error {
	for _, annotation := range h.AllowedAnnotations {
		if !slices.Contains(allowedAnnotations(), annotation) {
			return fmt.Errorf("invalid allowed_annotation: %s", annotation)
		}
	}
	return nil
}

func validateRest(name string, h *config.Handler) error {
	oci := h.RuntimeType == config.TypeOCI || h.RuntimeType == ""
	switch {
	case h.NoSyncLog && !oci:
		return fmt.Errorf("no sync log: no_sync_log is only allowed with runtime type 'oci', runtime type is '%s'", h.RuntimeType)
	case h.StreamWebsockets && h.RuntimeType != config.TypePod:
		return fmt.Errorf(`websocket streaming: only the 'runtime_type = "pod"' supports websocket streaming, not %q (runtime %q)`,
			h.RuntimeType, name)
	}
	return nil
}
