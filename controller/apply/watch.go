// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// Unreadable is a stored KataConfig that cannot be decoded, such as one from before a stricter
// schema. It has no more than its metadata.
type Unreadable struct {
	metav1.ObjectMeta
	Problem error
}

// WatchConfigs returns an informer of every KataConfig. Objects are decoded one by one: a list or
// watch of the typed client fails as a whole for one object that it cannot decode. Its store has
// *v1.KataConfig and *Unreadable.
func WatchConfigs(config *rest.Config, unreadable func(*Unreadable)) (cache.SharedIndexInformer, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for KataConfigs: %w", err)
	}
	resource := client.Resource(v1.GroupVersion().WithResource(v1.Resource))
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, options)
		},
	}
	informer := cache.NewSharedIndexInformer(source, &unstructured.Unstructured{}, 0, cache.Indexers{})
	err = informer.SetTransform(func(object any) (any, error) {
		stored, ok := object.(*unstructured.Unstructured)
		if !ok {
			return object, nil
		}
		return Decode(stored, unreadable), nil
	})
	if err != nil {
		return nil, fmt.Errorf("watching KataConfigs: %w", err)
	}
	return informer, nil
}

// Decode returns a *v1.KataConfig, or an *Unreadable that it also passes on.
func Decode(stored *unstructured.Unstructured, unreadable func(*Unreadable)) any {
	kc, err := decode(stored.Object)
	if err == nil {
		return kc
	}
	u := &Unreadable{Problem: fmt.Errorf("%s: %w", cmp.Or(strings.Join(field(nil, stored.Object), "."), "the object"), err), ObjectMeta: metav1.ObjectMeta{
		Name: stored.GetName(), UID: stored.GetUID(), ResourceVersion: stored.GetResourceVersion(), Generation: stored.GetGeneration(),
		CreationTimestamp: stored.GetCreationTimestamp(), DeletionTimestamp: stored.GetDeletionTimestamp(), Finalizers: stored.GetFinalizers(),
	}}
	unreadable(u)
	return u
}

func decode(object map[string]any) (*v1.KataConfig, error) {
	kc := &v1.KataConfig{}
	return kc, runtime.DefaultUnstructuredConverter.FromUnstructured(object, kc)
}

// field is the path of the first field below parent that cannot be decoded alone: most errors of
// the decoder name none.
func field(parent []string, value any) []string {
	fields, ok := value.(map[string]any)
	if !ok {
		return parent
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		path := append(slices.Clone(parent), name)
		alone := map[string]any{}
		if unstructured.SetNestedField(alone, runtime.DeepCopyJSONValue(fields[name]), path...) != nil {
			continue
		}
		if _, err := decode(alone); err != nil {
			return field(path, fields[name])
		}
	}
	return parent
}
