// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
)

// The unfit node is the first one by name.
func TestANodeThatFailsItsHostCheckIsNeverFirstAndNeverReady(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	unfit, sound := c.worker(t, "a", "pool=x"), c.worker(t, "b", "pool=x")
	const noKVM = "the host has no /dev/kvm: load kvm_intel or kvm_amd, or turn on virtualization in the firmware"
	lacksKVM := func(r *node.Report) { r.HostCheck = noKVM }
	unfit.reports(t, node.PhaseIdle, lacksKVM)

	const name = "kata"
	c.kataConfig(t, name, "{kataConfigPoolSelector: {matchLabels: {pool: x}}, config: {payloadImage: '"+payloadA+"'}}")
	kc := c.awaitCounts(t, name, "0/0/1/1 of 2 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "a", Error: noKVM + " (HostUnfit)"}}, kc.Status.FailedNodes)
	sound.reports(t, node.PhaseIdle)
	sound.awaitIntent(t, node.StateInstalled, payloadA)
	assert.Nil(t, unfit.intent(t), "it would prove nothing")
	sound.installs(t, payloadA)

	unfit.awaitIntent(t, node.StateInstalled, payloadA)
	unfit.reports(t, node.PhaseInstalling, lacksKVM)
	kc = c.awaitCounts(t, name, "1/0/0/1 of 2 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "a", Error: noKVM + " (HostUnfit)"}}, kc.Status.FailedNodes)
	unfit.awaitLabel(t, false)

	// With virtualization turned on, it is one as others are.
	unfit.installs(t, payloadA)
	c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	unfit.reports(t, node.PhaseInstalled, lacksKVM)
	c.awaitCounts(t, name, "1/0/0/1 of 2 NodesFailed")
}
