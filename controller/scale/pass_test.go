// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/view"
)

// BenchmarkPass reads and decides with every node installed and one changed, as a pass does that
// one event has caused.
func BenchmarkPass(b *testing.B) {
	for _, size := range []int{100, 1000, 5000, 15000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			kc := &v1.KataConfig{Spec: v1.KataConfigSpec{Config: v1.KataInstallConfig{PayloadImage: factstest.PayloadA}}}
			kc.Name, kc.UID, kc.Finalizers = "all", "uid-of-all", []string{facts.Finalizer}
			c := facts.OfConfig(kc, facts.Defaults{})
			var cached []*facts.Node
			for i := range size {
				n := oneNode(i)
				read := facts.OfNode(n)
				factstest.Done(c)(&read)
				cached = append(cached, &read)
			}
			var v view.Nodes
			b.ReportAllocs()
			for b.Loop() {
				changed := *cached[size/2]
				changed.Ready = !changed.Ready
				cached[size/2] = &changed
				now := factstest.Noon()
				d := decide.Decide(decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: v.Read(cached, now)}, decide.Settings{AgentDeadline: time.Minute}, now)
				kc.Status = d.Statuses[0].Status
				require.Empty(b, d.Changes)
			}
		})
	}
}
