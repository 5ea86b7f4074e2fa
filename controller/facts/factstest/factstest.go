// SPDX-License-Identifier: Apache-2.0

// Package factstest builds nodes and KataConfigs in named states, for tests.
// A state is a function over a node, so that a test reads as the list of what happened to it.
package factstest

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// Payloads that tests install.
const (
	PayloadA = "registry.example.com/kata/payload@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	PayloadB = "registry.example.com/kata/payload@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// Noon is when tests happen.
func Noon() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }

// State is something that happened to a node.
type State func(*facts.Node)

// Worker is a Ready Linux worker without an agent, and what happened to it since.
func Worker(name string, states ...State) facts.Node {
	n := facts.Node{
		Name:            name,
		UID:             "uid-of-" + name,
		ResourceVersion: "1",
		Labels:          facts.LabelsOf(map[string]string{"node-role.kubernetes.io/worker": ""}),
		Linux:           true,
		Ready:           true,
		BootID:          "boot-1",
	}
	for _, state := range states {
		state(&n)
	}
	return n
}

// With is a label on the node.
func With(key, value string) State {
	return relabelled(func(labels map[string]string) { labels[key] = value })
}

// Without is a label taken away.
func Without(key string) State {
	return relabelled(func(labels map[string]string) { delete(labels, key) })
}

func relabelled(change func(map[string]string)) State {
	return func(n *facts.Node) {
		labels := maps.Collect(n.Labels.All())
		change(labels)
		n.Labels = facts.LabelsOf(labels)
	}
}

// Cached is what a cache of the controller has of Nodes.
func Cached(nodes ...*corev1.Node) []*facts.Node {
	out := make([]*facts.Node, 0, len(nodes))
	for _, n := range nodes {
		read := facts.OfNode(n)
		out = append(out, &read)
	}
	return out
}

// Ready carries the ready label.
func Ready(n *facts.Node) { With(node.ReadyLabel, node.ReadyValue)(n) }

// Unchanged has been as it is for a while.
func Unchanged(long time.Duration) State {
	return func(n *facts.Node) { n.Since = Noon().Add(-long) }
}

// NotReady has lost its kubelet.
func NotReady(n *facts.Node) { n.Ready = false }

// Cordoned takes no pods.
func Cordoned(n *facts.Node) { n.Cordoned = true }

// Serves lists the kubelet's handlers.
func Serves(handlers ...string) State {
	return func(n *facts.Node) { n.Handlers = handlers }
}

// Rebooted has a kubelet that knows a newer boot than the agent has reported.
func Rebooted(n *facts.Node) { n.BootID, n.StaleSince = "boot-2", Noon() }

// Idle has an agent that answers no intent.
func Idle(n *facts.Node) { Reports(node.PhaseIdle)(n) }

// Reports has an agent in this phase, about the intent that the node has.
func Reports(phase node.Phase) State {
	return func(n *facts.Node) {
		r := node.Report{Version: node.Version, Speaks: []int{node.Version}, BootID: "boot-1", Architecture: "amd64", Phase: phase}
		if n.Intent != nil && phase != node.PhaseIdle {
			r.IntentID = n.Intent.ID
		}
		if n.Intent != nil && phase == node.PhaseInstalled {
			r.Payload = node.Digest(n.Intent.Payload)
		}
		n.Report = &r
	}
}

// Unreadable has a report that cannot be decoded.
func Unreadable(n *facts.Node) {
	n.Report, n.ReportProblem = nil, "reading report: version 9 is not one that this program speaks (1)"
}

// Fails has an error in addition to what it reports.
func Fails(step, message string) State {
	return func(n *facts.Node) {
		n.Report.Error = &node.Error{Step: step, Reason: "Broken", Message: message, Since: Noon()}
	}
}

// Unfit has a host that cannot run Kata.
func Unfit(n *facts.Node) { n.Report.HostCheck = "the host has no /dev/kvm" }

// Pods has this many kata pods bound.
func Pods(count int, names ...string) State {
	return func(n *facts.Node) { n.Report.BoundPods = node.BoundPods{Count: count, Names: names} }
}

// Wanted carries the intent that the KataConfig wants.
func Wanted(c facts.Config) State { return carries(c, selection.Install) }

// Unwanted carries Absent on behalf of the KataConfig.
func Unwanted(c facts.Config) State { return carries(c, selection.Remove) }

