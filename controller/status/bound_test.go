// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/controller/status"
)

// long is the longest name that an object may have.
func long(name string, i int) string {
	end := fmt.Sprintf("%s-%04d", name, i)
	return strings.Repeat("n", 253-len(end)) + end
}

// hostile is a report in which every text is as long as it can be, in bytes that JSON makes longer.
func hostile(t *testing.T, n *facts.Node) {
	t.Helper()
	const text = `<&">\ü`
	if n.Report == nil {
		return
	}
	r := *n.Report
	r.PayloadVersion, r.Architecture = strings.Repeat(text, 80), strings.Repeat(text, 80)
	if r.HostCheck != "" {
		r.HostCheck = strings.Repeat(text, 80)
	}
	if r.Error != nil {
		r.Error = &node.Error{Step: strings.Repeat(text, 40), Reason: strings.Repeat(text, 40), Message: strings.Repeat(text, 80)}
	}
	if r.Phase == node.PhaseIdle {
		r.Payload = n.Name + strings.Repeat(text, 40)
	}
	for i := range r.BoundPods.Names {
		r.BoundPods.Names[i] = strings.Repeat(text, 40)
	}
	document, err := json.Marshal(r)
	require.NoError(t, err)
	decoded, err := node.DecodeReport(string(document))
	require.NoError(t, err)
	n.Report = &decoded
}

// crowd is fifty nodes in every state that a node can be in, with the longest names and texts.
func crowd(t *testing.T, c facts.Config) []facts.Node {
	t.Helper()
	problem := func(n *facts.Node) {
		_, err := node.DecodeReport(`{"version":1,"bootID":"b","phase":"` + strings.Repeat(`<&'>`, 3000) + `"}`)
		n.Report, n.ReportProblem = nil, node.Sentence(err.Error())
	}
	states := [][]State{
		{},
		{Idle},
		{Idle, NotReady},
		{Idle, Cordoned},
		{problem},
		{Wanted(c)},
		{Wanted(c), NotReady, Unchanged(48 * time.Hour)},
		{Done(c)},
		{Done(c), Rebooted},
		{Wanted(c), Reports(node.PhaseAwaitingGrant)},
		{Wanted(c), Reports(node.PhaseInstalling)},
		{Wanted(c), Reports(node.PhaseInstalling), Fails("pull payload", "x")},
		{Wanted(c), Reports(node.PhaseInstalling), Unfit},
		{Wanted(c), Reports(node.PhaseInstalled)},
		{Unwanted(c), Reports(node.PhaseBlocked), Pods(1000, "a", "b", "c", "d", "e"), Without("node-role.kubernetes.io/worker")},
		{Unwanted(c), Without("node-role.kubernetes.io/worker")},
	}
	var nodes []facts.Node
	for i, of := range states {
		for j := range 50 {
			n := Worker(long("node", i*50+j), of...)
			hostile(t, &n)
			nodes = append(nodes, n)
		}
	}
	for i := range 20 {
		older := c
		older.Payload = fmt.Sprintf("%s/p@sha256:%064d", strings.Repeat("r", 440), i)
		nodes = append(nodes, Worker(long("older", i), Done(older)))
	}
	return nodes
}

// TestTheWholeStatusHasAnUpperBound makes everything in it as large as nodes, their agents and
// other KataConfigs can.
func TestTheWholeStatusHasAnUpperBound(t *testing.T) {
	t.Parallel()
	image := fmt.Sprintf("%s/p@sha256:%064d", strings.Repeat("r", 440), 1000)
	refused := func(c *facts.Config) {
		c.Refused = &facts.Refusal{Reason: facts.ReasonInvalidSelector, Message: strings.Repeat(`<"&>`, 10_000)}
	}
	largest := 0
	for name, change := range map[string]Change{"rollout": func(*facts.Config) {}, "deletion": Deleted, "paused": Paused, "refused": refused} {
		c := Config(long("config", 0), Payload(image), change)
		configs := []facts.Config{c}
		for i := range 50 {
			configs = append(configs, Config(long("config", i+1), Younger), Config(long("config", 1000+i), func(c *facts.Config) { c.Created = c.Created.Add(-time.Hour) }, Selects("overlaps", "x")))
		}
		nodes := crowd(t, c)
		nodes = append(nodes, Worker(long("node", 9999), With("overlaps", "x")))
		pools := selection.Divide(configs, nodes).Pools
		for _, pool := range pools {
			if pool.Config.Name != c.Name {
				continue
			}
			in := status.Input{
				Pool: pool, Deadline: deadline, Progress: time.Hour, Now: Noon(), Overhead: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("1023999999999"), corev1.ResourceMemory: resource.MustParse("1023999999999"), corev1.ResourceEphemeralStorage: resource.MustParse("1023999999999"),
				},
				Unavailable: rollout.PaceOf(pool, &rollout.Book{}, rollout.Limits{}, Noon()).Unavailable,
			}
			for _, in.Halted = range []map[string]bool{nil, {image: true}} {
				s, _ := status.Of(in)
				document, err := json.Marshal(s)
				require.NoError(t, err)
				assert.LessOrEqual(t, len(document), v1.MaxStatusBytes, "%s: %s", name, parts(t, s))
				largest = max(largest, len(document))
				in.Previous = s
				again, _ := status.Of(in)
				assert.Equal(t, s, again)
			}
		}
	}
	t.Logf("%d bytes at most", largest)
}

// parts is what each part of a status weighs.
func parts(t *testing.T, s v1.KataConfigStatus) map[string]int {
	t.Helper()
	out := map[string]int{}
	for name, part := range map[string]any{"payloads": s.Payloads, "failedNodes": s.FailedNodes, "waiting": s.Waiting, "conflicts": s.Conflicts, "conditions": s.Conditions} {
		document, err := json.Marshal(part)
		require.NoError(t, err)
		out[name] = len(document)
	}
	return out
}
