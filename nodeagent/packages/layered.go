// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// mostAttempts is how many times in a row the same packages are staged where each time another hand
// takes them away before they boot.
const mostAttempts = 3

// Chosen returns the packages of the set that is for a system, none where there is none. A payload
// of which two sets would fit is not built.
func Chosen(all []record.Package, sets map[string][]manifest.System, r host.Release) []record.Package {
	var chosen []record.Package
	for _, p := range all {
		systems := sets[p.Set]
		if len(systems) == 0 || slices.ContainsFunc(systems, func(s manifest.System) bool { return s.Is(r.ID, r.Version, r.Variant) }) {
			chosen = append(chosen, p)
		}
	}
	if slices.ContainsFunc(chosen, func(p record.Package) bool { return p.Set != chosen[0].Set }) {
		return nil
	}
	return chosen
}

// unsuited says for which systems the payload has packages.
func (q question) unsuited() string {
	var systems []manifest.System
	for i, p := range q.offered {
		if i == 0 || q.offered[i-1].Set != p.Set {
			systems = append(systems, q.Sets[p.Set]...)
		}
	}
	r := q.facts.Release
	return fmt.Sprintf("the payload has packages for %s, and this system is %s: use one with a set for it, or hostPackages None or Extension",
		manifest.Names(systems), manifest.System{ID: orElse(r.ID, "unknown"), Version: r.Version, Variant: r.Variant})
}

// layered is the way to packages of the payload. What the system has of itself is left alone.
func (q question) layered() Decision {
	f := q.facts
	if len(Missing(q.Needs, f)) == 0 && !f.ours() && !f.running() {
		return Decision{}
	}
	if refused := q.refused(); refused.Verdict != Ready {
		return refused
	}
	if change := Change(q.Packages, f); len(change.Install)+len(change.Uninstall) > 0 {
		return q.layer()
	}
	return q.arrived()
}

// refused says what forbids layering here, where something does.
func (q question) refused() Decision {
	f := q.facts
	runs, booted := f.System.Booted()
	next, _ := f.System.Next()
	const refused = "packages are not layered here: "
	switch {
	case f.System.Bootc != "":
		return refuse(node.ReasonLayeringRefused, refused+"bootc updates this host ("+f.System.Bootc+"), and it refuses to update a system with layered packages; build QEMU into its image")
	case !f.System.Exists && f.Problem == "":
		return refuse(node.ReasonLayeringRefused, refused+"this is no system of rpm-ostree; install QEMU and virtiofsd with its package manager and use hostPackages None")
	case f.Operated && !f.Allowed:
		return refuse(node.ReasonLayeringRefused, refused+"the machine-config operator manages this node, and does not support it; use hostPackages Extension, or set allow_layering in the agent's settings")
	case f.Operated && (slices.Contains(runs.Requested, extensionRPM) || slices.Contains(next.Requested, extensionRPM)):
		return refuse(node.ReasonLayeringRefused, refused+"a MachineConfig lists the extension "+ExtensionName+", and both would fight over the same packages; use hostPackages Extension")
	case f.Problem != "":
		return refuse(node.ReasonLayeringRefused, "rpm-ostree does not answer: "+f.Problem)
	case !booted:
		return refuse(node.ReasonLayeringRefused, refused+"rpm-ostree names no booted deployment, as on live systems")
	case len(q.Packages) == 0 && len(q.offered) > 0:
		return refuse(node.ReasonPackagesMissing, q.unsuited())
	case len(q.Packages) == 0:
		return refuse(node.ReasonPackagesMissing, "the payload has no packages to layer: use one built with them, or hostPackages None or Extension")
	}
	return q.conflict(next)
}

// conflict names a package that another hand has layered in another version.
func (q question) conflict(next host.Deployment) Decision {
	for _, p := range q.Packages {
		for _, nevra := range next.Local {
			if nameOf(nevra) == p.Name && nevra != p.NEVRA && !q.facts.recorded(nevra) {
				return refuse(node.ReasonLayeringRefused, fmt.Sprintf("packages are not layered here: another owner has layered %s, and the payload has %s; uninstall that one", nevra, p.NEVRA))
			}
		}
	}
	return Decision{}
}

// layer waits for foreign work and then layers.
func (q question) layer() Decision {
	if held := q.held(); held.Verdict != Ready {
		return held
	}
	if l := q.facts.Layered; l != nil && l.Attempts >= mostAttempts && l.Covers(q.Packages) && !q.facts.running() {
		sentence := fmt.Sprintf("packages were layered %d times, and each time the deployment was deleted before it ran", l.Attempts)
		if q.facts.Lost != "" {
			sentence += ": " + q.facts.Lost
		}
		return refuse(node.ReasonLayeringLost, sentence+"; see journalctl -b -1 -u ostree-finalize-staged, correct that and delete "+host.LayeredFile)
	}
	return Decision{Verdict: Layer}
}

