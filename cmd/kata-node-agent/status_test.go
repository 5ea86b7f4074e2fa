// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func payload(digit string) string { return "registry.example/kata@sha256:" + strings.Repeat(digit, 64) }

// updated is a node that serves payload b while a sandbox still holds payload a.
func updated() plan.Facts {
	return plan.Facts{
		Host:   plan.Host{BootID: "boot-1"},
		Intent: plan.Intent{Wanted: &node.Intent{ID: "0123456789abcdef", State: node.StateInstalled, Payload: payload("b"), Prefetch: payload("c"), Owner: node.Owner{Name: "install-kata-1.0"}}},
		Runtime: plan.Runtime{
			Active: true, Answers: true, Invocation: "c2", Sandboxes: []plan.Sandbox{{ID: "s1", Ready: true}},
			DropIn: plan.DropIn{Exists: true, Right: true},
		},
		Slots: plan.Slots{Current: "bbbb", Proof: "bbbb", All: []plan.Slot{
			{
				ID: "aaaa", Origin: record.Origin{Payload: payload("a"), Release: "1.0.0"}, Mounted: true, Verified: &record.Verified{}, Configured: true, Proved: "c2",
				Holders: []string{"process 7 (containerd-shim-kata-v2)"},
			},
			{ID: "bbbb", Origin: record.Origin{Payload: payload("b"), Platform: "sha256:" + strings.Repeat("d", 64), Release: "2.0.0"}, Mounted: true, Verified: &record.Verified{}, Configured: true, Proved: "c2"},
		}},
	}
}

// returnable is updated after the older payload's last sandbox has ended: its slot is unmounted. Of
// an even older one, findings of another boot were kept.
func returnable() plan.Facts {
	f := updated()
	former := f.Slots.All[0]
	former.Image, former.Platform = "i1", "sha256:"+strings.Repeat("a", 64)
	kept := record.Findings{
		Slot: plan.SlotID(former.Platform, "", ""), Boot: f.Host.BootID, Origin: former.Origin, Proved: record.Proved{Invocation: former.Proved},
	}
	other := kept
	other.Slot, other.Boot, other.Origin.Release = "cccc", "boot-0", "0.9.0"
	f.Store.Images = []plan.Image{{ID: former.Image, Platform: former.Platform}}
	f.Slots.All, f.Slots.Findings = f.Slots.All[1:], []record.Findings{kept, other}
	return f
}

func TestStatusIsOneScreen(t *testing.T) {
	t.Parallel()
	for file, facts := range map[string]plan.Facts{
		"status-updated.txt":    updated(),
		"status-returnable.txt": returnable(),
		"status-fresh.txt":      {Slots: plan.Slots{Current: plan.Pending, Proof: plan.Pending}, Host: plan.Host{Problem: "this is a live system"}},
	} {
		var out strings.Builder
		require.NoError(t, printStatus(&out, "active: a sentence", facts))
		want, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		assert.Equal(t, string(want), out.String(), file)
	}
}

func TestAnIntentOfAFileHasNoKataConfig(t *testing.T) {
	t.Parallel()
	i := node.Intent{ID: "x", State: node.StateAbsent}
	assert.Equal(t, "Absent (id x)", intentLine(&i))
	i.Owner.Name = "kata"
	assert.Equal(t, "Absent (id x, KataConfig kata)", intentLine(&i))
}

func TestStatusAsADocument(t *testing.T) {
	t.Parallel()
	facts := updated()
	facts.Runtime.Conflicts = []plan.Conflict{{File: "/etc/crio/crio.conf.d/50-x.conf", Key: "runtime_path"}}
	for file, facts := range map[string]plan.Facts{
		"status-updated.json":    facts,
		"status-returnable.json": returnable(),
		"status-fresh.json":      {Slots: plan.Slots{Current: plan.Pending, Proof: plan.Pending}, Host: plan.Host{Problem: "this is a live system"}},
	} {
		var out strings.Builder
		require.NoError(t, writeStatus(&out, "active: a sentence", facts))
		want, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		assert.Equal(t, string(want), out.String(), file)
	}
}

