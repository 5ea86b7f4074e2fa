// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// kindLimit is how long a kind may stay unknown after its definition was applied.
const kindLimit = 2 * time.Minute

// Apply applies YAML files as the administrator, by server-side apply. Of a directory it takes
// every .yaml file in order of name, kustomization.yaml excepted. It waits for the kinds that it
// defines.
func (c *Cluster) Apply(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		files, err := manifests(path)
		if err != nil {
			return fmt.Errorf("applying %s: %w", path, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("applying %s: %w", file, err)
			}
			if err := c.ApplyYAML(ctx, content); err != nil {
				return fmt.Errorf("applying %s: %w", file, err)
			}
		}
	}
	return nil
}

// ApplyYAML applies every document in content.
func (c *Cluster) ApplyYAML(ctx context.Context, content []byte) error {
	config, err := c.Admin()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	apply := applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := apply.object(ctx, object); err != nil {
			return fmt.Errorf("%s %q: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// manifests lists the YAML files at path.
func manifests(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.yaml"))
	return slices.DeleteFunc(files, func(file string) bool { return filepath.Base(file) == "kustomization.yaml" }), err
}

type applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// object applies one object, and waits until its kind is served.
func (a applier) object(ctx context.Context, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	var mapping *meta.RESTMapping
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, kindLimit, true, func(context.Context) (bool, error) {
		var err error
		mapping, err = a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			a.mapper.Reset()
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("looking for kind %s: %w", kind, err)
	}
	resources := a.client.Resource(mapping.Resource)
	options := metav1.ApplyOptions{FieldManager: "test-bed", Force: true}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		_, err = resources.Apply(ctx, object.GetName(), object, options)
	} else {
		namespace := object.GetNamespace()
		if strings.TrimSpace(namespace) == "" {
			namespace = metav1.NamespaceDefault
		}
		_, err = resources.Namespace(namespace).Apply(ctx, object.GetName(), object, options)
	}
	return err
}
