// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/controller/release"
)

// clusterVersion is OpenShift's one object of this kind, and what is read of it.
const clusterVersion = "version"

func clusterVersions() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "config.openshift.io", Version: "v1", Resource: "clusterversions"}
}

// hasClusterVersion is false in a cluster that is not OpenShift.
func hasClusterVersion(kube kubernetes.Interface) (bool, error) {
	_, err := kube.Discovery().ServerResourcesForGroupVersion(clusterVersions().GroupVersion().String())
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("asking the API server for %s: %w", clusterVersions().GroupVersion(), err)
	default:
		return true, nil
	}
}

// watchClusterVersion returns an informer of that one object.
func watchClusterVersion(config *rest.Config) (cache.SharedIndexInformer, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("watching the cluster's version: %w", err)
	}
	resource := client.Resource(clusterVersions())
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, clusterVersion).String()
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return resource.Watch(ctx, o)
		},
	}, &unstructured.Unstructured{}, 0, cache.Indexers{})
	if err := informer.SetTransform(trimClusterVersion); err != nil {
		return nil, fmt.Errorf("watching the cluster's version: %w", err)
	}
	return informer, nil
}

// trimClusterVersion keeps the version that the cluster is on its way to: what is on the way says
// itself many times a minute.
func trimClusterVersion(object any) (any, error) {
	v, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(v.GroupVersionKind())
	out.SetName(v.GetName())
	out.SetResourceVersion(v.GetResourceVersion())
	if err := unstructured.SetNestedField(out.Object, desiredVersion(v), "status", "desired", "version"); err != nil {
		return nil, err
	}
	return out, nil
}

// desiredVersion is empty where the object does not say it.
func desiredVersion(object any) string {
	v, ok := object.(*unstructured.Unstructured)
	if !ok {
		return ""
	}
	version, _, err := unstructured.NestedString(v.Object, "status", "desired", "version")
	if err != nil {
		return ""
	}
	return version
}

// desired is what an informer of the object has; a nil one is of a cluster without the object.
func desired(informer cache.SharedIndexInformer) release.Desired {
	switch {
	case informer == nil:
		return release.Desired{Known: true}
	case !informer.HasSynced():
		return release.Desired{}
	}
	out := release.Desired{Known: true}
	for _, object := range informer.GetStore().List() {
		out.Version = desiredVersion(object)
	}
	return out
}
