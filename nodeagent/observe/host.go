// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/manifest"
)

func (o Observer) host() plan.Host {
	h := plan.Host{BootID: o.Self.BootID, Build: o.Self.Build, Architecture: o.Self.Architecture, Kernel: o.Self.Kernel, Armed: o.Self.Arm}
	fragments, err := Fragments(o.Host.Files)
	if err != nil {
		h.SettingsProblem = err.Error()
	} else {
		h.Settings = handlers.Fingerprint(fragments)
	}
	if o.Self.PayloadKernel && err == nil {
		h.Settings += payloadKernel
	}
	if o.Self.OwnContext != "" && err == nil {
		h.Settings += " " + o.Self.OwnContext
	}
	h.Kernels = o.kernels()
	return h
}

// rebootRequired is what an administrator, or a program, wants this host to be rebooted for.
func (o Observer) rebootRequired() (string, error) {
	content, err := o.Host.Files.Read(host.RebootRequiredFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading why a reboot is required: %w", err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(content)), "\n")
	return node.Line(cmp.Or(strings.TrimSpace(first), "the file "+host.RebootRequiredFile), maxReason), nil
}

// maxReason bounds what a person wrote into a file.
const maxReason = 120

// liveSystem exists on a system booted from an ISO or over the network, firstBoot until a new
// OpenShift node has pivoted to its own OS image and rebooted.
const (
	liveSystem = "/run/ostree-live"
	firstBoot  = "/etc/ignition-machine-config-encapsulated.json"
)

// Check answers every question about the host. What a plan does with the answers depends on the
// payload. With an error the agent's mount namespace is not known, and the rest is as it is.
func (o Observer) Check(ctx context.Context, h *plan.Host, r plan.Runtime) error {
	private, err := o.Host.Mounts.Private()
	machine := o.Host.Machine.Examine(ctx)
	h.Check = check.Items(check.Facts{
		Machine: machine, Kernel: o.Self.Kernel, Private: private, Live: o.there(liveSystem), FirstBoot: o.there(firstBoot),
		CRIO: check.CRIO{Version: r.Version, KillMode: r.KillMode},
	})
	h.Modules = check.LoadableModules(machine)
	h.Problem = check.Problem(check.For(h.Check, manifest.Requires{}))
	return err
}

// Lacks says why this host cannot run a payload that requires so much, empty where it can. Programs
// are left out: they may come with the payload's packages.
func (o Observer) Lacks(ctx context.Context, r manifest.Requires) string {
	var h plan.Host
	if err := o.Check(ctx, &h, plan.Runtime{}); err != nil {
		return "" // the next observation returns the same error
	}
	return check.Problem(check.For(h.Check, manifest.Requires{KVM: r.KVM, OldestKernel: r.OldestKernel}))
}

// there reports whether a path leads to anything. Some are marks of other programs, of any size.
func (o Observer) there(path string) bool {
	_, err := o.Host.Files.Stat(path)
	return err == nil
}

// exists reports whether there is a file that can be read.
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
