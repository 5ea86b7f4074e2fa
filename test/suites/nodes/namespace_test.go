// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kubens is the service with which the machine-config operator gives CRI-O a mount namespace of its
// own, which gets the host's mounts and gives none back.
const kubens = `[Service]
Type=oneshot
RemainAfterExit=yes
RuntimeDirectory=kubens
ExecStartPre=/bin/sh -c "findmnt --mountpoint /run/kubens || mount --make-private --bind /run/kubens /run/kubens; touch /run/kubens/mnt"
ExecStart=/usr/bin/unshare --mount=/run/kubens/mnt --propagation slave mount --make-rshared /
`

func TestACRIOInAMountNamespaceOfItsOwnSeesPayloads(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "kubens")
	require.NoError(t, s.node.WriteFile("/etc/systemd/system/kubens.service", []byte(kubens), 0o644))
	for _, unit := range []string{"crio", "kubelet"} {
		line := "[Unit]\nRequires=kubens.service\nAfter=kubens.service\n"
		require.NoError(t, s.node.WriteFile("/etc/systemd/system/"+unit+".service.d/kubens-order.conf", []byte(line), 0o644))
	}
	s.setCRIO("kubens", "ExecStart=\nExecStart=/usr/bin/nsenter --mount=/run/kubens/mnt /usr/bin/crio")
	s.run("systemctl", "restart", crioUnit)
	require.NotEqual(t, s.run("readlink", "/proc/1/ns/mnt"), s.namespaceOfCRIO())
	s.install()
	s.runPod("pod")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	s.runPod("new")
	assert.Len(t, s.payloadMounts(), 2)
	assert.NotEqual(t, s.run("readlink", "/proc/1/ns/mnt"), s.namespaceOfCRIO())
	s.endPod("pod")
	s.awaitMounts(1)
}

func (s *subject) namespaceOfCRIO() string {
	s.t.Helper()
	return s.run("sh", "-c", `readlink "/proc/$(systemctl show --property=MainPID --value crio.service)/ns/mnt"`)
}
