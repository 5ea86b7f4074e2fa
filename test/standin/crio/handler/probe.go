// SPDX-License-Identifier: Apache-2.0

package handler

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

// Features is what CRI Status says about a handler.
type Features struct{ RecursiveReadOnlyMounts, UserNamespaces bool }

// probe runs every handler's binary with --version and then features; failures of either are logged
// and change nothing.
func probe(ctx context.Context, table handlers, log logrus.FieldLogger) map[string]Features {
	found := map[string]Features{}
	for name, h := range table {
		version, err := exec.CommandContext(ctx, h.RuntimePath, "--version").CombinedOutput() //nolint:gosec // the configured runtime
		if err != nil {
			log.Errorf("Unable to determine version of runtime handler %q: %v", name, err)
			continue
		}
		log.Infof("Using runtime handler %s", strings.ReplaceAll(strings.TrimSpace(string(version)), "\n", ", "))
		found[name] = featuresOf(ctx, h, log)
	}
	return found
}

func featuresOf(ctx context.Context, h *config.Handler, log logrus.FieldLogger) Features {
	output, err := exec.CommandContext(ctx, h.RuntimePath, "features").CombinedOutput() //nolint:gosec // the configured runtime
	if err != nil {
		log.Errorf("Getting %s OCI runtime features failed: %s: %v", h.RuntimePath, output, err)
		return Features{}
	}
	var document features.Features
	if err := json.Unmarshal(output, &document); err != nil {
		log.Errorf("Unable to load OCI features for runtime handler %s: %v", h.RuntimePath, err)
		return Features{}
	}
	return Features{
		RecursiveReadOnlyMounts: slices.Contains(document.MountOptions, "rro"),
		UserNamespaces:          mapsIDs(document),
	}
}

func mapsIDs(document features.Features) bool {
	linux := document.Linux
	if linux == nil || linux.MountExtensions == nil || linux.MountExtensions.IDMap == nil {
		return false
	}
	enabled := linux.MountExtensions.IDMap.Enabled
	return enabled != nil && *enabled
}
