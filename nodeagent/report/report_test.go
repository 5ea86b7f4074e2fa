// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/report"
)

func payload(digit string) string { return "r.example/p@" + digest(digit) }

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 5, time.FixedZone("here", 3600)) }

// serving is a node that serves payload a while a sandbox still holds payload b.
func serving() plan.Facts {
	return plan.Facts{
		Host:    plan.Host{BootID: "boot", Architecture: "amd64"},
		Intent:  plan.Intent{Wanted: &node.Intent{ID: "i1", State: node.StateInstalled, Payload: payload("a")}, ID: "i1", Shown: true},
		Cluster: plan.Cluster{PodsKnown: true, BoundPods: []string{"ns/pod"}},
		Slots: plan.Slots{Current: "va", Proof: "va", All: []plan.Slot{
			{ID: "va", Origin: record.Origin{Payload: payload("a"), Platform: digest("c"), Release: "1.1"}, Mounted: true, Verified: &record.Verified{}, Configured: true},
			{ID: "vb", Origin: record.Origin{Payload: payload("b"), Release: "1.0"}, Holders: []string{"process 7"}},
		}},
	}
}

func TestReportSaysWhatTheNodeServes(t *testing.T) {
	t.Parallel()
	got := report.Make(serving(), plan.Plan{Phase: node.PhaseInstalled}, nil, node.Report{}, noon())
	assert.Equal(t, node.Report{
		Version: 1, Speaks: []int{1}, IntentID: "i1", BootID: "boot", Architecture: "amd64", Phase: node.PhaseInstalled,
		Payload: digest("a"), Platform: digest("c"), PayloadVersion: "1.1", InUse: []string{digest("b")},
	}, got)
}

func TestAPingIsRepeatedWhileAnInstallationIsWanted(t *testing.T) {
	t.Parallel()
	f, before := serving(), node.Report{Version: node.Version, Ping: noon().Add(-time.Hour)}
	f.Intent.Wanted.Ping = noon()
	for _, phase := range []node.Phase{node.PhaseInstalling, node.PhaseAwaitingGrant, node.PhaseInstalled} {
		assert.Equal(t, noon(), report.Make(f, plan.Plan{Phase: phase}, nil, before, noon()).Ping)
	}
	assert.Equal(t, before.Ping, report.Blind(before, host.Identity{}, errors.New("no host"), noon()).Ping, "an agent that cannot observe its host is no good one")
	f.Intent.Shown = false
	assert.Equal(t, before.Ping, report.Make(f, plan.Plan{Phase: node.PhaseInstalled}, nil, before, noon()).Ping, "the copy on disk may be older than what was answered")
	f.Intent.Wanted.State = node.StateAbsent
	assert.Zero(t, report.Make(f, plan.Plan{Phase: node.PhaseBlocked}, nil, before, noon()).Ping)
	assert.Zero(t, report.Make(plan.Facts{}, plan.Plan{Phase: node.PhaseIdle}, nil, before, noon()).Ping)
}

// proved makes a CRI-O prove a further handler of what serves; another one is wanted, too.
func proved(f *plan.Facts, name string) {
	f.Runtime.Invocation, f.Intent.Wanted.Handlers = "c1", []string{"debug", name}
	f.Slots.All[0].Proved, f.Slots.All[0].ProvedHandlers = "c1", []string{name}
}

func TestFurtherHandlersAreReportedByAnInstalledNodeOnly(t *testing.T) {
	t.Parallel()
	f := serving()
	proved(&f, "rs")
	handlers := func(f plan.Facts, phase node.Phase) []string {
		return report.Make(f, plan.Plan{Phase: phase}, nil, node.Report{}, noon()).Handlers
	}
	assert.Equal(t, []string{"rs"}, handlers(f, node.PhaseInstalled))
	assert.Empty(t, handlers(f, node.PhaseInstalling))
	other := f
	other.Runtime.Invocation = "c2"
	assert.Empty(t, handlers(other, node.PhaseInstalled), "another CRI-O has proved it")
	f.Intent.Wanted.Handlers = nil
	assert.Empty(t, handlers(f, node.PhaseInstalled), "it is not wanted")
}

