// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// GuestsBench is where the conformance of guests is tested: a host with the kernels 6.13 and 6.12,
// of which 6.13 was installed later.
type GuestsBench struct {
	Guests host.Guests
	Files  host.Files
	// Order is for kernel 6.12, without a slot.
	Order host.GuestOrder
}

// ConformGuests tells whether guests are made as the port says.
func ConformGuests(t *testing.T, b GuestsBench) {
	t.Helper()
	kernels, err := b.Guests.Kernels()
	require.NoError(t, err)
	assert.Equal(t, []string{"6.13", "6.12"}, kernels)
	image, err := b.Guests.Image("6.12")
	require.NoError(t, err)
	assert.Equal(t, "/usr/lib/modules/6.12/vmlinuz", image)
	_, err = b.Guests.Image("5.0")
	require.ErrorContains(t, err, "5.0")

	build := func(slot, kernel string, modules ...string) string {
		order := b.Order
		order.Slot, order.Kernel, order.Modules = slot, kernel, append(modules, order.Modules...)
		require.NoError(t, b.Guests.Build(t.Context(), order))
		content, err := os.ReadFile(b.Files.Path(host.GuestInitrd(slot)))
		require.NoError(t, err)
		names, err := b.Files.List(host.GuestDir(slot))
		require.NoError(t, err)
		assert.Equal(t, []string{host.GuestInitrdFile, host.GuestRecordFile}, names, "and nothing else is left")
		return string(content)
	}
	one := build("one", "6.12")
	assert.Equal(t, one, build("two", "6.12"), "equal orders make equal initrds")
	assert.NotEqual(t, one, build("three", "6.13"))
	require.NoError(t, b.Files.Write(host.GuestInitrd("one"), []byte("half"), 0o644))
	assert.Equal(t, one, build("one", "6.12"), "what is damaged is made again")

	missing := b.Order
	missing.Slot, missing.Kernel, missing.Modules = "four", "6.12", []string{MissingModule}
	err = b.Guests.Build(t.Context(), missing)
	require.ErrorContains(t, err, MissingModule)
	require.ErrorContains(t, err, "6.12")
	missing.Kernel = "5.0"
	require.ErrorContains(t, b.Guests.Build(t.Context(), missing), "5.0")
}
