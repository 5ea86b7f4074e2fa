// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// branch is a copy to try something with, until it is dropped.
func (s *simulation) branch(t *testing.T) (other *simulation, drop func()) {
	t.Helper()
	root, err := os.MkdirTemp(filepath.Dir(s.Root), "") //nolint:usetesting // Thousands of them would stay until the end.
	require.NoError(t, err)
	other, err = s.copied(root)
	require.NoError(t, err)
	return other, func() { _ = os.RemoveAll(root) } //nolint:errcheck // It is below what the test removes.
}

// copied is the same node in another directory, with another process of the agent. Getting a node
// to where a workflow begins takes longer than the workflow.
func (s *simulation) copied(root string) (*simulation, error) {
	tree, spare := filepath.Join(root, "host"), filepath.Join(root, "spare")
	if err := os.Mkdir(spare, 0o755); err != nil {
		return nil, err
	}
	if err := copyTree(s.Root, tree); err != nil {
		return nil, err
	}
	disk, machine := hosttest.NewDisk(quick{}, spare), *s.Machine
	machine.Root, machine.Files = tree, files.Below(tree).On(disk)
	machine.Handlers, machine.Sandboxes, machine.Images = slices.Clone(s.Handlers), slices.Clone(s.Sandboxes), slices.Clone(s.Images)
	machine.Unlisted, machine.Shims = slices.Clone(s.Unlisted), maps.Clone(s.Shims)
	machine.Mounts, machine.Processes, machine.Busy = slices.Clone(s.Mounts), slices.Clone(s.Processes), maps.Clone(s.Busy)
	machine.Facts.Devices, machine.Facts.Modules = maps.Clone(s.Facts.Devices), maps.Clone(s.Facts.Modules)
	machine.OSTree.Deployments = slices.Clone(s.OSTree.Deployments)
	other := *s
	other.Machine, other.disk, other.log, other.decoded = &machine, disk, &journal{}, maps.Clone(s.decoded)
	other.gate = &gate{after: other.check}
	other.shown.Pods, other.pods = slices.Clone(s.shown.Pods), nil
	for _, p := range s.pods {
		one := *p
		other.pods = append(other.pods, &one)
	}
	other.start()
	return &other, nil
}

// copyTree copies files and links; links into the tree lead into the copy.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(name, from)
		switch {
		case d.IsDir():
			return os.Mkdir(target, 0o755)
		case d.Type() == fs.ModeSymlink:
			leads, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(strings.Replace(leads, from, to, 1), target)
		}
		return copyFile(name, target)
	})
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, content, info.Mode()); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode())
}
