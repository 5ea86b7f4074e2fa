// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"strings"

	"github.com/kata-node/kata-node/controller/facts"
)

// Role labels, as OpenShift and kubeadm set them.
const (
	RoleWorker       = "node-role.kubernetes.io/worker"
	roleControlPlane = "node-role.kubernetes.io/control-plane"
	roleMaster       = "node-role.kubernetes.io/master"
)

// rolePrefix begins the labels by which a cluster names the roles of its nodes.
const rolePrefix = "node-role.kubernetes.io/"

// workers returns what makes a node a worker in this cluster: Linux and the role label, or, where
// no node has that label, Linux and no role label at all.
func workers(named bool) func(facts.Node) bool {
	if named {
		return func(n facts.Node) bool { return n.Linux && !virtual(n) && isNamedWorker(n) }
	}
	return plain
}

func isNamedWorker(n facts.Node) bool { return n.Labels.Has(RoleWorker) }

// plain is a Linux node without any role.
func plain(n facts.Node) bool {
	for label := range n.Labels.All() {
		if strings.HasPrefix(label, rolePrefix) {
			return false
		}
	}
	return n.Linux && !virtual(n)
}

// virtual is a node that some other service pretends to be: no agent can ever run there. Label and
// taint are those that virtual-kubelet puts on its Nodes; each can be switched off there.
func virtual(n facts.Node) bool { return n.Virtual || n.Labels.Get("type") == "virtual-kubelet" }
