// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
)

// Machine is a node with its agent, its kubelet and its pods. It says what else is to be shown of
// it.
type Machine interface {
	fmt.Stringer
	// Base is what all have in common.
	Base() *Host
	// Act is what happens on the node in a round.
	Act()
	// Shows makes the kubelet's part of the Node as it is by now.
	Shows(*corev1.Node)
	Content
}

// Content is what is on the disk of a node.
type Content interface {
	// Serving is the payload that new pods get, empty for none.
	Serving() string
	// Left is what of an installation is there, empty for nothing.
	Left() string
	// Bound is how many kata pods are bound that no other hand's label has drawn.
	Bound() int
}

// Host is what the nodes of all simulations have in common.
type Host struct {
	Life *Life
	Name string
	Pool string
	// Broken is what is wrong with the node until it is repaired, empty for nothing.
	Broken string
	Down   int // rounds without Ready kubelet, for no fault of ours
	Paused int // rounds without agent
	// Reported is how many bound pods the last report named.
	Reported int
	// Disrupted is the UID of the KataConfig that has made the node unavailable by a grant, empty
	// for none.
	Disrupted string
	// Owed is what Disrupted is again once the node uses a grant that it had not used before it was
	// cut off.
	Owed string
	// ByHand is true while another hand has set the ready label, or taken it away.
	ByHand bool

	self Machine
}

// Join makes a machine one of the life's, and registers it.
func (h *Host) Join(l *Life, self Machine) {
	h.Life, h.self = l, self
	l.Machines = append(l.Machines, self)
	h.Register()
}

// Base is the host itself.
func (h *Host) Base() *Host { return h }

// Object is the Node as the API server has it, nil while there is none.
func (h *Host) Object() *corev1.Node { return h.Life.Nodes.Now[h.Name] }

// Labelled is true where the ready label is on the Node.
func (h *Host) Labelled() bool { return h.Object() != nil && h.Object().Labels[node.ReadyLabel] != "" }

// Register makes the Node anew: nothing of an earlier one is kept.
func (h *Host) Register() {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: h.Name, UID: h.Life.UID(), Annotations: map[string]string{},
		Labels: map[string]string{"node-role.kubernetes.io/worker": "", "pool": h.Pool},
	}}
	if h.Life.Likely(30) {
		n.Spec.Taints = []corev1.Taint{{Key: "other"}, {Key: node.StartupTaint}}
	}
	h.ByHand = false
	h.store(n)
}

// Deleted is a Node that was deleted.
func (h *Host) Deleted() {
	h.Excuse()
	h.Life.Nodes.Remove(h.Name)
}

// Edit is a write of the Node by any hand. One that changes nothing makes no version.
func (h *Host) Edit(change func(*corev1.Node)) *corev1.Node {
	n := h.Object().DeepCopy()
	change(n)
	h.self.Shows(n)
	if !reflect.DeepEqual(n, h.Object()) {
		h.Life.Nodes.Put(n, h.Life.Next())
	}
	return h.Object()
}

// Beat is a heartbeat of the kubelet: another version that may change nothing else.
func (h *Host) Beat() { h.store(h.Object().DeepCopy()) }

func (h *Host) store(n *corev1.Node) {
	h.self.Shows(n)
	h.Life.Nodes.Put(n, h.Life.Next())
}

// IsReady is the Node's condition.
func IsReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Available is true where the node takes ordinary pods.
func (h *Host) Available() bool {
	n := h.Object()
	return n != nil && !n.Spec.Unschedulable && IsReady(n)
}

// Draws is true where the class draws pods to this node.
func (h *Host) Draws() bool {
	class := h.Life.Classes.Now[node.RuntimeClass]
	if class == nil || class.Scheduling == nil || !h.Available() {
		return false
	}
	for key, value := range class.Scheduling.NodeSelector {
		if h.Object().Labels[key] != value {
			return false
		}
	}
	return true
}

// Relabels moves the node out of a KataConfig's selection, or into one again.
func (h *Host) Relabels() {
	h.Pool = h.Life.One("x", "y", "")
	h.Excuse()
	if h.Object() != nil {
		h.Edit(func(n *corev1.Node) { n.Labels["pool"] = h.Pool })
	}
}

// Cordons makes the Node unschedulable, or schedulable again.
func (h *Host) Cordons() {
	if h.Object() != nil {
		h.Edit(func(n *corev1.Node) { n.Spec.Unschedulable = !n.Spec.Unschedulable })
	}
}

// Configures lets the machine-config operator begin or end its work at a node, or give up.
func (h *Host) Configures() {
	if h.Object() == nil {
		return
	}
	h.Edit(func(n *corev1.Node) {
		if node.Busy(n.Annotations) != "" {
			n.Annotations[node.MachineState] = "Done"
			return
		}
		n.Annotations[node.MachineState] = h.Life.One("Working", "Degraded")
	})
}

// Flaps is a kubelet that is not Ready for a while.
func (h *Host) Flaps() {
	h.Down = h.Life.IntN(8)
	h.Excuse()
}

// Leaves cuts the node off from the API server, for a while that may be longer than every deadline.
// It is unavailable for that reason then.
func (h *Host) Leaves() {
	h.Down = h.Life.IntN(40)
	h.Paused = h.Down
	h.Owed, h.Disrupted = h.Disrupted, ""
}

// Uses is a grant that is used.
func (h *Host) Uses() {
	if h.Owed != "" {
		h.Disrupted, h.Owed = h.Owed, ""
	}
}

// Excuse ends what the node is unavailable for by a grant.
func (h *Host) Excuse() { h.Disrupted, h.Owed = "", "" }

func (h *Host) repair() {
	h.Down, h.Paused = 0, 0
	if h.Object() == nil {
		h.Register()
	}
	h.Edit(func(n *corev1.Node) {
		n.Spec.Unschedulable = false
		delete(n.Annotations, node.MachineState)
	})
}
