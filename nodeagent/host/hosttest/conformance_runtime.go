// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// ConformServices tells whether a running service is restarted as the port says. The service prints
// the same words at each start, and the dependent one runs and requires it.
func ConformServices(t *testing.T, services host.Services, name, dependent, words string) {
	t.Helper()
	before, err := services.Unit(t.Context(), name)
	require.NoError(t, err)
	assert.True(t, before.Active())
	assert.NotEmpty(t, before.Invocation)
	assert.Positive(t, before.MainPID)
	require.NoError(t, services.Check(t.Context(), name))
	dependents, err := services.Dependents(t.Context(), name)
	require.NoError(t, err)
	assert.Equal(t, []string{dependent}, dependents)

	require.NoError(t, services.Restart(t.Context(), name))
	after, err := services.Unit(t.Context(), name)
	require.NoError(t, err)
	assert.True(t, after.Active())
	assert.NotEqual(t, before.Invocation, after.Invocation, "each start is another one")
	assert.NotEqual(t, before.MainPID, after.MainPID)
	for _, running := range []string{name, dependent} {
		require.NoError(t, services.Start(t.Context(), running))
	}
	again, err := services.Unit(t.Context(), name)
	require.NoError(t, err)
	assert.Equal(t, after, again, "what runs stays as it is")
	assert.Eventually(t, func() bool {
		said, err := services.Words(t.Context(), name, before.Invocation)
		return err == nil && strings.TrimSpace(said) == words
	}, time.Minute, 100*time.Millisecond, "a journal may be late")
	said, err := services.Words(t.Context(), name, before.Invocation, after.Invocation)
	require.NoError(t, err)
	assert.Empty(t, said, "there was no other invocation")
	complaints, err := services.Complaints(t.Context(), name, time.Minute, "no such request")
	require.NoError(t, err)
	assert.Empty(t, complaints, "what it printed is none")
	printed, err := services.Messages(t.Context(), name, time.Minute, "no such word", words[len(words)-3:])
	require.NoError(t, err)
	assert.Contains(t, printed, words)
	printed, err = services.Messages(t.Context(), name, time.Minute, "no such word")
	require.NoError(t, err)
	assert.Empty(t, printed)
}

// ConformSandboxes tells whether a runtime that knows our handlers, and runs nothing, behaves
// as the port says.
func ConformSandboxes(t *testing.T, sandboxes host.Sandboxes) {
	t.Helper()
	const unknown = "no-such-handler"
	list := func(handlers ...string) []host.Sandbox {
		found, err := sandboxes.List(t.Context(), handlers...)
		require.NoError(t, err)
		return found
	}
	assert.Empty(t, list(node.Handler, node.ProofHandler))
	shim, err := sandboxes.Shim(t.Context(), node.ProofHandler)
	require.NoError(t, err)
	assert.Equal(t, host.Shim, path.Base(shim))
	shim, err = sandboxes.Shim(t.Context(), unknown)
	require.NoError(t, err)
	assert.Empty(t, shim)

	_, err = sandboxes.Prove(t.Context(), unknown, "proof")
	var lacks *host.UnknownHandler
	require.ErrorAs(t, err, &lacks)
	assert.Equal(t, unknown, lacks.Handler)
	assert.Empty(t, list(unknown))

	id, err := sandboxes.Prove(t.Context(), node.ProofHandler, "proof")
	require.NoError(t, err)
	want := []host.Sandbox{{ID: id, Handler: node.ProofHandler, Namespace: "kata-agent", Name: "proof", Ready: true}}
	assert.Equal(t, want, list(node.Handler, node.ProofHandler))
	assert.Empty(t, list(node.Handler))
	_, err = sandboxes.Prove(t.Context(), node.ProofHandler, "proof")
	require.Error(t, err, "a name can be used once at a time")
	assert.NotErrorAs(t, err, &lacks)
	for range 2 {
		require.NoError(t, sandboxes.Remove(t.Context(), id), "one that does not exist is no error")
	}
	assert.Empty(t, list(node.Handler, node.ProofHandler))

	_, err = sandboxes.Prove(t.Context(), node.ProofHandler, "another")
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, sandboxes.Reclaim(t.Context(), "another"), "one that does not exist is no error")
	}
	assert.Empty(t, list(node.Handler, node.ProofHandler), "what its caller knows nothing of is removed by its name, and nothing is started")
}

// ImagesBench is an empty store, with references of two payloads that can be pulled and of one that
// cannot.
type ImagesBench struct {
	Images            host.Images
	One, Two, Missing string
}

// ConformImages tells whether a store behaves as the port says.
func ConformImages(t *testing.T, b ImagesBench) {
	t.Helper()
	list := func() []host.Image {
		images, err := b.Images.List(t.Context())
		require.NoError(t, err)
		return images
	}
	pull := func(reference string) {
		seen := 0
		require.NoError(t, b.Images.Pull(t.Context(), reference, func(host.Progress) { seen++ }))
		assert.Positive(t, seen, "progress is reported")
	}
	assert.Empty(t, list())
	assert.False(t, b.Images.Exists(), "reading makes no store")
	require.Error(t, b.Images.Pull(t.Context(), b.Missing, func(host.Progress) {}))
	assert.Empty(t, list())

	pull(b.One)
	pull(b.One)
	require.Len(t, list(), 1)
	one := list()[0]
	assert.Contains(t, one.Digests, node.Digest(b.One))
	assert.True(t, b.Images.Exists())
	layers, err := b.Images.Layers(t.Context(), one.ID)
	require.NoError(t, err)
	require.NotEmpty(t, layers)
	assert.DirExists(t, layers[0])
	_, err = b.Images.Layers(t.Context(), "0123456789abcdef")
	require.Error(t, err)

	pull(b.Two)
	assert.Len(t, list(), 2)
	for range 2 {
		require.NoError(t, b.Images.Delete(t.Context(), one.ID), "one that does not exist is no error")
	}
	require.Len(t, list(), 1)
	assert.Contains(t, list()[0].Digests, node.Digest(b.Two))
	_, err = b.Images.Layers(t.Context(), one.ID)
	require.Error(t, err)
	require.NoError(t, b.Images.Discard(t.Context(), list()[0].ID))
	assert.Empty(t, list())

	pull(b.Two)
	for range 2 {
		require.NoError(t, b.Images.Destroy(t.Context()))
		assert.False(t, b.Images.Exists())
		assert.Empty(t, list())
	}
}
