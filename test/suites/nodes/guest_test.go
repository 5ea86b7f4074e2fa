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

func TestAGuestIsMadeOfTheNodesKernelAndGoesWithTheInstallation(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "guest")
	running := strings.TrimSpace(s.run("uname", "-r"))
	for _, kernel := range []string{running, nextKernel} {
		s.run("sh", "-c", "mkdir -p /usr/lib/modules/"+kernel+"/kernel && cd /usr/lib/modules/"+kernel+" && echo kernel/fuse.ko: >modules.dep && echo a module of "+kernel+
			" >kernel/fuse.ko && echo a kernel >vmlinuz")
	}
	before := s.traces()
	image, err := s.cluster.Push(t.Context(), fixture.Payload{Version: "1.1.0", Guest: &assemble.Guest{
		Initrd: "opt/kata/share/kata-containers/kata-test.image", Modules: []string{"fuse"}, OptionalModules: []string{"9p"},
	}})
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

	s.unwant()
	s.awaitReport("is idle", in(node.PhaseIdle))
	assert.Empty(t, snapshot.Diff(before.files, s.traces().files))
}
