// SPDX-License-Identifier: Apache-2.0

package guests_test

import (
	"errors"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/guests"
)

const xattr = "security.selinux"

// labelOf returns the SELinux label of what a path of the host leads to, empty for none.
func labelOf(t *testing.T, tree files.Tree, name string) string {
	t.Helper()
	text := make([]byte, 256)
	n, err := unix.Lgetxattr(tree.Path(name), xattr, text)
	if errors.Is(err, unix.ENODATA) {
		return ""
	}
	require.NoError(t, err)
	return unix.ByteSliceToString(text[:n])
}

// A kernel without SELinux keeps labels of files as any other attribute.
func TestAGuestIsLabelledForQEMUWhereSELinuxIsOn(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	if err := unix.Lsetxattr(tree.Path("/base"), xattr, []byte("a label"), 0); err != nil {
		t.Skip("labels cannot be set here: ", err)
	}
	parts := []string{host.GuestsDir, host.GuestDir("s"), host.GuestInitrd("s"), path.Join(host.GuestDir("s"), host.GuestRecordFile)}
	require.NoError(t, b.Build(t.Context(), order()))
	for _, part := range parts {
		assert.Empty(t, labelOf(t, tree, part), "%s where SELinux is off", part)
	}
	b.Label = guests.Label
	require.NoError(t, b.Build(t.Context(), order()))
	for _, part := range parts {
		assert.Equal(t, guests.Label, labelOf(t, tree, part), "%s, which was there without a label", part)
	}
	assert.Empty(t, labelOf(t, tree, path.Dir(host.GuestsDir)), "what lies there is not all ours")
}
