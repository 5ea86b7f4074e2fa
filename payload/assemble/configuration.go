// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"context"
	"fmt"
	"os"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/manifest"
)

// judgeConfigurations refuses a base configuration that nodes could not render.
func judgeConfigurations(ctx context.Context, tree *os.Root, m manifest.Manifest) error {
	for _, h := range m.Handlers {
		f, err := m.Resolve(h.Config)
		if err != nil {
			return err
		}
		base, err := safefile.Read(ctx, tree, f.Path, configuration.MaxSize)
		if err != nil {
			return err
		}
		if err := configuration.Check(base, m); err != nil {
			return fmt.Errorf("%s: %w", h.Config, err)
		}
	}
	return nil
}