// TestEveryFieldOfTheStatusIsDocumented compares both ways: the names are a promise.
func TestEveryFieldOfTheStatusIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| Field of `status --json` |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for _, row := range strings.Split(table, "\n")[2:] {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for name := range strings.SplitSeq(cell, ",") {
			documented = append(documented, strings.Trim(name, " `"))
		}
	}
	assert.ElementsMatch(t, names(reflect.TypeFor[statusDocument](), ""), documented)
}

// names are the paths of the fields of a document: a list's have "[]".
func names(t reflect.Type, path string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return names(t.Elem(), path)
	case reflect.Slice:
		return names(t.Elem(), path+"[]")
	case reflect.Struct:
		var all []string
		for f := range t.Fields() {
			all = append(all, names(f.Type, strings.TrimPrefix(path+"."+f.Tag.Get("json"), "."))...)
		}
		return all
	default:
		return []string{path}
	}
}

func TestStatusOfDropInAndCRIO(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*plan.Facts){
		"none":                    func(f *plan.Facts) { f.Runtime.DropIn = plan.DropIn{} },
		"changed by another user": func(f *plan.Facts) { f.Runtime.DropIn.Right = false },
		"written, and the running CRI-O does not know": func(f *plan.Facts) { f.Runtime.Lacks = f.Runtime.Invocation },
		"written, and the running CRI-O does not know kata-oc-rs": func(f *plan.Facts) {
			f.Runtime.LacksFurther, f.Runtime.LacksHandler = f.Runtime.Invocation, "rs"
		},
		"written, and /x sets y": func(f *plan.Facts) { f.Runtime.Conflicts = []plan.Conflict{{File: "/x", Key: "y"}} },
		"written":                func(f *plan.Facts) { f.Runtime.Lacks = "c0" },
	} {
		f := updated()
		change(&f)
		assert.Contains(t, dropInLine(f), want)
	}
	assert.Equal(t, "not running", crioLine(plan.Runtime{}))
	assert.Equal(t, "running, does not answer over CRI", crioLine(plan.Runtime{Active: true}))
}

func TestStatusNamesPackagesThatBlockUpdatesOfTheSystem(t *testing.T) {
	t.Parallel()
	const qemu = "qemu-kvm-core-10.1.0-1.el9.x86_64"
	f := updated()
	f.Packages.Layered = &record.Layered{Packages: []record.Package{{Name: "qemu-kvm-core", NEVRA: qemu}}}
	f.Packages.System.Deployments = []host.Deployment{{Booted: true, Local: []string{qemu}}}
	f.Packages.Transactions = []string{"Txn Deploy on /x failed: Could not depsolve transaction; 1 problem detected"}
	var out strings.Builder
	require.NoError(t, printStatus(&out, "active", f))
	assert.Regexp(t, `(?m)^update: +updates of this system fail because of the layered packages qemu-kvm-core `, out.String())
}

func TestStatusOfFurtherHandlers(t *testing.T) {
	t.Parallel()
	f := updated()
	assert.Empty(t, furtherLine(f), "none is wanted, and the payload offers none")
	f.Slots.All[1].Verified.Handlers = []string{node.Handler, "kata-oc-debug", "kata-oc-rs"}
	f.Intent.Wanted.Handlers = []string{"new", "rs"}
	assert.Equal(t, "kata-oc-debug offered, and not wanted; kata-oc-new wanted, and not proved; kata-oc-rs wanted, and not proved", furtherLine(f))
	f.Slots.All[1].ProvedHandlers = []string{"rs"}
	assert.Contains(t, furtherLine(f), "kata-oc-rs wanted and proved")
	var out strings.Builder
	require.NoError(t, printStatus(&out, "", f))
	assert.Regexp(t, `(?m)^further: +kata-oc-debug offered`, out.String())
	assert.Empty(t, furtherLine(plan.Facts{}), "nothing is wanted or served")
}

func TestAPlanIsPrintedInItsOrder(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, printPlan(&out, plan.Plan{
		Phase: node.PhaseInstalling, Wait: "CRI-O to run",
		Lines: [][]plan.Step{{{Kind: plan.Pull, Payload: payload("a")}, {Kind: plan.WriteDropIn}}}, Tidy: []plan.Step{{Kind: plan.Unmount, Slot: "v0"}},
	}))
	assert.Equal(t, "phase: Installing\nstep:  pull payload "+payload("a")+"\nstep:  write drop-in\nstep:  unmount payload v0\nthen waits for CRI-O to run\n", out.String())
}
