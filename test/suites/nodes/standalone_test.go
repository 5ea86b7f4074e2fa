// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
)

// agent is the program as the package installs it.
const agent = "/usr/libexec/kata-agent/kata-node-agent"

// standalone is a node without a cluster: no kubelet runs, and the agent follows a file.
type standalone struct{ *subject }

// newStandaloneWith boots one with more files and programs.
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
