// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// versionLabel is how an image says which version of its content it holds.
const versionLabel = "org.opencontainers.image.version"

// describe reads an image's record. One that is damaged has no digests: it is never looked up, it
// is deleted, and the image is pulled again.
func describe(store storage.Store, record storage.Image) host.Image {
	labels, err := labels(store, record.ID)
	if err != nil {
		return host.Image{ID: record.ID}
	}
	image := host.Image{ID: record.ID, Manifest: labels[manifest.Label], Version: labels[versionLabel]}
	if image.Platform, err = platform(store, record); err != nil {
		return host.Image{ID: record.ID}
	}
	for _, d := range record.Digests {
		image.Digests = append(image.Digests, d.String())
	}
	return image
}

// labels compares the configuration with its digest first: the payload manifest's digest comes from
// there.
func labels(store storage.Store, id string) (map[string]string, error) {
	blob, err := store.ImageBigData(id, "sha256:"+id)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if digest.FromBytes(blob).Encoded() != id {
		return nil, errors.New("configuration is not what was pulled")
	}
	var config struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	if err := json.Unmarshal(blob, &config); err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return config.Config.Labels, nil
}

// platform finds the manifest, among those recorded, that names this image's configuration.
func platform(store storage.Store, record storage.Image) (string, error) {
	for _, key := range record.BigDataNames {
		if !strings.HasPrefix(key, storage.ImageDigestManifestBigDataNamePrefix) {
			continue
		}
		blob, err := store.ImageBigData(record.ID, key)
		if err != nil {
			return "", fmt.Errorf("reading manifest of image %s: %w", record.ID, err)
		}
		if strings.Contains(string(blob), `"sha256:`+record.ID+`"`) {
			return digest.FromBytes(blob).String(), nil
		}
	}
	return "", fmt.Errorf("image %s has no manifest", record.ID)
}

// pin makes a container record, the only thing that keeps the store from deleting an image. Its
// name makes a second pin impossible.
func pin(store storage.Store, id string) error {
	_, err := store.CreateContainer("", []string{pinName(id)}, id, "", "", nil)
	if err != nil && !errors.Is(err, storage.ErrDuplicateName) {
		return fmt.Errorf("pinning image %s: %w", id, err)
	}
	return nil
}

func unpin(store storage.Store, id string) error {
	container, err := store.Container(pinName(id))
	if errors.Is(err, storage.ErrContainerUnknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the pin of image %s: %w", id, err)
	}
	if err := store.DeleteContainer(container.ID); err != nil {
		return fmt.Errorf("unpinning image %s: %w", id, err)
	}
	return nil
}

func pinName(id string) string { return "kata-agent-" + id }
