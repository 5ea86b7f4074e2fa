// SPDX-License-Identifier: Apache-2.0

// Package kata_test runs a real Kata on an emulated node with KVM: real virtual machines, real
// CRI-O and kubelet, a payload that kata-payload builds.
package kata_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	katav1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

var (
	directory = flag.String("kata", "", "directory with a build or a release of Kata; without it nothing is tested")
	keep      = flag.Duration("keep", 0, "after a failure, how long to leave the node running for a person to look at")
)

// what is the sentence of a directory without Kata.
const what = "%s must have a release of Kata (kata-go-static-VERSION-amd64.tar.zst, or opt/kata as it unpacks), " +
	"or a build: the files containerd-shim-kata-v2 (the Go shim), kata-agent (static) and configuration-qemu.toml and virtiofsd, at any depth"

const (
	name = "kata"
	// patience is how long any one thing may take: virtual machines in an emulated machine are
	// slow.
	patience = 45 * time.Minute
)

// fragment is what a virtual machine needs in an emulated machine with one processor and no
// io_uring.
const fragment = `[hypervisor.qemu]
default_memory = 512
default_maxvcpus = 1
disable_nesting_checks = true
block_device_aio = "threads"
[agent.kata]
dial_timeout = 200
[runtime]
create_container_timeout = 240
`

// settings let the proof wait for such a machine.
const settings = "proof_timeout = \"10m\"\n"

type stage struct {
	t       *testing.T
	cluster *fixture.Cluster
	node    *fixture.Node
	build   build
}

func TestARealKataIsInstalledUpdatedAndRemoved(t *testing.T) { //nolint:paralleltest // It takes a processor and 4 GB.
	if *directory == "" {
		t.Skip("needs a directory: make e2e-kata KATA=...")
	}
	bed.Require(t)
	s := newStage(t)
	before := s.files()
	require.NoError(t, s.cluster.ApplySample(t.Context()))
	s.awaitCompleted("installation and proof")
	old := s.run("old")

	s.update("4.2.0-test")
	s.awaitConfig("the older payload is seen in use", func(k katav1.KataConfig) bool {
		return fixture.Completed(1)(k) && s.report().Payload != "" && len(s.report().InUse) == 1
	})
	s.assertSame(old)
	s.run("new")
	s.assertSame(old)

	for _, pod := range []string{"old", "new"} {
		s.timed("end of pod "+pod, func(ctx context.Context) error { return s.cluster.EndPod(ctx, pod) })
	}
	require.NoError(t, s.cluster.DeleteSample(t.Context()))
	s.timed("removal", s.cluster.AwaitGone)
	s.timed("tidying", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
			return len(snapshot.Diff(before, s.files())) == 0, nil
		})
	})
	mounts, err := s.node.PayloadMounts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, mounts)
	assert.Empty(t, s.machines(), "virtual machines")
}

// newStage returns when the node has an agent, and a KataConfig selects it.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, build: find(t, *directory)}
	var err error
	s.cluster, err = fixture.Start(t.Context(), fixture.Options{Progress: t.Output(), Payload: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.cluster.Close(context.WithoutCancel(t.Context()))) })
	options := bed.NodeOptions{
		Emulated: true, Packages: []string{"qemu-system-x86"},
		Files: map[string]string{
			"/etc/kata-agent/50-emulated.toml": settings, "/etc/kata-agent/config.d/50-emulated.toml": fragment,
			"/etc/kubernetes/kubelet.conf": kubeletConfig(t),
		},
	}
	require.NoError(t, s.cluster.PrepareNodes(t.Context(), options))
	require.NoError(t, s.cluster.StartController(t.Context(), s.build.push(t.Context(), t, s.cluster, "4.1.0-test")))
	s.timed("boot", func(ctx context.Context) error {
		if s.node, err = s.cluster.AddNodeWith(ctx, name, options); err != nil {
			return err
		}
		return s.node.AwaitAgent(ctx)
	})
	t.Cleanup(func() {
		if t.Failed() {
			ctx := context.WithoutCancel(t.Context())
			s.cluster.Logs(ctx, t.Output(), "kata-node-agent.service", "crio.service", "kubelet.service")
			s.linger(ctx)
		}
	})
	require.NoError(t, s.cluster.Select(t.Context(), name))
	return s
}

