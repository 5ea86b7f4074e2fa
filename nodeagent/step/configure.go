// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/vmm"
	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// configure renders both handlers' directories: a link to the shim in the payload, and a real
// configuration file next to it. Nothing is written before every file that the configurations name
// was found.
func (r Runner) configure(ctx context.Context, s plan.Step) error {
	tree := r.Host.Files.Path(host.PayloadDir(s.Slot))
	m, _, err := inspect.Read(ctx, tree)
	if err != nil {
		return err
	}
	handler, ok := m.Handler(node.Handler)
	if !ok {
		return fmt.Errorf("payload %q offers no handler %s: use a payload built for it", s.Payload, node.Handler)
	}
	base, err := inspect.File(ctx, tree, handler.Config, configuration.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	if base, err = configuration.Render(base, m, host.PayloadDir(s.Slot)); err != nil {
		return fmt.Errorf("payload %q: %w", s.Payload, err)
	}
	source := handlers.Source{Base: base}
	if source.Paths, err = r.paths(m, s.Slot); err != nil {
		return fmt.Errorf("payload %q: %w", s.Payload, err)
	}
	if source.Fragments, err = observe.Fragments(r.Host.Files); err != nil {
		return err
	}
	rendered := map[string][]byte{}
	for name, render := range map[string]func() ([]byte, error){node.Handler: source.Render, node.ProofHandler: source.RenderProof} {
		if rendered[name], err = render(); err != nil {
			return err
		}
		if err := r.present(rendered[name], m); err != nil {
			return err
		}
	}
	for name, content := range rendered {
		if err := r.handler(s.Slot, name, handler.Shim, content); err != nil {
			return fmt.Errorf("configuring handler %s: %w", name, err)
		}
	}
	return nil
}

// paths finds what the payload leaves to its host.
func (r Runner) paths(m manifest.Manifest, slot string) (p handlers.Paths, err error) {
	if m.Guest != nil {
		made, err := record.LoadGuest(r.Host.Files, slot)
		if err != nil {
			return p, err
		}
		if made == nil {
			return p, errors.New("its guest is not made yet")
		}
		p.Kernel, p.Initrd = made.Kernel, made.Initrd
	}
	if m.Requires.QEMU {
		p.MachineType = vmm.MachineType(r.Self.Architecture)
		if p.QEMU, err = vmm.QEMU(r.Self.Architecture).Find(r.Host.Files); err != nil {
			return p, err
		}
	}
	if m.Requires.Virtiofsd {
		p.Virtiofsd, err = vmm.Virtiofsd().Find(r.Host.Files)
	}
	return p, err
}

// present returns which file a configuration names that is not there, or lacks. The shim would find
// it out once for each pod, after the pod was scheduled here.
func (r Runner) present(configuration []byte, m manifest.Manifest) error {
	files, err := handlers.FilesOf(configuration)
	if err != nil {
		return err
	}
	if m.LeavesKernel() && !slices.ContainsFunc(files, func(f handlers.Named) bool { return strings.HasSuffix(f.Key, ".kernel") }) {
		return fmt.Errorf("configuration.toml names no kernel: %s", manifest.KernelLeft)
	}
	for _, f := range files {
		_, err := r.Host.Files.Stat(f.Path)
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			err = failed.Err
		}
		if err != nil {
			return fmt.Errorf("%s in configuration.toml names %q: %w: install that file, or name another one in a file in %s", f.Key, f.Path, err, host.ConfigDir)
		}
	}
	return nil
}

func (r Runner) handler(slot, name, shim string, configuration []byte) error {
	dir := path.Join(host.SlotDir(slot), name)
	target := path.Join("..", path.Base(host.PayloadDir(slot)), shim)
	if err := r.Host.Files.Link(path.Join(dir, host.Shim), target); err != nil {
		return err
	}
	return r.Host.Files.Write(path.Join(dir, host.Configuration), configuration, publicFile)
}
