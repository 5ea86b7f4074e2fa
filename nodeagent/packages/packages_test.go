// SPDX-License-Identifier: Apache-2.0

package packages_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// The packages of a payload, and those of the next one.
func one() []record.Package {
	return []record.Package{
		{Set: "host", Name: "qemu-kvm-core", NEVRA: "qemu-kvm-core-17:9.1.0-15.el9.x86_64", Path: "rpms/qemu-kvm-core.rpm"},
		{Set: "host", Name: "virtiofsd", NEVRA: "virtiofsd-1.13-1.el9.x86_64", Path: "rpms/virtiofsd.rpm"},
	}
}

func two() []record.Package {
	next := one()
	next[0].NEVRA, next[0].Path = "qemu-kvm-core-17:10.0.0-1.el9.x86_64", "rpms/qemu-kvm-core-10.rpm"
	return next
}

func local(all []record.Package) []string {
	var names []string
	for _, p := range all {
		names = append(names, p.NEVRA)
	}
	return names
}

func needing() packages.Order {
	return packages.Order{Mode: node.HostPackagesAuto, Needs: record.Needs{QEMU: true, Virtiofsd: true}, Packages: one(), Architecture: "amd64"}
}

func running(changes ...func(*host.Deployment)) host.Deployment {
	d := host.Deployment{OSName: "fedora-coreos", Checksum: "1", Base: "1", Booted: true}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func staged(changes ...func(*host.Deployment)) host.Deployment {
	d := host.Deployment{OSName: "fedora-coreos", Checksum: "2", Base: "1", Staged: true}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func having(p []record.Package) func(*host.Deployment) {
	return func(d *host.Deployment) { d.Local = local(p) }
}

func requested(d *host.Deployment) { d.Requested = []string{"kata-containers"} }

func fedora(version string) host.Release {
	return host.Release{ID: "fedora", Version: version, Variant: "coreos"}
}

// forFedora says that the packages of one are for a Fedora alone.
func forFedora(version string) map[string][]manifest.System {
	return map[string][]manifest.System{"host": {{ID: "fedora", Version: version}}}
}

func system(all ...host.Deployment) host.OSTree { return host.OSTree{Exists: true, Deployments: all} }

func layered(p []record.Package, attempts int) *record.Layered {
	return &record.Layered{Packages: p, Boot: "b1", Attempts: attempts}
}

// row is one line of a table: what a payload asks of a host, and what comes of it.
type row struct {
	mode  node.HostPackages
	facts packages.Facts
	order func(*packages.Order)

	want     node.HostPackages
	verdict  packages.Verdict
	reason   string
	says     string
	reboot   bool
	whyParts string
	// apply is the document that a cluster's administrator has to apply.
	apply string
}

func (r row) check(t *testing.T, name string) {
	t.Helper()
	o := needing()
	if r.mode != "" {
		o.Mode = r.mode
	}
	if r.order != nil {
		r.order(&o)
	}
	d := packages.For(o, r.facts)
	assert.Equal(t, r.want, d.Mode, name)
	assert.Equal(t, r.verdict, d.Verdict, "%s: %s", name, d)
	assert.Equal(t, r.reason, d.Reason, name)
	assert.Contains(t, d.Sentence, r.says, name)
	assert.Equal(t, r.reboot, d.Reboot, name)
	assert.Contains(t, d.Why, r.whyParts, name)
	assert.Equal(t, r.apply, d.Apply, name)
	assert.Equal(t, o.Mode == node.HostPackagesAuto, d.Why != "", "%s: only Auto says why", name)
	if d.Verdict == packages.Wait || d.Verdict == packages.Refuse {
		assert.NotEmpty(t, d.Sentence, name)
	}
}

func TestAutoSaysWhatItChoseAndWhy(t *testing.T) {
	t.Parallel()
	plain := system(running())
	for name, r := range map[string]row{
		"a payload that brings all": {
			order: func(o *packages.Order) { o.Needs = record.Needs{} }, facts: packages.Facts{System: plain},
			want: node.HostPackagesNone, whyParts: "needs nothing",
		},
		"a system that has all": {
			facts: packages.Facts{System: plain, QEMU: "/q", Virtiofsd: "/v"},
			want:  node.HostPackagesNone, whyParts: "the system has what the payload needs",
		},
		"a node of the machine-config operator": {
			facts: packages.Facts{System: plain, Operated: true},
			want:  node.HostPackagesExtension, verdict: packages.Refuse, reason: node.ReasonExtensionMissing,
			says: "apply MachineConfig 50-enable-sandboxed-containers-extension with extensions: [sandboxed-containers] to its pool (", whyParts: "the machine-config operator manages this node",
			apply: packages.MachineConfig("worker"),
		},
		"an ordinary host": {
			want: node.HostPackagesNone, verdict: packages.Refuse, reason: node.ReasonPackagesMissing,
			says: "this host has no QEMU and no virtiofsd, which the payload needs: install them", whyParts: "no system of rpm-ostree",
		},
		"a bootc host": {
			facts: packages.Facts{System: host.OSTree{Exists: true, Bootc: "its timer is enabled", Deployments: plain.Deployments}},
			want:  node.HostPackagesNone, verdict: packages.Refuse, reason: node.ReasonPackagesMissing, whyParts: "bootc updates this host",
		},
		"a payload without packages": {
			facts: packages.Facts{System: plain, QEMU: "/q"}, order: func(o *packages.Order) { o.Packages = nil },
			want: node.HostPackagesNone, verdict: packages.Refuse, reason: node.ReasonPackagesMissing, says: "this host has no virtiofsd, which", whyParts: "no packages to layer",
		},
		"a payload with packages for another system": {
			facts: packages.Facts{System: plain, Release: fedora("43")}, order: func(o *packages.Order) { o.Sets = forFedora("42") },
			want: node.HostPackagesNone, verdict: packages.Refuse, reason: node.ReasonPackagesMissing, whyParts: "no packages for this system",
		},
		"Fedora CoreOS": {
			facts: packages.Facts{System: plain},
			want:  node.HostPackagesLayered, verdict: packages.Layer, whyParts: "rpm-ostree manages this host",
		},
		"what was layered stays layered": {
			facts: packages.Facts{System: system(running(having(one()))), QEMU: "/q", Virtiofsd: "/v", Layered: layered(one(), 1)},
			want:  node.HostPackagesLayered, whyParts: "has layered packages",
		},
	} {
		r.check(t, name)
	}
}

func TestTheExtensionIsVerifiedAndNeverInstalled(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]row{
		"available": {facts: packages.Facts{System: system(running(requested)), Operated: true, QEMU: "/q", Virtiofsd: "/v"}},
		"pending reboot": {
			facts:   packages.Facts{System: system(staged(requested), running()), Operated: true},
			verdict: packages.Wait, says: "the machine-config operator to reboot this node",
		},
		"pending reboot of a node that no operator reboots": {
			facts:   packages.Facts{System: system(staged(requested), running())},
			verdict: packages.Wait, says: "a reboot: the next deployment has the package kata-containers", reboot: true,
		},
		"not asked for": {
			facts:   packages.Facts{System: system(running()), Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, apply: packages.MachineConfig(""),
			says: "this host has no QEMU and no virtiofsd: apply MachineConfig 50-enable-sandboxed-containers-extension with extensions: [sandboxed-containers] to its pool (kata-node-agent status on the node prints it)",
		},
		"not asked for in a pool of its own": {
			facts:   packages.Facts{System: system(running()), Operated: true, Pool: "telco", QEMU: "/q"},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, apply: packages.MachineConfig("telco"),
			says: "this host has no virtiofsd: apply MachineConfig 50-enable-sandboxed-containers-extension-telco with extensions: [sandboxed-containers] to pool telco (",
		},
		"not asked for, and no operator": {
			facts:   packages.Facts{System: system(running())},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "no machine-config operator",
		},
		"layered without QEMU": {
			facts:   packages.Facts{System: system(running(requested)), Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "although its package kata-containers is layered",
		},
		"rpm-ostree is silent": {
			facts:   packages.Facts{Problem: "no daemon", Operated: true},
			verdict: packages.Refuse, reason: node.ReasonExtensionMissing, says: "no daemon",
		},
	} {
		r.mode, r.want = node.HostPackagesExtension, node.HostPackagesExtension
		r.check(t, name)
	}
}

// Two pools may need it, and an object of the same name would move it from one to the other.
func TestTheMachineConfigOfAPoolIsAnObjectOfItsOwn(t *testing.T) {
	t.Parallel()
	type config struct {
		Kind     string `yaml:"kind"`
		Metadata struct {
			Name   string            `yaml:"name"`
			Labels map[string]string `yaml:"labels"`
		} `yaml:"metadata"`
		Spec struct {
			Extensions []string `yaml:"extensions"`
		} `yaml:"spec"`
	}
	names := map[string]bool{}
	for _, pool := range []string{"worker", "master", "telco"} {
		var c config
		require.NoError(t, yaml.Unmarshal([]byte(packages.MachineConfig(pool)), &c))
		assert.Equal(t, "MachineConfig", c.Kind)
		assert.Equal(t, map[string]string{"machineconfiguration.openshift.io/role": pool}, c.Metadata.Labels)
		assert.Equal(t, []string{"sandboxed-containers"}, c.Spec.Extensions)
		names[c.Metadata.Name] = true
	}
	assert.Len(t, names, 3)
	assert.True(t, names["50-enable-sandboxed-containers-extension"], "that of the sandboxed containers operator")
	assert.Equal(t, packages.MachineConfig("worker"), packages.MachineConfig(""))
}

// OpenShift builds exist whose operating system has no such extension, and architectures.
func TestAnExtensionMissingFromThisOSBuildIsAStateAndNoLoop(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]row{
		"the daemon has given up": {
			facts: packages.Facts{System: system(running()), Operated: true, Complaint: "error: Packages not found: kata-containers"},
			says:  "the machine-config daemon says error: Packages not found: kata-containers",
		},
		"the operator does not know it": {
			facts: packages.Facts{System: system(running()), Operated: true, Complaint: "invalid extensions found: [sandboxed-containers]"},
			says:  "missing from this build",
		},
		"another architecture": {
			facts: packages.Facts{System: system(running()), Operated: true}, order: func(o *packages.Order) { o.Architecture = "arm64" },
			says: "x86_64 and s390x only",
		},
	} {
		r.mode, r.want, r.verdict, r.reason = node.HostPackagesExtension, node.HostPackagesExtension, packages.Refuse, node.ReasonExtensionUnavailable
		r.check(t, name)
	}
}

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
			facts: packages.Facts{System: system(running(having(two())))}, says: "somebody else has layered qemu-kvm-core-17:10.0.0-1.el9.x86_64",
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
