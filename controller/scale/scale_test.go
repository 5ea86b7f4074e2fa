// SPDX-License-Identifier: Apache-2.0

// Package scale_test measures the controller in clusters of up to 15,000 nodes in memory: resident
// size, CPU time, requests, and how long it takes.
package scale_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/scale/scaletest"
)

// events is how many changes of single nodes are measured.
const events = 40

// sizes are how many nodes the clusters have.
func sizes() []int { return []int{100, 1000, 5000, 15000} }

// BenchmarkRollout installs a payload on all nodes, with the controller as it is shipped.
func BenchmarkRollout(b *testing.B) {
	controller := program(b)
	for _, size := range sizes() {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				rollout(b, controller, size)
			}
		})
	}
}

func rollout(b *testing.B, controller string, size int) {
	b.Helper()
	s := newFleet(size)
	defer s.http.CloseClientConnections()
	s.streams = true
	s.install(max(size/10, 10))
	p := run(b, s, controller, size)
	defer p.stop()
	took := until(b, "the end of the rollout", func() bool { return s.completed() == size })
	b.ReportMetric(took.Seconds(), "rollout-s")
	b.ReportMetric(p.cpu().Seconds(), "cpu-s")
	b.ReportMetric(p.memory("VmHWM"), "peak-MiB")
	counts := s.requests()
	b.ReportMetric(float64(counts["patch nodes"])/float64(size), "patches/node")
	for what, count := range counts {
		b.ReportMetric(float64(count), strings.ReplaceAll(what, " ", "-"))
	}
	late := until(b, "the last event", func() bool { return s.requests()["post events"] >= eventsOfANode*size })
	b.ReportMetric(late.Seconds(), "events-s")
	b.ReportMetric(p.memory("VmHWM"), "events-peak-MiB")
}

// eventsOfANode are its intent, its grant and its label.
const eventsOfANode = 3

// BenchmarkScale lets the controller lead a cluster in which everything is installed, and changes
// single nodes; on an API server that streams lists, and on one that does not. The baseline
// follows, on the former.
func BenchmarkScale(b *testing.B) {
	controller := program(b)
	for _, size := range sizes() {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				atScale(b, controller, size)
			}
		})
	}
}

func atScale(b *testing.B, controller string, size int) {
	b.Helper()
	s := newFleet(size)
	defer s.http.CloseClientConnections()
	s.install(10)
	s.installed()
	for _, streams := range []bool{true, false} {
		s.streams = streams
		s.forgetLeader()
		p := run(b, s, controller, size)
		if streams {
			until(b, "the first status", func() bool { return s.completed() == size })
			b.ReportMetric(p.memory("VmHWM"), "streamed-peak-MiB")
			s.atRest(b, p, size)
		} else {
			s.event(b, s.counted(size), 0)
			s.event(b, s.counted(size), 1)
			b.ReportMetric(p.memory("VmHWM"), "listed-peak-MiB")
		}
		p.stop()
	}
	s.streams = true
	p := start(b, &exec.Cmd{Path: os.Args[0], Args: os.Args[:1], Env: []string{baselineOf + "=" + s.http.URL}})
	defer p.stop()
	until(b, "the first pass of the baseline", func() bool { return s.requests()["post baseline"] > 0 })
	cpu, _ := s.react(b, p, s.passed)
	b.ReportMetric(cpu.Seconds()*1000, "baseline-event-cpu-ms")
	b.ReportMetric(p.memory("VmRSS"), "baseline-MiB")
	b.ReportMetric(p.memory("VmHWM"), "baseline-peak-MiB")
}

// rate lets no rollout take longer than some minutes. RATE is another one, such as the default of
// the controller, 20.
func rate(size int) string { return cmp.Or(os.Getenv("RATE"), fmt.Sprint(max(20, size/20))) }

// run starts the controller.
func run(b *testing.B, s *apiServer, controller string, size int) *process {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), controller, "--kubeconfig", credential(b, s), "--log-level", "warning", "--listen", "",
		"--requests-per-second", rate(size))
	cmd.Env = []string{"GOGC=50", "GOMEMLIMIT=200MiB"} // As in deploy/.
	return start(b, cmd)
}

// atRest measures the controller while nothing happens, while kubelets renew their conditions, and
// while single nodes change.
func (s *apiServer) atRest(b *testing.B, p *process, size int) {
	b.Helper()
	cpu, latency := s.react(b, p, s.counted(size))
	b.ReportMetric(cpu.Seconds()*1000, "event-cpu-ms")
	b.ReportMetric(latency.Seconds()*1000, "event-ms")
	b.ReportMetric(p.memory("VmRSS"), "rest-MiB")
	before, used := s.requests(), p.cpu()
	s.heartbeats()
	s.event(b, s.counted(size), 0)
	s.event(b, s.counted(size), 1)
	b.ReportMetric((p.cpu()-used).Seconds()*1e6/float64(size), "heartbeat-cpu-us")
	if extra := writes(since(before, s.requests())) - 2; extra > 0 {
		b.Errorf("%d writes at rest: %v", extra, since(before, s.requests()))
	}
	b.ReportMetric(p.memory("VmRSS"), "rest-after-heartbeats-MiB")
}

// answered returns what is true once a change of readiness has been answered.
type answered func(status corev1.ConditionStatus) func() bool

// counted is answered by the status of the KataConfig.
func (s *apiServer) counted(size int) answered {
	return func(status corev1.ConditionStatus) func() bool {
		want := size
		if status == corev1.ConditionFalse {
			want--
		}
		return func() bool { return s.completed() == want }
	}
}

// passed is answered by the request after each pass of the baseline.
func (s *apiServer) passed(corev1.ConditionStatus) func() bool {
	before := s.requests()["post baseline"]
	return func() bool { return s.requests()["post baseline"] > before }
}

// react lets single nodes change, one after the other, and returns what each costs the process and
// the median of how long it takes.
func (s *apiServer) react(b *testing.B, p *process, answers answered) (cpu, latency time.Duration) {
	b.Helper()
	before := p.cpu()
	var took []time.Duration
	for i := range events {
		took = append(took, s.event(b, answers, i))
	}
	slices.Sort(took)
	return (p.cpu() - before) / events, took[events/2]
}

// event changes the readiness of one node, and returns how long it takes to be answered.
func (s *apiServer) event(b *testing.B, answers answered, i int) time.Duration {
	b.Helper()
	status := corev1.ConditionFalse
	if i%2 == 1 {
		status = corev1.ConditionTrue
	}
	reached := answers(status)
	s.setReady(scaletest.Name(i/2), status)
	return until(b, "the answer to an event", reached)
}

// since is what has been requested between two counts.
func since(before, after map[string]int) map[string]int {
	out := map[string]int{}
	for what, n := range after {
		if n > before[what] {
			out[what] = n - before[what]
		}
	}
	return out
}

// writes counts those of the controller, without its lease and events, which come later.
func writes(requests map[string]int) int {
	sum := 0
	for what, n := range requests {
		verb, resource, _ := strings.Cut(what, " ")
		if verb != "get" && verb != "list" && verb != "watch" && resource != "leases" && resource != "selfsubjectreviews" && resource != "events" {
			sum += n
		}
	}
	return sum
}
