// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// agent is the program as the package installs it.
const agent = "/usr/libexec/kata-agent/kata-node-agent"

// standalone is a node without a cluster: no kubelet runs, and the agent follows a file. An
// ordinary sandbox runs on it.
type standalone struct{ *subject }

func newStandalone(t *testing.T, name string) *standalone {
	t.Helper()
	return newStandaloneWith(t, name, bed.NodeOptions{})
}

// newStandaloneWith has more files and programs.
func newStandaloneWith(t *testing.T, name string, options bed.NodeOptions) *standalone {
	t.Helper()
	files := map[string]string{
		"/etc/kata-agent/50-intent.toml":      fmt.Sprintf("intent_file = %q\n", intentFile),
		"/etc/systemd/system/kubelet.service": "", // As after systemctl mask.
	}
	maps.Copy(files, options.Files)
	options.Files = files
	s := &standalone{boot(t, name, options)}
	s.awaitStatus("nothing is wanted: there is no intent file")
	s.await("CRI-O answers", func(ctx context.Context) error {
		_, err := s.node.Exec(ctx, "systemctl", "is-active", crioUnit)
		return err
	})
	s.runSandbox(bystanderName, "")
	s.watchBystander(bystanderName)
	return s
}

// intend replaces the intent file, as an administrator does.
func (s *standalone) intend(i node.Intent) {
	s.t.Helper()
	i.Version = node.Version
	document, err := json.Marshal(i)
	require.NoError(s.t, err)
	s.run("sh", "-ec", `printf %s "$1" >"$2.new"; mv "$2.new" "$2"`, "sh", string(document), intentFile)
}

// installing is an intent, with leave to restart CRI-O in this boot.
func (s *standalone) installing(payload string) node.Intent {
	s.t.Helper()
	boot, err := s.node.BootID(s.t.Context())
	require.NoError(s.t, err)
	return node.Intent{State: node.StateInstalled, Payload: payload, Grants: node.Grants{RestartCRIO: boot}}
}

// awaitFile waits until the report on disk is as wanted, and returns it.
func (s *standalone) awaitFile(what string, wanted func(node.Report) bool) (r node.Report) {
	s.t.Helper()
	s.await("the report on disk "+what, func(ctx context.Context) error {
		document, err := s.node.ReadFile(ctx, host.ReportFile)
		if err != nil {
			return err
		}
		if r, err = node.DecodeReport(string(document)); err == nil && !wanted(r) {
			err = fmt.Errorf("it is %s", document)
		}
		return err
	})
	return r
}

func (s *standalone) awaitInstalled(payload string) {
	s.t.Helper()
	s.awaitFile("has the payload", func(r node.Report) bool {
		return in(node.PhaseInstalled)(r) && r.Payload == node.Digest(payload)
	})
}

// files are those that an installation could leave something in.
func (s *standalone) files() snapshot.Snapshot {
	s.t.Helper()
	files, err := s.node.Snapshot(s.t.Context(), "/etc", "/run/kata-agent", "/var/lib/kata-*", "/var/log/crio")
	require.NoError(s.t, err)
	return files.Without(intentFile)
}

// refused runs the agent's program, which fails, and returns what it says.
func (s *standalone) refused(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err := s.node.Exec(ctx, append([]string{agent}, args...)...)
	require.Error(s.t, err)
	return err.Error()
}

func TestANodeWithoutAClusterIsDrivenByAFile(t *testing.T) {
	t.Parallel()
	s := newStandalone(t, "standalone")
	before := s.files()
	s.installByFile()
	s.runSandbox("old", node.Handler)
	s.updateByFile()
	s.assertObserved()
	s.removeByHand(before)
	s.removeByFile(before)
	s.assertCRIOStarts(2)
	assert.Empty(t, s.requests(), "no API server was asked")
}

// installByFile writes a file that the agent may not follow, one without a grant, and one with it.
func (s *standalone) installByFile() {
	s.t.Helper()
	wanted := s.installing(s.one)
	granted := wanted
	wanted.Grants = node.Grants{}
	s.run("sh", "-ec", `touch "$1"; chown 1000 "$1"`, "sh", intentFile)
	s.awaitStatus("the intent file is not followed: " + intentFile + " belongs to user 1000, must belong to user 0: chown it")
	s.run("sh", "-ec", `chmod 666 "$1"; chown 0 "$1"`, "sh", intentFile)
	s.awaitStatus("so that other users can write to it: chmod go-w it")
	s.intend(wanted)
	s.awaitFile("waits for a grant", in(node.PhaseAwaitingGrant))
	s.awaitStatus("waiting for a grant to restart CRI-O in this boot: write the boot's id as grants.restartCRIO into the intent file")
	s.assertCRIOStarts(1)
	s.intend(granted)
	s.awaitInstalled(s.one)
	s.assertCRIOStarts(2)
}

