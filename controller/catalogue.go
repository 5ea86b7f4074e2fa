// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/payload/catalog"
)

// CatalogKey is the key of the ConfigMap that has the catalogue.
const CatalogKey = "catalog.yaml"

// CatalogSource names the ConfigMap that has the catalogue. Its zero value is that there is none.
type CatalogSource struct {
	Namespace, Name string
}

// String names it in sentences.
func (s CatalogSource) String() string { return fmt.Sprintf("ConfigMap %q", s.Namespace+"/"+s.Name) }

// watch returns an informer of that one object.
func (s CatalogSource) watch(kube kubernetes.Interface) (cache.SharedIndexInformer, error) {
	informer := oneConfigMap(kube, s.Namespace, s.Name)
	if err := informer.SetTransform(trimCatalog); err != nil {
		return nil, fmt.Errorf("watching %s: %w", s, err)
	}
	return informer, nil
}

// oneConfigMap returns an informer of a single object: the controller may see no other.
func oneConfigMap(kube kubernetes.Interface, namespace, name string) cache.SharedIndexInformer {
	factory := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}))
	return factory.Core().V1().ConfigMaps().Informer()
}

// trimCatalog keeps the catalogue, as far as it may be long.
func trimCatalog(object any) (any, error) {
	m, ok := object.(*corev1.ConfigMap)
	if !ok {
		return object, nil
	}
	out := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion}}
	if text, found := m.Data[CatalogKey]; found {
		// One byte more than Parse takes, so that it says how much is allowed.
		out.Data = map[string]string{CatalogKey: text[:min(len(text), catalog.MaxBytes+1)]}
	}
	return out, nil
}

// catalogue remembers the last good one that this instance has seen. It is for the one goroutine
// that takes passes.
type catalogue struct {
	source  CatalogSource
	version string
	good    *catalog.Catalog
	problem string
}

// read takes in the ConfigMap as it is, nil for none. Without a ConfigMap no catalogue is in force;
// with one that cannot be used, the last good one stays.
func (c *catalogue) read(m *corev1.ConfigMap) {
	switch {
	case m == nil:
		c.version, c.good, c.problem = "", nil, ""
		return
	case m.ResourceVersion == c.version:
		return
	}
	c.version, c.problem = m.ResourceVersion, ""
	text, found := m.Data[CatalogKey]
	if !found {
		c.refuse("it has no key " + CatalogKey)
		return
	}
	parsed, err := catalog.Parse([]byte(text))
	if err != nil {
		c.refuse(err.Error())
		return
	}
	c.good = parsed
}

func (c *catalogue) refuse(why string) {
	consequence := "nothing is started"
	if c.good != nil {
		consequence = "the last good one stays in force"
	}
	c.problem = node.Sentence(fmt.Sprintf("%s has no catalogue that can be used, %s: %s", c.source, consequence, why))
}
