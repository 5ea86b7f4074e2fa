// SPDX-License-Identifier: Apache-2.0

package packages_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
)

// Messages of rpm-ostree's daemon, as it prints them.
const (
	zincati  = "Initiated txn Deploy for client(id:zincati dbus:1.41 unit:zincati.service uid:981): /org/projectatomic/rpmostree1/fedora_coreos"
	agent    = "Initiated txn UpdateDeployment for client(id:kata-node-agent dbus:1.9 unit:kata-node-agent.service uid:0): /org/projectatomic/rpmostree1/fedora_coreos"
	problem  = "Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests\n  - nothing provides libfoo.so.1()(64bit) needed by qemu-kvm-core-17:9.1.0-15.el9.x86_64 from @commandline"
	deploys  = "Txn Deploy on /org/projectatomic/rpmostree1/fedora_coreos "
	updates  = "Txn UpdateDeployment on /org/projectatomic/rpmostree1/fedora_coreos "
	failed   = "failed: "
	succeeds = "successful"
	cleaned  = "Txn Cleanup on /org/projectatomic/rpmostree1/fedora_coreos successful"

	blocked = "updates of this system fail because of the layered packages qemu-kvm-core (journalctl -u rpm-ostreed): " +
		"use a payload whose packages fit the new system, or one that brings QEMU"
)

// withOurs is a host on which the agent has layered packages, and which boots them.
func withOurs(transactions ...string) packages.Facts {
	return packages.Facts{System: system(running(having(one()))), Layered: layered(one(), 1), Transactions: transactions}
}

func TestAnUpdateThatFailsBecauseOfOurPackagesIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts packages.Facts
		want  string
	}{
		"no transaction":                      {withOurs(), ""},
		"an update fails":                     {withOurs(zincati, deploys+failed+problem), blocked},
		"whoever asked for it":                {withOurs(deploys + failed + problem), blocked},
		"a pending deployment is removed":     {withOurs(zincati, deploys+failed+problem, cleaned), blocked},
		"the network fails after it":          {withOurs(zincati, deploys+failed+problem, zincati, deploys+failed+"Curl error"), blocked},
		"an update succeeds after it":         {withOurs(zincati, deploys+failed+problem, zincati, deploys+succeeds), ""},
		"a package is uninstalled after it":   {withOurs(zincati, deploys+failed+problem, updates+succeeds), ""},
		"an update fails for another reason":  {withOurs(zincati, deploys+failed+"No space left on device"), ""},
		"it was the agent's own change":       {withOurs(agent, updates+failed+problem), ""},
		"the agent's own change comes before": {withOurs(agent, updates+failed+problem, zincati, deploys+failed+problem), blocked},
	} {
		assert.Equal(t, c.want, c.facts.UpdateBlocked(), name)
	}
}

func TestAProblemOfOtherPackagesIsNotOurs(t *testing.T) {
	t.Parallel()
	const foreign = deploys + failed + "Could not depsolve transaction; 1 problem detected:\n Problem: cannot install both glibc-2.40-3.fc41.x86_64 and glibc-2.40-12.fc41.x86_64"
	f := withOurs(foreign)
	assert.Contains(t, f.UpdateBlocked(), "layered packages qemu-kvm-core, virtiofsd (", "nothing else is layered")
	f.System = system(running(having(one()), requested))
	assert.Empty(t, f.UpdateBlocked(), "another package was asked for by name")
	f.System = system(running(having(one()), func(d *host.Deployment) { d.Local = append(slices.Clone(d.Local), "strace-6-1.x86_64") }))
	assert.Empty(t, f.UpdateBlocked(), "another package was layered from a file")

	f = withOurs(deploys + failed + problem)
	f.System = system(staged(), running(having(one())))
	assert.Empty(t, f.UpdateBlocked(), "they are uninstalled already")
	f.Layered = nil
	assert.Empty(t, f.UpdateBlocked())
}

// The daemon of the operator goes back to the former system after a failure.
func TestOnNodesOfTheOperatorItsDaemonTells(t *testing.T) {
	t.Parallel()
	f := withOurs(deploys+failed+problem, "Txn Rebase on /org/projectatomic/rpmostree1/rhcos successful")
	f.Operated = true
	assert.Empty(t, f.UpdateBlocked())
	f.Complaint = "error running rpm-ostree rebase --experimental ostree-unverified-registry:quay.io/x: error: " + problem + ": exit status 1"
	assert.Contains(t, f.UpdateBlocked(), "because of the layered packages qemu-kvm-core (")
}
