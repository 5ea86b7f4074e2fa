// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// healthy is a leader with two KataConfigs whose nodes are all complete, for 10 hours.
const healthy = `
  kata_controller_leader{namespace="kata-node",instance="a"} 1x600
  kata_controller_leader{namespace="kata-node",instance="b"} 0x600
  kata_controller_incomplete_passes_total{namespace="kata-node",instance="a"} 7x600
  kata_controller_unreadable_kataconfigs{namespace="kata-node",instance="a"} 0x600
  kata_controller_catalog_unreadable{namespace="kata-node",instance="a"} 0x600
  kata_controller_nodes{namespace="kata-node",kataconfig="good",state="completed"} 5x600
  kata_controller_nodes{namespace="kata-node",kataconfig="good",state="in_progress"} 0x600
  kata_controller_nodes{namespace="kata-node",kataconfig="good",state="failed"} 0x600
  kata_controller_kataconfig_condition{namespace="kata-node",kataconfig="good",condition="KataStatusFailed",reason="NoFailure"} 0x600
`

// trouble is what an alert is for.
type trouble struct {
	// series are added to, or replace, those of a healthy cluster.
	series string
	// quiet is when the alert does not fire yet, and late when it does.
	quiet, late time.Duration
	// says is part of what a person reads.
	says string
}

const condition = `kata_controller_kataconfig_condition{namespace="kata-node",kataconfig="bad",condition="KataStatusFailed",reason="`

func troubles() map[string]trouble {
	return map[string]trouble{
		"KataControllerAbsent": {
			series: `kata_controller_leader{namespace="kata-node",instance="a"} 1x10 _x600`,
			quiet:  20 * time.Minute, late: 30 * time.Minute,
			says: "nothing is installed, updated or removed",
		},
		"KataControllerIncomplete": {
			series: `kata_controller_incomplete_passes_total{namespace="kata-node",instance="a"} 0+1x600`,
			quiet:  14 * time.Minute, late: 20 * time.Minute,
			says: "have failed in part for 15 minutes",
		},
		"KataPoliciesMissing": {
			series: condition + `PoliciesMissing"} 1x600`,
			quiet:  4 * time.Minute, late: 6 * time.Minute,
			says: "starts nothing for KataConfig bad",
		},
		"KataConfigRefused": {
			series: condition + `RuntimeClassConflict"} 1x600`,
			quiet:  4 * time.Minute, late: 6 * time.Minute,
			says: "KataConfig bad cannot be worked on: RuntimeClassConflict",
		},
		"KataConfigUnreadable": {
			series: `kata_controller_unreadable_kataconfigs{namespace="kata-node",instance="a"} 3x600`,
			quiet:  4 * time.Minute, late: 6 * time.Minute,
			says: "3 stored KataConfigs cannot be decoded",
		},
		"KataCatalogUnreadable": {
			series: `kata_controller_catalog_unreadable{namespace="kata-node",instance="a"} 1x600`,
			quiet:  4 * time.Minute, late: 6 * time.Minute,
			says: "The last good one is in force",
		},
		"KataConfigsOverlap": {
			series: condition + `OverlappingSelector"} 1x600`,
			quiet:  14 * time.Minute, late: 16 * time.Minute,
			says: "KataConfig bad selects nodes that an older KataConfig owns",
		},
		"KataAliasConflict": {
			series: condition + `RuntimeClassAliasConflict"} 1x600`,
			quiet:  14 * time.Minute, late: 16 * time.Minute,
			says: "KataConfig bad names an alias",
		},
		"KataNodesFailed": {
			series: `kata_controller_nodes{namespace="kata-node",kataconfig="bad",state="failed"} 2x600`,
			quiet:  14 * time.Minute, late: 16 * time.Minute,
			says: "2 nodes of KataConfig bad need a person",
		},
		"KataAgentMissing": {
			series: `kata_controller_waiting_nodes{namespace="kata-node",kataconfig="bad",reason="AgentMissing"} 4x600`,
			quiet:  59 * time.Minute, late: 61 * time.Minute,
			says: "4 nodes of KataConfig bad are selected",
		},
		"KataRolloutStuck": { // Counts move during the first 100 minutes.
			series: `kata_controller_nodes{namespace="kata-node",kataconfig="bad",state="completed"} 0+1x100 100x600
  kata_controller_nodes{namespace="kata-node",kataconfig="bad",state="in_progress"} 2x600
  kata_controller_waiting_nodes{namespace="kata-node",kataconfig="bad",reason="Queued"} 3x600`,
			quiet: (100 + 120 + 55) * time.Minute, late: (100 + 120 + 65) * time.Minute,
			says: "5 nodes of KataConfig bad are at work or wait for others",
		},
		"KataRemovalBlocked": {
			series: `kata_controller_waiting_nodes{namespace="kata-node",kataconfig="bad",reason="KataPodsRunning"} 1x600`,
			quiet:  119 * time.Minute, late: 121 * time.Minute,
			says: "Kata is to be removed from 1 nodes of KataConfig bad",
		},
	}
}

// with replaces the series of a healthy cluster that have the same name and labels.
func with(series string) string {
	lines := strings.Split(strings.TrimSpace(healthy), "\n")
	for line := range strings.Lines(series) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), name+" ") })
	}
	return strings.Join(lines, "\n") + "\n  " + series + "\n"
}

func TestEachAlertFiresForItsTroubleAlone(t *testing.T) {
	t.Parallel()
	for name, trouble := range troubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, firing(t, with(trouble.series), trouble.quiet), "before its time")
			fired := firing(t, with(trouble.series), trouble.late)
			require.Equal(t, []string{name}, slices.Collect(maps.Keys(fired)))
			require.Len(t, fired[name], 1)
			assert.Contains(t, fired[name][0].Annotations.Get("description"), trouble.says)
			assert.NotContains(t, fired[name][0].Annotations.String(), "<error")
		})
	}
}

func TestNothingFiresInAHealthyCluster(t *testing.T) {
	t.Parallel()
	assert.Empty(t, firing(t, with(""), 10*time.Hour))
}

// A node that is switched off, an administrator's pause and a pass that failed once are no reasons
// to wake a person.
func TestWhatIsNoTroubleFiresNothing(t *testing.T) {
	t.Parallel()
	for name, series := range map[string]string{
		"a node is NotReady": `kata_controller_nodes{namespace="kata-node",kataconfig="good",state="waiting"} 1x600
  kata_controller_waiting_nodes{namespace="kata-node",kataconfig="good",reason="NodeNotReady"} 1x600`,
		"a rollout is paused": `kata_controller_nodes{namespace="kata-node",kataconfig="good",state="waiting"} 9x600
  kata_controller_waiting_nodes{namespace="kata-node",kataconfig="good",reason="Paused"} 9x600`,
		"one pass failed": `kata_controller_incomplete_passes_total{namespace="kata-node",instance="a"} 7x60 8x600`,
		"another instance leads": `kata_controller_leader{namespace="kata-node",instance="a"} 1x60 0x3 _x600
  kata_controller_leader{namespace="kata-node",instance="b"} 0x63 1x600`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, firing(t, with(series), 5*time.Hour))
		})
	}
}

func TestEveryAlertIsTestedAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var names []string
	for _, group := range shipped(t).Spec.Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Alert)
			assert.Contains(t, []string{"info", "warning", "critical"}, rule.Labels["severity"], rule.Alert)
			for _, annotation := range []string{"summary", "description", "runbook_url"} {
				assert.NotEmpty(t, rule.Annotations[annotation], "%s of %s", annotation, rule.Alert)
			}
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(troubles())), names)
}