func carries(c facts.Config, wanted func(facts.Config, facts.Node) *node.Intent) State {
	return func(n *facts.Node) {
		n.HasIntent, n.Intent = true, wanted(c, *n)
		n.Intent.Issued = Noon()
	}
}

// Granted may restart CRI-O in the boot that it reported.
func Granted(n *facts.Node) { n.Intent.Grants.RestartCRIO = "boot-1" }

// NeedsReboot asks for a reboot.
func NeedsReboot(n *facts.Node) { n.Report.RebootRequired = true }

// MayReboot carries the grant of it.
func MayReboot(n *facts.Node) { n.Intent.Grants.Reboot = "boot-1" }

// Booted reports from the boot after it.
func Booted(n *facts.Node) {
	n.BootID, n.Report.BootID, n.Report.RebootRequired = "boot-2", "boot-2", false
}

// Held carries the annotation that keeps a node as it is.
func Held(n *facts.Node) { n.Held = true }

// Busy is a node at which the machine-config daemon works.
func Busy(n *facts.Node) { n.Busy = "the machine-config daemon" }

// Ping has been pinged at this time.
func Ping(at time.Time) State {
	return func(n *facts.Node) { n.Intent.Ping = at }
}

// Answers has an agent that has answered the ping.
func Answers(n *facts.Node) { n.Report.Ping = n.Intent.Ping }

// Vanished has lost its intent.
func Vanished(n *facts.Node) { n.HasIntent, n.Intent = false, nil }

// Done is Installed, proved and labelled.
func Done(c facts.Config) State {
	return func(n *facts.Node) {
		Wanted(c)(n)
		Reports(node.PhaseInstalled)(n)
		Ready(n)
	}
}

// Change is something about a KataConfig.
type Change func(*facts.Config)

// Config is an accepted KataConfig for all workers.
func Config(name string, changes ...Change) facts.Config {
	c := facts.Config{
		Name:           name,
		UID:            "uid-of-" + name,
		Generation:     1,
		Created:        Noon().Add(-time.Hour),
		Accepted:       true,
		Selector:       labels.Everything(),
		Payload:        PayloadA,
		HostPackages:   node.HostPackagesAuto,
		MaxParallel:    facts.DefaultMaxParallel,
		MaxUnavailable: intstr.FromString(facts.DefaultMaxUnavailable),
		MaxFailures:    intstr.FromString(facts.DefaultMaxFailures),
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// Deleted is on its way out.
func Deleted(c *facts.Config) { c.Deleting = true }

// Paused is on hold.
func Paused(c *facts.Config) { c.Paused = true }

// Younger was made later.
func Younger(c *facts.Config) { c.Created = c.Created.Add(time.Minute) }

// Selects chooses by one label.
func Selects(key, value string) Change {
	return func(c *facts.Config) { c.Selector = labels.SelectorFromSet(labels.Set{key: value}) }
}

// Catalogued leaves the choice to the catalogue.
func Catalogued(c *facts.Config) { c.Payload, c.Catalogued = "", true }

// Gets is what the catalogue says about a node.
func Gets(r facts.Release) State {
	return func(n *facts.Node) { n.Release = r }
}

// Runs says which versions the node runs.
func Runs(openshift, kubernetes string) State {
	return func(n *facts.Node) {
		n.Runs = facts.Runs{OpenShift: openshift, Kubernetes: kubernetes, Architecture: "amd64", RHEL: 9}
	}
}

// Prefetches has an image to fetch ahead of time in its intent.
func Prefetches(image string) State {
	return func(n *facts.Node) { n.Intent.Prefetch = image }
}

// Fetched has reported that it has that image.
func Fetched(n *facts.Node) { n.Report.Prefetched = node.Digest(n.Intent.Prefetch) }

// Handlers names further handlers.
func Handlers(names ...string) Change {
	return func(c *facts.Config) { c.Handlers = names }
}

// Proves has reported further handlers.
func Proves(names ...string) State {
	return func(n *facts.Node) { n.Report.Handlers = names }
}

// Carries has the label of a further handler.
func Carries(name string) State {
	return With(node.FurtherLabel(name), node.ReadyValue)
}

// Payload installs another image.
func Payload(image string) Change {
	return func(c *facts.Config) { c.Payload = image }
}
