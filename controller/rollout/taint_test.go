// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
)

func starting(n *facts.Node) { n.Starting = true }

func TestTheStartUpTaintGoesWithTheLabelAndNotBefore(t *testing.T) {
	t.Parallel()
	c := Config("c")
	proved := []State{Wanted(c), Reports(node.PhaseInstalled), starting}
	for name, x := range map[string]struct {
		config facts.Config
		node   facts.Node
		says   []string
	}{
		"ready":             {c, Worker("w", proved...), []string{"w KataReady"}},
		"ready before":      {c, Worker("w", append(proved, Ready)...), []string{"w KataTaintRemoved"}},
		"being installed":   {c, Worker("w", Wanted(c), Reports(node.PhaseInstalling), starting), []string{}},
		"idle":              {c, Worker("w", Idle, starting), []string{"w KataInstall"}},
		"not proved again":  {c, Worker("w", append(proved, Ready, Rebooted)...), []string{}},
		"policies missing":  {Config("c", func(c *facts.Config) { c.Withheld = true }), Worker("w", proved...), []string{}},
		"paused":            {Config("c", func(c *facts.Config) { c.Paused = true }), Worker("w", append(proved, Ready)...), []string{}},
		"without the taint": {c, Worker("w", Done(c)), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(x.config, x.node)
			require.Equal(t, x.says, said(changes))
			for _, change := range changes {
				ready := change.Event == rollout.EventReady || change.Event == rollout.EventUntaint
				assert.Equal(t, ready, change.Untaint)
			}
		})
	}
	assert.False(t, plan(c, Worker("w", Wanted(c), Reports(node.PhaseInstalled)))[0].Untaint)
}
