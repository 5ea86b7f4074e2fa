// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// baselineOf names the API server in the environment of a process that is the baseline.
const baselineOf = "KATA_BENCHMARK_BASELINE"

func TestMain(m *testing.M) {
	if url := os.Getenv(baselineOf); url != "" {
		baseline(context.Background(), url)
		return
	}
	os.Exit(m.Run())
}

// baseline is a controller as most are: an informer with whole Nodes, and everything computed anew
// for each event. It writes nothing but one request after each pass, so that its end can be seen.
func baseline(ctx context.Context, url string) {
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: url, QPS: 1000, Burst: 1000})
	must(err)
	factory := informers.NewSharedInformerFactory(kube, 0)
	nodes := factory.Core().V1().Nodes()
	wakes := make(chan struct{}, 1)
	wake := func() {
		select {
		case wakes <- struct{}{}:
		default:
		}
	}
	_, err = nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { wake() }, UpdateFunc: func(any, any) { wake() }, DeleteFunc: func(any) { wake() },
	})
	must(err)
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	kc := &v1.KataConfig{Spec: v1.KataConfigSpec{Config: v1.KataInstallConfig{PayloadImage: factstest.PayloadA}}}
	kc.Name, kc.UID, kc.Finalizers = "all", "uid-of-all", []string{facts.Finalizer}
	for range wakes {
		var all []facts.Node
		for _, object := range nodes.Informer().GetStore().List() {
			if n, ok := object.(*corev1.Node); ok {
				all = append(all, facts.OfNode(n))
			}
		}
		d := decide.Decide(decide.Seen{Configs: []*v1.KataConfig{kc}, Nodes: all}, decide.Settings{AgentDeadline: time.Minute}, time.Now())
		kc.Status = d.Statuses[0].Status
		response, err := http.Post(url+"/api/v1/baseline", "application/json", strings.NewReader("{}")) //nolint:noctx // it ends with the process
		must(err)
		must(response.Body.Close())
	}
}
