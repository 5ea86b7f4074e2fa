// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

// kubens is what the machine-config operator gives to nodes that are to keep the mounts of
// containers from systemd: a service pins a mount namespace that gets the host's mounts and passes
// none back (slave), and shares them with those that are made from it (shared). CRI-O joins it by
// KUBENSMNT, as it is built to; OpenShift's kubelet is started through nsenter. See kubens.service,
// crio.service-kubens and kubelet.service-kubens in templates/common/_base/units of
// openshift/machine-config-operator. It comes after what a node of these tests mounts to have
// writable settings. It tries each CPU: since 6.18 the kernel numbers namespaces in a series for
// each CPU, and refuses to pin one whose number is below that of the namespace it is pinned in, as
// if they formed a loop (see canonical/snapd pull request 17376).
func kubens() map[string]string {
	const join = "[Unit]\nWants=kubens.service\nAfter=kubens.service\n[Service]\nEnvironmentFile=/run/kubens/env\n"
	return map[string]string{
		"/etc/systemd/system/kubens.service": `[Unit]
Description=Mount namespace of CRI-O and the kubelet
After=own-kernel.service
[Service]
Type=oneshot
RemainAfterExit=yes
RuntimeDirectory=kubens
ExecStartPre=sh -c "findmnt --mountpoint /run/kubens || mount --bind --make-unbindable /run/kubens /run/kubens"
ExecStartPre=touch /run/kubens/mnt
ExecStart=sh -c "for cpu in $$(seq 0 $$(nproc --ignore=1)); do taskset --cpu-list $$cpu unshare --mount=/run/kubens/mnt --propagation slave mount --make-rshared / && exit; done; exit 1"
ExecStartPost=sh -c "echo KUBENSMNT=/run/kubens/mnt > /run/kubens/env"
ExecStop=umount --recursive /run/kubens
`,
		"/etc/systemd/system/crio.service.d/01-kubens.conf": join,
		"/etc/systemd/system/kubelet.service.d/01-kubens.conf": join + `ExecStart=
ExecStart=/usr/bin/nsenter --mount=/run/kubens/mnt /usr/bin/kubelet --config=/etc/kubernetes/kubelet.conf --kubeconfig=/var/lib/kubelet/kubeconfig --node-ip=${KUBELET_NODE_IP}
`,
	}
}

// mountsOf are the mount points below a directory as a process sees them.
func (s *subject) mountsOf(pid int, below string) (points []string) {
	s.t.Helper()
	for line := range strings.Lines(s.run("cat", "/proc/"+strconv.Itoa(pid)+"/mountinfo")) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], below) {
			points = append(points, fields[4])
		}
	}
	return points
}

func TestACRIOInAMountNamespaceOfItsOwnSeesPayloads(t *testing.T) {
	t.Parallel()
	s := newSubjectWith(t, "kubens", bed.NodeOptions{Files: kubens()})
	namespace := func(pid int) string { return s.run("readlink", "/proc/"+strconv.Itoa(pid)+"/ns/mnt") }
	require.NotEqual(t, namespace(1), namespace(s.mainPID(crioUnit)))
	require.Equal(t, namespace(s.mainPID(crioUnit)), namespace(s.mainPID(kubeletUnit)))
	require.Equal(t, namespace(1), namespace(s.mainPID(agentUnit)))

	s.install()
	s.runPod("old")
	const containers = "/var/lib/containers/storage/overlay/"
	assert.NotEmpty(t, s.mountsOf(s.mainPID(crioUnit), containers))
	assert.Empty(t, s.mountsOf(1, containers), "the host does not see what containers mount")
	assert.Equal(t, s.mountsOf(1, "/run/kata-agent/slots/"), s.mountsOf(s.mainPID(crioUnit), "/run/kata-agent/slots/"))

	s.change("payloadImage", s.two)
	s.awaitCompleted()
	s.runPod("new")
	s.awaitMounts(2)
	assert.Regexp(t, `payload 1\.0\.0 .*held by process \d+ \(containerd-shim-kata-v2\)`, s.run(agent, "status"), "what CRI-O starts there is attributed, too")
	s.endPod("old")
	s.awaitMounts(1)
	assert.Len(t, s.mountsOf(s.mainPID(crioUnit), "/run/kata-agent/slots/"), 1, "nor does CRI-O keep it")

	s.run("systemctl", "restart", crioUnit)
	s.awaitReport("is installed", in(node.PhaseInstalled))
	s.awaitAdmission()
	s.endPod("new")
	s.unwant()
	s.assertClean()
	assert.Empty(t, s.mountsOf(s.mainPID(crioUnit), "/run/kata-agent/slots/"))
}
