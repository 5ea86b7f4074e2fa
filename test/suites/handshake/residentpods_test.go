// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"path"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/nodeagent/host"
	corev1 "k8s.io/api/core/v1"
)

// pod is a kata pod that is bound to a node.
type pod struct {
	name string
	// slot is what its sandbox was started from, empty while it has none.
	slot   string
	ending bool
	// stray is true where another hand has set the label that drew it here.
	stray bool
}

// Bound is how many kata pods the controller's label has drawn.
func (r *resident) Bound() int {
	bound := 0
	for _, p := range r.pods {
		if !p.stray {
			bound++
		}
	}
	return bound
}

func (r *resident) podNames() []string {
	var names []string
	for _, p := range r.pods {
		names = append(names, "ns/"+p.name)
	}
	return names
}

// schedule binds a pod wherever the class draws one, and lets others end.
func (r *resident) schedule() {
	w := r.w
	if !w.Calm && w.Likely(30) && r.Draws() {
		r.pods = append(r.pods, &pod{name: fmt.Sprintf("p%d-%s", w.Steps, r.Name), stray: r.ByHand})
		if r.Serving() == "" && !r.ByHand {
			w.Fails("a pod is bound to %s, where nothing serves it", r.Name)
		}
	}
	for _, p := range r.pods {
		p.ending = p.ending || w.Calm || w.Likely(30)
	}
}

// kubelet starts what is bound and does not run, ends what is to end, and shows what it knows.
func (r *resident) kubelet() {
	slot := path.Base(r.current())
	r.ends(func(p *pod) bool { return p.ending })
	for _, p := range r.pods {
		if p.slot == "" && slot != host.Pending && r.Down == 0 && slices.Contains(r.host.Handlers, node.Handler) {
			r.runs(p, slot)
		}
	}
	r.showsUp()
}

// showsUp writes what the kubelet says, where it is news, or what others say who miss it.
func (r *resident) showsUp() {
	if r.Object() == nil {
		return
	}
	if n := r.Edit(func(*corev1.Node) {}); decidetest.IsReady(n) && n.Annotations[node.CordonAnnotation] == "" {
		r.Disrupted = "" // Where the node is cordoned even so, another hand did it.
	}
}

func (r *resident) runs(p *pod, slot string) {
	p.slot = slot
	r.host.Busy[host.PayloadDir(slot)] = true
	r.host.Sandboxes = append(r.host.Sandboxes, host.Sandbox{ID: p.name, Handler: node.Handler, Namespace: "ns", Name: p.name, Ready: true})
	r.host.Processes = append(r.host.Processes, host.Process{
		PID: 5000 + len(r.host.Processes), Args: []string{host.Shim, "-id", p.name}, Paths: []string{host.PayloadDir(slot) + "/usr/bin/" + host.Shim},
	})
}

// ends removes some pods, and what runs of them.
func (r *resident) ends(which func(*pod) bool) {
	r.pods = slices.DeleteFunc(r.pods, which)
	clear(r.host.Busy)
	runs := map[string]bool{}
	for _, p := range r.pods {
		if runs[p.name] = p.slot != ""; runs[p.name] {
			r.host.Busy[host.PayloadDir(p.slot)] = true
		}
	}
	r.host.Sandboxes = slices.DeleteFunc(r.host.Sandboxes, func(s host.Sandbox) bool { return s.Handler == node.Handler && !runs[s.ID] })
	r.host.Processes = slices.DeleteFunc(r.host.Processes, func(p host.Process) bool { return !runs[p.Args[2]] })
}