func TestReport(t *testing.T) {
	t.Parallel()
	failed := &report.Failure{Step: plan.Pull, Err: errors.New("no route to host")}
	for name, c := range map[string]struct {
		change  func(*plan.Facts)
		failure *report.Failure
		check   func(t *testing.T, r node.Report)
	}{
		"updates that fail because of layered packages": {
			change: func(f *plan.Facts) {
				const qemu = "qemu-kvm-core-10.1.0-1.el9.x86_64"
				f.Packages.Layered = &record.Layered{Packages: []record.Package{{Name: "qemu-kvm-core", NEVRA: qemu}}}
				f.Packages.System.Deployments = []host.Deployment{{Booted: true, Local: []string{qemu}}}
				f.Packages.Transactions = []string{"Txn Deploy on /x failed: Could not depsolve transaction; 1 problem detected:\n Problem: nothing provides y needed by " + qemu}
			},
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				const says = "updates of this system fail because of the layered packages qemu-kvm-core (journalctl -u rpm-ostreed): use a payload whose packages fit the new system, or one that brings QEMU"
				assert.Contains(t, r.UpdateBlocked, says)
				assert.Contains(t, report.Sentence(r, plan.Plan{}), "; "+says)
				document, err := r.Encode()
				require.NoError(t, err)
				assert.Contains(t, document, says, "the remedy is not cut")
			},
		},
		"what was fetched ahead of time": {
			change: func(f *plan.Facts) {
				f.Intent.Wanted.Prefetch, f.Store.Images = payload("c"), []plan.Image{{ID: "c", Digests: []string{digest("c")}}}
			},
			check: func(t *testing.T, r node.Report) { t.Helper(); assert.Equal(t, digest("c"), r.Prefetched) },
		},
		"what is still to be fetched": {
			change: func(f *plan.Facts) { f.Intent.Wanted.Prefetch = payload("c") },
			check:  func(t *testing.T, r node.Report) { t.Helper(); assert.Empty(t, r.Prefetched) },
		},
		"pending serves nothing": {
			change: func(f *plan.Facts) { f.Slots.Current = plan.Pending },
			check:  func(t *testing.T, r node.Report) { t.Helper(); assert.Empty(t, r.Payload+r.Platform+r.PayloadVersion) },
		},
		"bound pods are named while they are waited for": {
			change: func(f *plan.Facts) { f.Intent.Wanted = &node.Intent{ID: "i2", State: node.StateAbsent} },
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, node.BoundPods{Count: 1, Names: []string{"ns/pod"}}, r.BoundPods)
			},
		},
		"pods that are not known are not none": {
			change: func(f *plan.Facts) {
				f.Intent.Wanted, f.Cluster = &node.Intent{ID: "i2", State: node.StateAbsent}, plan.Cluster{}
			},
			check: func(t *testing.T, r node.Report) { t.Helper(); assert.Positive(t, r.BoundPods.Count) },
		},
		"an intent that vanished is still answered": {
			change: func(f *plan.Facts) { f.Intent.Shown, f.Intent.ID, f.Intent.Cleared = false, "", true },
			check:  func(t *testing.T, r node.Report) { t.Helper(); assert.Equal(t, "i1", r.IntentID) },
		},
		"a removal that the controller has cleared is not": {
			change: func(f *plan.Facts) {
				f.Intent.Wanted, f.Intent.Shown, f.Intent.ID, f.Intent.Cleared = &node.Intent{ID: "i2", State: node.StateAbsent}, false, "", true
			},
			check: func(t *testing.T, r node.Report) { t.Helper(); assert.Empty(t, r.IntentID) },
		},
		"a failed step is reported": {
			failure: failed,
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, &node.Error{Step: "pull payload", Reason: "PullPayloadFailed", Message: "no route to host", Since: noon().UTC().Truncate(time.Second)}, r.Error)
			},
		},
		"a payload that this host cannot use is unfit, whichever step finds it": {
			failure: &report.Failure{Step: plan.Pull, Err: fmt.Errorf("pulling payload: %w", &host.Unfit{Problem: "it is for arm64"})},
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, node.ReasonPayloadUnfit, r.Error.Reason)
				assert.Equal(t, "pull payload", r.Error.Step)
			},
		},
		"an unfit host has a field of its own, and goes before a failed step": {
			change: func(f *plan.Facts) { f.Host.Problem = "this is a live system" }, failure: failed,
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Nil(t, r.Error)
				assert.Equal(t, "this is a live system", r.HostCheck)
			},
		},
		"a host that cannot run the payload is unfit for it, and serves what it served": {
			change: func(f *plan.Facts) {
				f.Slots.Current = plan.SlotID(digest("c"), "", "")
				f.Slots.All[0].ID = f.Slots.Current
				f.Slots.All[0].Verified.VM, f.Host.Check = true, check.Items(check.Facts{})
			},
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, "the host has no /dev/kvm: load kvm_intel or kvm_amd, or turn on virtualization in the firmware", r.HostCheck)
				assert.NotEmpty(t, r.Payload)
				assert.Equal(t, node.ReasonHostUnfit, report.MakeCondition(r, "").Reason)
			},
		},
		"a pull that was refused because of the host is no error of the agent": {
			failure: &report.Failure{Step: plan.Pull, Err: fmt.Errorf("pulling payload: %w", &host.Unfit{Problem: "the host has no /dev/kvm", Host: true})},
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, "the host has no /dev/kvm", r.HostCheck)
				assert.Nil(t, r.Error)
			},
		},
		"a refused pull of what is only fetched ahead is an error, and the host fit for what serves": {
			failure: &report.Failure{Step: plan.Prefetch, Err: fmt.Errorf("pulling payload: %w", &host.Unfit{Problem: "the host has no /dev/kvm", Host: true})},
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Empty(t, r.HostCheck)
				assert.Equal(t, node.ReasonPayloadUnfit, r.Error.Reason)
			},
		},
		"a host without virtualization warns before anything is wanted": {
			change: func(f *plan.Facts) { f.Intent.Wanted, f.Host.Check = nil, check.Items(check.Facts{}) },
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Contains(t, r.HostWarning, "the host has no /dev/kvm")
				assert.Empty(t, r.HostCheck)
				assert.Contains(t, report.Sentence(node.Report{Phase: node.PhaseIdle, HostWarning: r.HostWarning}, plan.Plan{}), "most payloads could not run here: the host has no /dev/kvm")
			},
		},
		"an intent that cannot be followed goes before all, and is answered": {
			change: func(f *plan.Facts) {
				f.Intent.Problem, f.Intent.ID, f.Host.Problem = "version 9 is unknown", "i9", "live"
			}, failure: failed,
			check: func(t *testing.T, r node.Report) {
				t.Helper()
				assert.Equal(t, "i9", r.IntentID)
				assert.Equal(t, "InvalidIntent", r.Error.Reason)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serving()
			if c.change != nil {
				c.change(&f)
			}
			c.check(t, report.Make(f, plan.Plan{Phase: node.PhaseInstalling}, c.failure, node.Report{}, noon()))
		})
	}
}

