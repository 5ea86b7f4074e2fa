// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

// finding is an item of the agent's check as it prints it.
type finding struct{ Name, Result, Sentence, Remedy string }

func (f finding) line() string { return f.Result + ": " + f.Sentence }

// check runs the check of a host that is unfit, and returns what it found by name, and the first
// item that failed.
func (s *subject) check() (all map[string]finding, failed finding) {
	s.t.Helper()
	var document struct{ Items []finding }
	require.NoError(s.t, json.Unmarshal([]byte(s.run("sh", "-c", "! /usr/libexec/kata-agent/kata-node-agent check --json")), &document))
	all = map[string]finding{}
	for _, item := range document.Items {
		all[item.Name] = item
		if failed.Name == "" && item.Result == "fail" {
			failed = item
		}
	}
	return all, failed
}

// This node's kernel is the one of the machine that runs the test, of which it sees no /dev/kvm.
func TestAHostThatRunsNoVirtualMachineIsRefusedByItsCheckAndNamed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "unfit")
	image, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "8.0.0", KVM: true})
	require.NoError(t, err)
	found, failed := s.check()
	assert.Equal(t, "fail: the host has no /dev/kvm", found["kvm"].line())
	assert.Equal(t, "pass: the agent's mounts are visible to CRI-O", found["mount namespace"].line())
	sentence := failed.Sentence + ": " + failed.Remedy

	s.want(map[string]any{"payloadImage": image})
	s.awaitFailed(func(said string) bool { return said == sentence+" (HostUnfit)" })
	report := s.awaitReport("is unfit", func(r node.Report) bool { return r.HostCheck == sentence })
	assert.Empty(t, report.Payload)
	assert.Nil(t, report.Error)
	assert.False(t, s.hasFile(dropIn), "CRI-O is left alone")
	s.assertCRIOStarts(1)

	s.run("touch", "/dev/kvm")
	s.run("mount", "--bind", "/dev/null", "/dev/kvm")
	found, _ = s.check()
	assert.Equal(t, "fail: /dev/kvm is there, and no virtual machine runs: asking for the version of its interface: inappropriate ioctl for device", found["kvm"].line())
	s.run("umount", "/dev/kvm")
	s.run("rm", "/dev/kvm")

	s.change("payloadImage", s.one)
	s.awaitCompleted()
	report = s.awaitReport("serves a payload that starts no virtual machine", func(r node.Report) bool { return r.Payload == node.Digest(s.one) })
	assert.Empty(t, report.HostCheck)
	s.unwant()
	s.assertClean()
}

// A live system, and a service that systemd gives a mount namespace of its own, for whatever
// directive.
func TestALiveSystemAndAnAgentThatCRIODoesNotSeeAreRefused(t *testing.T) {
	t.Parallel()
	s := newStandalone(t, "refused")
	const live, private = "/run/ostree-live", "/etc/systemd/system/kata-node-agent.service.d/private.conf"
	refused := func(words string) {
		t.Helper()
		s.awaitStatus(words)
		s.awaitFile("has the sentence", func(r node.Report) bool { return strings.Contains(r.HostCheck, words) })
		assert.False(t, s.hasFile(dropIn))
		assert.Empty(t, s.payloadMounts())
		assert.Empty(t, s.node.Images.Requests())
	}
	restart := func() {
		t.Helper()
		s.run("systemctl", "daemon-reload")
		s.run("systemctl", "restart", agentUnit)
	}
	s.run("touch", live)
	s.intend(s.installing(s.one))
	refused("this is a live system")

	require.NoError(t, s.node.WriteFile(private, []byte("[Service]\nPrivateTmp=yes\n"), 0o644))
	restart()
	s.run("rm", live)
	refused("the agent runs in a mount namespace of its own")

	s.run("rm", private)
	restart()
	s.awaitInstalled(s.one)
}
