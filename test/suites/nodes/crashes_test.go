// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis"

	"github.com/kata-node/kata-node/test/bed"
)

// unclean is a node whose CRI-O does not look at its storage after an end that was not asked for.
// It would take the images of these nodes, which are in a second store, for damage, and wipe all of
// its storage, and every pod with it.
func unclean() bed.NodeOptions {
	return bed.NodeOptions{Files: map[string]string{"/etc/crio/crio.conf.d/06-unclean.conf": "[crio]\nclean_shutdown_file = \"\"\n"}}
}

// loops is a report that CRI-O ends again and again, with these words.
func loops(words string) func(node.Report) bool {
	return func(r node.Report) bool {
		return r.Error != nil && r.Error.Reason == node.ReasonCRIOCrashLooping && strings.Contains(r.Error.Message, words)
	}
}

// steps counts how often the agent has begun a step of a kind.
func (s *subject) steps(kind string) int {
	s.t.Helper()
	journal, err := s.node.Journal(s.t.Context(), agentUnit)
	require.NoError(s.t, err)
	return strings.Count(journal, "Started: "+kind)
}

// awaitMoreStartsByItself waits until systemd has started CRI-O so many times again by itself.
func (s *subject) awaitMoreStartsByItself(times int) {
	s.t.Helper()
	count := func(ctx context.Context) (int, error) {
		log, err := s.node.Exec(ctx, "journalctl", "--quiet", "--output=cat", "UNIT="+crioUnit, "MESSAGE_ID=5eb03494b6584870a536b337290809b3")
		return strings.Count(string(log), "\n"), err
	}
	before, err := count(s.t.Context())
	require.NoError(s.t, err)
	s.await("systemd has started CRI-O again", func(ctx context.Context) error {
		now, err := count(ctx)
		if err == nil && now < before+times {
			err = fmt.Errorf("it has done so %d times", now-before)
		}
		return err
	})
}

func TestACRIOThatEndsAgainAndAgainIsNamedAndLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSubjectWith(t, "crash-loop", unclean())
	s.install()
	current, restarts := s.current(), s.steps("restart CRI-O")

	s.writeForeign("[crio.runtime\n")
	s.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", crioUnit)
	report := s.awaitReport("names the file", loops(foreignFile))
	assert.Equal(t, node.PhaseInstalling, report.Phase)
	assert.NotEmpty(t, report.Payload, "what served serves on")
	proofs := s.steps("prove")
	s.awaitMoreStartsByItself(3)
	assert.Equal(t, proofs, s.steps("prove"), "nothing is proved with it")
	assert.Equal(t, restarts, s.steps("restart CRI-O"))
	assert.Equal(t, current, s.current())
	s.run("rm", foreignFile)
	s.awaitReport("is installed again by itself", in(node.PhaseInstalled))

	// A program that panics as a real one does, and systemd that gives it up.
	s.setCRIO("panics", "ExecStartPre=/bin/sh -c \"echo 'panic: made by a test' >&2; echo 'goroutine 1 [running]:' >&2; exit 2\"")
	s.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", crioUnit)
	s.awaitReport("quotes CRI-O", loops("")) // Another text of the same error is written some minutes later.
	s.awaitStatus("panic: made by a test; reboot this node")
	s.setCRIO("panics", "ExecStartPre=/bin/sh -c \"echo 'panic: made by a test' >&2; exit 2\"\n[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2")
	s.awaitStatus("systemctl reset-failed crio and systemctl start crio")
	s.setCRIO("panics", "")
	s.run("systemctl", "reset-failed", crioUnit)
	s.run("systemctl", "start", crioUnit)
	s.run("systemctl", "start", kubeletUnit)
	s.awaitReport("is installed after a start by hand", in(node.PhaseInstalled))
	assert.Equal(t, current, s.current())
	assert.Equal(t, restarts, s.steps("restart CRI-O"))
	s.awaitAdmission()
	s.assertUndisturbed(t.Context())
}

// The real CRI-O 1.36 panics where it is asked to stop a sandbox whose shim was killed before its
// own restart: once while nothing asks again, and again and again when the kubelet does. (Where it
// wipes its storage after an end that was not asked for, the sandbox is deleted by that, and all
// pods restart.)
func TestAPanicOfCRIOIsSurvivedAndALoopOfThemIsNamedAndLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSubjectWith(t, "panic", unclean())
	s.install()
	s.runPod("pod")
	s.run("systemctl", "stop", kubeletUnit)
	s.killShims(1)
	s.run("systemctl", "restart", crioUnit)
	s.awaitReport("is installed", in(node.PhaseInstalled))
	s.panicBy("pod")
	s.awaitStatus("serves new pods; CRI-O has ended by itself within the last 10 min, and systemd has started it again: panic: runtime error: ")
	s.awaitReport("is installed again", in(node.PhaseInstalled))

	s.run("systemctl", "start", kubeletUnit)
	s.awaitReport("names the panic", loops("panic: runtime error: "))
	proofs, restarts := s.steps("prove"), s.steps("restart CRI-O")
	s.awaitMoreStartsByItself(3)
	assert.Equal(t, proofs, s.steps("prove"), "nothing is proved with it")
	assert.Equal(t, restarts, s.steps("restart CRI-O"))
	s.assertUndisturbed(t.Context())

	// What docs/operations.md says.
	s.run("systemctl", "stop", kubeletUnit)
	require.NoError(t, s.node.Reboot(t.Context()))
	s.awaitServing()
	s.awaitReport("is installed after the reboot", in(node.PhaseInstalled))
	s.awaitAdmission()
	s.awaitPod(bystanderName)
	s.awaitPod("pod")
	s.awaitShims(1)
}

// panicBy stops the sandbox of a pod, and returns when CRI-O has ended over that.
func (s *subject) panicBy(pod string) {
	s.t.Helper()
	crio := s.mainPID(crioUnit)
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, nil)
		for _, sandbox := range all {
			if sandbox.GetMetadata().GetName() == s.pod(pod) {
				s.t.Logf("CRI-O answers %v", client.StopPodSandbox(ctx, sandbox.GetId()))
			}
		}
		return err
	})
	s.await("CRI-O has ended", func(ctx context.Context) error {
		unit, err := s.node.Unit(ctx, crioUnit)
		if err == nil && (unit["MainPID"] == strconv.Itoa(crio) || unit["ActiveState"] != "active") {
			err = fmt.Errorf("it is %s as process %s", unit["ActiveState"], unit["MainPID"])
		}
		return err
	})
}
