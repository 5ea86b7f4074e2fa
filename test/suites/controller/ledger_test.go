// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// runs starts an instance that believes to lead, whatever others do.
func (c *cluster) runs(t *testing.T, s controller.Settings, lag time.Duration) *recorder {
	t.Helper()
	config, err := c.ServiceAccount(t.Context(), namespace, account)
	require.NoError(t, err)
	seen := &recorder{lag: lag}
	config.Wrap(seen.wrap)
	metrics, err := controller.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(t.Output())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx, config, s, metrics, log) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return seen
}

// ledger is what the ConfigMap says.
func (c *cluster) ledger(ctx context.Context, t require.TestingT) ledger.Ledger {
	m, err := c.kube.CoreV1().ConfigMaps(namespace).Get(ctx, ledger.Name, metav1.GetOptions{})
	require.NoError(t, err)
	return ledger.Of(m)
}

// Without the ledger, each of the two would give a grant of its own.
func TestTwoLeadersSpendUnavailabilityOnce(t *testing.T) {
	t.Parallel()
	const nodes = 16
	c := start(t)
	s := settings()
	s.Settle = 0
	one, other := c.runs(t, s, 20*time.Millisecond), c.runs(t, s, 20*time.Millisecond)
	var b budget
	b.watch(t, c)
	for i := range nodes {
		w := c.worker(t, fmt.Sprintf("w%02d", i))
		w.reports(t, node.PhaseIdle)
		w.obey(t)
	}
	c.kataConfig(t, "kata", "{config: {maxUnavailable: 1, maxParallel: 16}}")
	c.awaitCounts(t, "kata", fmt.Sprintf("%d/0/0/0 of %d Completed", nodes, nodes))
	b.mu.Lock()
	assert.Equal(t, 1, b.most)
	b.mu.Unlock()
	for _, seen := range []*recorder{one, other} {
		assert.Empty(t, seen.forbidden())
		t.Logf("wrote %d times", len(seen.writes()))
	}
	eventually(t, func(t *assert.CollectT, ctx context.Context) { assert.Empty(t, c.ledger(ctx, t).Entries) })
}

func TestALedgerThatIsLostOrSpoiledIsMadeAgainFromTheNodes(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	c.kataConfig(t, "kata", "{config: {maxUnavailable: 1}}")
	first := c.worker(t, "a")
	first.reports(t, node.PhaseIdle)
	first.installs(t, payloadA)
	waits := map[string]*worker{}
	for _, name := range []string{"b", "c"} {
		waits[name] = c.worker(t, name)
		waits[name].reports(t, node.PhaseIdle)
		waits[name].awaitIntent(t, node.StateInstalled, payloadA)
		waits[name].reports(t, node.PhaseAwaitingGrant)
		if name == "b" {
			waits[name].awaitGrant(t)
			assert.Equal(t, bootID, c.ledger(t.Context(), t).Entries["b"].Boot)
		}
	}
	require.NoError(t, c.kube.CoreV1().ConfigMaps(namespace).Delete(t.Context(), ledger.Name, metav1.DeleteOptions{}))
	spoiled := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ledger.Name, Namespace: namespace}, Data: map[string]string{"b": "{", "x": "?"}}
	_, err := c.kube.CoreV1().ConfigMaps(namespace).Create(t.Context(), spoiled, metav1.CreateOptions{})
	require.NoError(t, err)
	first.label(t, "example.com/a=pass")
	assert.Empty(t, waits["c"].intent(t).Grants.RestartCRIO, "b restarts CRI-O, as its Node says")

	waits["b"].reports(t, node.PhaseInstalled)
	waits["c"].awaitGrant(t)
	assert.Equal(t, bootID, c.ledger(t.Context(), t).Entries["c"].Boot)
}
