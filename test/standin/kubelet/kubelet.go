// SPDX-License-Identifier: Apache-2.0

// Package kubelet stands in for the kubelet on nodes of the test bed: it keeps the Node object,
// admits the pods bound to it and gives each a sandbox over CRI, with the node's own credential. It
// behaves like the kubelet of Kubernetes v1.37 wherever a node agent could get in its way; it
// starts no containers, mounts no volumes and serves no port.
package kubelet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
)

// Runtime is what the kubelet asks of a container runtime.
type Runtime interface {
	Version(ctx context.Context) (*cri.VersionResponse, error)
	Status(ctx context.Context) (*cri.StatusResponse, error)
	Run(ctx context.Context, config *cri.PodSandboxConfig, handler string) (id string, err error)
	List(ctx context.Context) ([]*cri.PodSandbox, error)
	Stop(ctx context.Context, id string) error
	Remove(ctx context.Context, id string) error
}

// Periods are the kubelet's rhythms.
type Periods struct {
	// Relist is how often the runtime is asked for sandboxes whose state changed, Housekeeping how
	// often for sandboxes without a known pod.
	Relist, Housekeeping time.Duration
	// RuntimeCheck is how often the runtime is asked for its status, NodeStatus how often the Node
	// is compared with it.
	RuntimeCheck, NodeStatus time.Duration
	// NodeReport is how long a Node whose status does not change goes without a heartbeat.
	NodeReport time.Duration
	// Retry is how long a pod waits after an error (plus up to half as much), Resync how long after
	// success.
	Retry, Resync time.Duration
	// Startup is how often the checks run until the node is Ready for the first time.
	Startup time.Duration
}

// DefaultPeriods are the defaults of the kubelet.
func DefaultPeriods() Periods {
	return Periods{
		Relist: time.Second, Housekeeping: 2 * time.Second,
		RuntimeCheck: 5 * time.Second, NodeStatus: 10 * time.Second, NodeReport: 5 * time.Minute,
		Retry: 10 * time.Second, Resync: time.Minute, Startup: 250 * time.Millisecond,
	}
}

// Options are the parts a Kubelet is made of; all are required but Rejections.
type Options struct {
	Machine nodestatus.Machine
	// Client watches and writes pods; Heartbeat, which needs a time-out, writes the Node.
	Client, Heartbeat kubernetes.Interface
	Runtime           Runtime
	Events            record.EventRecorder
	Log               logrus.FieldLogger
	Periods           Periods
	// Rejections is a file that gets one JSON line for each rejected pod and outlives restarts; ""
	// keeps none.
	Rejections string
}

// Kubelet is one node's kubelet.
type Kubelet struct {
	Options
	book *book
}

// New makes a Kubelet that knows no pods yet.
func New(options Options) *Kubelet {
	return &Kubelet{Options: options, book: newBook()}
}

// Run registers the node and serves its pods until the context ends; sandboxes go on running then.
// Pods are looked at only after the Node has been seen, so a kubelet that never reaches the API
// server touches no sandbox.
func (k *Kubelet) Run(ctx context.Context) error {
	nodes := informers.NewSharedInformerFactoryWithOptions(k.Client, 0, only(metav1.ObjectNameField, k.Machine.Name))
	classes := informers.NewSharedInformerFactory(k.Client, 0)
	pods := informers.NewSharedInformerFactoryWithOptions(k.Client, 0, only("spec.nodeName", k.Machine.Name))
	nodeLister, classLister := nodes.Core().V1().Nodes().Lister(), classes.Node().V1().RuntimeClasses().Lister()
	classesKnown := classes.Node().V1().RuntimeClasses().Informer().HasSynced
	nodes.Start(ctx.Done())
	classes.Start(ctx.Done())

	keeper := &nodeKeeper{Options: k.Options, nodes: nodeLister}
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { keeper.watchRuntime(ctx) })
	loops.Go(func() { keeper.post(ctx) })

	seen := func(context.Context) bool {
		_, err := nodeLister.Get(k.Machine.Name)
		return err == nil
	}
	if !until(ctx, k.Periods.Startup, seen) {
		return nil
	}
	work := newWorkers(k.Options, k.book, classLister)
	gate := &gate{Options: k.Options, nodes: nodeLister}
	source, err := pods.Core().V1().Pods().Informer().AddEventHandler(work.events(ctx, gate))
	if err != nil {
		return fmt.Errorf("watching pods of node %q: %w", k.Machine.Name, err)
	}
	pods.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), source.HasSynced, classesKnown) {
		return nil
	}
	k.Log.Info("all bound pods are admitted or rejected")
	loops.Go(func() { work.run(ctx) })
	loops.Go(func() { work.relist(ctx) })
	<-ctx.Done()
	return nil
}

func only(field, value string) informers.SharedInformerOption {
	return informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = fields.OneTermEqualSelector(field, value).String() })
}

// until calls done at once and then in the given rhythm, and returns false when the context ends
// before done returns true.
func until(ctx context.Context, period time.Duration, done func(context.Context) bool) bool {
	err := wait.PollUntilContextCancel(ctx, period, true, func(ctx context.Context) (bool, error) { return done(ctx), nil })
	return err == nil
}

// every calls do at once and then in the given rhythm until the context ends.
func every(ctx context.Context, period time.Duration, do func(context.Context)) {
	wait.UntilWithContext(ctx, do, period)
}
