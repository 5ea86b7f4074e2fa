// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kata-node/kata-node/controller"
)

// clock is the controller's. The test turns it past a deadline, when what comes before the deadline
// has been seen: a short deadline would pass before that on a busy machine.
type clock struct{ ahead atomic.Int64 }

func (c *clock) settings() controller.Settings {
	s := settings()
	s.Now = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	return s
}

// turn lets the deadline for agents pass, and changes a node, because the controller's timers run
// by the machine's clock.
func (c *clock) turn(t *testing.T, w *worker) {
	t.Helper()
	ahead := c.ahead.Add(int64(2 * settings().AgentDeadline))
	w.label(t, fmt.Sprintf("example.com/clock=%d", ahead))
}
