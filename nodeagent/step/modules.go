// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// loadModules names the modules in a file of ours, which each boot reads, and has systemd read it
// now. systemd has the privilege to load modules, and the programs that unpack them and find what
// they depend on; the agent has neither. The file names all modules that this kernel has on disk,
// so that a second call does not forget what the first one loaded.
//
// The service that loads modules fails for any file that names a module which is not there, so that
// its result counts only while one of ours is missing.
func (r Runner) loadModules(ctx context.Context) error {
	before := r.Host.Machine.Examine(ctx)
	if len(check.LoadableModules(before)) == 0 {
		return nil
	}
	if err := r.unlisted(host.ModulesFile); err != nil {
		return err
	}
	if err := r.Host.Files.Write(host.ModulesFile, modulesFile(before), publicFile); err != nil {
		return fmt.Errorf("naming kernel modules for each boot: %w", err)
	}
	dependents, err := r.Host.Services.Dependents(ctx, host.ModulesUnit)
	if err != nil {
		return err
	}
	if len(dependents) > 0 {
		return fmt.Errorf("loading kernel modules: %s would be stopped with %s: run systemd-modules-load by hand, or reboot", strings.Join(dependents, ", "), host.ModulesUnit)
	}
	err = r.Host.Services.Restart(ctx, host.ModulesUnit)
	if missing := check.LoadableModules(r.Host.Machine.Examine(ctx)); len(missing) > 0 {
		return errors.Join(fmt.Errorf("loading kernel modules %s: see journalctl -u %s", strings.Join(missing, ", "), host.ModulesUnit), err)
	}
	return nil
}

func modulesFile(m host.MachineFacts) []byte {
	lines := []string{"# Written by kata-node-agent, and deleted when Kata is removed from this node.\n"}
	for _, d := range host.DeviceModules() {
		if m.Modules[d.Module].Installed {
			lines = append(lines, d.Module+"\n")
		}
	}
	return []byte(strings.Join(lines, ""))
}
