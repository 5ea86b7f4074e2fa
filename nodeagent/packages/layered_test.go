// SPDX-License-Identifier: Apache-2.0

package packages_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestWhereLayeringIsRefusedTheReasonIsSaid(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]row{
		"a node of the machine-config operator, without leave": {
			facts: packages.Facts{System: system(running()), Operated: true}, says: "use hostPackages Extension, or set allow_layering",
		},
		"a node whose MachineConfig lists the extension": {
			facts: packages.Facts{System: system(running(requested)), Operated: true, Allowed: true}, says: "both would fight over the same packages",
		},
		"a node whose MachineConfig brings the extension": {
			facts: packages.Facts{System: system(staged(requested), running()), Operated: true, Allowed: true}, says: "both would fight",
		},
		"a bootc host": {
			facts: packages.Facts{System: host.OSTree{Exists: true, Bootc: "x is enabled"}}, says: "bootc updates this host (x is enabled), and it refuses to update",
		},
		"an ordinary host":     {says: "no system of rpm-ostree"},
		"a live system":        {facts: packages.Facts{System: system()}, says: "names no booted deployment"},
		"rpm-ostree is silent": {facts: packages.Facts{Problem: "no daemon"}, says: "rpm-ostree does not answer: no daemon"},
		"another hand's package": {
			facts: packages.Facts{System: system(running(having(two())))}, says: "another owner has layered qemu-kvm-core-17:10.0.0-1.el9.x86_64",
		},
	} {
		r.mode, r.want, r.verdict, r.reason = node.HostPackagesLayered, node.HostPackagesLayered, packages.Refuse, node.ReasonLayeringRefused
		r.check(t, name)
	}
	for name, order := range map[string]func(*packages.Order){
		"the payload has packages for fedora 42, and this system is unknown: use one with a set for it": func(o *packages.Order) { o.Sets = forFedora("42") },
		"no packages":                  func(o *packages.Order) { o.Packages = nil },
		"has no QEMU and no virtiofsd": nil,
	} {
		facts := packages.Facts{System: system(running())}
		if order == nil {
			facts = packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1)}
		}
		row{
			mode: node.HostPackagesLayered, want: node.HostPackagesLayered, verdict: packages.Refuse, reason: node.ReasonPackagesMissing,
			order: order, facts: facts, says: name,
		}.check(t, name)
	}
}

