// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Index puts images of the same payload for several architectures into one index, sorted by
// architecture: the order in which they are given does not matter. The index has the annotations
// that all of the images have, and each entry those of its image.
func Index(images ...v1.Image) (v1.ImageIndex, error) {
	index, err := index(images)
	if err != nil {
		return nil, fmt.Errorf("making an index of %d images: %w", len(images), err)
	}
	return index, nil
}

func index(images []v1.Image) (v1.ImageIndex, error) {
	var entries []mutate.IndexAddendum
	for _, image := range images {
		entry, err := entry(image)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b mutate.IndexAddendum) int {
		return cmp.Compare(a.Platform.Architecture, b.Platform.Architecture)
	})
	for i := range entries[min(1, len(entries)):] {
		if architecture := entries[i].Platform.Architecture; architecture == entries[i+1].Platform.Architecture {
			return nil, fmt.Errorf("two of them are for %s: an index has one image for each architecture", architecture)
		}
	}
	whole := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), entries...)
	if common := common(entries); len(common) > 0 {
		annotated, ok := mutate.Annotations(whole, common).(v1.ImageIndex)
		if !ok {
			return nil, fmt.Errorf("annotating: %T is no index", annotated)
		}
		whole = annotated
	}
	return whole, nil
}

// plain is an image without artifact type. The library would say that it is of its configuration's
// media type, which readers of indexes do not expect of an image.
type plain struct{ v1.Image }

func (plain) ArtifactType() (string, error) { return "", nil }

func entry(image v1.Image) (mutate.IndexAddendum, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	image = plain{image}
	descriptor, err := partial.Descriptor(image)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	if config.Architecture == "" || config.OS == "" {
		return mutate.IndexAddendum{}, fmt.Errorf("%s does not say which architecture it is for", descriptor.Digest)
	}
	descriptor.Annotations = manifest.Annotations
	descriptor.Platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	return mutate.IndexAddendum{Add: image, Descriptor: *descriptor}, nil
}

// common returns the annotations that all entries agree on.
func common(entries []mutate.IndexAddendum) map[string]string {
	all := map[string]string{}
	for i, entry := range entries {
		if i == 0 {
			maps.Copy(all, entry.Annotations)
			continue
		}
		for key, value := range all {
			if entry.Annotations[key] != value {
				delete(all, key)
			}
		}
	}
	return all
}
