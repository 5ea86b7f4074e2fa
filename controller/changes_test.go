// SPDX-License-Identifier: Apache-2.0

package controller //nolint:testpackage // passes have no other way in

import (
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

func TestAPassTakesEachChangeOnce(t *testing.T) {
	t.Parallel()
	var c changes
	heard := 0
	handler := c.noting(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { heard++ }, UpdateFunc: func(any, any) { heard++ }, DeleteFunc: func(any) { heard++ },
	})
	handler.OnAdd(&facts.Node{Name: "added"}, true)
	handler.OnUpdate(&facts.Node{Name: "beats"}, &facts.Node{Name: "beats"})
	handler.OnDelete(cache.DeletedFinalStateUnknown{Key: "deleted"})
	assert.Equal(t, 3, heard)
	assert.Equal(t, map[string]bool{"added": true, "beats": true, "deleted": true}, c.take())
	assert.Empty(t, c.take())
}

func TestWhatIsWantedIsDecidedAtOnceAndTheRestWhenItHasSettled(t *testing.T) {
	t.Parallel()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	wake := (&Controller{queue: queue, settings: Settings{Settle: time.Hour}}).wake()
	config := func(generation int64, version string) *v1.KataConfig {
		return &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Generation: generation, ResourceVersion: version}}
	}
	wake.OnAdd(config(1, "1"), false)
	wake.OnUpdate(config(1, "1"), config(1, "2")) // Its status.
	wake.OnDelete(&facts.Node{Name: "a"})
	assert.Zero(t, queue.Len())
	wake.OnUpdate(config(1, "2"), config(2, "3"))
	assert.Equal(t, 1, queue.Len())
}

// passes is a controller that decides, and writes nothing.
type passes struct {
	*Controller
	config *v1.KataConfig
	now    time.Time
}

func (p *passes) stores(t *testing.T, n facts.Node) {
	t.Helper()
	require.NoError(t, p.caches.nodes.GetStore().Update(&n))
}

// total is how many nodes the next status counts.
func (p *passes) total(after time.Duration) int {
	p.now = p.now.Add(after)
	d := p.decide(decide.Seen{Configs: []*v1.KataConfig{p.config}}, p.now)
	return int(d.Statuses[0].Status.TotalNodesCount)
}

func newPasses(log logrus.FieldLogger) *passes {
	kc := &v1.KataConfig{Spec: v1.KataConfigSpec{Config: v1.KataInstallConfig{PayloadImage: factstest.PayloadA}}}
	kc.Name, kc.UID, kc.Finalizers = "all", "uid-of-all", []string{facts.Finalizer}
	nodes := cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.Node{}, 0, cache.Indexers{})
	return &passes{Controller: &Controller{log: log, caches: &caches{nodes: nodes}}, config: kc, now: factstest.Noon()}
}

func TestAPassReadsWhatWasNoted(t *testing.T) {
	t.Parallel()
	log, logged := logtest.NewNullLogger()
	p := newPasses(log)
	p.stores(t, factstest.Worker("a"))
	assert.Equal(t, 1, p.total(0), "the first pass reads everything")
	p.stores(t, factstest.Worker("b"))
	p.caches.changes.note(&facts.Node{Name: "b"})
	assert.Equal(t, 2, p.total(time.Second))
	p.stores(t, factstest.Worker("c"))
	assert.Equal(t, 2, p.total(time.Second))
	assert.Equal(t, 3, p.total(auditInterval), "what was not noted is found later")
	assert.Empty(t, logged.AllEntries())
}

func TestAFaultOfDecisionsByChangesIsLoggedAndRepaired(t *testing.T) {
	t.Parallel()
	log, logged := logtest.NewNullLogger()
	p := newPasses(log)
	p.stores(t, factstest.Worker("a"))
	assert.Equal(t, 1, p.total(0))
	p.cluster = decide.Cluster{}
	assert.Equal(t, 0, p.total(time.Second))
	assert.Equal(t, 1, p.total(auditInterval))
	require.Len(t, logged.AllEntries(), 1)
	assert.Equal(t, logrus.ErrorLevel, logged.LastEntry().Level)
	assert.Equal(t, 1, p.total(time.Second))
}
