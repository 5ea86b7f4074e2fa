// SPDX-License-Identifier: Apache-2.0

// Package packages decides where a host's QEMU and virtiofsd come from, and says why: from the
// system as it is, from an extension that the machine-config operator installs, or from packages of
// the payload that rpm-ostree layers. It is pure.
package packages

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Facts are what is known of a host's packages.
type Facts struct {
	// System is what rpm-ostree says; Problem why it said nothing.
	System  host.OSTree
	Problem string
	// Release is the operating system that runs.
	Release host.Release
	// QEMU and Virtiofsd are where the host has them, empty where it has not.
	QEMU, Virtiofsd string
	// Operated is whether the machine-config operator manages this node, and Complaint what its
	// daemon says where it has given up.
	Operated  bool
	Complaint string
	// Pool is the node's machine config pool, empty where that is not known.
	Pool string
	// Allowed is whether an administrator has allowed to layer packages on such a node.
	Allowed bool
	// Layered is what the agent has layered by its own record, Lost how the deployment that had it
	// could not be finalized when the previous boot ended.
	Layered *record.Layered
	Lost    string
	// Transactions are what rpm-ostree's daemon has printed of the last transactions, whoever asked
	// for them, oldest first; see TransactionWords.
	Transactions []string
}

// Order is what a payload asks of its host.
type Order struct {
	Mode  node.HostPackages
	Needs record.Needs
	// Packages are those of the payload, of all its sets, and Sets the systems that those are for.
	Packages []record.Package
	Sets     map[string][]manifest.System
	// Architecture is the node's, Busy what else works on the node.
	Architecture, Busy string
}

// Verdict is what is to be done.
type Verdict int

// The verdicts.
const (
	// Ready says that nothing is to be done.
	Ready Verdict = iota
	// Layer says that packages are to be layered or applied, Unlayer that ours are to be taken
	// away.
	Layer
	Unlayer
	// Wait says that something has to end first, Refuse that a person has to change something.
	Wait
	Refuse
)

// Decision is where the host's programs come from.
type Decision struct {
	// Mode is never Auto. Why says why Auto became this one, and is empty for any other mode.
	Mode node.HostPackages
	Why  string

	Verdict Verdict
	// Reason is one of api/node where something is refused. Sentence says what is waited for, or
	// what stands in the way and what mends it.
	Reason, Sentence string
	// Apply is the YAML document that an administrator of the cluster has to apply, empty where
	// none is needed.
	Apply string
	// Reboot is whether a reboot is what is waited for.
	Reboot bool
}

// Problem is the sentence of a refusal, with the choice that led to it.
func (d Decision) Problem() string {
	if d.Why == "" {
		return d.Sentence
	}
	return d.Sentence + " (hostPackages is Auto, which chose " + string(d.Mode) + ": " + d.Why + ")"
}

// String says for people what was decided, and why.
func (d Decision) String() string {
	text := string(d.Mode)
	if d.Why != "" {
		text = string(node.HostPackagesAuto) + " chose " + text + ": " + d.Why
	}
	switch d.Verdict {
	case Wait:
		text += "; waits for " + d.Sentence
	case Layer:
		text += "; packages are to be layered"
	case Refuse:
		text += "; " + d.Sentence
	case Ready, Unlayer:
	}
	return text
}

// For returns the decision for what a payload asks of a host.
func For(o Order, f Facts) Decision {
	q := question{Order: o, facts: f, mode: o.Mode}
	q.Packages = Chosen(o.Packages, o.Sets, f.Release)
	q.offered = o.Packages
	if o.Mode == node.HostPackagesAuto || o.Mode == "" {
		q.mode, q.why = auto(o, f)
	}
	d := q.decide()
	d.Mode, d.Why = q.mode, q.why
	return d
}

// auto chooses a mode from facts.
func auto(o Order, f Facts) (mode node.HostPackages, why string) {
	switch {
	case o.Needs == (record.Needs{}):
		return node.HostPackagesNone, "the payload needs nothing of its host"
	case f.ours(), f.running():
		return node.HostPackagesLayered, "this agent has layered packages of a payload here"
	case f.Operated:
		return node.HostPackagesExtension, "the machine-config operator manages this node"
	case len(Missing(o.Needs, f)) == 0:
		return node.HostPackagesNone, "the system has what the payload needs"
	case !f.System.Exists:
		return node.HostPackagesNone, "this is no system of rpm-ostree"
	case f.System.Bootc != "":
		return node.HostPackagesNone, "bootc updates this host: " + f.System.Bootc
	case len(o.Packages) == 0:
		return node.HostPackagesNone, "the payload has no packages to layer"
	case len(Chosen(o.Packages, o.Sets, f.Release)) == 0:
		return node.HostPackagesNone, "the payload has no packages for this system"
	}
	return node.HostPackagesLayered, "rpm-ostree manages this host, and the payload has packages for it"
}

// question is one decision under way.
type question struct {
	// Order has the packages for this system alone, offered are those of all sets.
	Order
	offered []record.Package

	facts Facts
	mode  node.HostPackages
	why   string
}

func (q question) decide() Decision {
	if q.mode == node.HostPackagesLayered && (q.Needs != record.Needs{} || q.facts.ours()) {
		return q.layered()
	}
	lacking := Missing(q.Needs, q.facts)
	switch {
	case len(lacking) == 0:
		return Decision{}
	case q.mode == node.HostPackagesExtension:
		return q.extension(lacking)
	}
	return refuse(node.ReasonPackagesMissing, "this host has no "+and(lacking)+", which the payload needs: install "+them(lacking)+
		" in the operating system, or use a payload that brings "+them(lacking))
}

func refuse(reason, sentence string) Decision {
	return Decision{Verdict: Refuse, Reason: reason, Sentence: sentence}
}

func wait(what string) Decision { return Decision{Verdict: Wait, Sentence: what} }

// Missing are the programs that the payload needs and the running system does not have.
func Missing(needs record.Needs, f Facts) []string {
	var names []string
	if needs.QEMU && f.QEMU == "" {
		names = append(names, "QEMU")
	}
	if needs.Virtiofsd && f.Virtiofsd == "" {
		names = append(names, "virtiofsd")
	}
	return names
}

func and(names []string) string {
	if len(names) == 2 {
		return names[0] + " and no " + names[1]
	}
	return names[0]
}

func them(names []string) string {
	if len(names) == 2 {
		return "them"
	}
	return "it"
}
