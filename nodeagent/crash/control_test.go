// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// The changes of the Node that the agent makes.
const (
	publish  seam.Kind = "cluster.publish"
	cordon   seam.Kind = "cluster.cordon"
	uncordon seam.Kind = "cluster.uncordon"
	evict    seam.Kind = "cluster.evict"
)

var bg = context.Background()

// control is the API server with this node's Node, and the controller.
type control struct {
	shown    cluster.State
	intent   node.Intent
	reported node.Report
	// claimed is true after a write of the report, until it was compared.
	claimed bool
	// accounted is the start of CRI-O since which the kubelet has last confirmed the Node.
	accounted int
	// futile is whether the payload cannot be proved: a stage ends with the report of that.
	futile bool
}

// want is the controller's wish for this node.
func (c *control) want(i node.Intent) {
	c.intent = i.Identify("node")
	c.write()
}

func (c *control) write() {
	document, err := c.intent.Encode()
	if err != nil {
		panic(err) // The intents are this package's own.
	}
	c.shown.Intent = document
}

// act is what the controller does about the last report. It returns whether that was anything.
func (c *control) act(s *simulation) bool {
	r, i := c.reported, &c.intent
	answers := r.IntentID == i.ID && c.shown.Intent != ""
	switch {
	case answers && r.Phase == node.PhaseAwaitingGrant && i.Grants.RestartCRIO != r.BootID && r.BootID == s.self.BootID:
		i.Grants.RestartCRIO = r.BootID
	case answers && r.RebootRequired && i.Grants.Reboot != r.BootID && r.BootID == s.self.BootID:
		i.Grants.Reboot = r.BootID
	case answers && r.Phase == node.PhaseInstalled && !c.shown.Labelled:
		c.shown.Labelled = true
	case i.State == node.StateAbsent && c.shown.Labelled && r.BoundPods.Count == 0 && answers:
		c.shown.Labelled = false
	case answers && i.State == node.StateAbsent && r.Phase == node.PhaseAbsent:
		c.shown.Intent = ""
		return true
	default:
		return false
	}
	c.write()
	return true
}

// boots is a boot as the cluster sees it. Evicted pods run elsewhere.
func (c *control) boots() { c.shown.Evictable = nil }

// api is what the agent sees of it.
type api struct{ s *simulation }

func (a api) State() cluster.State  { return a.s.shown }
func (a api) Reported() node.Report { return a.s.reported }

// Publish writes nothing that the Node says already.
func (a api) Publish(_ context.Context, r node.Report, _ cluster.Condition, _ time.Time) error {
	if report.Equal(r, a.s.reported) {
		return nil
	}
	return a.s.around(seam.Op{Kind: publish, Object: string(r.Phase)}, func() error {
		a.s.reported, a.s.claimed = r, true
		return nil
	})
}

// drain is its part of a reboot.
type drain struct{ s *simulation }

func (d drain) Cordon(_ context.Context, boot string) error {
	return d.s.around(seam.Op{Kind: cordon}, func() error {
		if !d.s.shown.Cordoned {
			d.s.shown.Cordoned, d.s.shown.CordonedIn = true, boot
		}
		return nil
	})
}

func (d drain) Uncordon(context.Context) error {
	return d.s.around(seam.Op{Kind: uncordon}, func() error {
		if d.s.shown.CordonedIn != "" {
			d.s.shown.Cordoned, d.s.shown.CordonedIn = false, ""
		}
		return nil
	})
}

func (d drain) Evict(context.Context) error {
	return d.s.around(seam.Op{Kind: evict}, func() error {
		d.s.shown.Evictable = nil
		return nil
	})
}

// Vacant only reads.
func (d drain) Vacant(context.Context) error {
	if len(d.s.shown.Evictable) > 0 {
		return errors.New("pod " + d.s.shown.Evictable[0] + " runs here")
	}
	return nil
}

// around lets CRI-O keep what a proof has started whose agent has died meanwhile.
func (s *simulation) around(op seam.Op, do func() error) error {
	err := s.gate.around(s.disk, op, do)
	if op.Kind == seam.Prove && s.gate.dead {
		s.Abandon(op.Object)
	}
	return err
}

// ports are those of the host, behind the gate.
func (s *simulation) ports() host.Host { return seam.Wrap(s.Host(), s.around) }

// pod is one of Kata's, bound to this node until it ends.
type pod struct {
	name string
	// slot is what its sandbox was started from, empty while it has none.
	slot string
}

// bind brings a pod to this node.
func (s *simulation) bind(name string) {
	s.pods = append(s.pods, &pod{name: name})
	s.shown.Pods = append(s.shown.Pods, "default/"+name)
}

// kubelet starts what is bound and does not run.
func (s *simulation) kubelet() (acted bool) {
	slot := s.current()
	for _, p := range s.pods {
		if p.slot != "" || slot == host.Pending || !slices.Contains(s.Handlers, node.Handler) {
			continue
		}
		p.slot, acted = slot, true
		s.Busy[host.PayloadDir(slot)] = true
		s.Sandboxes = append(s.Sandboxes, host.Sandbox{ID: p.name, Handler: node.Handler, Namespace: "default", Name: p.name, Ready: true})
		s.Processes = append(s.Processes, host.Process{
			PID: 5000 + len(s.Processes), Args: []string{host.Shim, "-id", p.name}, Paths: []string{host.PayloadDir(slot) + "/usr/bin/" + host.Shim},
		})
	}
	return acted
}

// account is what the kubelet says on the Node. Once CRI-O has started, the kubelet is not Ready at
// first, and then offers no device before the plugin of it has registered.
func (s *simulation) account() (acted bool) {
	k := &s.shown.Kubelet
	switch {
	case s.KubeletDown:
		return false
	case s.accounted != s.Starts:
		s.accounted, *k = s.Starts, cluster.Kubelet{Heartbeat: s.now}
	case !k.Ready:
		*k = cluster.Kubelet{Ready: true, Heartbeat: s.now}
	case k.Resources == nil:
		k.Resources = map[string]int64{"example.com/device": 2}
	default:
		return false
	}
	return true
}

// end ends all of them.
func (s *simulation) end() {
	for _, p := range s.pods {
		s.Sandboxes = slices.DeleteFunc(s.Sandboxes, func(b host.Sandbox) bool { return b.ID == p.name })
	}
	s.pods, s.Processes, s.shown.Pods = nil, nil, nil
	s.Busy = map[string]bool{}
}
