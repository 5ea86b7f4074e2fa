// SPDX-License-Identifier: Apache-2.0

package ladder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"

	"github.com/kata-node/kata-node/test/bed"
)

// Where deploy/ puts the controller, and what is installed.
const (
	namespace = "kata-node"
	account   = "kata-controller"
	payload   = "registry.kata.test/kata/payload@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	// newer is what they are updated to.
	newer = "registry.kata.test/kata/payload@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	// configName is the one KataConfig.
	configName = "all"
)

// rung is a cluster of some size.
type rung struct {
	size      int
	workspace bed.Workspace
	cluster   *bed.Cluster
	kube      *kubernetes.Clientset
	configs   dynamic.ResourceInterface
	dir       string
}

// newRung starts a control plane with deploy/, nodes and their agents, and returns when every agent
// has reported. No node gets lost: nothing renews their leases, and the controller that misses them
// does not run.
func newRung(tb testing.TB, size int) *rung {
	tb.Helper()
	r := &rung{size: size, dir: tb.TempDir()}
	var err error
	r.workspace, err = bed.FindWorkspace()
	require.NoError(tb, err)
	programs, err := r.workspace.Build(tb.Context(), os.Stderr, bed.BuildOptions{Only: []string{"testbed"}})
	require.NoError(tb, err)
	r.cluster, err = r.workspace.Start(tb.Context(), bed.Options{Programs: programs, Without: names.NodeLifecycleController})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, r.cluster.Close(context.Background())) }) //nolint:usetesting // the test's context is over by then
	admin, err := r.cluster.Admin()
	require.NoError(tb, err)
	r.kube, err = kubernetes.NewForConfig(admin)
	require.NoError(tb, err)
	all, err := dynamic.NewForConfig(admin)
	require.NoError(tb, err)
	r.configs = all.Resource(v1.GroupVersion().WithResource(v1.Resource))
	require.NoError(tb, r.cluster.Apply(tb.Context(), r.workspace.Path("deploy")))
	r.each(tb, "registering nodes", func(ctx context.Context, i int) error {
		_, err := r.kube.CoreV1().Nodes().Create(ctx, registered(i), metav1.CreateOptions{})
		return err
	})
	r.startAgents(tb)
	return r
}

// registered is a Node as its kubelet makes it: the API server gives it UID and fields.
func registered(i int) *corev1.Node {
	n := scaletest.Node(i)
	n.UID, n.CreationTimestamp, n.ManagedFields = "", metav1.Time{}, nil
	return n
}

// starting is how many agents may start at the same time. Nodes of a cluster never start at one
// moment, and an API server on two cores that 5,000 of them ask at once refuses nearly everything.
const starting = 32

// startAgents returns once each has reported.
func (r *rung) startAgents(tb testing.TB) {
	tb.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(tb.Context())
	var running sync.WaitGroup
	tb.Cleanup(running.Wait)
	tb.Cleanup(cancel)
	var idle atomic.Int64
	places := make(chan struct{}, starting)
	limit := time.NewTimer(r.limit())
	defer limit.Stop()
	for i := range r.size + starting {
		select {
		case places <- struct{}{}:
		case <-limit.C:
			require.FailNowf(tb, "waited too long", "%d of %d agents have reported in %s", idle.Load(), r.size, r.limit())
		}
		if i >= r.size {
			continue // The last ones report.
		}
		a := r.agent(tb, i, log, func() { idle.Add(1); <-places })
		running.Go(func() { a.run(ctx) })
	}
}

// limit is how long one thing may take, on a machine that is busy with something else.
func (r *rung) limit() time.Duration {
	return 3*time.Minute + time.Duration(r.size)*500*time.Millisecond
}

// requestLimit bounds each request of a rung's own.
const requestLimit = 30 * time.Second

// each does something for every node, for some of them at once.
func (r *rung) each(tb testing.TB, what string, do func(ctx context.Context, i int) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), r.limit())
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex
	var errs []error
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < r.size && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				one, done := context.WithTimeout(ctx, requestLimit)
				err := do(one, i)
				done()
				if err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("node %d: %w", i, err))
					mu.Unlock()
					return
				}
			}
		})
	}
	workers.Wait()
	require.NoError(tb, errors.Join(append(errs, ctx.Err())...), "%s: %d of %d are begun", what, min(int(next.Load()), r.size), r.size)
}

