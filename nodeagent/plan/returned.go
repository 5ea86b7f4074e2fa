// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// returnLimit is how long a node may lack something after a restart of CRI-O before that is an
// error. The kubelet itself waits 5 min for a device plugin that has ended (endpointStopGracePeriod
// in pkg/kubelet/cm/devicemanager/types.go of Kubernetes 1.37).
const returnLimit = 10 * time.Minute

// Before returns what the node has to have again after a restart of CRI-O that restarts its
// kubelet, too. It is nil where nothing is waited for: without a Node, and on one that was not
// Ready. What has not come back since an earlier restart is part of it.
func (f Facts) Before() *record.Kubelet {
	now, former := f.Cluster.Kubelet, f.Runtime.Restarted.Before
	if !now.Ready || now.Heartbeat.IsZero() {
		return former
	}
	resources := maps.Clone(now.Resources)
	if former != nil {
		for name, count := range former.Resources {
			if resources == nil {
				resources = map[string]int64{}
			}
			resources[name] = max(resources[name], count)
		}
	}
	now.Resources = resources
	return &now
}

// returned holds back the word that the node is done until it has everything again that our restart
// of CRI-O took from it: on OpenShift systemd restarts the kubelet with CRI-O, and until a device
// plugin has registered anew, the kubelet offers none of its devices. After the limit the node is
// done, and what it lacks is an error.
func (p *planner) returned() {
	r := p.facts.Runtime
	if p.plan.Phase != node.PhaseInstalled || r.Restarted.Before == nil || r.Restarted.Invocation == r.Invocation {
		return
	}
	lacks := p.facts.lacks()
	switch {
	case lacks == "":
		p.plan.Phase = node.PhaseInstalling
		p.line(Step{Kind: ConfirmNode})
	case r.Since.IsZero() || p.facts.At.Sub(r.Since) < returnLimit:
		p.plan.Phase = node.PhaseInstalling
		p.waitFor(lacks)
	default:
		p.problem(ConfirmNode, node.ReasonNodeNotRestored, fmt.Sprintf("waited %s in vain for %s", returnLimit, lacks))
	}
}

// lacks says what the node had before our restart of CRI-O and does not have now, empty where that
// is nothing. What the kubelet said before CRI-O's start is not about what is now.
func (f Facts) lacks() string {
	before, now := f.Runtime.Restarted.Before, f.Cluster.Kubelet
	anew := now.Heartbeat.After(before.Heartbeat) && !now.Heartbeat.Before(f.Runtime.Since.Truncate(time.Second))
	if !anew || !now.Ready {
		return "the kubelet to be Ready again after the restart of CRI-O: see journalctl -u kubelet"
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(before.Resources)) {
		if had, has := before.Resources[name], now.Resources[name]; has < had {
			missing = append(missing, fmt.Sprintf("%s (%d of %d)", name, has, had))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "device plugins to register again after the restart of CRI-O, for " + strings.Join(missing, ", ")
}
