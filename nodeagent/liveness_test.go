// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// beats runs an agent inside a bubble whose clock is the agent's, and counts what the watchdog
// gets.
func beats(t *testing.T, a *nodeagent.Agent, during time.Duration) (fed int, stop func()) {
	t.Helper()
	a.Now = time.Now
	ctx, end := context.WithCancel(t.Context())
	ticker := time.NewTicker(15 * time.Second)
	var over sync.WaitGroup
	var count atomic.Int32
	over.Go(func() { a.Run(ctx, nil, ticker.C, func() { count.Add(1) }) })
	time.Sleep(during)
	synctest.Wait()
	return int(count.Load()), func() {
		end()
		ticker.Stop()
		over.Wait()
	}
}

// deaf is a host whose observation never ends and cannot be interrupted.
type deaf struct{ release chan struct{} }

func (d deaf) Look(context.Context, cluster.State) (plan.Facts, error) {
	<-d.release
	return plan.Facts{}, errors.New("released")
}

func TestAHungObservationIsNotFedToTheWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deaf{make(chan struct{})}
		w := wanting(node.StateInstalled)
		a := w.agent(t)
		a.Looker = d
		fed, stop := beats(t, a, time.Hour)
		assert.Equal(t, 6, fed, "only in its first 90 s")
		before := time.Now()
		stop()
		assert.Equal(t, 6*time.Second, time.Since(before), "and it does not keep the agent from ending")
		require.NotEmpty(t, w.hung)
		assert.Equal(t, "observing the host: no progress for 1m45s: systemd restarts the agent", w.hung[0], "people see why")
		close(d.release)
	})
}

func TestPruningThatTakesLongIsAllowedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := wanting(node.StateAbsent).agent(t)
		a.Prune = func() error { time.Sleep(10 * time.Minute); return nil }
		fed, stop := beats(t, a, 10*time.Minute)
		assert.Equal(t, 40, fed)
		stop()
	})
}

func TestAPullIsAliveWhileItProgresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text func(minute int) string
		fed  int
	}{
		"progress": {func(minute int) string { return time.Duration(minute).String() }, 240},
		"the same": {func(int) string { return "pulling" }, 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := wanting(node.StateInstalled)
				a := w.agent(t)
				w.do = func(ctx context.Context, _ plan.Step) error {
					for minute := 1; ctx.Err() == nil; minute++ {
						a.Progressed(c.text(minute))
						select {
						case <-ctx.Done():
						case <-time.After(time.Minute):
						}
					}
					return ctx.Err()
				}
				fed, stop := beats(t, a, time.Hour)
				assert.InDelta(t, c.fed, fed, 6)
				stop()
			})
		})
	}
}

func TestAReportIsWrittenWhileAStepTakesLong(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{"unknown Node": cluster.ErrUnknownNode, "refused": errors.New("connection refused")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := wanting(node.StateInstalled)
				w.refuse = refusal
				w.do = func(ctx context.Context, _ plan.Step) error { <-ctx.Done(); return ctx.Err() }
				a := w.agent(t)
				_, stop := beats(t, a, time.Second/4)
				require.Zero(t, w.written())
				w.mu.Lock()
				w.refuse = nil
				w.mu.Unlock()
				time.Sleep(3 * time.Second)
				synctest.Wait()
				assert.Equal(t, node.PhaseInstalling, w.Reported().Phase)
				stop()
			})
		})
	}
}

func TestASlowAPIServerHoldsUpNoStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.slow = 25 * time.Second
		begun := time.Duration(0)
		started := time.Now()
		w.do = func(ctx context.Context, _ plan.Step) error {
			begun = time.Since(started)
			<-ctx.Done()
			return ctx.Err()
		}
		_, stop := beats(t, w.agent(t), 10*time.Second)
		assert.Equal(t, 2*time.Second, begun)
		assert.Zero(t, w.written())
		time.Sleep(20 * time.Second)
		synctest.Wait()
		assert.Equal(t, 1, w.written(), "and the report is written meanwhile")
		stop()
	})
}

func TestAQuickStepDoesNotWaitForTheReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.facts.Intent.Kept = false
		w.slow = time.Second
		begun := time.Duration(-1)
		started := time.Now()
		w.do = func(ctx context.Context, s plan.Step) error {
			assert.Equal(t, plan.Keep, s.Kind)
			begun = time.Since(started)
			<-ctx.Done()
			return ctx.Err()
		}
		_, stop := beats(t, w.agent(t), 10*time.Second)
		assert.Zero(t, begun)
		synctest.Wait()
		assert.Equal(t, 1, w.written(), "it is written in parallel with the step")
		stop()
	})
}

func TestAfterAnOutageTheReportComesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.refuse = errors.New("connection refused")
		w.do = func(ctx context.Context, _ plan.Step) error { <-ctx.Done(); return ctx.Err() }
		a := w.agent(t)
		a.Now = time.Now
		ctx, end := context.WithCancel(t.Context())
		changed := make(chan struct{})
		var over sync.WaitGroup
		over.Go(func() { a.Run(ctx, changed, nil, nil) })
		time.Sleep(2 * time.Hour)
		w.mu.Lock()
		w.refuse, w.shown.PodsKnown = nil, true
		w.mu.Unlock()
		changed <- struct{}{}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 1, w.written())
		end()
		over.Wait()
	})
}

// A node that waits takes a look every two seconds. An API server that refuses its reports must not
// be asked as often.
func TestRefusedReportsHaveAPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateAbsent)
		w.facts.Runtime.DropIn.Exists, w.facts.Cluster.BoundPods = true, []string{"ns/pod"}
		w.refuse = errors.New("denied by policy")
		_, stop := beats(t, w.agent(t), time.Hour)
		stop()
		assert.Less(t, w.published, 40)
	})
}

func TestATextThatChangesAtEachLookIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.do = func(context.Context, plan.Step) error {
			return errors.New("dial udp 10.0.0.1:" + time.Now().Format("05.000") + ": refused")
		}
		_, stop := beats(t, w.agent(t), time.Hour)
		stop()
		assert.LessOrEqual(t, len(w.reports), 17, "installing, the error, and 3 + 12 other texts")
	})
}

// lacking makes a node whose payload leaves QEMU to packages that are to be layered.
func lacking() *world {
	w := wanting(node.StateInstalled)
	here := plan.Image{ID: "i", Digests: []string{node.Digest(payload)}, Platform: node.Digest(payload)}
	verified := &record.Verified{HandlerType: "vm", Needs: record.Needs{QEMU: true}, Packages: []record.Package{{Name: "qemu", NEVRA: "qemu-1-1.x86_64", Path: "qemu.rpm"}}}
	w.facts.Store.Images = []plan.Image{here}
	w.facts.Slots.All = []plan.Slot{{ID: plan.SlotID(here.Platform, "", ""), Mounted: true, Verified: verified}}
	w.facts.Packages.System = host.OSTree{Exists: true, Deployments: []host.Deployment{{Checksum: "1", Booted: true}}}
	return w
}

func TestLayeringThatTakesLongIsAllowedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := lacking()
		w.do = func(ctx context.Context, s plan.Step) error {
			assert.Equal(t, plan.LayerPackages, s.Kind)
			<-ctx.Done()
			return ctx.Err()
		}
		fed, stop := beats(t, w.agent(t), 40*time.Minute)
		assert.InDelta(t, 160, fed, 1)
		assert.Empty(t, w.hung)
		stop()
	})
}
