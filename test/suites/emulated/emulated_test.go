// SPDX-License-Identifier: Apache-2.0

// Package emulated_test runs the product on a node whose kernel is its own, which has KVM and loses
// at a power cut what was not written to its disk.
package emulated_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fault"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/machine/machinetest"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// Both are for make e2e: each cut costs a boot, and another kernel all of them.
var (
	everyCut = flag.Bool("every-cut", false, "cut power at every moment, not only after a pull")
	kernel   = flag.String("kernel", "", "run the kernel of this Debian release, not that of the node's own")
)

const (
	name     = "emulated"
	pod      = "pod"
	ordinary = "ordinary"
	// dropIn is the agent's configuration of CRI-O.
	dropIn = "/etc/crio/crio.conf.d/60-kata-agent.conf"
	// kept and lost are files, one of which is flushed to the disk.
	kept, lost = "/var/tmp/kept", "/var/tmp/lost"
	// patience is how long any one thing may take on a machine that is busy with other things.
	patience = 15 * time.Minute
)

// stage is the node, and the cluster it is in.
type stage struct {
	t       *testing.T
	cluster *fixture.Cluster
	node    *fixture.Node
}

func TestAPayloadOutlivesAPowerCutThatFollowsItsPull(t *testing.T) { //nolint:paralleltest // It takes a processor and 2 GB.
	s := newStage(t)
	machinetest.Conforms(t, s.node.Machine)
	s.assertVirtualization()
	s.write(kept, "sync")
	before := s.files(t.Context())
	if *everyCut {
		s.cutInThePull()
	}
	require.NoError(t, s.cluster.ApplySample(t.Context()))
	s.cutWithoutRegistry()
	if *everyCut {
		s.cutWhen("CRI-O is configured", "[ -e "+dropIn+" ]")
	}
	s.awaitCompleted()
	if *kernel == "" { // In an emulated KVM, a guest with Linux 5.10 loses the state of its processor in a signal.
		s.assertGuestBoots()
	}
	s.runPods(map[string]string{pod: node.RuntimeClass, ordinary: ""})
	s.assertSmall()
	s.assertLabelled()
	if *everyCut {
		s.cutUnderAPod()
	}
	s.endPods(pod, ordinary)
	require.NoError(t, s.cluster.DeleteSample(t.Context()))
	if *everyCut {
		s.cutWhen("CRI-O is configured no more", "! [ -e "+dropIn+" ]")
	}
	s.timed("removal", s.cluster.AwaitGone)
	s.timed("tidying", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
			return len(snapshot.Diff(before, s.files(ctx))) == 0, nil
		})
	})
	mounts, err := s.node.PayloadMounts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, mounts)
	if *everyCut {
		s.timed("reboot", s.node.Reboot)
	}
	s.timed("power off", s.node.PowerOff)
	s.assertKept(kept)
	journal, err := s.node.Journal(t.Context(), "crio.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "Stopped crio.service")
	s.assertDeniedOnly(`sh|cat|\(.*\)`)
}

// files are those among which a removal could leave something.
func (s *stage) files(ctx context.Context) snapshot.Snapshot {
	s.t.Helper()
	taken, err := s.node.Snapshot(ctx, "/etc", "/run/kata-agent", "/var/lib/kata-*", "/var/log/crio")
	require.NoError(s.t, err)
	return taken
}

// newStage returns when the node has an agent, and a KataConfig selects it; it pulls nothing yet.
func newStage(t *testing.T) *stage {
	t.Helper()
	bed.Require(t)
	s := &stage{t: t}
	var err error
	s.cluster, err = fixture.Start(t.Context(), fixture.Options{Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.cluster.Close(context.WithoutCancel(t.Context()))) })
	options := bed.NodeOptions{Emulated: true, Kernel: machine.Release(*kernel)}
	require.NoError(t, s.cluster.PrepareNodes(t.Context(), options))
	payload, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "1.0.0", Boots: guestModules()})
	require.NoError(t, err)
	require.NoError(t, s.cluster.StartController(t.Context(), payload))
	s.timed("boot", func(ctx context.Context) error {
		if s.node, err = s.cluster.AddEmulatedNodeWith(ctx, name, options); err != nil {
			return err
		}
		return s.node.AwaitAgent(ctx)
	})
	t.Cleanup(func() {
		if t.Failed() {
			s.cluster.Logs(context.WithoutCancel(t.Context()), t.Output(), "kata-node-agent.service", "crio.service", "kubelet.service")
		}
	})
	s.assertKernel()
	require.NoError(t, s.cluster.Select(t.Context(), name))
	return s
}

