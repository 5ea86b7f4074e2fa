// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"time"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts"
)

// day is the longest time between two pings.
const day = 24 * time.Hour

// Rest lets every agent be pinged, and that of a node which is complete die before. It is
// named, and its node is complete again when the agent answers.
func (w *world) Rest() {
	w.T.Helper()
	dies := w.One(decidetest.Names(w.Nodes.Now)...)
	if h := w.named(dies); h.Broken == "" && !h.older {
		h.Broken = silent
	}
	w.Now = w.Now.Add(day)
	w.Settle()
	w.Installed()
	w.eachMember(w.namesTheSilent)
	if h := w.named(dies); h.Broken == silent && w.victim != h {
		h.Broken = ""
	}
	w.Settle()
	w.Installed()
	w.eachMember(func(_ string, n facts.Node) {
		if h := w.named(n.Name); !h.older && h.Broken == "" && n.Pinged() {
			w.Fails("%s has not answered its ping of %s: %+v", n.Name, n.Intent.Ping, n.Report)
		}
	})
}

func (w *world) eachMember(do func(config string, n facts.Node)) {
	w.T.Helper()
	for _, p := range w.Division().Pools {
		for _, m := range p.Members {
			do(p.Config.Name, m.Node)
		}
	}
}

// namesTheSilent holds for a node whose kubelet is alive and whose agent is not.
func (w *world) namesTheSilent(config string, n facts.Node) {
	w.T.Helper()
	if w.named(n.Name).Broken != silent || !n.Ready || n.Report == nil || n.Report.Ping.IsZero() {
		return
	}
	for _, f := range w.Configs.Now[config].Status.FailedNodes {
		if f.Name == n.Name {
			return
		}
	}
	w.Fails("nothing says that the agent of %s has died: %+v", n.Name, w.Configs.Now[config].Status)
}