// kubeletConfig is that of the bed's nodes, but for an interval: a kubelet that makes up its status
// every second takes half of an emulated processor.
func kubeletConfig(t *testing.T) string {
	t.Helper()
	const often, seldom = "nodeStatusUpdateFrequency: 1s", "nodeStatusUpdateFrequency: 10s"
	config := string(read(t, "../../rootfs/etc/kubernetes/kubelet.conf"))
	require.Contains(t, config, often)
	return strings.Replace(config, often, seldom, 1)
}

// linger leaves the node to a person.
func (s *stage) linger(ctx context.Context) {
	if *keep == 0 {
		return
	}
	shell, err := s.node.Shell()
	s.t.Logf("the node stays for %s: %s (%v)", *keep, shell, err)
	ctx, cancel := context.WithTimeout(ctx, *keep)
	defer cancel()
	<-ctx.Done()
}

// files are those among which a removal could leave something.
func (s *stage) files() snapshot.Snapshot {
	s.t.Helper()
	taken, err := s.node.Snapshot(s.t.Context(), "/etc", "/run/kata-agent", "/var/lib/kata-*")
	require.NoError(s.t, err)
	return taken
}

// podInVM is what a pod looked like that runs in a virtual machine.
type podInVM struct {
	name, bootID string
	containers   []string
}

// run starts a pod and returns when it runs in a virtual machine: its kernel is not the node's.
func (s *stage) run(pod string) podInVM {
	s.t.Helper()
	machines := len(s.machines())
	s.timed("pod "+pod, func(ctx context.Context) error {
		if err := s.cluster.RunPod(ctx, pod, name, node.RuntimeClass); err != nil {
			return err
		}
		_, err := s.cluster.AwaitPod(ctx, pod, "runs", fixture.Running)
		return err
	})
	assert.Len(s.t, s.machines(), machines+1, "QEMU")
	seen := s.inspect(pod)
	ofNode, err := s.node.BootID(s.t.Context())
	require.NoError(s.t, err)
	assert.NotEqual(s.t, ofNode, seen.bootID)
	return seen
}

// inspect looks at a pod from the inside and from the outside.
func (s *stage) inspect(pod string) (seen podInVM) {
	s.t.Helper()
	s.timed("looking into pod "+pod, func(ctx context.Context) error {
		object, err := s.cluster.AwaitPod(ctx, pod, "runs", fixture.Running)
		if err != nil {
			return err
		}
		out, err := s.cluster.ExecPod(ctx, object, "cat", "/proc/sys/kernel/random/boot_id")
		seen = podInVM{name: pod, bootID: strings.TrimSpace(string(out)), containers: bed.Containers(object)}
		return err
	})
	return seen
}

func (s *stage) assertSame(pod podInVM) {
	s.t.Helper()
	assert.Equal(s.t, pod, s.inspect(pod.name), "the pod runs on")
}

// machines are the process ids of virtual machines.
func (s *stage) machines() []string {
	s.t.Helper()
	out, err := s.node.Exec(s.t.Context(), "sh", "-c", "pgrep qemu-system || true")
	require.NoError(s.t, err)
	return strings.Fields(string(out))
}

// update gives the node another payload.
func (s *stage) update(version string) {
	s.t.Helper()
	image := s.build.push(s.t.Context(), s.t, s.cluster, version)
	require.NoError(s.t, s.cluster.SetPayload(s.t.Context(), image))
	_, digest, _ := strings.Cut(image, "@")
	s.timed("update under a pod", func(ctx context.Context) error {
		_, err := s.node.AwaitReport(ctx, "serves the new payload", func(r node.Report) bool {
			return r.Phase == node.PhaseInstalled && r.Payload == digest && r.Error == nil
		})
		return err
	})
}

func (s *stage) report() node.Report {
	s.t.Helper()
	r, err := s.node.Report(s.t.Context())
	require.NoError(s.t, err)
	return r
}

func (s *stage) awaitCompleted(what string) { s.awaitConfig(what, fixture.Completed(1)) }

func (s *stage) awaitConfig(what string, wanted func(katav1.KataConfig) bool) {
	s.t.Helper()
	s.timed(what, func(ctx context.Context) error {
		_, err := s.cluster.AwaitConfig(ctx, what, wanted)
		return err
	})
}

func (s *stage) timed(what string, do func(context.Context) error) {
	s.t.Helper()
	require.NoError(s.t, fixture.Timed(s.t.Context(), s.t.Logf, patience, what, do))
}
