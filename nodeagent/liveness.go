// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"fmt"
	"sync"
	"time"

	"github.com/kata-node/kata-node/nodeagent/plan"
)

// How long the phases of a pass may take before the agent counts as hung. All are well beyond the
// limits that the work sets itself: a step that ends with an error of its own names the cause.
const (
	// observing has a limit of 20 s for CRI-O, and reads small files otherwise.
	observing = 90 * time.Second
	// publishing is one request.
	publishing = 2 * publishLimit
	// pruning deletes what interrupted pulls left, which may be gigabytes.
	pruning = 15 * time.Minute
	// shortStep changes a few small files.
	shortStep = 2 * time.Minute
	// runtimeStep waits for CRI-O, whose calls have limits of at most 3 min.
	runtimeStep = 6 * time.Minute
	// diskStep reads or deletes a whole payload.
	diskStep = 30 * time.Minute
	// layerStep lets rpm-ostree make a deployment; its caller waits for 45 min at most.
	layerStep = time.Hour
	// pullStep is the time without progress; a pull that fetches nothing for a minute ends by
	// itself.
	pullStep = 15 * time.Minute
)

// patience is how long a step may take, or a pull may go without progress.
func patience(k plan.Kind) time.Duration {
	switch k {
	case plan.Pull, plan.Prefetch:
		return pullStep
	case plan.Verify, plan.VerifyAgain, plan.BuildGuest, plan.BuildAhead, plan.DeleteImage, plan.Clear, plan.Drain:
		return diskStep
	case plan.LayerPackages, plan.UnlayerPackages:
		return layerStep
	case plan.RestartCRIO, plan.StartDependents, plan.Prove, plan.Control, plan.RemoveSandbox, plan.Reclaim, plan.Cordon, plan.Uncordon, plan.RebootNode,
		plan.LoadModules:
		return runtimeStep
	case plan.Keep, plan.Mount, plan.Resume, plan.KeepFindings, plan.DropFindings, plan.Configure, plan.WriteDropIn, plan.PointProof, plan.PointCurrent,
		plan.Record, plan.Withdraw, plan.Unmount, plan.DeleteGuest, plan.RemoveDropIn, plan.Forget, plan.ForgetReboot, plan.ConfirmNode:
		return shortStep
	}
	return shortStep
}

// liveness is what the watchdog follows: the work, not the loop around it. A phase that exceeds its
// patience, such as a read of a dying disk that no signal interrupts, is for systemd to end.
type liveness struct {
	mu      sync.Mutex
	phase   string
	allowed time.Duration
	began   time.Time
	sign    string
}

// enter begins a phase. The function that it returns ends it.
func (l *liveness) enter(phase string, allowed time.Duration, now time.Time) (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase, l.allowed, l.began, l.sign = phase, allowed, now, ""
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.phase = ""
	}
}

// progress prolongs a phase. A sign that was seen before is none.
func (l *liveness) progress(sign string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sign != l.sign {
		l.sign, l.began = sign, now
	}
}

// hung returns the sentence about a phase that takes too long, empty for one that does not.
func (l *liveness) hung(now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == "" || now.Sub(l.began) <= l.allowed {
		return ""
	}
	return fmt.Sprintf("%s: no progress for %s: systemd restarts the agent", l.phase, now.Sub(l.began).Round(time.Second))
}
