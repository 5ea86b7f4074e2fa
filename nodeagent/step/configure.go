// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"fmt"
	"path"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/inspect"
)

// configure renders both handlers' directories: a link to the shim in the payload, and a real
// configuration file next to it.
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
	fragments, err := observe.Fragments(r.Host.Files)
	if err != nil {
		return err
	}
	for name, render := range map[string]func([]byte, []handlers.Fragment) ([]byte, error){
		node.Handler: handlers.Render, node.ProofHandler: handlers.RenderProof,
	} {
		content, err := render(base, fragments)
		if err != nil {
			return err
		}
		if err := r.handler(s.Slot, name, handler.Shim, content); err != nil {
			return fmt.Errorf("configuring handler %s: %w", name, err)
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
