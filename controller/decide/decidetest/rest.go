// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"slices"
	"time"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
)

// Day is the longest time between two pings.
const Day = 24 * time.Hour

// Silent is wrong with a node whose kubelet is alive, and whose agent is not.
const Silent = "its agent answers nothing"

// restForADay lets every agent be pinged, and one die before that. It is named, and its node is
// complete again when the agent answers.
func (l *Life) restForADay() {
	l.T.Helper()
	h := l.Named(l.One(Names(l.Nodes.Now)...)).Base()
	dies := h.Broken == "" && !h.Older
	if dies {
		h.Broken = Silent
	}
	l.Now = l.Now.Add(Day)
	l.Settle()
	l.Installed()
	l.eachMember(l.namesTheSilent)
	if dies {
		h.Broken = ""
	}
	l.Settle()
	l.Installed()
	l.eachMember(func(_ string, n facts.Node) {
		if h := l.Named(n.Name).Base(); !h.Older && h.Broken == "" && n.Pinged() {
			l.Fails("%s has not answered its ping of %s: %+v", n.Name, n.Intent.Ping, n.Report)
		}
	})
}

func (l *Life) eachMember(do func(config string, n facts.Node)) {
	l.T.Helper()
	for _, p := range l.Division().Pools {
		for _, m := range p.Members {
			do(p.Config.Name, m.Node)
		}
	}
}

func (l *Life) namesTheSilent(config string, n facts.Node) {
	l.T.Helper()
	if l.Named(n.Name).Base().Broken != Silent || !n.Ready || n.Report == nil || n.Report.Ping.IsZero() {
		return
	}
	status := l.Configs.Now[config].Status
	if !slices.ContainsFunc(status.FailedNodes, func(f v1.FailedNode) bool { return f.Name == n.Name }) {
		l.Fails("nothing says that the agent of %s has died: %+v", n.Name, status)
	}
}
