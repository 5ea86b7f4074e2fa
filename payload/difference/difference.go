// SPDX-License-Identifier: Apache-2.0

// Package difference calculates what an update from one payload to another would fetch and write on
// a node, and says what else changes. It counts as the agent's pull does and reads nothing itself.
package difference

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/payload/manifest"
)

// Image is what has to be known of a payload's image.
type Image struct {
	Manifest manifest.Manifest
	// Documents is the size of what a node reads before any layer, in bytes: the index if there is
	// one, the image's manifest and its configuration.
	Documents int64
	// Layers are those of the image from the bottom up.
	Layers []Layer
}

// Layer is one layer of an image.
type Layer struct {
	// Component is the name of the component that it holds, or another word for the layer that
	// holds the manifest.
	Component string
	Digest    string
	// Size is that of the compressed layer, in bytes.
	Size int64
	// Contents is the table of contents of a zstd:chunked layer as JSON, nil in other layers.
	Contents []byte
	// Described is how many bytes a node fetches before it knows which files it needs.
	Described int64
}

// Difference is what changes from one payload to another.
type Difference struct {
	From Version `json:"from"`
	To   Version `json:"to"`
	// Components are those of the new payload in the order of its layers, and then those that it
	// has no more.
	Components []Component `json:"components"`
	// Documents are fetched, and belong to no component.
	Documents int64 `json:"documents"`
	// Total includes the documents.
	Total Transfer `json:"total"`
	// Changes are sentences about all else that changes.
	Changes []string `json:"changes"`
}

// Version is what a payload calls itself.
type Version struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
}

// Component is one component in both payloads. A version is empty where the payload has no such
// component.
type Component struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Transfer
}

// Transfer is what a node does for a layer that it needs, in bytes.
type Transfer struct {
	// Size is that of the compressed layer.
	Size int64 `json:"size"`
	// Fetched comes from a registry that serves parts of blobs, to a file system that clones parts
	// of files (XFS, Btrfs). WithoutClones is the same where it does not (ext4), and Whole what
	// comes from a registry that serves whole blobs only.
	Fetched       int64 `json:"fetched"`
	WithoutClones int64 `json:"fetchedWithoutClones"`
	Whole         int64 `json:"fetchedWhole"`
	// Written is the content of new files. Layers that are fetched whole are written whole, and so
	// are all above them: that is WrittenWhole.
	Written      int64 `json:"written"`
	WrittenWhole int64 `json:"writtenWhole"`
	// NewFiles are written; LinkedFiles are there and become hard links.
	NewFiles    int `json:"newFiles"`
	LinkedFiles int `json:"linkedFiles"`
}

func (t *Transfer) add(o Transfer) {
	t.Size += o.Size
	t.Fetched += o.Fetched
	t.WithoutClones += o.WithoutClones
	t.Whole += o.Whole
	t.Written += o.Written
	t.WrittenWhole += o.WrittenWhole
	t.NewFiles += o.NewFiles
	t.LinkedFiles += o.LinkedFiles
}

// Between calculates the update of a node that has exactly the payload from, which it pulled in
// parts where that has tables of contents.
func Between(from, to Image) (Difference, error) {
	d, err := between(from, to)
	if err != nil {
		return Difference{}, fmt.Errorf("comparing payload %s %s with %s %s: %w", from.Manifest.Name, from.Manifest.PayloadVersion, to.Manifest.Name, to.Manifest.PayloadVersion, err)
	}
	return d, nil
}

func between(from, to Image) (Difference, error) {
	d := Difference{From: version(from.Manifest), To: version(to.Manifest), Documents: to.Documents, Changes: changes(from.Manifest, to.Manifest)}
	if len(to.Layers) != len(to.Manifest.Components)+1 {
		return Difference{}, fmt.Errorf("the new one has %d layers for %d components: kata-payload builds one for each, and one for the manifest", len(to.Layers), len(to.Manifest.Components))
	}
	have, err := storeOf(from)
	if err != nil {
		return Difference{}, err
	}
	whole := shared(from, to)
	again := slices.ContainsFunc(to.Layers[whole:], func(l Layer) bool { return l.Contents != nil && have.blobs[l.Digest] })
	for i, layer := range to.Layers {
		t := Transfer{Size: layer.Size}
		switch {
		case i >= whole:
			if t, err = have.transfer(layer, to.Manifest); err != nil {
				return Difference{}, err
			}
		case again && layer.Contents != nil:
			t.Fetched, t.WithoutClones = layer.Described, layer.Described
		}
		d.Total.add(t)
		d.Components = append(d.Components, Component{
			Name: layer.Component, Transfer: t,
			From: versionOf(from.Manifest, layer.Component), To: versionOf(to.Manifest, layer.Component),
		})
	}
	d.Total.add(Transfer{Size: to.Documents, Fetched: to.Documents, WithoutClones: to.Documents, Whole: to.Documents})
	for _, c := range from.Manifest.Components {
		if !has(to.Manifest, c.Name) {
			d.Components = append(d.Components, Component{Name: c.Name, From: c.Version})
		}
	}
	return d, nil
}

// shared is how many of the lowest layers both images have. A node has them as a whole. It asks for
// their tables of contents all the same where a layer above a changed one is made again: the
// library then takes no layer as it is (rebuilds in nodeagent/host/images).
func shared(from, to Image) int {
	n := 0
	for n < len(from.Layers) && n < len(to.Layers) && from.Layers[n].Digest == to.Layers[n].Digest {
		n++
	}
	return n
}

func version(m manifest.Manifest) Version {
	return Version{m.Name, m.PayloadVersion, m.Architecture}
}

// versionOf is that of a component, or nothing where there is none.
func versionOf(m manifest.Manifest, component string) string {
	i := slices.IndexFunc(m.Components, func(c manifest.Component) bool { return c.Name == component })
	if i < 0 {
		return ""
	}
	return m.Components[i].Version
}

func has(m manifest.Manifest, component string) bool {
	return slices.ContainsFunc(m.Components, func(c manifest.Component) bool { return c.Name == component })
}
