// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
	"github.com/kata-node/kata-node/controller/view"
)

// BenchmarkPass reads and decides with every node installed and one changed, as a pass does that
// one event has caused; the same while every node waits for its turn; and as a pass does that looks
// at every node.
func BenchmarkPass(b *testing.B) {
	for _, size := range []int{100, 1000, 5000, 15000} {
		b.Run(fmt.Sprint("changes/", size), newInstalled(size).benchmark)
		b.Run(fmt.Sprint("waiting/", size), func(b *testing.B) {
			f := newInstalled(size)
			f.config.Spec.Config.PayloadImage, f.config.Spec.Config.Paused = factstest.PayloadB, true
			f.benchmark(b)
		})
		b.Run(fmt.Sprint("everything/", size), func(b *testing.B) {
			f := newInstalled(size)
			var v view.Nodes
			b.ReportAllocs()
			for b.Loop() {
				f.change()
				nodes := v.Read(slices.Collect(maps.Values(f.cached)), factstest.Noon())
				f.decided(b, decide.Decide(f.seen(decide.Seen{Nodes: nodes}), settings(), factstest.Noon()))
			}
		})
	}
}

func (f *installed) benchmark(b *testing.B) {
	b.Helper()
	var v view.Nodes
	var c decide.Cluster
	pass := func(changed map[string]*facts.Node) {
		f.decided(b, c.Decide(f.seen(decide.Seen{Changed: v.Update(changed, factstest.Noon())}), settings(), factstest.Noon()))
	}
	pass(f.cached)
	b.ReportAllocs()
	for b.Loop() {
		n := f.change()
		pass(map[string]*facts.Node{n.Name: n})
	}
}

func settings() decide.Settings { return decide.Settings{AgentDeadline: time.Minute} }

// installed is a cluster in which every node is.
type installed struct {
	config *v1.KataConfig
	cached map[string]*facts.Node
	// one is the node that changes.
	one string
}

func newInstalled(size int) *installed {
	kc := &v1.KataConfig{Spec: v1.KataConfigSpec{Config: v1.KataInstallConfig{PayloadImage: factstest.PayloadA}}}
	kc.Name, kc.UID, kc.Finalizers = "all", "uid-of-all", []string{facts.Finalizer}
	f := &installed{config: kc, cached: map[string]*facts.Node{}}
	c := facts.OfConfig(kc, facts.Defaults{})
	for i := range size {
		n := facts.OfNode(scaletest.Node(i))
		factstest.Done(c)(&n)
		n.Report.BootID = n.BootID
		f.cached[n.Name] = &n
		if i == size/2 {
			f.one = n.Name
		}
	}
	return f
}

func (f *installed) change() *facts.Node {
	n := *f.cached[f.one]
	n.Ready = !n.Ready
	f.cached[n.Name] = &n
	return &n
}

func (f *installed) seen(s decide.Seen) decide.Seen {
	s.Configs = []*v1.KataConfig{f.config}
	return s
}

func (f *installed) decided(b *testing.B, d decide.Decision) {
	b.Helper()
	f.config.Status = d.Statuses[0].Status
	require.Equal(b, len(f.cached), int(f.config.Status.TotalNodesCount))
	if !f.config.Spec.Config.Paused {
		require.GreaterOrEqual(b, int(f.config.Status.CompletedNodesCount), len(f.cached)-1)
	}
	require.Empty(b, d.Changes)
}
