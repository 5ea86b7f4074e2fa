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

// A registry that refuses is left alone for long, unless the host's settings have changed.
func TestAChangeOfTheRuntimesPolicyIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	for what, change := range map[string]string{
		"its content":       "/srv/policy.json",
		"which file it is":  "/etc/crio/crio.conf.d/10-policy.conf",
		"a policy for all":  "/etc/containers/policy.json",
		"a key that it has": "/etc/containers/keys/kata.pub",
	} {
		require.NoError(t, os.RemoveAll(n.file("/etc/containers/policy.json")))
		n.put(t, "/srv/policy.json", `{"default":[{"type":"reject"}]}`)
		n.store.RuntimePolicy = func(context.Context) (string, error) { return n.file("/srv/policy.json"), nil }
		var fault *host.Fault
		require.ErrorAs(t, n.store.Pull(t.Context(), name, func(host.Progress) {}), &fault)
		assert.Equal(t, host.Lasting, fault.Kind)
		require.False(t, fault.Changed(), what)
		n.put(t, change, "something else for "+what)
		assert.True(t, fault.Changed(), what)
	}
}
