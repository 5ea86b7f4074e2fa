// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

func (l *leader) catchUp() {
	l.nodes.follow(len(l.w.nodes.log))
	l.configs.follow(len(l.w.configs.log))
	l.classes.follow(len(l.w.classes.log))
	l.ledgers.follow(len(l.w.ledgers.log))
}

// watch takes in some of what has happened, of each kind for itself.
func (l *leader) watch() {
	some := func(behind int) int {
		if behind == 0 || l.w.likely(60) {
			return behind
		}
		return l.w.rnd.IntN(behind + 1)
	}
	l.nodes.follow(l.nodes.at + some(l.nodes.behind()))
	l.configs.follow(l.configs.at + some(l.configs.behind()))
	l.classes.follow(l.classes.at + some(l.classes.behind()))
	l.ledgers.follow(l.ledgers.at + some(l.ledgers.behind()))
}

// changed is what the cache has of the Nodes whose changes it has taken in since the last pass.
func (l *leader) changed() map[string]*facts.Node {
	out := map[string]*facts.Node{}
	for name := range l.nodes.changed {
		out[name] = nil
		if n, found := l.nodes.has[name]; found {
			out[name] = factstest.Cached(n)[0]
		}
	}
	clear(l.nodes.changed)
	return out
}
