// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/machineconfig"
)

const (
	// imageDropIn is where a node has the name of its agent's image.
	imageDropIn = "/etc/systemd/system/" + machineconfig.Pull + ".d/20-image.conf"
	// podman hands out the program of an image's digest. Debian's base has no podman.
	podman = `#!/bin/sh
case $1 in
create)
	for word; do [ "$word" = run ] || image=$word; done
	echo "${image##*:}" >/run/podman-image
	echo container
	;;
cp) cp "/opt/agents/$(cat /run/podman-image)" "$3" ;;
esac
`
)

// updatable is a node whose agent comes from a MachineConfig. Agents a and b are of neighbouring
// versions, c ends at once, and d writes records in the form of a later version before it ends.
type updatable struct{ *subject }

// digestOf is that of the image of an agent.
func digestOf(agent string) string { return strings.Repeat(agent, 64) }

func imageOf(agent string) string {
	return "[Service]\nEnvironment=AGENT_IMAGE=registry.example/agent@sha256:" + digestOf(agent) + "\n"
}

func newUpdatable(t *testing.T, name string) *updatable {
	t.Helper()
	cluster := sharedCluster(t).cluster
	programs := map[string]string{}
	for agent, version := range map[string]string{"a": "0.1.0", "b": "0.2.0"} {
		program, err := cluster.BuildAgent(t.Context(), version)
		require.NoError(t, err)
		programs["/opt/agents/"+digestOf(agent)] = program
	}
	u := &updatable{boot(t, name, bed.NodeOptions{Off: true, Programs: programs, Files: map[string]string{
		"/opt/agents/" + digestOf("c"): "#!/bin/sh\nexit 1\n",
		"/opt/agents/" + digestOf("d"): "#!/bin/sh\nsed -i '/revision/!s/^{/{\"revision\":2,/' /var/lib/kata-agent/served.json /run/kata-agent/slots/*/proved.json\nexit 1\n",
		"/etc/kata-agent/50-site.toml": fmt.Sprintf("allowed_payloads = [%q]\n", bed.RegistryName),
		imageDropIn:                    imageOf("a"),
	}})}
	golden, err := machineconfig.Golden()
	require.NoError(t, err)
	require.NoError(t, golden.Apply(t.Context(), u.node.Machine))
	require.NoError(t, u.node.WriteFile("/usr/bin/podman", []byte(podman), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, u.node.Boot(ctx))
	u.join()
	u.awaitAgent("a")
	return u
}

// bring names another image, as another MachineConfig does.
func (u *updatable) bring(agent string) {
	u.t.Helper()
	require.NoError(u.t, u.node.WriteFile(imageDropIn, []byte(imageOf(agent)), 0o644))
	u.run("systemctl", "daemon-reload")
	u.run("systemctl", "restart", machineconfig.Pull)
}

// awaitAgent waits until systemd runs this agent, and it is ready.
func (u *updatable) awaitAgent(agent string) {
	u.t.Helper()
	u.await("agent "+agent+" runs", func(ctx context.Context) error {
		unit, err := u.node.Unit(ctx, agentUnit)
		if err != nil {
			return err
		}
		pid, err := strconv.Atoi(unit["MainPID"])
		if err != nil {
			return err
		}
		program, err := u.node.Executable(ctx, pid)
		if err == nil && (unit["ActiveState"] != "active" || !strings.HasPrefix(program, "/var/lib/kata-agent/bin/"+digestOf(agent)+"/")) {
			err = fmt.Errorf("it is %s and runs %s", unit["ActiveState"], program)
		}
		return err
	})
}

// containers are those of the node's pods, by pod, with how often each was started again.
func (u *updatable) containers(pods ...string) map[string][]string {
	u.t.Helper()
	all := map[string][]string{}
	for _, name := range pods {
		pod, err := u.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Get(u.t.Context(), u.pod(name), metav1.GetOptions{})
		require.NoError(u.t, err)
		all[name] = bed.Containers(pod)
	}
	return all
}

func TestTheAgentIsUpdatedAndComesBackUnderPods(t *testing.T) {
	t.Parallel()
	u := newUpdatable(t, "self-updated")
	u.install()
	u.runPod("old")
	mounts, running := u.payloadMounts(), u.containers("old")

	u.bring("b")
	u.awaitAgent("b")
	u.awaitCompleted()
	assert.Equal(t, mounts, u.payloadMounts(), "nothing is mounted again")
	u.change("payloadImage", u.two)
	u.awaitCompleted()
	u.runPod("new")
	require.Len(t, u.payloadMounts(), 2)
	mounts = u.payloadMounts()

	u.bring("a")
	u.awaitAgent("a")
	u.awaitCompleted()
	assert.Equal(t, mounts, u.payloadMounts(), "what a newer agent has mounted stays")
	assert.Equal(t, running, u.containers("old"))
	u.endPod("old")
	u.awaitMounts(1)
	u.awaitWayBack("c", "new")
	u.awaitCompleted()
	u.runPod("late")
	u.endPod("late")
	u.endPod("new")
	u.unwant()
	u.assertClean()
	u.assertCRIOStarts(2)
}

// awaitWayBack brings an agent that does not run, and waits for the one before. No pod notices.
func (u *updatable) awaitWayBack(agent string, pods ...string) {
	u.t.Helper()
	before := u.containers(pods...)
	u.bring(agent)
	u.await("the image is given up", func(ctx context.Context) error {
		unit, err := u.node.Unit(ctx, machineconfig.Pull)
		if err == nil && unit["ActiveState"] != "failed" {
			err = fmt.Errorf("it is %s", unit["ActiveState"])
		}
		return err
	})
	u.awaitAgent("a")
	assert.Equal(u.t, before, u.containers(pods...))
}

// What only the later version can say is refused, with the remedy; what was found out with CRI-O is
// found out anew.
func TestAnAgentThatCannotReadTheRecordsOfALaterOneTakesNothingAway(t *testing.T) {
	t.Parallel()
	u := newUpdatable(t, "later-records")
	u.install()
	u.runPod("old")
	mounts, current := u.payloadMounts(), u.current()

	u.awaitWayBack("d", "old")
	u.awaitStatus("record " + host.ServedFile + " has form 2 of a newer agent, and this agent reads form 1: run the newer agent again, or delete that file")
	refused := u.awaitReport("says so", func(r node.Report) bool { return r.Error != nil })
	assert.Equal(t, node.ReasonHostNotObserved, refused.Error.Reason)
	assert.Equal(t, mounts, u.payloadMounts())
	assert.Equal(t, current, u.current())
	u.runPod("new")

	u.run("rm", host.ServedFile)
	u.awaitReport("is installed", in(node.PhaseInstalled))
	u.awaitCompleted()
	assert.Equal(t, mounts, u.payloadMounts(), "nothing is mounted again")
	u.change("payloadImage", u.two)
	u.awaitCompleted()
	u.awaitShims(2)
	u.assertCRIOStarts(2)
}
