// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"time"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts"
)

// day is the longest time between two pings.
const day = 24 * time.Hour

// restsForADay lets every agent be pinged, and that of a node which is complete die before. It is
// named, and its node is complete again when the agent answers.
func (w *world) restsForADay() {
	w.t.Helper()
	dies := w.rnd.One(decidetest.Names(w.Nodes.Now)...)
	if h := w.named(dies); h.broken == "" && !h.older {
		h.broken = silent
	}
	w.now = w.now.Add(day)
	w.settles()
	w.installed()
	w.eachMember(w.namesTheSilent)
	if h := w.named(dies); h.broken == silent && w.hosts[w.victim] != h {
		h.broken = ""
	}
	w.settles()
	w.installed()
	w.eachMember(func(_ string, n facts.Node) {
		if h := w.named(n.Name); !h.older && h.broken == "" && n.Pinged() {
			w.fails("%s has not answered its ping of %s: %+v", n.Name, n.Intent.Ping, n.Report)
		}
	})
}

func (w *world) eachMember(do func(config string, n facts.Node)) {
	w.t.Helper()
	for _, p := range w.division().Pools {
		for _, m := range p.Members {
			do(p.Config.Name, m.Node)
		}
	}
}

// namesTheSilent holds for a node whose kubelet is alive and whose agent is not.
func (w *world) namesTheSilent(config string, n facts.Node) {
	w.t.Helper()
	if w.named(n.Name).broken != silent || !n.Ready || n.Report == nil || n.Report.Ping.IsZero() {
		return
	}
	for _, f := range w.Configs.Now[config].Status.FailedNodes {
		if f.Name == n.Name {
			return
		}
	}
	w.fails("nothing says that the agent of %s has died: %+v", n.Name, w.Configs.Now[config].Status)
}
