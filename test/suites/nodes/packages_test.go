// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

const (
	rpmOstree = "/usr/bin/rpm-ostree"
	// bootUnit stands for what boots a deployment.
	bootUnit = `[Unit]
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/rpm-ostree boot
[Install]
WantedBy=sysinit.target
`
	// hold makes each transaction of the stand-in wait.
	hold   = "/run/rpm-ostree-hold"
	strace = "strace-6-1.x86_64"
)

// becomeCoreOS makes the node one that has booted a deployment of rpm-ostree, as far as the agent
// can tell, with a package that another hand has layered.
func (s *subject) becomeCoreOS() {
	s.t.Helper()
	program, err := os.ReadFile(s.cluster.Programs.Path("rpm-ostree"))
	require.NoError(s.t, err)
	foreign, err := fixture.Package("strace", strace, map[string]string{"/usr/bin/strace": "#!/bin/true\n"})
	require.NoError(s.t, err)
	for path, content := range map[string][]byte{
		rpmOstree: program, "/root/strace.rpm": foreign,
		"/etc/systemd/system/ostree-boot.service": []byte(bootUnit), "/etc/tmpfiles.d/ostree.conf": []byte("f /run/ostree-booted\n"),
	} {
		require.NoError(s.t, s.node.WriteFile(path, content, 0o755))
	}
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "enable", "ostree-boot.service")
	s.run(rpmOstree, "install", "/root/strace.rpm")
	s.run(rpmOstree, "boot")
	s.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/ostree.conf")
}

// deployments are version and local packages of each, the one that boots next first.
func (s *subject) deployments() (found []string) {
	s.t.Helper()
	var status struct {
		Deployments []struct {
			Version string   `json:"version"`
			Local   []string `json:"requested-local-packages"`
		} `json:"deployments"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.run(rpmOstree, "status", "--json")), &status))
	for _, d := range status.Deployments {
		found = append(found, d.Version+" "+strings.Join(d.Local, " "))
	}
	return found
}

func (s *subject) reboot() {
	s.t.Helper()
	require.NoError(s.t, s.node.Reboot(s.t.Context()))
}

func (s *subject) awaitNoFile(path string) {
	s.t.Helper()
	s.await(path+" is gone", func(ctx context.Context) error {
		if s.fileExists(path)(ctx) == nil {
			return errors.New("it is there")
		}
		return nil
	})
}

// layerUnderAKill installs a payload whose packages have to be layered. The agent dies in the
// middle of the transaction, which continues without it.
func (s *subject) layerUnderAKill(image string) {
	s.t.Helper()
	s.run("touch", hold)
	s.want(map[string]any{"payloadImage": image})
	s.await("packages are being layered", s.fileExists("/run/rpm-ostree-transaction.json"))
	s.kill()
	s.awaitStatus("rpm-ostree, which works on install for client(id:kata-node-agent)")
	s.run("rm", hold)
	s.awaitCompleted()
}

func TestPackagesOfAPayloadAreLayeredUpgradedAndTakenAway(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "layered")
	s.becomeCoreOS()
	var images []string
	for _, version := range []string{"9.1.0", "10.0.0"} {
		image, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "7." + version, QEMU: version})
		require.NoError(t, err)
		images = append(images, image)
	}
	const nine, ten = "qemu-kvm-core-17:9.1.0-1.el9.noarch", "qemu-kvm-core-17:10.0.0-1.el9.noarch"

	s.layerUnderAKill(images[0])
	assert.Equal(t, []string{"44.1 " + strace + " " + nine, "44.1 " + strace, "44.1 "}, s.deployments(), "applied live")
	assert.Contains(t, s.run(fixture.QEMU), "9.1.0")
	s.runPod("pod")
	s.reboot()
	s.awaitServing()
	assert.Contains(t, s.run(fixture.QEMU), "9.1.0")

	s.run("touch", hold)
	s.run("systemd-run", "--unit=update", rpmOstree, "upgrade")
	s.await("an update of the system runs", s.fileExists("/run/rpm-ostree-transaction.json"))
	s.change("payloadImage", images[1])
	s.awaitStatus("rpm-ostree, which works on upgrade for ")
	s.run("rm", hold)
	report := s.awaitReport("needs a reboot", func(r node.Report) bool { return r.RebootRequired })
	assert.Equal(t, node.Digest(images[0]), report.Payload, "the older payload serves until then")
	assert.Nil(t, report.Error)
	// The controller grants the reboot, and the agent evicts the pod and carries it out.
	s.awaitBoot(report.BootID)
	s.awaitCompleted()
	assert.Equal(t, "44.2 "+strace+" "+ten, s.deployments()[0], "the foreign update stays")
	assert.Contains(t, s.run(fixture.QEMU), "10.0.0")
	_, err := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), s.pod("pod"), metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the pod was evicted: %v", err)

	s.unwant()
	report = s.awaitReport("needs a reboot", func(r node.Report) bool { return r.RebootRequired && r.Phase == node.PhaseIdle })
	assert.Nil(t, report.Error)
	assert.Equal(t, "44.2 "+strace, s.deployments()[0], "what another hand has layered stays")
	s.reboot()
	s.awaitNoFile(host.LayeredFile)
	assert.False(t, s.hasFile(fixture.QEMU))
	s.assertClean()
}
