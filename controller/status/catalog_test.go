// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
)

func gets(payload string) State { return Gets(facts.Release{Payload: payload}) }

func TestEveryPayloadIsShownWithItsNodes(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	s := of(c, Worker("new", Runs("4.20", ""), gets(PayloadB), Done(c)), Worker("old1", Runs("4.9", ""), gets(PayloadA), Done(c)), Worker("old2", Runs("4.19", ""), gets(PayloadA), Done(c)))
	assert.Equal(t, "FTF Completed", truth(s))
	assert.Equal(t, []v1.PayloadStatus{{Image: PayloadA, Nodes: 2}, {Image: PayloadB, Nodes: 1}}, s.Payloads)
	assert.Equal(t, PayloadB, s.KataImage, "the newest version's")
	s = of(c, Worker("new", Runs("4.20", ""), gets(PayloadA), Done(c), gets(PayloadB)), Worker("old", Runs("4.19", ""), gets(PayloadA), Done(c)))
	assert.Equal(t, "1/0/1/0 of 2", short(s))
	assert.Equal(t, "TFF Waiting", truth(s))
	moving := Worker("new", Runs("4.20", ""), gets(PayloadB), Wanted(c), Reports(node.PhaseInstalling), Ready)
	moving.Report.Payload = node.Digest(PayloadA)
	assert.Equal(t, "TFF Updating", truth(of(c, moving)))
}

func TestANodeWithoutPayloadForItsVersionIsNamed(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	none := Gets(facts.Release{Problem: "no entry of the catalogue is for OpenShift 4.23"})
	nodes := []facts.Node{Worker("new", gets(PayloadA), Done(c), none), Worker("old", gets(PayloadA), Done(c))}
	s := of(c, nodes...)
	assert.Equal(t, "1/0/0/1 of 2", short(s))
	assert.Equal(t, "FFT NoPayloadForVersion", truth(s))
	assert.Equal(t, []v1.FailedNode{{Name: "new", Error: "no entry of the catalogue is for OpenShift 4.23 (NoPayloadForVersion)"}}, s.FailedNodes)
	assert.Contains(t, meta.FindStatusCondition(s.Conditions, v1.ConditionFailed).Message, "failed: new, see")
	assert.Equal(t, []v1.PayloadStatus{{Image: PayloadA, Nodes: 2}}, s.Payloads, "it serves what it served")
	s = of(c, append(nodes, Worker("broken", gets(PayloadA), Wanted(c), Reports(node.PhaseInstalling), Fails("prove payload", "no")))...)
	assert.Equal(t, "FFT NodesFailed", truth(s))
}

func TestACatalogueThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued, func(c *facts.Config) { c.CatalogProblem = "the last good one stays in force: line 3" })
	s := of(c, Worker("w", gets(PayloadA), Done(c)))
	assert.Equal(t, "FFT CatalogUnreadable", truth(s))
	assert.Equal(t, "1/0/0/0 of 1", short(s))
	assert.Equal(t, "the last good one stays in force: line 3; 1 of 1 nodes complete", meta.FindStatusCondition(s.Conditions, v1.ConditionFailed).Message)
}
