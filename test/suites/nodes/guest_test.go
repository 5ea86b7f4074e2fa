// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// nextKernel is one that the node has on disk and does not run.
const nextKernel = "9.9.9-next"

func nodesGuest() *assemble.Guest {
	return &assemble.Guest{Initrd: "opt/kata/share/kata-containers/kata-test.image", Modules: []string{"fuse"}, OptionalModules: []string{"9p"}}
}

func TestAGuestIsMadeOfTheNodesKernelAndGoesWithTheInstallation(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "guest")
	running := strings.TrimSpace(s.run("uname", "-r"))
	for _, kernel := range []string{running, nextKernel} {
		s.run("sh", "-c", "mkdir -p /usr/lib/modules/"+kernel+"/kernel && cd /usr/lib/modules/"+kernel+" && echo kernel/fuse.ko: >modules.dep && echo a module of "+kernel+
			" >kernel/fuse.ko && echo a kernel >vmlinuz")
	}
	before := s.traces()
	image, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "1.1.0", Guest: nodesGuest()})
	require.NoError(t, err)
	s.want(map[string]any{"payloadImage": image})
	s.awaitCompleted()

	slot := strings.TrimPrefix(s.awaitServing(), "slots/")
	content, err := s.node.ReadFile(t.Context(), host.GuestInitrd(slot))
	require.NoError(t, err)
	assert.Contains(t, string(content), "/usr/lib/modules/"+running+"/kernel/fuse.ko\n")
	assert.Contains(t, string(content), "a module of "+running+"\n")
	configuration, err := s.node.ReadFile(t.Context(), host.SlotDir(slot)+"/"+node.Handler+"/"+host.Configuration)
	require.NoError(t, err)
	assert.Contains(t, string(configuration), "'"+host.GuestInitrd(slot)+"'")
	assert.Contains(t, string(configuration), "'/usr/lib/modules/"+running+"/vmlinuz'")
	s.await("there is a guest for the next kernel", func(context.Context) error {
		if found := s.run("sh", "-c", "grep -l "+nextKernel+" "+host.GuestsDir+"/*/"+host.GuestInitrdFile+" || true"); found == "" {
			return fmt.Errorf("none of the guests is for kernel %s", nextKernel)
		}
		return nil
	})

	s.assertConsoleIsShown()
	s.unwant()
	s.awaitReport("is idle", in(node.PhaseIdle))
	assert.Empty(t, snapshot.Diff(before.files, s.traces().files))
}

// console is what a guest prints that lacks a module.
const console = `Linux version 6.12
Run /init as init process
guestinit: loading virtiofs.ko: no such file or directory
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
`

// assertConsoleIsShown updates to a payload whose proof fails, on a node whose QEMU prints what a
// guest would that lacks a module.
func (s *subject) assertConsoleIsShown() {
	s.t.Helper()
	require.NoError(s.t, s.node.WriteFile(fixture.QEMU, []byte("#!/bin/sh\ncat <<'END'\n"+console+"END\n"), 0o755))
	image, err := s.cluster.Push(s.t.Context(), fixture.Payload{Version: "1.2.0", Fails: brokenSentence, Guest: nodesGuest(), QEMU: "9.0.0"})
	require.NoError(s.t, err)
	s.change("payloadImage", image)
	s.awaitFailed(says("guestinit: loading virtiofs.ko: no such file or directory | Kernel panic"))
	journal, err := s.node.Journal(s.t.Context(), agentUnit)
	require.NoError(s.t, err)
	assert.Contains(s.t, journal, "the guest alone does not start either: initrd: its init ended: Attempted to kill init!")
	for line := range strings.Lines(console) {
		assert.Contains(s.t, journal, strings.TrimSpace(line))
	}
}