// await asks until the answer is nil, and returns how long it took. A rung never waits for ever:
// the test fails with what it waited for and with the last answer.
func (r *rung) await(tb testing.TB, what string, ask func(context.Context) error) time.Duration {
	tb.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(tb.Context(), r.limit())
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		one, done := context.WithTimeout(ctx, requestLimit)
		err := ask(one)
		done()
		if err == nil {
			return time.Since(began)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNowf(tb, "waited too long", "%s with %d nodes has not come in %s: %v", what, r.size, r.limit(), err)
		}
	}
}

// rollout installs the payload on all nodes, and returns how long it took.
func (r *rung) rollout(tb testing.TB) time.Duration {
	tb.Helper()
	began := time.Now()
	r.want(tb, payload)
	r.await(tb, "the end of the rollout", func(ctx context.Context) error { return r.completed(ctx, r.size, r.size) })
	return time.Since(began)
}

// updateUnderARestart gives all nodes another payload, and kills the controller when half of them
// have it. What is left is up to another controller, which knows what the API server knows.
func (r *rung) updateUnderARestart(tb testing.TB, out figures) {
	tb.Helper()
	before := figures{}
	r.count(tb, before)
	controller := r.startController(tb)
	began := time.Now()
	r.want(tb, newer)
	done := r.size / 2
	reach := func(ctx context.Context) error { return r.reached(ctx, done) }
	r.await(tb, "half of the update", reach)
	controller.stop(tb)
	done, _ = r.progress(tb.Context()) //nolint:errcheck // half of them, at least
	done = min(done+1, r.size)
	controller = r.startController(tb)
	out["restart-s"] = r.await(tb, "progress after the restart", reach).Seconds()
	r.await(tb, "the end of the update", func(ctx context.Context) error { return r.completed(ctx, r.size, r.size) })
	out["update-s"], out["restart-peak-MiB"] = time.Since(began).Seconds(), controller.memory(tb, "VmHWM")
	r.writes(tb)
	controller.stop(tb)
	after := figures{}
	r.count(tb, after)
	for _, half := range []string{"controller-patches/node", "agent-patches/node"} {
		out["update-"+half] = after[half] - before[half]
	}
}

// want names a payload, for a tenth of the nodes at a time.
func (r *rung) want(tb testing.TB, image string) {
	tb.Helper()
	parallel := max(r.size/10, 10)
	require.NoError(tb, r.cluster.ApplyYAML(tb.Context(), fmt.Appendf(nil,
		"apiVersion: kataconfiguration.openshift.io/v1\nkind: KataConfig\nmetadata: {name: %s}\nspec: {config: {payloadImage: '%s', maxParallel: %d, maxUnavailable: %d}}\n",
		configName, image, parallel, parallel)))
}

