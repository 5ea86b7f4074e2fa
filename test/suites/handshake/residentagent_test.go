// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"reflect"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/step"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// start is the start of the agent's process, with nothing but what is on disk and on the Node.
func (r *resident) start() {
	log := logrus.New()
	log.SetOutput(story{r})
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true, DisableQuote: true})
	ports := r.host.Host()
	runner := step.Runner{Host: ports, Self: r.self, Node: drain{r}, Tell: func(string) {}}
	r.agent = &nodeagent.Agent{
		API: api{r}, Looker: observe.Observer{Host: ports, Self: r.self}, Stepper: runner, Log: log, Self: r.self,
		Now: func() time.Time { return r.w.Now }, Say: func(sentence string, _ bool) { r.sentence = sentence }, Hung: func(string) {}, Renew: func(error) {},
		Spread: func(longest time.Duration) time.Duration {
			return longest/2 + time.Duration(r.w.Int64N(int64(longest/2)+1))
		},
	}
	if err := runner.Prepare(r.w.T.Context()); err != nil {
		r.w.Tells("%s: %v", r.Name, err)
	}
	r.relists()
	r.next = r.w.Now
}

// story keeps what an agent logs.
type story struct{ r *resident }

func (s story) Write(line []byte) (int, error) {
	s.r.w.Tells("  %s: %s", s.r.Name, line)
	return len(line), nil
}

// looks is true where an event or the time brings the agent's next look.
func (r *resident) looks() bool {
	return !r.next.After(r.w.Now) || r.host.Changes != r.changes || !reflect.DeepEqual(r.shown, api{r}.State())
}

// pass is one of the agent. It may die at any change that it makes.
func (r *resident) pass() {
	w := r.w
	if !w.Calm && w.Likely(4) {
		at := r.host.Changes + 1 + w.IntN(4)
		if r.host.CrashAt = at; w.Likely(50) {
			r.host.CrashAt, r.host.CrashBefore = 0, at
		}
	}
	starts := r.host.Starts
	r.shown = api{r}.State()
	result := r.agent.Pass(w.T.Context())
	r.pending = len(result.Plan.Lines) > 0
	if r.host.Starts != starts {
		r.restarted()
	}
	switch {
	case r.host.Dead():
		w.Tells("the agent of %s dies", r.Name)
		r.host.Revive()
		r.start()
	case r.host.GoingDown:
		r.goesDown()
	default:
		r.host.CrashAt, r.host.CrashBefore = 0, 0
		r.next = w.Now.Add(result.Next)
	}
	r.changes = r.host.Changes
	w.Busy = w.Busy || r.pending && r.Broken == ""
	w.Step()
}

// restarted is a restart of CRI-O by the agent, which the kubelet requires.
func (r *resident) restarted() {
	intent, err := node.DecodeIntent(r.shown.Intent)
	grant := r.self.BootID + " " + intent.ID
	if err != nil || intent.Grants.RestartCRIO != r.self.BootID || r.used[grant] {
		r.w.Fails("%s restarts CRI-O without a grant, or again: %s", r.Name, r.shown.Intent)
	}
	r.used[grant] = true
	r.Down = 1 + r.w.IntN(2)
	if r.Available() {
		r.Disrupted = intent.Owner.UID
	}
	r.w.Tells("%s restarts CRI-O", r.Name)
	r.showsUp()
}

// goesDown is a reboot that the agent has asked for.
func (r *resident) goesDown() {
	intent, err := node.DecodeIntent(r.shown.Intent)
	if err != nil || intent.Grants.Reboot != r.self.BootID {
		r.w.Fails("%s reboots without a grant: %s", r.Name, r.shown.Intent)
	}
	if len(r.pods) > 0 {
		r.w.Fails("%s reboots under %v", r.Name, r.podNames())
	}
	r.w.Tells("%s reboots under its grant", r.Name)
	r.reboots()
}

// Serving is the payload that new pods get, or will get once the agent has looked after a boot.
func (r *resident) Serving() string {
	served, err := record.LoadServed(r.host.Files)
	require.NoError(r.w.T, err)
	if served == nil {
		return ""
	}
	return served.Payload
}

func (r *resident) String() string {
	return fmt.Sprintf("CRI-O knows %v; %s", r.host.Handlers, r.sentence)
}

// current is the slot of new pods.
func (r *resident) current() string {
	target, err := r.host.Files.Readlink(host.CurrentLink)
	require.NoError(r.w.T, err)
	return target
}

// Left says what of an installation is on the host.
func (r *resident) Left() string {
	dropIn, err := r.host.Files.Stat(host.DropIn)
	switch {
	case err == nil:
		return dropIn.Name()
	case len(r.host.Mounts) > 0:
		return fmt.Sprint(r.host.Mounts)
	case len(r.host.Images) > 0:
		return fmt.Sprintf("%d images", len(r.host.Images))
	case r.current() != host.Target(host.Pending):
		return r.current()
	}
	return r.Serving()
}
