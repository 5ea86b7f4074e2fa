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

// rendered is what the directories of a handler and of its proof handler are made of.
type rendered struct {
	shim          string
	config, proof []byte
}

// configure renders the directories of all handlers that the payload offers: a link to the shim in
// the payload, and a real configuration file next to it. Nothing is written before every file that
// the configurations name was found. A further handler that cannot be configured fails the step
// only where it is the one that is asked for. Else it gets the shim of the pending slot, as one
// that the payload does not offer, because CRI-O ignores handlers whose paths do not resolve.
func (r Runner) configure(ctx context.Context, s plan.Step, wanted string) error {
	m, _, err := inspect.Read(ctx, r.Host.Files.Path(host.PayloadDir(s.Slot)))
	if err != nil {
		return err
	}
	source, err := r.source(m, s)
	if err != nil {
		return err
	}
	all := map[string]rendered{}
	for _, name := range node.PodHandlers() {
		one, err := r.render(ctx, m, s, name, source)
		if err == nil {
			all[name] = one
		} else if name == node.Handler || name == wanted {
			return err
		}
	}
	for _, name := range node.PodHandlers() {
		one, here := all[name]
		if !here {
			err = r.lacking(s.Slot, name)
		} else {
			err = errors.Join(r.handler(s.Slot, name, one.shim, one.config), r.handler(s.Slot, node.ProofOf(name), one.shim, one.proof))
		}
		if err != nil {
			return fmt.Errorf("configuring handler %s: %w", name, err)
		}
	}
	return nil
}

// source has everything but the base, which differs between handlers.
func (r Runner) source(m manifest.Manifest, s plan.Step) (source handlers.Source, err error) {
	if source.Paths, err = r.paths(m, s.Slot); err != nil {
		return source, fmt.Errorf("payload %q: %w", s.Payload, err)
	}
	if source.FIPS, err = r.fips(); err != nil {
		return source, err
	}
	source.Fragments, err = observe.Fragments(r.Host.Files)
	return source, err
}

// fips returns whether the host's kernel runs in FIPS mode, which does not change before the next
// boot ends all slots. A kernel that has no such mode has no such file.
func (r Runner) fips() (bool, error) {
	text, err := r.Host.Files.Read(host.FIPSFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading whether this host runs in FIPS mode: %w", err)
	}
	return strings.TrimSpace(string(text)) == "1", nil
}

// render makes the configurations of a handler and of its proof handler.
func (r Runner) render(ctx context.Context, m manifest.Manifest, s plan.Step, name string, source handlers.Source) (out rendered, err error) {
	handler, offers := m.Handler(name)
	if !offers || name != node.Handler && handler.Type != manifest.TypeVM {
		return out, fmt.Errorf("payload %q offers no handler %s: use a payload built for it", s.Payload, name)
	}
	out.shim = handler.Shim
	base, err := inspect.File(ctx, r.Host.Files.Path(host.PayloadDir(s.Slot)), handler.Config, configuration.MaxSize)
	if err != nil {
		return out, fmt.Errorf("reading the payload's base configuration: %w", err)
	}
	if source.Base, err = configuration.Render(base, m, host.PayloadDir(s.Slot)); err != nil {
		return out, fmt.Errorf("payload %q: %w", s.Payload, err)
	}
	if out.config, err = source.Render(); err != nil {
		return out, err
	}
	if out.proof, err = source.RenderProof(); err != nil {
		return out, err
	}
	if err := r.present(out.config, m); err != nil {
		return out, err
	}
	return out, r.present(out.proof, m)
}

// lacking gives a handler what the pending slot has. Each file is a link of its own, so that
// writing one never writes through it.
func (r Runner) lacking(slot, name string) error {
	for _, handler := range []string{name, node.ProofOf(name)} {
		for _, file := range []string{host.Shim, host.Configuration} {
			if err := r.Host.Files.Link(path.Join(host.SlotDir(slot), handler, file), path.Join("..", "..", host.Pending, handler, file)); err != nil {
				return err
			}
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
