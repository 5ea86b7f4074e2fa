// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Live is the path at which the host sees what a container sees now, its /run and its mounts
// included; on a machine that is off it is [Machine.Root]. Mind that the host resolves absolute
// links on the way against its own root; [Machine.Open] does not. The host cannot look into a
// virtual machine that is on.
func (m *Machine) Live(ctx context.Context) string {
	if b, err := m.running(); err == nil && b.await(ctx) == nil {
		return m.kind.live(b)
	}
	return m.root
}

// Open opens the machine's root directory as it is now, see [Machine.Live]. No path leads out of
// it. Of a virtual machine that is on it has a copy of what the patterns name, and nothing else.
func (m *Machine) Open(ctx context.Context, patterns ...string) (*os.Root, error) {
	path, err := m.kind.see(ctx, patterns)
	if err != nil {
		return nil, fmt.Errorf("opening root of %q: %w", m.name, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening root of %q: %w", m.name, err)
	}
	return root, nil
}

// ReadFile reads a file as the machine sees it now.
func (m *Machine) ReadFile(ctx context.Context, path string) ([]byte, error) {
	content, err := m.kind.read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("reading %s of %q: %w", path, m.name, err)
	}
	return content, nil
}

// WriteFile writes a file on the machine's disk, on or off, and the directories above it. It does
// not reach what a container mounted, such as /run.
func (m *Machine) WriteFile(path string, content []byte, mode fs.FileMode) error {
	if err := m.kind.write(path, content, mode); err != nil {
		return fmt.Errorf("writing %s of %q: %w", path, m.name, err)
	}
	return nil
}

// Link makes path a symbolic link on the machine's disk, on or off, in place of what is there.
func (m *Machine) Link(ctx context.Context, path, destination string) error {
	if _, err := m.running(); err == nil {
		_, err := m.Exec(ctx, "ln", "-sfn", destination, path)
		return err
	}
	at := filepath.Join(m.root, path)
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("linking %s of %q: %w", path, m.name, err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return fmt.Errorf("linking %s of %q: %w", path, m.name, err)
	}
	return os.Symlink(destination, at)
}

// read reads a file that the host sees.
func (m *Machine) read(ctx context.Context, path string) ([]byte, error) {
	root, err := m.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(relative(path))
}

// write writes a file below the root.
func (m *Machine) write(path string, content []byte, mode fs.FileMode) error {
	root, err := os.OpenRoot(m.root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(relative(filepath.Dir(path)), 0o755); err != nil {
		return err
	}
	if err := root.WriteFile(relative(path), content, mode); err != nil {
		return err
	}
	return root.Chmod(relative(path), mode)
}

// relative turns a path of the machine into one below its root.
func relative(path string) string {
	return "." + strings.TrimSuffix(filepath.Clean("/"+path), "/")
}
