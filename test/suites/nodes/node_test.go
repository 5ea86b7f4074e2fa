// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const pending = "slots/pending"

// install brings payload one to the node, the ordinary way.
func (s *subject) install() {
	s.t.Helper()
	s.want(map[string]any{})
	s.awaitCompleted()
}

// awaitReport waits until the agent has reported as wanted, and returns the report.
func (s *subject) awaitReport(what string, wanted func(node.Report) bool) node.Report {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	report, err := s.node.AwaitReport(ctx, what, wanted)
	require.NoError(s.t, err)
	return report
}

func in(phase node.Phase) func(node.Report) bool {
	return func(r node.Report) bool { return r.Phase == phase && r.Error == nil }
}

func (s *subject) current() string { return s.run("readlink", "/run/kata-agent/current") }

func (s *subject) bootID() string {
	s.t.Helper()
	id, err := s.node.BootID(s.t.Context())
	require.NoError(s.t, err)
	return id
}

func (s *subject) awaitServing() string {
	s.t.Helper()
	current := ""
	s.await("a payload serves", func(ctx context.Context) (err error) {
		if current, err = s.node.Current(ctx); err == nil && current == pending {
			return errors.New("current is pending")
		}
		return err
	})
	return current
}

// payloadMounts are the identities of the agent's mounts: a mount that was made again has another.
func (s *subject) payloadMounts() map[string]int {
	s.t.Helper()
	mounts, err := s.node.Mounts(s.t.Context())
	require.NoError(s.t, err)
	found := map[string]int{}
	for _, m := range mounts {
		if strings.HasPrefix(m.Mountpoint, "/run/kata-agent/") {
			found[m.Mountpoint] = m.ID
		}
	}
	return found
}

func (s *subject) assertCRIOStarts(times int) {
	s.t.Helper()
	starts, err := s.node.CRIOStarts(s.t.Context())
	require.NoError(s.t, err)
	assert.Equal(s.t, times, starts, "starts of CRI-O")
}

func (s *subject) hasFile(path string) bool {
	s.t.Helper()
	_, err := s.node.ReadFile(s.t.Context(), path)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(s.t, err)
	}
	return err == nil
}

// fileExists asks whether the node has a file.
func (s *subject) fileExists(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.node.ReadFile(ctx, path)
		return err
	}
}

// assertClean is what a finished removal leaves.
func (s *subject) assertClean() {
	s.t.Helper()
	assert.False(s.t, s.hasFile(dropIn), "drop-in")
	assert.Empty(s.t, s.payloadMounts())
	assert.Equal(s.t, pending, s.current())
	assert.NoDirExists(s.t, s.node.Root()+host.StoreDir)
	object, err := s.node.Object(s.t.Context())
	require.NoError(s.t, err)
	assert.NotContains(s.t, object.Labels, node.ReadyLabel)
	assert.NotContains(s.t, object.Annotations, node.IntentAnnotation)
}

// awaitNewAgent waits until systemd runs another main process than the given one and that has said
// READY.
func (s *subject) awaitNewAgent(than int) {
	s.t.Helper()
	s.await("systemd has started the agent again", func(ctx context.Context) error {
		unit, err := s.node.Unit(ctx, agentUnit)
		if err == nil && (unit["ActiveState"] != "active" || unit["MainPID"] == strconv.Itoa(than)) {
			err = fmt.Errorf("it is %s as process %s", unit["ActiveState"], unit["MainPID"])
		}
		return err
	})
}

// restartKubelet returns when the new kubelet has judged every pod that is bound to the node.
func (s *subject) restartKubelet() {
	s.t.Helper()
	s.run("systemctl", "restart", kubeletUnit)
	s.awaitAdmission()
}

// awaitAdmission waits until the running kubelet has judged every pod that is bound to the node.
func (s *subject) awaitAdmission() {
	s.t.Helper()
	s.await("the kubelet has admitted its pods", s.node.Admitted)
}