func TestPackagesAreLayeredUntilTheRunningSystemHasThem(t *testing.T) {
	t.Parallel()
	applied := running(func(d *host.Deployment) { d.LiveReplaced = "2" })
	refused := layered(one(), 1)
	refused.Refused = "2"
	for name, r := range map[string]row{
		"a system that has all": {facts: packages.Facts{System: system(running()), QEMU: "/q", Virtiofsd: "/v"}},
		"nothing yet":           {facts: packages.Facts{System: system(running())}, verdict: packages.Layer},
		"on an operated node, with leave": {
			facts: packages.Facts{System: system(running()), Operated: true, Allowed: true}, verdict: packages.Layer,
		},
		"staged": {facts: packages.Facts{System: system(staged(having(one())), running()), Layered: layered(one(), 1)}, verdict: packages.Layer},
		"applied live": {
			facts: packages.Facts{System: system(staged(having(one())), applied), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"},
		},
		"staged, and refused live": {
			facts:   packages.Facts{System: system(staged(having(one())), running()), Layered: refused},
			verdict: packages.Wait, says: "a reboot, which the layered packages", reboot: true,
		},
		"applied live, and interrupted in it": {
			facts:   packages.Facts{System: system(staged(having(one())), running(func(d *host.Deployment) { d.LiveInProgress = "2" })), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"},
			verdict: packages.Layer,
		},
		"booted": {facts: packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"}},
		"booted below a foreign update": {
			facts: packages.Facts{System: system(staged(having(one())), running(having(one()))), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"},
		},
		"an older set": {
			facts: packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"},
			order: func(o *packages.Order) { o.Packages = two() }, verdict: packages.Layer,
		},
	} {
		r.mode, r.want = node.HostPackagesLayered, node.HostPackagesLayered
		r.check(t, name)
	}
}

func TestTheSetForTheSystemIsChosen(t *testing.T) {
	t.Parallel()
	newer := two()
	for i := range newer {
		newer[i].Set = "newer"
	}
	both := append(one(), newer...)
	sets := forFedora("42")
	sets["newer"] = []manifest.System{{ID: "fedora", Version: "43"}, {ID: "rhel", Version: "10"}}
	for _, c := range []struct {
		release host.Release
		want    []record.Package
	}{
		{fedora("42"), one()},
		{fedora("43"), newer},
		{host.Release{ID: "rhel", Version: "10.1"}, newer},
		{fedora("44"), nil},
		{host.Release{}, nil},
	} {
		assert.Equal(t, c.want, packages.Chosen(both, sets, c.release), "%+v", c.release)
	}
	assert.Equal(t, one(), packages.Chosen(one(), nil, host.Release{}), "a set without systems is for every one")
	assert.Empty(t, packages.Chosen(both, nil, fedora("42")), "not two at once")

	f := packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v", Release: fedora("43")}
	o := needing()
	o.Packages, o.Sets = both, sets
	assert.Equal(t, packages.Layer, packages.For(o, f).Verdict, "the system was updated: the set of the new one replaces the other")
	f.Release = fedora("44")
	d := packages.For(o, f)
	assert.Equal(t, packages.Refuse, d.Verdict)
	assert.Equal(t, "the payload has packages for fedora 42, fedora 43, rhel 10, and this system is fedora 44 (coreos): use one with a set for it, or hostPackages None or Extension", d.Sentence)
}

// Foreign transactions are waited for, with a reason for people, however long they take.
func TestForeignWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	busy, locked := system(running()), system(staged(func(d *host.Deployment) { d.Locked = true }), running())
	busy.Transaction = &host.Transaction{Method: "rebase", Sender: ":1.512"}
	locked.Driver = "Zincati"
	for says, facts := range map[string]packages.Facts{
		"rpm-ostree, which works on rebase for :1.512":                               {System: busy},
		"Zincati to boot its staged update: layering packages on it would unlock it": {System: locked},
	} {
		row{mode: node.HostPackagesLayered, want: node.HostPackagesLayered, facts: facts, verdict: packages.Wait, says: says}.check(t, says)
	}
	row{
		mode: node.HostPackagesLayered, want: node.HostPackagesLayered, verdict: packages.Wait, says: "the machine-config daemon",
		facts: packages.Facts{System: system(running()), Operated: true, Allowed: true}, order: func(o *packages.Order) { o.Busy = "the machine-config daemon" },
	}.check(t, "a daemon at work")
	removal := packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1)}
	assert.Equal(t, packages.Unlayer, packages.Removal("", removal).Verdict)
	assert.Equal(t, "the machine-config daemon", packages.Removal("the machine-config daemon", removal).Sentence)
	removal.Problem = "no daemon"
	assert.Equal(t, "rpm-ostree to answer (no daemon)", packages.Removal("", removal).Sentence, "what is not known may be there")
	assert.Equal(t, packages.Ready, packages.Removal("", packages.Facts{System: system(running(having(one())))}).Verdict, "without a record nothing is ours")
}

// The machine-config daemon discards what is staged, and a shutdown may not finalize it.
func TestAStagedDeploymentThatVanishedIsStagedAgainAFewTimes(t *testing.T) {
	t.Parallel()
	for attempts, verdict := range map[int]packages.Verdict{1: packages.Layer, 2: packages.Layer, 3: packages.Refuse} {
		r := row{
			mode: node.HostPackagesLayered, want: node.HostPackagesLayered, verdict: verdict,
			facts: packages.Facts{System: system(running()), Layered: layered(one(), attempts), Lost: "error: No space left on device"},
		}
		if verdict == packages.Refuse {
			r.reason, r.says = node.ReasonLayeringLost, "3 times, and each time the deployment was deleted before it ran: error: No space left on device"
		}
		r.check(t, "lost")
	}
	facts := packages.Facts{System: system(running(func(d *host.Deployment) { d.LiveReplaced = "2" })), Layered: layered(one(), 1), QEMU: "/q", Virtiofsd: "/v"}
	row{mode: node.HostPackagesLayered, want: node.HostPackagesLayered, verdict: packages.Layer, facts: facts}.check(t, "what only runs would be gone with the next boot")
}

func TestAChangeTouchesOursAndNothingElse(t *testing.T) {
	t.Parallel()
	foreign := "strace-6-1.x86_64"
	next := running(having(one()))
	next.Local = append(next.Local, foreign)
	f := packages.Facts{System: system(next), Layered: layered(one(), 2)}
	assert.Equal(t, host.Layering{}, packages.Change(one(), f))
	assert.Equal(t, host.Layering{Install: []string{"rpms/qemu-kvm-core-10.rpm"}, Uninstall: []string{"qemu-kvm-core"}}, packages.Change(two(), f))
	assert.Equal(t, host.Layering{Uninstall: []string{"qemu-kvm-core", "virtiofsd"}}, packages.Change(nil, f))

	r := packages.Recorded(two(), "b2", f)
	assert.ElementsMatch(t, append(local(two()), local(one())[0]), local(r.Packages), "what still runs is remembered")
	assert.Zero(t, r.Attempts, "other packages count anew")
	assert.Equal(t, 2, packages.Recorded(one(), "b2", f).Attempts)

	f.Layered = nil
	assert.Equal(t, host.Layering{}, packages.Change(nil, f), "without a record nothing is ours")
	assert.Empty(t, packages.Recorded(one(), "b2", f).Packages, "what another hand has layered does not become ours")
}

// Files of packages that are uninstalled may be in the running system: only a reboot ends that.
func TestAnInterruptedLiveApplicationThatIsUninstalledNeedsAReboot(t *testing.T) {
	t.Parallel()
	f := packages.Facts{System: system(running(func(d *host.Deployment) { d.LiveInProgress = "2" })), Layered: layered(one(), 1)}
	assert.True(t, f.Leaving())
	assert.False(t, f.Forgettable())
	f.System = system(running())
	assert.False(t, f.Leaving())
	assert.True(t, f.Forgettable())
}

func TestARecordIsForgottenOnceNoDeploymentInUseHasAnyOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts                packages.Facts
		leaving, forgettable bool
	}{
		"running":     {packages.Facts{System: system(running(having(one())))}, false, false},
		"uninstalled": {packages.Facts{System: system(staged(), running(having(one())))}, true, false},
		"live, and gone from the next boot": {
			packages.Facts{System: system(staged(), running(func(d *host.Deployment) { d.LiveReplaced = "3" }))}, true, false,
		},
		"gone":    {packages.Facts{System: system(running())}, false, true},
		"unknown": {packages.Facts{Problem: "no daemon"}, false, false},
	} {
		c.facts.Layered = layered(one(), 1)
		assert.Equal(t, c.leaving, c.facts.Leaving(), name)
		assert.Equal(t, c.forgettable, c.facts.Forgettable(), name)
	}
}
