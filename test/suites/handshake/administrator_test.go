// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
)

// administrator may make two KataConfigs.
func (w *life) administrator() decidetest.Administrator {
	payload := func(c *v1.KataInstallConfig) {
		c.PayloadImage = w.rnd.One("", newer().Reference(), newer().Reference(), bad().Reference(), lost().Reference())
	}
	return decidetest.Administrator{
		Cluster: &w.Cluster, Dice: w.rnd, Names: 2, Everywhere: 60, Moved: w.moved,
		Changes: []func(*v1.KataInstallConfig){
			func(c *v1.KataInstallConfig) { c.Handlers = [][]v1.HandlerName{nil, {"rs"}}[w.rnd.IntN(2)] },
			payload, payload, // The likeliest change.
		},
	}
}

func (w *life) administers(*resident) { w.administrator().Act(w.now, w.ending, w.calm) }
