// SPDX-License-Identifier: Apache-2.0

package scaletest

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
)

// Baseline is a controller as most are: an informer with whole Nodes, and everything computed anew
// for each event. It has one KataConfig, and writes nothing. passed is called after each pass, with
// how many nodes are not Ready.
func Baseline(ctx context.Context, config *rest.Config, kc *v1.KataConfig, passed func(notReady int) error) error {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(kube, 0)
	nodes := factory.Core().V1().Nodes()
	wakes := make(chan struct{}, 1)
	wake := func() {
		select {
		case wakes <- struct{}{}:
		default:
		}
	}
	if _, err = nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { wake() }, UpdateFunc: func(any, any) { wake() }, DeleteFunc: func(any) { wake() },
	}); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wakes:
		}
		var all []facts.Node
		notReady := 0
		for _, object := range nodes.Informer().GetStore().List() {
			if n, ok := object.(*corev1.Node); ok {
				all = append(all, facts.OfNode(n))
			}
		}
		for i := range all {
			if !all[i].Ready {
				notReady++
			}
		}
		d := decide.Decide(decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: all}, decide.Settings{AgentDeadline: time.Minute}, time.Now())
		kc.Status = d.Statuses[0].Status
		if err := passed(notReady); err != nil {
			return err
		}
	}
}
