// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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

// begin wires a Controller and fills its caches.
func begin(ctx context.Context, config *rest.Config, settings Settings, metrics *Metrics, log logrus.FieldLogger) (*Controller, error) {
	kube, aside, err := clients(config)
	if err != nil {
		return nil, err
	}
	configs, err := apply.NewConfigs(sharing(config, kube))
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
	events := apply.NewEvents(aside.CoreV1().Events(metav1.NamespaceDefault), eventLimits(), metrics, log, settings.Now)
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
		writer:   &apply.Writer{Kube: kube, Namespace: settings.Namespace, Configs: configs, Events: events, Log: log, Now: settings.Now},
		caches:   watched,
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
		metrics:  metrics,
		log:      log,
	}
	return c, watched.start(ctx, c.wake())
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
func unreadable(events *apply.Events, log logrus.FieldLogger, u *apply.Unreadable) {
	problem := node.Sentence(u.Problem.Error())
	log.WithField("kataconfig", u.Name).Errorf("The KataConfig cannot be decoded; its nodes stay as they are: %s", problem)
	events.OfConfig(&v1.KataConfig{ObjectMeta: u.ObjectMeta}, corev1.EventTypeWarning, EventUnreadable, problem)
}
