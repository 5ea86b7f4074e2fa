// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	listers "k8s.io/client-go/listers/core/v1"
	nodeutil "k8s.io/component-helpers/node/util"

	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
)

// postTries is how often the kubelet tries to write one status before it waits for the next round.
const postTries = 5

// nodeKeeper keeps the Node object. Like the kubelet it registers once per life: a Node that is
// deleted under a running kubelet stays away until the kubelet starts again.
type nodeKeeper struct {
	Options
	nodes listers.NodeLister

	mu       sync.Mutex
	runtime  nodestatus.Runtime
	reported time.Time
}

// watchRuntime asks the runtime for its status on a loop of its own, because a stalled runtime must
// not keep the node from being reported as NotReady.
func (k *nodeKeeper) watchRuntime(ctx context.Context) {
	answered := func(ctx context.Context) bool {
		k.checkRuntime(ctx)
		return k.heard().Problem(time.Now()) == nil
	}
	if until(ctx, k.Periods.Startup, answered) {
		every(ctx, k.Periods.RuntimeCheck, k.checkRuntime)
	}
}

func (k *nodeKeeper) checkRuntime(ctx context.Context) {
	version, err := k.Runtime.Version(ctx)
	if err != nil {
		k.Log.WithError(err).Warn("checking the container runtime")
		return
	}
	status, err := k.Runtime.Status(ctx)
	if err != nil {
		k.Log.WithError(err).Warn("checking the container runtime")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runtime = k.runtime.Observe(version, status, time.Now())
}

func (k *nodeKeeper) heard() nodestatus.Runtime {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.runtime
}

// post registers the node and then writes its status whenever it changed: often until the node is
// Ready for the first time, later in the kubelet's rhythm.
func (k *nodeKeeper) post(ctx context.Context) {
	k.register(ctx)
	ready := func(ctx context.Context) bool {
		ready, err := k.tryUpdate(ctx, 0)
		return ready && err == nil
	}
	if until(ctx, k.Periods.Startup, ready) {
		every(ctx, k.Periods.NodeStatus, k.update)
	}
}

// register creates the Node or sets the default labels of an existing one right, with the kubelet's
// back-off, until it succeeds or the context ends.
func (k *nodeKeeper) register(ctx context.Context) {
	backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 7, Cap: 7 * time.Second}
	_ = backoff.DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) {
		if err := k.tryRegister(ctx); err != nil {
			k.Log.WithError(err).Warn("registering the node")
			return false, nil
		}
		k.Log.Info("node registered")
		return true, nil
	})
}

func (k *nodeKeeper) tryRegister(ctx context.Context) error {
	nodes := k.Heartbeat.CoreV1().Nodes()
	_, err := nodes.Create(ctx, nodestatus.Initial(k.Machine, k.heard(), time.Now()), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	existing, err := nodes.Get(ctx, k.Machine.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	labelled := existing.DeepCopy()
	if labelled.Labels == nil {
		labelled.Labels = map[string]string{}
	}
	maps.Copy(labelled.Labels, nodestatus.DefaultLabels(k.Machine))
	if maps.Equal(labelled.Labels, existing.Labels) {
		return nil
	}
	return k.patch(existing, labelled)
}

// update brings the Node up to date.
func (k *nodeKeeper) update(ctx context.Context) {
	var err error
	for try := range postTries {
		if _, err = k.tryUpdate(ctx, try); err == nil || ctx.Err() != nil {
			return
		}
	}
	k.Log.WithError(err).Warn("updating the node's status")
}

// tryUpdate patches the Node where it differs, or when it is due for a heartbeat, and reports
// whether it is Ready.
func (k *nodeKeeper) tryUpdate(ctx context.Context, try int) (ready bool, err error) {
	node, err := k.read(ctx, try)
	if err != nil {
		return false, fmt.Errorf("reading node %q: %w", k.Machine.Name, err)
	}
	now := time.Now()
	updated, changed := nodestatus.Update(node, k.Machine, k.heard(), now)
	if !changed && now.Sub(k.reported) < k.Periods.NodeReport {
		return nodestatus.Ready(node), nil
	}
	if err := k.patch(node, updated); err != nil {
		return false, err
	}
	k.reported = now
	return nodestatus.Ready(updated), nil
}

// read serves the first try from the watch and all further tries from the API server.
func (k *nodeKeeper) read(ctx context.Context, try int) (*corev1.Node, error) {
	if try == 0 {
		return k.nodes.Get(k.Machine.Name)
	}
	return k.Heartbeat.CoreV1().Nodes().Get(ctx, k.Machine.Name, metav1.GetOptions{})
}

// patch sends the difference only, merged by condition type: conditions of other writers are not
// part of it.
func (k *nodeKeeper) patch(from, to *corev1.Node) error {
	_, _, err := nodeutil.PatchNodeStatus(k.Heartbeat.CoreV1(), types.NodeName(k.Machine.Name), from, to)
	return err
}
