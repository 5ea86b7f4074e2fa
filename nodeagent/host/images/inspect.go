// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"go.podman.io/image/v5/image"
	imanifest "go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// opened is a reference whose source is open: what was inspected is what is copied.
type opened struct {
	types.ImageReference
	source types.ImageSource
}

// NewImageSource returns the open source. It may be closed twice.
func (o opened) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return o.source, nil
}

// inspect refuses a payload that this host cannot use before any of its layers is fetched, and
// returns them from the bottom up. The configuration is read only after the policy has allowed the
// image.
func (s *Store) inspect(ctx context.Context, policy *signature.PolicyContext, source types.ImageSource) ([]types.BlobInfo, error) {
	instance, err := choose(ctx, s.system, source)
	if err != nil {
		return nil, err
	}
	if allowed, err := policy.IsRunningImageAllowed(ctx, instance); !allowed || err != nil {
		return nil, fmt.Errorf("image is rejected: %w", err)
	}
	payload, err := image.FromUnparsedImage(ctx, s.system, instance)
	if err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	configuration, err := payload.Inspect(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	layers := payload.LayerInfos()
	if err := s.fits(configuration, len(layers)); err != nil {
		return nil, err
	}
	return layers, s.suffices(ctx, configuration.Labels)
}

// choose returns the image itself, or the one for this host that an index has. The library chooses
// by the same rules when it copies.
func choose(ctx context.Context, system *types.SystemContext, source types.ImageSource) (*image.UnparsedImage, error) {
	whole := image.UnparsedInstance(source, nil)
	document, form, err := whole.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	if !imanifest.MIMETypeIsMultiImage(form) {
		return whole, nil
	}
	list, err := imanifest.ListFromBlob(document, form)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	instance, err := list.ChooseInstance(system)
	if err != nil {
		return nil, &host.Unfit{Problem: fmt.Sprintf("it is an index without a payload for this node, which is %s: name one that has it", runtime.GOARCH), Err: err}
	}
	return image.UnparsedInstance(source, &instance), nil
}

// fits compares what an image says of itself with this host.
func (s *Store) fits(configuration *types.ImageInspectInfo, layers int) error {
	if configuration.Architecture != runtime.GOARCH {
		return &host.Unfit{Problem: fmt.Sprintf("it is for %s, this node is %s: name a payload for it, or an index that has one", configuration.Architecture, runtime.GOARCH)}
	}
	if configuration.Labels[manifest.Label] == "" {
		return &host.Unfit{Problem: fmt.Sprintf("the image has no label %s, so it is no payload: use one built by kata-payload", manifest.Label)}
	}
	if s.MostLayers == nil {
		return nil
	}
	if most := s.MostLayers(len(s.layerDir(strings.Repeat("0", layerID)))); layers > most {
		return &host.Unfit{Problem: fmt.Sprintf("it has %d layers, and this kernel can mount %d at most: build it with fewer components", layers, most)}
	}
	return nil
}

// suffices compares what an image requires with this host. One without the label is judged by its
// manifest, once that is mounted.
func (s *Store) suffices(ctx context.Context, labels map[string]string) error {
	label := labels[manifest.RequiresLabel]
	if s.Lacks == nil || label == "" {
		return nil
	}
	var requires manifest.Requires
	if err := json.Unmarshal([]byte(label), &requires); err != nil {
		return &host.Unfit{Problem: fmt.Sprintf("its label %s cannot be read: build it with a kata-payload of the agent's version", manifest.RequiresLabel), Err: err}
	}
	if problem := s.Lacks(ctx, requires); problem != "" {
		return &host.Unfit{Problem: problem, Host: true}
	}
	return nil
}

// layerID is the length of a layer's id in hex digits.
const layerID = 64

// layerDir is where the library keeps a layer's files.
func (s *Store) layerDir(id string) string { return filepath.Join(s.graph, "overlay", id, "diff") }