// assertKernel says which kernel runs. Bullseye's is older than any that the product has to run on.
func (s *stage) assertKernel() {
	s.t.Helper()
	version, err := s.node.Exec(s.t.Context(), "uname", "-r")
	require.NoError(s.t, err)
	s.t.Logf("Linux %s", version)
	if machine.Release(*kernel) == machine.Bullseye {
		assert.Regexp(s.t, `^5\.10\.`, string(version))
	}
}

// findings are the items of a check of a host that fails.
func (s *stage) findings(document []byte) map[string]string {
	s.t.Helper()
	s.t.Logf("check:\n%s", document)
	var check struct {
		Items []struct{ Name, Result, Sentence string }
	}
	require.NoError(s.t, json.Unmarshal(document, &check))
	results := map[string]string{}
	for _, item := range check.Items {
		results[item.Name] = item.Result + ": " + item.Sentence
	}
	return results
}

// assertOuterHost asks the same of the machine that runs the test. Where its processor has no
// virtualization, its /dev/kvm can be opened, and runs no ordinary kernel.
func (s *stage) assertOuterHost() {
	s.t.Helper()
	processor, err := os.ReadFile("/proc/cpuinfo")
	require.NoError(s.t, err)
	if runtime.GOARCH != "amd64" || regexp.MustCompile(`\b(vmx|svm)\b`).Match(processor) {
		s.t.Log("this machine can run virtual machines")
		return
	}
	document, err := exec.CommandContext(s.t.Context(), s.cluster.Programs.Path("kata-node-agent"), "check", "--json").Output()
	var exit *exec.ExitError
	require.ErrorAs(s.t, err, &exit)
	assert.Equal(s.t, "fail: the processor shows neither vmx nor svm, so no ordinary kernel can run in a virtual machine", s.findings(document)["processor"])
}

// assertVirtualization asks the agent for its check of a host that has KVM and QEMU, and no
// virtiofsd: that fails for most payloads. The one of this test needs none. A host with too much to
// do starts QEMU too slowly for it, which is a warning for as long as that lasts.
func (s *stage) assertVirtualization() {
	s.t.Helper()
	s.assertOuterHost()
	var results map[string]string
	s.timed("check", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
			document, err := s.node.Exec(ctx, "sh", "-c", "! "+agentProgram+" check --json")
			if err != nil {
				return false, err
			}
			results = s.findings(document)
			return strings.HasPrefix(results["qemu"], "pass: "), nil
		})
	})
	assert.Equal(s.t, "pass: SELinux is enforcing", results["selinux"])
	for _, name := range []string{"processor", "kvm", "mount namespace", "system", "crio storage", "cgroups"} {
		assert.Contains(s.t, results[name], "pass: ", name)
	}
	assert.Equal(s.t, "pass: a virtual machine ran instructions", results["kvm"])
	assert.Equal(s.t, "fail: the host has no virtiofsd", results["virtiofsd"])
}

// cutInThePull cuts power while a layer is awaited.
func (s *stage) cutInThePull() {
	s.t.Helper()
	stall := s.node.Images.Stall(fault.Blobs)
	require.NoError(s.t, s.cluster.ApplySample(s.t.Context()))
	<-stall.Reached()
	s.timed("power cut in the pull", s.node.PowerCut)
	stall.Release()
}

