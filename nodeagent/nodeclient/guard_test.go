// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
)

func TestMissingPoliciesAreNoticedByATrialThatIsNotKept(t *testing.T) {
	t.Parallel()
	a := newAPI(t, annotated(node.IntentAnnotation, "an intent"))
	a.unguarded = true
	c := a.connect()
	a.await(c, func() bool { return c.State().Unguarded })
	assert.Equal(t, "an intent", c.State().Intent)
	assert.Empty(t, a.written())
}

func TestPoliciesThatRefuseTheTrialAreInForce(t *testing.T) {
	t.Parallel()
	a := newAPI(t, annotated(node.IntentAnnotation, "an intent"))
	c := a.connect()
	<-a.tried
	assert.False(t, c.State().Unguarded)
}
