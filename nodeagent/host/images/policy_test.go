// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestTheHostsPolicyDecides(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.put(t, "/etc/containers/policy.json", `{"default":[{"type":"reject"}]}`)
	require.ErrorContains(t, n.store.Pull(t.Context(), name, nil), "rejected by policy")
	assert.Empty(t, s.fetched())
	assert.Empty(t, n.list(t))
	n.put(t, "/etc/containers/policy.json", "{")
	require.ErrorContains(t, n.store.Pull(t.Context(), name, nil), "reading the host's signature policy")

	n.put(t, "/etc/crio/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	n.store.Policy = filepath.Join(n.root, "/etc/crio/policy.json")
	n.pull(t, name)
}

func TestTheRuntimesPolicyCountsWhereTheHostHasNone(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.put(t, "/etc/crio/policy.json", `{"default":[{"type":"reject"}]}`)
	policy, problem := n.file("/etc/crio/policy.json"), error(nil)
	n.store.RuntimePolicy = func(context.Context) (string, error) { return policy, problem }
	n.pull(t, name)

	require.NoError(t, os.Remove(n.file("/etc/containers/policy.json")))
	pull := func() error { return n.store.Pull(t.Context(), name, func(host.Progress) {}) }
	require.ErrorContains(t, pull(), "rejected by policy")
	n.put(t, "/etc/crio/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	n.pull(t, name)

	policy += ".gone"
	require.ErrorContains(t, pull(), "reading signature policy "+policy)
	policy, problem = "", errors.New("99-site.conf is no TOML")
	require.ErrorContains(t, pull(), problem.Error())
	policy, problem = "", nil
	require.ErrorContains(t, pull(), "another one may be named by setting signature_policy")
}
