// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/payload/assemble"
)

func TestProgressComesToTheEndOfEachComponent(t *testing.T) {
	t.Parallel()
	in := input(t, stage(t))
	var mu sync.Mutex
	last := map[string]assemble.Progress{}
	in.Progress = func(p assemble.Progress) {
		mu.Lock()
		defer mu.Unlock()
		assert.GreaterOrEqual(t, p.Done, last[p.Component].Done)
		last[p.Component] = p
	}
	mustBuild(t, in)
	assert.Equal(t, map[string]assemble.Progress{
		"guest":  {Component: "guest", Done: 250_000, Total: 250_000},
		"shim":   {Component: "shim", Done: 6, Total: 6},
		"config": {Component: "config", Done: 10, Total: 10},
	}, last)
}
