// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kata-node/kata-node/payload/manifest"
)

// Input is everything that a payload image depends on, and where to build it.
type Input struct {
	// Tree is the staged directory.
	Tree        string
	Description Description
	// Time is the image's time of creation, as SOURCE_DATE_EPOCH gives it. The zero value is the
	// epoch itself. Parts of seconds are dropped. The files in it all have the epoch itself as
	// their time, so that one that did not change is the same file in two payloads.
	Time time.Time
	// Compression is ZstdChunked where it is empty. The table of contents of such a layer has times
	// in the local time zone of the process: a program that builds payloads sets time.Local to
	// time.UTC before it does anything else.
	Compression Compression
	// WorkDir is an existing directory for the compressed layers. The image reads them from there,
	// so it must outlive the image.
	WorkDir string
	// Progress, if set, is called as files are compressed, from several goroutines at once.
	Progress func(Progress)
}

// Progress is how far one layer has come.
type Progress struct {
	// Component is the component whose layer it is.
	Component string
	// Done and Total count bytes before compression.
	Done, Total int64
}

// Payload is a built image.
type Payload struct {
	Image v1.Image
	// Digest is that of the image's own (platform) manifest, as sha256:hex.
	Digest   string
	Manifest manifest.Manifest
	// Layers describes the image's layers from the bottom up.
	Layers []Layer
	// SHA1 has digests of all regular files in lower-case hex, by path. Bills of materials need
	// them; the manifest has better ones.
	SHA1 map[string]string
}

// Layer is one line of a payload's table of contents.
type Layer struct {
	// Component is the component's name, or "manifest" for the last one, which holds that document
	// alone.
	Component string
	Digest    string
	// Size is that of the compressed layer, in bytes.
	Size int64
}

// Build builds the image: one layer per component in the order of the description, and the manifest
// in a small layer of its own on top, so that an update moves what changed and the manifest. The
// error names the path that is in the way.
func Build(ctx context.Context, in Input) (Payload, error) {
	in.Time = roundTime(in.Time)
	p, err := build(ctx, in)
	if err != nil {
		return Payload{}, fmt.Errorf("building payload from %s: %w", in.Tree, err)
	}
	return p, nil
}

func build(ctx context.Context, in Input) (_ Payload, err error) {
	if in.Compression, err = ParseCompression(string(in.Compression)); err != nil {
		return Payload{}, err
	}
	tree, err := os.OpenRoot(in.Tree)
	if err != nil {
		return Payload{}, err
	}
	defer tree.Close()
	m := in.Description.manifest()
	if m.Files, err = survey(ctx, tree); err != nil {
		return Payload{}, err
	}
	if err := judge(m); err != nil {
		return Payload{}, err
	}
	if err := judgeMachines(tree, m); err != nil {
		return Payload{}, err
	}
	if err := judgeConfigurations(ctx, tree, m); err != nil {
		return Payload{}, err
	}
	owned, err := assign(m)
	if err != nil {
		return Payload{}, err
	}
	layers, err := writeLayers(ctx, in, tree, m, owned)
	if err != nil {
		return Payload{}, err
	}
	return assemble(in, m, layers)
}

// writeLayers writes the components' layers side by side, the largest first so that none is waited
// for alone, and then, with every digest known, the manifest's.
func writeLayers(ctx context.Context, in Input, tree *os.Root, m manifest.Manifest, owned [][]int) ([]*layer, error) {
	layers := make([]*layer, len(owned), len(owned)+1)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, c := range largestFirst(m.Files, owned) {
		group.Go(func() (err error) {
			layers[c], err = writeComponent(groupCtx, in, tree, m.Files, owned[c], in.progress(m.Components[c].Name))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	document, err := manifest.Encode(m)
	if err != nil {
		return nil, err
	}
	top, err := writeManifest(ctx, in, document)
	if err != nil {
		return nil, err
	}
	return append(layers, top), nil
}

// largestFirst returns the indices of components by the size of their files.
func largestFirst(files []manifest.File, owned [][]int) []int {
	var order []int
	for c := range owned {
		order = append(order, c)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizeOf(files, owned[b]), sizeOf(files, owned[a])) })
	return order
}

// sizeOf returns how many bytes some of the files have in all.
func sizeOf(files []manifest.File, owned []int) (total int64) {
	for _, i := range owned {
		total += files[i].Size
	}
	return total
}

// progress returns what is called as the content of a component's files is read.
func (in Input) progress(component string) func(done, total int64) {
	return func(done, total int64) {
		if in.Progress != nil {
			in.Progress(Progress{Component: component, Done: done, Total: total})
		}
	}
}

func roundTime(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.Truncate(time.Second).UTC()
}
