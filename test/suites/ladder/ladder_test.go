// SPDX-License-Identifier: Apache-2.0

// Package ladder_test lets the controller, as it is shipped, roll out on clusters of more and more
// nodes, which speak the real protocol to a real API server: each has its own credential and the
// agent's own client. There are no hosts behind them: what an agent would do there takes no time.
package ladder_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(baselineOf); kubeconfig != "" {
		if err := baseline(kubeconfig); err != nil {
			fmt.Fprintln(os.Stderr, "baseline:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// mostWrites is how often each half may write a Node in a rollout.
const mostWrites = 4

// The smallest rung keeps what the others measure with from rotting.
func TestNodesAreInstalledAndUpdatedWithFewWritesAlsoWhereTheControllerIsKilled(t *testing.T) {
	t.Parallel()
	r := climb(t, 20)
	t.Logf("%v", r)
	assert.LessOrEqual(t, r["controller-patches/node"], float64(mostWrites))
	assert.LessOrEqual(t, r["agent-patches/node"], float64(mostWrites))
	assert.LessOrEqual(t, r["update-controller-patches/node"], float64(mostWrites))
	assert.LessOrEqual(t, r["update-agent-patches/node"], float64(mostWrites))
	assert.Zero(t, r["writes-at-rest"])
	for _, figure := range []string{"MiB", "cpu-s", "rollout-s", "event-ms", "update-s", "restart-s", "restart-peak-MiB", "baseline-MiB"} {
		assert.Positive(t, r[figure], figure)
	}
}

// BenchmarkLadder is for `make bench BENCH=Ladder`. The largest rung needs 10 GB of memory and
// three quarters of an hour on two cores. 15,000 nodes are in BenchmarkScale of controller/scale,
// whose API server is in memory.
func BenchmarkLadder(b *testing.B) {
	for _, size := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				for figure, value := range climb(b, size) {
					b.ReportMetric(value, figure)
				}
			}
		})
	}
}

// figures are what one rung is measured to be, by unit.
type figures map[string]float64

// climb takes one rung: a rollout and its last events, single changes, heartbeats of all nodes, an
// update in which the controller is killed, and the same changes for the baseline.
func climb(tb testing.TB, size int) figures {
	tb.Helper()
	out := figures{}
	r := newRung(tb, size)
	controller := r.startController(tb)
	out["rollout-s"] = r.rollout(tb).Seconds()
	out["cpu-s"], out["peak-MiB"] = controller.cpu(tb).Seconds(), controller.memory(tb, "VmHWM")
	r.count(tb, out)
	out["events-s"], out["events-peak-MiB"] = r.sent(tb, controller).Seconds(), controller.memory(tb, "VmHWM")
	cpu, latency := r.react(tb, controller.process, r.completed)
	out["event-cpu-ms"], out["event-ms"] = cpu.Seconds()*1000, latency.Seconds()*1000
	out["MiB"] = controller.memory(tb, "VmRSS")
	before := r.writes(tb)
	r.heartbeats(tb)
	r.settle(tb)
	out["writes-at-rest"] = float64(r.writes(tb) - before - settling)
	out["after-heartbeats-MiB"] = controller.memory(tb, "VmRSS")
	controller.stop(tb)
	r.updateUnderARestart(tb, out)

	b := r.startBaseline(tb)
	cpu, latency = r.react(tb, b.process, b.ready)
	out["baseline-event-cpu-ms"], out["baseline-event-ms"] = cpu.Seconds()*1000, latency.Seconds()*1000
	out["baseline-MiB"], out["baseline-peak-MiB"] = b.memory(tb, "VmRSS"), b.memory(tb, "VmHWM")
	b.stop(tb)
	require.NotEmpty(tb, out)
	return out
}
