// SPDX-License-Identifier: Apache-2.0

package images

import (
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage"
)

// Sweep deletes what pulls have left that no later one is to continue with: layers that belong to
// no image, and parts of layers. Only the agent that pulls may call it, when it has nothing to
// pull. It writes nothing where nothing is left.
func (s *Store) Sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Exists() {
		return nil
	}
	for _, one := range s.all() {
		if err := one.sweep(); err != nil {
			return err
		}
	}
	return nil
}

// sweep shuts a store down that has parts of layers: nothing else of the library deletes them.
func (s *Store) sweep() error {
	if parts, err := os.ReadDir(filepath.Join(s.graph, "overlay", "staging")); err == nil && len(parts) > 0 {
		if err := s.close(); err != nil {
			return err
		}
	}
	store, err := s.store()
	if err != nil {
		return err
	}
	return sweep(store)
}

// sweep deletes layers that belong to no image: a pull that was given up has left them. It is
// called when no pull is under way that might continue with them.
func sweep(store storage.Store) error {
	layers, err := store.Layers()
	if err != nil {
		return fmt.Errorf("listing layers: %w", err)
	}
	needed, err := neededLayers(store, layers)
	if err != nil {
		return err
	}
	for _, id := range abandoned(layers, needed) {
		if err := store.DeleteLayer(id); err != nil {
			return fmt.Errorf("deleting layer %s, which belongs to no image: %w", id, err)
		}
	}
	return nil
}

// neededLayers are those of every image and container, with everything below them.
func neededLayers(store storage.Store, layers []storage.Layer) (map[string]bool, error) {
	images, err := store.Images()
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	containers, err := store.Containers()
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	var tops []string
	for _, image := range images {
		tops = append(append(tops, image.TopLayer), image.MappedTopLayers...)
	}
	for _, container := range containers {
		tops = append(tops, container.LayerID)
	}
	parents := map[string]string{}
	for _, layer := range layers {
		parents[layer.ID] = layer.Parent
	}
	needed := map[string]bool{}
	for _, layer := range tops {
		for ; layer != "" && !needed[layer]; layer = parents[layer] {
			needed[layer] = true
		}
	}
	return needed, nil
}

// abandoned returns the layers that are not needed, each before the one below it: a layer that
// another one builds on cannot be deleted.
func abandoned(layers []storage.Layer, needed map[string]bool) []string {
	children := map[string][]string{}
	for _, layer := range layers {
		if !needed[layer.ID] {
			children[layer.Parent] = append(children[layer.Parent], layer.ID)
		}
	}
	var order []string
	var visit func(id string)
	visit = func(id string) {
		for _, child := range children[id] {
			visit(child)
		}
		order = append(order, id)
	}
	for _, layer := range layers {
		if !needed[layer.ID] && (layer.Parent == "" || needed[layer.Parent]) {
			visit(layer.ID)
		}
	}
	return order
}