// updateByFile updates under a sandbox.
func (s *standalone) updateByFile() {
	s.t.Helper()
	shim := s.onlyShim()
	s.intend(s.installing(s.two))
	s.awaitInstalled(s.two)
	s.awaitShims(1)
	assert.Equal(s.t, shim, s.onlyShim())
	assert.Len(s.t, s.payloadMounts(), 2)
}

// assertObserved compares what the agent's commands and metrics say with what was done.
func (s *standalone) assertObserved() {
	s.t.Helper()
	var status struct {
		Agent  string
		Intent struct{ State, Payload, KataConfig string }
		Slots  []struct {
			Payload string
			Proved  bool
			HeldBy  []string
		}
		CRIO struct{ Sandboxes []struct{ Name string } }
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.run(agent, "status", "--json")), &status))
	assert.Contains(s.t, status.Agent, "serves new pods; running sandboxes hold 1 older")
	assert.Equal(s.t, s.two, status.Intent.Payload)
	assert.Empty(s.t, status.Intent.KataConfig)
	assert.Len(s.t, status.CRIO.Sandboxes, 1)
	held := map[string]bool{}
	for _, slot := range status.Slots {
		held[slot.Payload] = len(slot.HeldBy) > 0
		assert.True(s.t, slot.Proved, slot.Payload)
	}
	assert.Equal(s.t, map[string]bool{s.one: true, s.two: false}, held)
	assert.NotContains(s.t, s.run(agent, "status"), "KataConfig")

	metrics := s.metrics()
	for _, line := range []string{
		`kata_node_agent_phase{phase="Installed"} 1`, `kata_node_agent_crio_restarts_total 1`,
		fmt.Sprintf(`kata_node_agent_payload{payload=%q,state="serving"} 1`, node.Digest(s.two)),
		fmt.Sprintf(`kata_node_agent_payload{payload=%q,state="serving"} 0`, node.Digest(s.one)),
	} {
		assert.Contains(s.t, metrics, line)
	}
	fields := []string{"KATA_STEP=pull payload", "KATA_PAYLOAD=" + s.two}
	assert.Contains(s.t, s.run(append([]string{"journalctl", "--quiet", "--output=cat"}, fields...)...), "Finished: pull payload", "the journal finds it by its fields")
	archive := s.collect()
	assert.Contains(s.t, archive, "files"+intentFile)
	said := s.run("tar", "-xzOf", "/root/a.tar.gz", "status.txt")
	assert.Contains(s.t, said, "serves new pods")
	assert.NotContains(s.t, said, "API server")
}

// metrics reads them as a collector on the node does.
func (s *standalone) metrics() string {
	s.t.Helper()
	text, err := s.scrape()
	require.NoError(s.t, err)
	return text
}

func (s *standalone) scrape() (string, error) {
	socket := s.node.Live(s.t.Context()) + host.MetricsSocket
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://agent/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// removeByHand removes what the file wants all the same, and lets it be installed again.
func (s *standalone) removeByHand(before snapshot.Snapshot) {
	s.t.Helper()
	mounts := s.payloadMounts()
	assert.Contains(s.t, s.refused("remove"), "another agent works on this host: stop kata-agent.service first")
	s.run("systemctl", "stop", agentUnit)
	assert.Contains(s.t, s.refused("remove"), "waiting for kata pods to end: default/old")
	assert.Equal(s.t, mounts, s.payloadMounts())
	s.awaitShims(1)
	s.endSandbox("old")
	assert.Contains(s.t, s.run(agent, "remove"), "everything is removed; what "+intentFile+" says is done when kata-agent.service is started")
	assert.Empty(s.t, s.payloadMounts())
	assert.Empty(s.t, snapshot.Diff(before, s.files()))
	assert.Contains(s.t, s.run(agent, "remove"), "everything is removed", "there is nothing to change")

	s.run("systemctl", "start", agentUnit)
	s.awaitInstalled(s.two)
}

// removeByFile names a running sandbox and waits for it.
func (s *standalone) removeByFile(before snapshot.Snapshot) {
	s.t.Helper()
	s.runSandbox("new", node.Handler)
	s.intend(node.Intent{State: node.StateAbsent})
	s.awaitFile("waits for the sandbox", func(r node.Report) bool {
		return r.Phase == node.PhaseBlocked && r.BoundPods.Count == 1
	})
	s.awaitStatus("waiting for kata pods to end: default/new")
	s.awaitShims(1)
	s.endSandbox("new")
	s.awaitFile("has a removal", in(node.PhaseAbsent))
	assert.Empty(s.t, s.payloadMounts())
	s.run("rm", intentFile)
	s.awaitFile("is that of a node on which nothing is wanted", in(node.PhaseIdle))
	s.await("the record of the intent is deleted", func(ctx context.Context) error {
		_, err := s.node.Exec(ctx, "test", "!", "-e", host.IntentFile)
		return err
	})
	assert.Empty(s.t, snapshot.Diff(before, s.files()))
}
