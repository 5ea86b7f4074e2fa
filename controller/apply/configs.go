// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// Configs is the client for KataConfigs: as much of one as the controller has rights for.
type Configs struct {
	rest *rest.RESTClient
}

// NewConfigs returns a client for the API server that the configuration names.
func NewConfigs(config *rest.Config) (*Configs, error) {
	scheme, err := v1.NewScheme()
	if err != nil {
		return nil, fmt.Errorf("making a client for KataConfigs: %w", err)
	}
	version := v1.GroupVersion()
	own := rest.CopyConfig(config)
	own.GroupVersion, own.APIPath = &version, "/apis"
	own.ContentType, own.AcceptContentTypes = "application/json", "application/json"
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("making a client for KataConfigs: %w", err)
	}
	return &Configs{rest: client}, nil
}

// setFinalizers replaces the finalizers of the object as it was read; a newer one is left alone.
func (c *Configs) setFinalizers(ctx context.Context, kc *v1.KataConfig, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             kc.UID,
		"resourceVersion": kc.ResourceVersion,
		"finalizers":      finalizers,
	}})
	if err != nil {
		return fmt.Errorf("writing finalizers of KataConfig %q: %w", kc.Name, err)
	}
	if err := c.rest.Patch(types.MergePatchType).Resource(v1.Resource).Name(kc.Name).Body(patch).Do(ctx).Error(); err != nil {
		return fmt.Errorf("writing finalizers of KataConfig %q: %w", kc.Name, err)
	}
	return nil
}

// updateStatus replaces the status, and nothing else, of the object as it was read.
func (c *Configs) updateStatus(ctx context.Context, kc *v1.KataConfig) error {
	if err := c.rest.Put().Resource(v1.Resource).Name(kc.Name).SubResource("status").Body(kc).Do(ctx).Error(); err != nil {
		return fmt.Errorf("writing status of KataConfig %q: %w", kc.Name, err)
	}
	return nil
}
