// SPDX-License-Identifier: Apache-2.0

package emulated_test

import (
	"context"
	"path"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	agentProgram = "/usr/libexec/kata-agent/kata-node-agent"
	takenOut     = "vmw_vsock_virtio_transport"
)

// guestModules are those that Kata's own guest needs of a distribution's kernel.
func guestModules() []string {
	return []string{"virtio_pci", "virtio_console", takenOut, "virtiofs", "overlay", "virtio_net", "nf_tables"}
}

// assertGuestBoots starts the guest that the agent has made of the node's kernel and its modules,
// with the node's QEMU and KVM, as it is and without one of the modules. Emulated nodes run in FIPS
// mode.
func (s *stage) assertGuestBoots() {
	s.t.Helper()
	mode, err := s.node.Exec(s.t.Context(), "cat", host.FIPSFile)
	require.NoError(s.t, err)
	require.Equal(s.t, "1\n", string(mode))
	s.timed("guest", func(ctx context.Context) error {
		out, err := s.probe(ctx)
		require.NoError(s.t, err)
		require.Contains(s.t, out, "the guest is ready after ")
		assert.Contains(s.t, out, "fips mode: enabled", "as on the node")
		_, loaded, _ := strings.Cut(out, "guestinit: ready with the modules")
		loaded, _, _ = strings.Cut(loaded, "\n")
		built, err := s.node.Exec(ctx, "sh", "-c", "cat /lib/modules/*/modules.builtin")
		for _, module := range append(guestModules(), "fuse", "nfnetlink", "vsock") {
			inKernel := strings.Contains(strings.ReplaceAll(string(built), "-", "_"), "/"+module+".ko\n")
			assert.True(s.t, inKernel || strings.Contains(loaded+" ", " "+module+" "), "%s is neither built in nor among%s", module, loaded)
		}
		return err
	})
	slot, err := s.node.Current(s.t.Context())
	require.NoError(s.t, err)
	initrd := host.GuestInitrd(path.Base(slot))
	_, err = s.node.Exec(s.t.Context(), "sh", "-ec", "cp "+initrd+" /run/whole; sed -i 's|/"+takenOut+`\.ko\x00|/`+strings.ToUpper(takenOut)+`.ko\x00|' `+initrd)
	require.NoError(s.t, err)
	s.timed("guest without a module", func(ctx context.Context) error {
		_, err := s.probe(ctx)
		require.ErrorContains(s.t, err, "initrd: its init ended: ")
		require.ErrorContains(s.t, err, "the guest's last words: ")
		require.ErrorContains(s.t, err, "/"+takenOut+".ko: no such file or directory")
		return nil
	})
	_, err = s.node.Exec(s.t.Context(), "cp", "--preserve=timestamps", "/run/whole", initrd)
	require.NoError(s.t, err)
}

func (s *stage) probe(ctx context.Context) (string, error) {
	out, err := s.node.Exec(ctx, agentProgram, "probe", "--console", "--timeout", "10m")
	return string(out), err
}
