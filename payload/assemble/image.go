// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"encoding/json"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kata-node/kata-node/payload/manifest"
)

// manifestComponent is the name of the layer that belongs to no component.
const manifestComponent = "manifest"

// assemble puts the layers together. m has every digest by now.
func assemble(in Input, m manifest.Manifest, layers []*layer) (Payload, error) {
	document, err := manifest.Encode(m)
	if err != nil {
		return Payload{}, err
	}
	p := Payload{Manifest: m, SHA1: map[string]string{}}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for i, l := range layers {
		component, createdBy := manifestComponent, manifest.Path
		if i < len(m.Components) {
			component = m.Components[i].Name
			createdBy = component + " " + m.Components[i].Version
		}
		maps.Copy(p.SHA1, l.sha1)
		p.Layers = append(p.Layers, Layer{Component: component, Digest: l.digest.String(), Size: l.size})
		if image, err = appendLayer(in, image, l, createdBy); err != nil {
			return Payload{}, err
		}
	}
	return p.finish(in, image, document)
}

func appendLayer(in Input, image v1.Image, l *layer, createdBy string) (v1.Image, error) {
	whole, err := partial.CompressedToLayer(l)
	if err != nil {
		return nil, fmt.Errorf("adding layer %q: %w", createdBy, err)
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:       whole,
		MediaType:   l.compression.mediaType(),
		Annotations: l.annotations,
		History:     v1.History{Created: v1.Time{Time: in.Time}, CreatedBy: "kata-payload", Comment: createdBy},
	})
}

// finish sets the image's configuration, its labels, and the same facts as annotations.
func (p Payload) finish(in Input, image v1.Image, document []byte) (Payload, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return Payload{}, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = p.Manifest.Architecture, "linux"
	config.Created = v1.Time{Time: in.Time}
	if config.Config.Labels, err = labels(p.Manifest, document); err != nil {
		return Payload{}, err
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return Payload{}, err
	}
	annotated, ok := mutate.Annotations(image, config.Config.Labels).(v1.Image)
	if !ok {
		return Payload{}, fmt.Errorf("annotating image: %T is no image", annotated)
	}
	digest, err := annotated.Digest()
	if err != nil {
		return Payload{}, err
	}
	p.Image, p.Digest = annotated, digest.String()
	return p, nil
}

func labels(m manifest.Manifest, document []byte) (map[string]string, error) {
	requires, err := json.Marshal(m.Requires)
	if err != nil {
		return nil, fmt.Errorf("writing label %s: %w", manifest.RequiresLabel, err)
	}
	return map[string]string{
		manifest.Label:                         manifest.Digest(document),
		manifest.RequiresLabel:                 string(requires),
		"org.opencontainers.image.title":       m.Name,
		"org.opencontainers.image.version":     m.PayloadVersion,
		"org.opencontainers.image.description": "Kata Containers payload that kata-agent mounts on a node",
	}, nil
}
