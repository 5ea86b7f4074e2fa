// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/controller"
)

func TestAStandbyIsHealthyForEver(t *testing.T) {
	t.Parallel()
	var h controller.Health
	require.NoError(t, h.Ready())
	require.NoError(t, h.Alive(time.Unix(1e9, 0)))
}

func TestALeaderHasToFillItsCaches(t *testing.T) {
	t.Parallel()
	var h controller.Health
	start := time.Unix(1e9, 0)
	h.Leads(start)
	require.Error(t, h.Ready())
	require.NoError(t, h.Alive(start.Add(2*time.Minute)))
	require.EqualError(t, h.Alive(start.Add(2*time.Minute+1)), "the caches have not been filled within 2m0s of leading")
	h.Synced()
	require.NoError(t, h.Ready())
	require.NoError(t, h.Alive(start.Add(time.Hour)), "nothing to do is no fault")
}

func TestAPassHasToWriteOrToEnd(t *testing.T) {
	t.Parallel()
	var h controller.Health
	start := time.Unix(1e9, 0)
	h.Leads(start)
	h.Synced()
	h.Steps(start)
	require.NoError(t, h.Alive(start.Add(5*time.Minute)))
	require.EqualError(t, h.Alive(start.Add(5*time.Minute+1)), "a pass has neither written nor ended for 5m0s")
	require.NoError(t, h.Ready(), "a pass that takes long is no reason to call the instance not ready")
	h.Steps(start.Add(4 * time.Minute))
	require.NoError(t, h.Alive(start.Add(8*time.Minute)), "it writes")
	h.Passed()
	require.NoError(t, h.Alive(start.Add(time.Hour)))
}
