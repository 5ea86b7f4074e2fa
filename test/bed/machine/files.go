// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Live is the path at which the host sees what the machine sees now, its /run and its mounts
// included; on a machine that is off it is [Machine.Root]. Mind that the host resolves absolute
// links on the way against its own root; [Machine.Open] does not.
func (m *Machine) Live(ctx context.Context) string {
	if path, err := m.procPath(ctx, "root"); err == nil {
		return path
	}
	return m.root
}

// Open opens the machine's root directory as it is now. No path leads out of it.
func (m *Machine) Open(ctx context.Context) (*os.Root, error) {
	root, err := os.OpenRoot(m.Live(ctx))
	if err != nil {
		return nil, fmt.Errorf("opening root of %q: %w", m.name, err)
	}
	return root, nil
}

// ReadFile reads a file as the machine sees it now.
func (m *Machine) ReadFile(ctx context.Context, path string) ([]byte, error) {
	root, err := m.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	content, err := root.ReadFile(relative(path))
	if err != nil {
		return nil, fmt.Errorf("reading %s of %q: %w", path, m.name, err)
	}
	return content, nil
}

// WriteFile writes a file on the machine's disk, on or off, and the directories above it. It does
// not reach what the machine mounted, such as /run.
func (m *Machine) WriteFile(path string, content []byte, mode fs.FileMode) error {
	root, err := os.OpenRoot(m.root)
	if err != nil {
		return fmt.Errorf("opening root of %q: %w", m.name, err)
	}
	defer root.Close()
	if err := root.MkdirAll(relative(filepath.Dir(path)), 0o755); err != nil {
		return fmt.Errorf("writing %s of %q: %w", path, m.name, err)
	}
	if err := root.WriteFile(relative(path), content, mode); err != nil {
		return fmt.Errorf("writing %s of %q: %w", path, m.name, err)
	}
	return root.Chmod(relative(path), mode)
}

// relative turns a path of the machine into one below its root.
func relative(path string) string {
	return "." + strings.TrimSuffix(filepath.Clean("/"+path), "/")
}
