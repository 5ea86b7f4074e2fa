// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// crdPath is read as plain JSON: its labels and annotations are all that is of interest here.
const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + v1.CRD

// own refuses to work on a KataConfig definition that is not ours. The sandboxed containers
// operator defines the same group and kind, and two controllers on one kind would undo each other's
// work.
func own(ctx context.Context, kube kubernetes.Interface) error {
	body, err := kube.Discovery().RESTClient().Get().AbsPath(crdPath).SetHeader("Accept", runtime.ContentTypeJSON).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("CustomResourceDefinition %q does not exist: apply deploy/ first", v1.CRD)
	case err != nil:
		return fmt.Errorf("reading CustomResourceDefinition %q: %w", v1.CRD, err)
	}
	var crd metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &crd); err != nil {
		return fmt.Errorf("reading CustomResourceDefinition %q: %w", v1.CRD, err)
	}
	if found := crd.Annotations[v1.ImplementationAnnotation]; found != v1.Implementation {
		return fmt.Errorf("CustomResourceDefinition %q belongs to another product (annotation %s is %q, ours is %q): remove that product, such as the sandboxed containers operator, before this one starts",
			v1.CRD, v1.ImplementationAnnotation, found, v1.Implementation)
	}
	return nil
}
