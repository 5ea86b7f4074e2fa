// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func intent(digit, grant string) (node.Intent, string) {
	i := node.Intent{State: node.StateInstalled, Payload: "r.example/p@sha256:" + strings.Repeat(digit, 64)}.Identify("node")
	i.Grants.RestartCRIO = grant
	document, err := i.Encode()
	if err != nil {
		panic(err) // the intent is this test's own
	}
	return i, document
}

func TestAnIntentThatCannotBeReadIsAProblemAndForgetsNothing(t *testing.T) {
	t.Parallel()
	m := machine(t)
	kept, document := intent("a", "")
	put(t, m, map[string]string{host.IntentFile: document})
	f := look(t, m, cluster.State{Alone: true, Problem: "the intent file is not followed: chmod go-w it"})
	assert.Equal(t, kept.ID, f.Intent.Wanted.ID)
	assert.Equal(t, "the intent file is not followed: chmod go-w it", f.Intent.Problem)
	assert.False(t, f.Intent.Cleared)
}

func assertFollows(t *testing.T, i node.Intent, f plan.Facts) {
	t.Helper()
	require.NotNil(t, f.Intent.Wanted)
	got := *f.Intent.Wanted
	assert.Equal(t, i, got)
}

func TestTheIntent(t *testing.T) {
	t.Parallel()
	kept, onDisk := intent("a", "")
	same, granted := intent("a", bootID)
	other, replaced := intent("b", "")
	more := kept
	more.Prefetch = other.Payload
	fetching, err := more.Encode()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		disk  string
		shown cluster.State
		check func(t *testing.T, f plan.Facts)
	}{
		"the disk's serves until the API server is there": {onDisk, cluster.State{}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.True(t, f.Intent.Kept)
			assert.False(t, f.Intent.Shown || f.Intent.Cleared)
			assert.Empty(t, f.Intent.ID)
		}},
		"the Node's is the same, and has grants": {onDisk, cluster.State{Known: true, Intent: granted}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, same, f)
			assert.True(t, f.Intent.Kept && f.Intent.Shown)
		}},
		"the Node's replaces the disk's": {onDisk, cluster.State{Known: true, Intent: replaced}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, other, f)
			assert.False(t, f.Intent.Kept)
			assert.Equal(t, other.ID, f.Intent.ID)
		}},
		"another image to fetch ahead of time": {onDisk, cluster.State{Known: true, Intent: fetching}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, more, f)
			assert.True(t, f.Intent.Kept && f.Intent.Shown && f.Intent.Stale)
			assert.Equal(t, kept.ID, f.Intent.ID)
		}},
		"one that vanished stays in force": {onDisk, cluster.State{Known: true}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.True(t, f.Intent.Cleared)
			assert.False(t, f.Intent.Shown)
		}},
		"one that cannot be followed leaves the disk's in force": {onDisk, cluster.State{Known: true, Intent: `{"version":9,"id":"x9"}`}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assertFollows(t, kept, f)
			assert.Contains(t, f.Intent.Problem, "version 9")
			assert.Equal(t, "x9", f.Intent.ID)
			assert.False(t, f.Intent.Shown || f.Intent.Cleared)
		}},
		"one on disk that cannot be read is as good as none": {"{torn", cluster.State{}, func(t *testing.T, f plan.Facts) {
			t.Helper()
			assert.Nil(t, f.Intent.Wanted)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine(t)
			put(t, m, map[string]string{host.IntentFile: c.disk})
			c.check(t, look(t, m, c.shown))
		})
	}
}

func TestPayloadsThatThisNodeDoesNotAllow(t *testing.T) {
	t.Parallel()
	i, document := intent("a", "")
	for prefix, allowed := range map[string]bool{
		"r.example/": true, "r.example/other": false,
	} {
		m := machine(t)
		o := observer(m)
		o.Self.AllowedPayloads = []string{prefix}
		f, err := o.Look(t.Context(), cluster.State{Known: true, Intent: document})
		require.NoError(t, err)
		assert.Equal(t, allowed, f.Intent.Shown, prefix)
		assert.Equal(t, i.ID, f.Intent.ID, prefix)
		assert.Equal(t, allowed, f.Intent.Problem == "", prefix)
	}
	i.Prefetch = "elsewhere.example/p@" + node.Digest(i.Payload)
	document, err := i.Encode()
	require.NoError(t, err)
	m := machine(t)
	o := observer(m)
	o.Self.AllowedPayloads = []string{"r.example/"}
	f, err := o.Look(t.Context(), cluster.State{Known: true, Intent: document})
	require.NoError(t, err)
	assert.True(t, f.Intent.Shown)
	assert.Empty(t, f.Intent.Wanted.Prefetch, "what is not allowed is not fetched ahead of time either")
}
