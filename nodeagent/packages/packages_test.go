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
