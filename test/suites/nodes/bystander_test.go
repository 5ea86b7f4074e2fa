// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bystander is the container of an ordinary pod that runs on every node and that nothing may
// disturb: its process, when that started, and in which boot. Its zero value is none.
type bystander struct {
	pid           int
	started, boot string
}

const bystanderName = "bystander"

// runBystander runs it as a pod of the kubelet.
func (s *subject) runBystander() {
	s.t.Helper()
	s.bindOrdinaryPod(bystanderName)
	s.awaitPod(bystanderName)
	s.watchBystander(s.pod(bystanderName))
}

// watchBystander takes the container of a sandbox for it.
func (s *subject) watchBystander(sandbox string) {
	s.t.Helper()
	pid := s.containerPID(sandbox)
	started, err := s.started(s.t.Context(), pid)
	require.NoError(s.t, err)
	s.bystander = bystander{pid, started, s.bootID()}
}

// dismissBystander is for a test that ends every pod of its node itself.
func (s *subject) dismissBystander() { s.bystander = bystander{} }

// assertUndisturbed makes sure that the bystander has run on, unless the node was rebooted.
func (s *subject) assertUndisturbed(ctx context.Context) {
	s.t.Helper()
	if s.bystander == (bystander{}) {
		return
	}
	now := s.bystander
	boot, err := s.node.BootID(ctx)
	if err == nil && boot == now.boot {
		now.started, err = s.started(ctx, now.pid)
	}
	if assert.NoError(s.t, err, "the ordinary pod") {
		assert.Equal(s.t, s.bystander, now, "the ordinary pod has ended")
	}
}

// started is when a process of the node started, in ticks since its boot (proc_pid_stat(5), field
// 22).
func (s *subject) started(ctx context.Context, pid int) (string, error) {
	stat, err := s.node.Exec(ctx, "cat", "/proc/"+strconv.Itoa(pid)+"/stat")
	if err != nil {
		return "", err
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	if all := strings.Fields(fields); len(all) > 19 {
		return all[19], nil
	}
	return "", fmt.Errorf("process %d is %q", pid, stat)
}
