// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"time"

	"github.com/kata-node/kata-node/nodeagent/record"
)

// device is an extended resource.
const device = "example.com/device"

// loopOrNot is a CRI-O that ends again and again, up or down at this moment.
func (m *model) loopOrNot() {
	loops := !m.crio.loops
	m.startCRIO()
	m.crio.loops = loops
	if loops && m.random.IntN(2) == 0 {
		m.crio.active, m.crio.answers = false, false
	}
	m.note("EVENT CRI-O ends again and again %v, active %v", loops, m.crio.active)
}

// say is one heartbeat.
func (m *model) say(ready bool, devices int64) {
	m.beats++
	m.kubelet = record.Kubelet{Ready: ready, Heartbeat: time.Unix(int64(m.beats), 0), Resources: map[string]int64{device: devices}}
}

// kubeletSpeaks is the kubelet on its way up after a start of CRI-O, and a device plugin that may
// lose a device.
func (m *model) kubeletSpeaks() {
	m.say(m.random.IntN(4) > 0, m.random.Int64N(3))
	m.note("EVENT kubelet Ready %v with %d devices", m.kubelet.Ready, m.kubelet.Resources[device])
}

// kubeletReturns lets the node have everything that it ever had. It returns false where it has.
func (m *model) kubeletReturns() bool {
	if m.kubelet.Ready && m.kubelet.Resources[device] == 2 {
		return false
	}
	m.say(true, 2)
	m.note("REST the kubelet is Ready with all devices")
	return true
}
