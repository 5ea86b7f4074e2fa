// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"io/fs"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// mortal are files whose writer may die.
type mortal struct {
	host.FileReader
	m *Machine
}

func (f mortal) Write(path string, content []byte, mode fs.FileMode) error {
	return f.m.change(func() error { return f.m.Files.Write(path, content, mode) })
}

func (f mortal) Link(path, target string) error {
	return f.m.change(func() error { return f.m.Files.Link(path, target) })
}

func (f mortal) Remove(path string) error {
	return f.m.change(func() error { return f.m.Files.Remove(path) })
}