// held names foreign work that a transaction of ours would disturb.
func (q question) held() Decision {
	s := q.facts.System
	next, pending := s.Pending()
	switch {
	case q.facts.Problem != "":
		return wait("rpm-ostree to answer (" + q.facts.Problem + ")")
	case s.Transaction != nil:
		return wait(fmt.Sprintf("rpm-ostree, which works on %s for %s", s.Transaction.Method, orElse(s.Transaction.Sender, "another")))
	case pending && next.Locked:
		return wait(orElse(s.Driver, "the driver of updates") + " to boot its staged update: layering packages on it would unlock it")
	case q.Busy != "":
		return wait(q.Busy)
	}
	return Decision{}
}

// arrived follows packages that the next deployment has until the running system has them.
func (q question) arrived() Decision {
	f := q.facts
	runs, _ := f.System.Booted()
	next, pending := f.System.Pending()
	switch {
	case !pending, runs.LiveReplaced != "" && runs.LiveReplaced == next.Checksum, has(runs, q.Packages):
	case f.Layered != nil && f.Layered.Refused == next.Checksum:
		return Decision{Verdict: Wait, Reboot: true, Sentence: "a reboot, which the layered packages of the payload need"}
	default:
		if held := q.held(); held.Verdict != Ready {
			return held
		}
		return Decision{Verdict: Layer}
	}
	if lacking := Missing(q.Needs, f); len(lacking) > 0 {
		return refuse(node.ReasonPackagesMissing, "the packages of the payload are layered and run, and yet this host has no "+and(lacking)+": use a payload whose packages bring "+them(lacking))
	}
	return Decision{}
}

// Removal is the decision for a host on which no packages of ours are wanted any more.
func Removal(busy string, f Facts) Decision {
	q := question{Order: Order{Busy: busy}, facts: f}
	if !f.ours() {
		return Decision{}
	}
	if held := q.held(); held.Verdict != Ready {
		return held
	}
	return Decision{Verdict: Unlayer}
}

// Change is the transaction after which the next deployment has exactly these packages of ours.
// Paths are relative to the payload's root.
func Change(packages []record.Package, f Facts) host.Layering {
	next, _ := f.System.Next()
	var change host.Layering
	for _, p := range packages {
		if !slices.Contains(next.Local, p.NEVRA) {
			change.Install = append(change.Install, p.Path)
		}
	}
	if f.Layered == nil {
		return change
	}
	for _, p := range f.Layered.Packages {
		wanted := slices.ContainsFunc(packages, func(w record.Package) bool { return w.NEVRA == p.NEVRA })
		if !wanted && slices.Contains(next.Local, p.NEVRA) {
			change.Uninstall = append(change.Uninstall, p.Name)
		}
	}
	return change
}

// ours reports whether the next deployment has packages that the agent has layered.
// Where rpm-ostree does not answer, it may.
func (f Facts) ours() bool {
	if f.Problem != "" {
		return f.Layered != nil
	}
	next, _ := f.System.Next()
	return slices.ContainsFunc(next.Local, f.recorded)
}

// Ours is ours, for other packages.
func (f Facts) Ours() bool { return f.ours() }

// running reports whether the running system has any of them, or may have some files of them: of a
// live application that was interrupted, no record says how far it came.
func (f Facts) running() bool {
	runs, _ := f.System.Booted()
	live := runs.LiveReplaced != "" || runs.LiveInProgress != ""
	return slices.ContainsFunc(runs.Local, f.recorded) || f.Layered != nil && live
}

// Leaving reports whether packages of ours run, and not after the next boot: the reboot that ends
// them is nobody's but ours.
func (f Facts) Leaving() bool { return f.Layered != nil && f.running() && !f.ours() }

// Forgettable reports whether the record names nothing that any deployment in use has.
func (f Facts) Forgettable() bool {
	return f.Layered != nil && f.Problem == "" && !f.running() && !f.ours()
}

func (f Facts) recorded(nevra string) bool {
	return f.Layered != nil && f.Layered.Has(nevra)
}

func has(d host.Deployment, packages []record.Package) bool {
	return !slices.ContainsFunc(packages, func(p record.Package) bool { return !slices.Contains(d.Local, p.NEVRA) })
}

// nameOf returns the name in a full name: what comes before version and release.
func nameOf(nevra string) string {
	for range 2 {
		at := strings.LastIndexByte(nevra, '-')
		if at < 0 {
			break
		}
		nevra = nevra[:at]
	}
	return nevra
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// Recorded is the record to write before Change is carried out: what is installed by it, and what
// of ours still runs or stays. Its attempts are those before: one counts once rpm-ostree has staged
// the packages.
func Recorded(packages []record.Package, boot string, f Facts) record.Layered {
	next, _ := f.System.Next()
	runs, _ := f.System.Booted()
	l := record.Layered{Boot: boot}
	for _, p := range packages {
		if f.recorded(p.NEVRA) || !slices.Contains(next.Local, p.NEVRA) {
			l.Packages = append(l.Packages, p)
		}
	}
	if f.Layered == nil {
		return l
	}
	if f.Layered.Covers(packages) {
		l.Attempts = f.Layered.Attempts
	}
	for _, p := range f.Layered.Packages {
		if !l.Has(p.NEVRA) && (slices.Contains(runs.Local, p.NEVRA) || slices.Contains(next.Local, p.NEVRA)) {
			l.Packages = append(l.Packages, p)
		}
	}
	return l
}