// progress is how many nodes are complete by the status, an error while it is about a former spec.
func (r *rung) progress(ctx context.Context) (int, error) {
	object, err := r.configs.Get(ctx, configName, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	kc := &v1.KataConfig{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, kc); err != nil {
		return 0, err
	}
	if len(kc.Status.Conditions) == 0 || kc.Status.Conditions[0].ObservedGeneration != kc.Generation {
		return 0, fmt.Errorf("the status is not about generation %d: %v", kc.Generation, object.Object["status"])
	}
	return int(kc.Status.CompletedNodesCount), nil
}

// completed is nil once the status says so.
func (r *rung) completed(ctx context.Context, nodes, of int) error {
	found, err := r.progress(ctx)
	if err == nil && found != nodes {
		err = fmt.Errorf("the status says that %d of %d are complete, not %d", found, of, nodes)
	}
	return err
}

// reached is nil once so many nodes are complete, or more.
func (r *rung) reached(ctx context.Context, nodes int) error {
	found, err := r.progress(ctx)
	if err == nil && found < nodes {
		err = fmt.Errorf("the status says that %d are complete, not %d", found, nodes)
	}
	return err
}

// events is how many changes of single nodes are measured.
const events = 20

// react lets single nodes change, one after the other, and returns what each costs the process and
// the median of how long it takes until the answer.
func (r *rung) react(tb testing.TB, p *process, answered func(ctx context.Context, nodes, of int) error) (cpu, latency time.Duration) {
	tb.Helper()
	before := p.cpu(tb)
	var took []time.Duration
	for i := range events {
		took = append(took, r.event(tb, i, answered))
	}
	slices.Sort(took)
	return (p.cpu(tb) - before) / events, took[events/2]
}

// event changes the readiness of one node; the next event changes it back.
func (r *rung) event(tb testing.TB, i int, answered func(ctx context.Context, nodes, of int) error) time.Duration {
	tb.Helper()
	status, want := corev1.ConditionFalse, r.size-1
	if i%2 == 1 {
		status, want = corev1.ConditionTrue, r.size
	}
	began := time.Now()
	require.NoError(tb, r.beat(tb.Context(), i/2, status))
	r.await(tb, "the answer to an event", func(ctx context.Context) error { return answered(ctx, want, r.size) })
	return time.Since(began)
}

// settling is how many writes of the controller one call of settle brings about.
const settling = 2

// settle is over when the controller has taken in everything that happened before.
func (r *rung) settle(tb testing.TB) {
	tb.Helper()
	r.event(tb, 0, r.completed)
	r.event(tb, 1, r.completed)
}

// heartbeats renews the conditions of every Node, as each kubelet does every five minutes.
func (r *rung) heartbeats(tb testing.TB) {
	tb.Helper()
	r.each(tb, "heartbeats", func(ctx context.Context, i int) error { return r.beat(ctx, i, corev1.ConditionTrue) })
}

func (r *rung) beat(ctx context.Context, i int, ready corev1.ConditionStatus) error {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": scaletest.Conditions(ready, time.Now())}})
	if err != nil {
		return err
	}
	_, err = r.kube.CoreV1().Nodes().Patch(ctx, scaletest.Name(i), types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// controllersUser is the controller's account as the audit log names it.
const controllersUser = "system:serviceaccount:" + namespace + ":" + account

// count adds what controller and agents have asked for.
func (r *rung) count(tb testing.TB, out figures) {
	tb.Helper()
	asked, err := r.cluster.Requests(func(user string) bool { return user == controllersUser || strings.HasPrefix(user, "system:node:") })
	require.NoError(tb, err)
	for _, e := range asked {
		if e.ObjectRef == nil {
			continue // It asks what the API server serves.
		}
		resource := strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/")
		switch {
		case e.User.Username == controllersUser && resource == "nodes" && e.Verb == "patch":
			out["controller-patches/node"] += 1 / float64(r.size)
		case e.User.Username == controllersUser:
			out[e.Verb+"-"+resource]++
		case resource == "nodes/status" && e.Verb == "patch" && !strings.Contains(e.RequestURI, "dryRun"):
			out["agent-patches/node"] += 1 / float64(r.size)
		}
	}
}

// writes counts those of the controller, without its lease and events, once no other one has come
// for a second: the API server answers before it writes its audit log.
func (r *rung) writes(tb testing.TB) int {
	tb.Helper()
	count, since := -1, time.Now()
	r.await(tb, "the end of the controller's writes", func(context.Context) error {
		if now := r.logged(tb); now != count {
			count, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("it has made %d", count)
		}
		return nil
	})
	return count
}

func (r *rung) logged(tb testing.TB) int {
	tb.Helper()
	asked, err := r.cluster.Requests(func(user string) bool { return user == controllersUser })
	require.NoError(tb, err)
	count := 0
	for _, e := range asked {
		reads := e.ObjectRef == nil || slices.Contains([]string{"get", "list", "watch"}, e.Verb)
		if !reads && !slices.Contains([]string{"leases", "events", "selfsubjectreviews"}, e.ObjectRef.Resource) {
			count++
		}
	}
	return count
}