func TestARemovalThatHasBegunServesNothingNew(t *testing.T) {
	t.Parallel()
	for phase, payload := range map[node.Phase]string{node.PhaseBlocked: digest("a"), node.PhaseRemoving: ""} {
		assert.Equal(t, payload, report.Make(serving(), plan.Plan{Phase: phase}, nil, node.Report{}, noon()).Payload, phase)
	}
}

func TestAnErrorKeepsItsTimeWhileItIsTheSame(t *testing.T) {
	t.Parallel()
	before := node.Report{Error: &node.Error{Step: string(plan.Pull), Reason: "PullPayloadFailed", Message: "another wording", Since: noon().Add(-time.Hour)}}
	failure := &report.Failure{Step: plan.Pull, Err: errors.New("no route to host")}
	same := report.Make(serving(), plan.Plan{}, failure, before, noon())
	assert.Equal(t, before.Error.Since, same.Error.Since)
	assert.Equal(t, "no route to host", same.Error.Message, "the sentence is the newest")
	failure.Step = plan.Mount
	assert.Equal(t, noon().UTC().Truncate(time.Second), report.Make(serving(), plan.Plan{}, failure, before, noon()).Error.Since)
}

func TestEqualReportsAreEqualAlsoOnceTheyWereCut(t *testing.T) {
	t.Parallel()
	long := report.Make(serving(), plan.Plan{Phase: node.PhaseInstalling}, &report.Failure{Step: plan.Pull, Err: errors.New(strings.Repeat("x", 3000))}, node.Report{}, noon())
	document, err := long.Encode()
	require.NoError(t, err)
	cut, err := node.DecodeReport(document)
	require.NoError(t, err)
	assert.True(t, report.Equal(long, cut))
	cut.Phase = node.PhaseInstalled
	assert.False(t, report.Equal(long, cut))
	assert.False(t, report.Equal(node.Report{}, node.Report{}), "no report equals none that can be written")
}
