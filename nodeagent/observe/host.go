// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func (o Observer) host() (plan.Host, error) {
	h := plan.Host{BootID: o.Self.BootID, Architecture: o.Self.Architecture, Kernel: o.Self.Kernel}
	fragments, err := Fragments(o.Host.Files)
	if err != nil {
		h.SettingsProblem = err.Error()
	} else {
		h.Settings = handlers.Fingerprint(fragments)
	}
	if o.Self.PayloadKernel && err == nil {
		h.Settings += payloadKernel
	}
	h.Kernels = o.kernels()
	h.Problem, err = o.unfit()
	return h, err
}

// liveSystem exists on a system booted from an ISO or over the network, firstBoot until a new
// OpenShift node has pivoted to its own OS image and rebooted.
const (
	liveSystem = "/run/ostree-live"
	firstBoot  = "/etc/ignition-machine-config-encapsulated.json"
)

// unfit says why this host cannot run Kata, if so.
func (o Observer) unfit() (string, error) {
	private, err := o.Host.Mounts.Private()
	switch {
	case err != nil:
		return "", err
	case private:
		return "the agent runs in a mount namespace of its own, so CRI-O would not see its mounts: remove sandboxing directives from kata-node-agent.service", nil
	case o.exists(liveSystem):
		return "this is a live system, nothing would survive its end: install it to disk first", nil
	case o.exists(firstBoot):
		return "this node has not yet rebooted into its own OS image: the agent goes on after that reboot", nil
	}
	return "", nil
}

func (o Observer) exists(path string) bool {
	_, err := o.Host.Files.Read(path)
	return err == nil
}

// Fragments returns the administrators' files for configuration.toml, in order of their names. What
// begins with a dot is an editor's, and a link that leads nowhere is no file: both are passed over.
func Fragments(files host.Files) ([]handlers.Fragment, error) {
	names, err := files.List(host.ConfigDir)
	if err != nil {
		return nil, err
	}
	var fragments []handlers.Fragment
	for _, name := range names {
		if !strings.HasSuffix(name, ".toml") || strings.HasPrefix(name, ".") {
			continue
		}
		content, err := files.Read(path.Join(host.ConfigDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading configuration fragment %s: %w", name, err)
		}
		fragments = append(fragments, handlers.Fragment{Name: name, Content: content})
	}
	return fragments, nil
}
