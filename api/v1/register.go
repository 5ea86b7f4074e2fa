// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names under which the API server serves KataConfigs.
const (
	Group    = "kataconfiguration.openshift.io"
	Kind     = "KataConfig"
	Resource = "kataconfigs"
	// CRD is the name of the CustomResourceDefinition.
	CRD = Resource + "." + Group
	// ImplementationAnnotation is on our CustomResourceDefinition, with the value Implementation.
	// Other products define the same group and kind.
	ImplementationAnnotation = Group + "/implementation"
	// Implementation is the value of ImplementationAnnotation.
	Implementation = "kata-node"
)

// GroupVersion returns the group and version of this package.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: "v1"}
}

// AddToScheme registers the types of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion(), &KataConfig{}, &KataConfigList{})
	metav1.AddToGroupVersion(scheme, GroupVersion())
	return nil
}

// NewScheme returns a scheme that knows this package only.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering %s: %w", GroupVersion(), err)
	}
	return scheme, nil
}
