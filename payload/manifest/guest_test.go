// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

// guest is a change of a manifest whose guest runs the host's kernel.
func guest(change func(*manifest.Manifest)) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) {
		m.Requires.Kernel = true
		m.Guest = &manifest.Guest{Initrd: m.Handlers[0].Config, Modules: []string{"virtio_pci", "virtiofs"}}
		change(m)
	}
}

func TestAGuestIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	m := valid()
	guest(func(m *manifest.Manifest) {
		m.Guest.OptionalModules, m.Guest.Kernel = []string{"9p"}, m.Handlers[0].Config
	})(&m)
	document, err := manifest.Encode(m)
	require.NoError(t, err)
	read, err := manifest.Decode(document)
	require.NoError(t, err)
	assert.Equal(t, m.Guest, read.Guest)

	m.Requires.Kernel, m.Guest.Modules, m.Guest.OptionalModules = false, nil, nil
	assert.NoError(t, m.Validate(), "one with a kernel of its own alone")
}