// cutWithoutRegistry cuts power as soon as the payload is mounted, and takes the registry away:
// only a sound store serves the payload, whose every file is compared with its checksum.
func (s *stage) cutWithoutRegistry() {
	s.t.Helper()
	s.awaitOnNode("a payload is mounted", "grep -q ' /run/kata-agent/slots/' /proc/mounts")
	s.write(lost, "true")
	require.NoError(s.t, s.node.CutPower(s.t.Context()))
	s.node.Images.Refuse(fault.Anything, http.StatusServiceUnavailable)
	s.timed("boot after the cut", s.node.Boot)
	s.assertKept(kept)
	content, _ := s.node.ReadFile(s.t.Context(), lost) //nolint:errcheck // Its name may have been written.
	assert.Empty(s.t, content, "a power cut loses what its kernel had not written")
}

// write writes a file with its own name, and runs a command.
func (s *stage) write(file, command string) {
	s.t.Helper()
	_, err := s.node.Exec(s.t.Context(), "sh", "-ec", "echo $1 >$1; $2", "sh", file, command)
	require.NoError(s.t, err)
}

func (s *stage) assertKept(file string) {
	s.t.Helper()
	content, err := s.node.ReadFile(s.t.Context(), file)
	require.NoError(s.t, err)
	assert.Equal(s.t, file+"\n", string(content))
}

// cutWhen cuts power as soon as a command succeeds on the node, and gives it back.
func (s *stage) cutWhen(what, command string) {
	s.t.Helper()
	s.awaitOnNode(what, command)
	s.timed("power cut when "+what, s.node.PowerCut)
}

// awaitOnNode asks on the node, whose processor has little to spare for commands from outside.
func (s *stage) awaitOnNode(what, command string) {
	s.t.Helper()
	s.timed("until "+what, func(ctx context.Context) error {
		_, err := s.node.Exec(ctx, "sh", "-c", "until "+command+"; do sleep 0.1; done")
		return err
	})
}

// cutUnderAPod cuts power of a node with a kata pod, which is started again from the store alone.
func (s *stage) cutUnderAPod() {
	s.t.Helper()
	s.timed("power cut under a pod", s.node.PowerCut)
	s.timed("pod again", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
			shims, err := s.node.Shims(ctx)
			return len(shims) == 1, err
		})
	})
	s.awaitCompleted()
}

// runPods returns when pods of the given classes run at the same time.
func (s *stage) runPods(classes map[string]string) {
	s.t.Helper()
	s.timed(fmt.Sprintf("%d pods", len(classes)), func(ctx context.Context) error {
		for pod, class := range classes {
			if err := s.cluster.RunPod(ctx, pod, name, class); err != nil {
				return err
			}
		}
		for pod := range classes {
			if _, err := s.cluster.AwaitPod(ctx, pod, "runs", fixture.Running); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *stage) endPods(pods ...string) {
	s.t.Helper()
	for _, pod := range pods {
		s.timed("end of pod "+pod, func(ctx context.Context) error { return s.cluster.EndPod(ctx, pod) })
	}
}

func (s *stage) awaitCompleted() {
	s.t.Helper()
	s.timed("completion", func(ctx context.Context) error {
		_, err := s.cluster.AwaitConfig(ctx, "is completed", fixture.Completed(1))
		return err
	})
}

// mostMemory is what the agent may have of its own after an installation, in kB: about twice what
// it was seen to have. Its program, which the kernel can read again, is not counted.
const mostMemory = 64 << 10

func (s *stage) assertSmall() {
	s.t.Helper()
	unit, err := s.node.Unit(s.t.Context(), "kata-node-agent.service")
	require.NoError(s.t, err)
	status, err := s.node.Exec(s.t.Context(), "grep", "-E", "^(VmHWM|VmRSS|RssAnon):", "/proc/"+unit["MainPID"]+"/status")
	require.NoError(s.t, err)
	s.t.Logf("memory of the agent:\n%s", status)
	_, anonymous, _ := strings.Cut(string(status), "RssAnon:")
	var kilobytes int
	_, err = fmt.Sscan(anonymous, &kilobytes)
	require.NoError(s.t, err)
	assert.Less(s.t, kilobytes, mostMemory)
}

func (s *stage) timed(what string, do func(context.Context) error) {
	s.t.Helper()
	require.NoError(s.t, fixture.Timed(s.t.Context(), s.t.Logf, patience, what, do))
}
