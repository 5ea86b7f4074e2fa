// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The library waits for a minute before it asks again, where a registry wants it to.
func TestARegistryThatLimitsRequestsIsNotTakenForOneThatIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		guard := newStallGuard(stallLimit, cancel)
		for range 5 {
			guard.answer()
			time.Sleep(time.Minute)
			require.NoError(t, ctx.Err())
		}
		time.Sleep(time.Minute + time.Second)
		assert.ErrorIs(t, context.Cause(ctx), errStalled)
	})
}
