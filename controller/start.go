// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/apply"
)

// One queue key serves the whole cluster, so a write that always fails must not keep another from
// being tried soon.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// component is how events name this program.
const component = "kata-controller"

// begin wires a Controller and fills its caches.
func begin(ctx context.Context, config *rest.Config, settings Settings, metrics *Metrics, log logrus.FieldLogger) (*Controller, error) {
	kube, aside, err := clients(config)
	if err != nil {
		return nil, err
	}
	configs, err := apply.NewConfigs(config)
	if err != nil {
		return nil, err
	}
	if err := own(ctx, kube); err != nil {
		return nil, err
	}
	name, err := account(ctx, kube)
	if err != nil {
		return nil, err
	}
	events, err := recorder(ctx, aside)
	if err != nil {
		return nil, err
	}
	ofNodes, err := recorder(ctx, aside)
	if err != nil {
		return nil, err
	}
	informer, err := apply.WatchConfigs(config, func(u *apply.Unreadable) { unreadable(events, log, u) })
	if err != nil {
		return nil, err
	}
	watched, err := newCaches(kube, informer, name, settings.Namespace)
	if err != nil {
		return nil, err
	}
	if err := watched.addCatalogue(kube, config, settings.Catalog, log); err != nil {
		return nil, err
	}
	c := &Controller{
		settings: settings,
		writer:   &apply.Writer{Kube: kube, Namespace: settings.Namespace, Configs: configs, Events: events, NodeEvents: ofNodes, Log: log, Now: settings.Now},
		caches:   watched,
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
		metrics:  metrics,
		log:      log,
	}
	return c, watched.start(ctx, c.wake())
}

// eventShare is the part of the requests that events may make up. They must not slow a rollout
// down: those of Nodes that are too many are dropped.
const eventShare = 0.25

// clients returns one for everything but events, and one for events. They share the limits of the
// configuration, and take what is built into Kubernetes in protobuf, which costs a third of JSON.
func clients(config *rest.Config) (kube, events kubernetes.Interface, err error) {
	client := func(share float32) (kubernetes.Interface, error) {
		own := rest.CopyConfig(config)
		own.ContentType = runtime.ContentTypeProtobuf
		own.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		own.QPS, own.Burst = config.QPS*share, int(float32(config.Burst)*share)
		made, err := kubernetes.NewForConfig(own)
		if err != nil {
			return nil, fmt.Errorf("making a client: %w", err)
		}
		return made, nil
	}
	if kube, err = client(1 - eventShare); err != nil {
		return nil, nil, err
	}
	events, err = client(eventShare)
	return kube, events, err
}

// addCatalogue watches the catalogue where one is named, and the cluster's version where there is
// one.
func (c *caches) addCatalogue(kube kubernetes.Interface, config *rest.Config, source CatalogSource, log logrus.FieldLogger) (err error) {
	if source.Name == "" {
		return nil
	}
	c.catalogue.source = source
	if c.catalogs, err = source.watch(kube); err != nil {
		return err
	}
	found, err := hasClusterVersion(kube)
	switch {
	case err != nil:
		log.WithError(err).Warnf("nothing is fetched ahead of cluster upgrades until the next start")
		return nil
	case !found:
		return nil
	}
	c.version, err = watchClusterVersion(config)
	return err
}

// EventUnreadable is the event of a KataConfig that cannot be decoded.
const EventUnreadable = "Unreadable"

// unreadable names an object once for each of its versions.
func unreadable(events record.EventRecorder, log logrus.FieldLogger, u *apply.Unreadable) {
	problem := node.Sentence(u.Problem.Error())
	log.WithField("kataconfig", u.Name).Errorf("The KataConfig cannot be decoded; its nodes stay as they are: %s", problem)
	events.Event(&v1.KataConfig{ObjectMeta: u.ObjectMeta}, corev1.EventTypeWarning, EventUnreadable, problem)
}

// fewEvents is how many events the correlator of client-go keeps in each of its three caches, to
// count those that repeat. Its default of 4096 takes 7 MiB in a large rollout, in which none
// repeats.
const fewEvents = 256

// recorder sends events until the context ends. It drops those that come while a thousand wait.
func recorder(ctx context.Context, kube kubernetes.Interface) (record.EventRecorder, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("preparing events: %w", err)
	}
	if err := v1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("preparing events: %w", err)
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx), record.WithCorrelatorOptions(record.CorrelatorOptions{LRUCacheSize: fewEvents}))
	// Nodes and KataConfigs have no namespace; events about cluster-scoped objects go to "default",
	// the only namespace where the controller may write any.
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: kube.CoreV1().Events(metav1.NamespaceDefault)})
	return broadcaster.NewRecorder(scheme, corev1.EventSource{Component: component}), nil
}
