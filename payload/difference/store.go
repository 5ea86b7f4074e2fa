// SPDX-License-Identifier: Apache-2.0

package difference

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/payload/manifest"
)

// store is what a node has after it has pulled an image.
type store struct {
	// blobs are the layers as they came, by digest.
	blobs map[string]bool
	// files are those that can become hard links: content, owner, mode and attributes.
	files map[string]bool
	// chunks are parts of files, and whole ones, by digest.
	chunks map[string]bool
}

func storeOf(image Image) (store, error) {
	s := store{blobs: map[string]bool{}, files: map[string]bool{}, chunks: map[string]bool{}}
	for _, layer := range image.Layers {
		s.blobs[layer.Digest] = true
		entries, err := layer.entries()
		if err != nil {
			return store{}, err
		}
		for _, e := range entries {
			if e.Digest != "" {
				s.files[e.fingerprint()], s.chunks[e.Digest] = true, true
			}
			if e.ChunkDigest != "" {
				s.chunks[e.ChunkDigest] = true
			}
		}
	}
	return s, nil
}

// transfer is what a layer takes that is not there on the same layers below it.
func (s store) transfer(layer Layer, m manifest.Manifest) (Transfer, error) {
	t := Transfer{Size: layer.Size, Whole: layer.Size}
	files, size := contentOf(m, layer.Component)
	t.WrittenWhole = size
	if s.blobs[layer.Digest] {
		t.Whole = 0 // The library copies it from where it is.
	}
	if layer.Contents == nil {
		t.Fetched, t.WithoutClones, t.Written, t.NewFiles = t.Whole, t.Whole, size, files
		return t, nil
	}
	entries, err := layer.entries()
	if err != nil {
		return Transfer{}, err
	}
	t.Fetched, t.WithoutClones = layer.Described, layer.Described
	for i := 0; i < len(entries); i++ {
		e := entries[i]
		if e.Type != typeFile || e.Size == 0 {
			continue
		}
		next := i + 1
		for next < len(entries) && entries[next].Type == typeChunk {
			next++
		}
		if s.files[e.fingerprint()] {
			t.LinkedFiles++
		} else {
			t.NewFiles++
			s.missing(&t, e.Size, entries[i:next])
		}
		i = next - 1
	}
	if size == 0 {
		t.WrittenWhole = sizeOf(entries) // It holds the manifest, which does not list itself.
	}
	return t, nil
}

// missing adds a file that is not there, of which some parts may be. The first part is in the entry
// of the file itself, which also says where the last one ends.
func (s store) missing(t *Transfer, left int64, parts []entry) {
	for i, part := range parts {
		end := parts[0].EndOffset
		if i+1 < len(parts) {
			end = parts[i+1].Offset
		}
		size := left
		if part.ChunkSize > 0 {
			size = part.ChunkSize
		}
		left -= size
		if end < part.Offset {
			continue // Nonsense fetches nothing here; a node refuses it.
		}
		if part.ChunkType == chunkOfZeros {
			continue
		}
		t.Written += size
		t.WithoutClones += end - part.Offset
		if !s.chunks[part.ChunkDigest] {
			t.Fetched += end - part.Offset
		}
	}
}

// contentOf counts a component's regular files and adds up their sizes.
func contentOf(m manifest.Manifest, component string) (files int, size int64) {
	for _, f := range m.Files {
		if c, ok := m.Component(f.Path); ok && c.Name == component && f.Link == "" {
			files, size = files+1, size+f.Size
		}
	}
	return files, size
}

// The forms of entries in a table of contents that matter here (containers/storage,
// chunked/internal/minimal). A part follows the file that it belongs to.
const (
	typeFile     = "reg"
	typeChunk    = "chunk"
	chunkOfZeros = "zeros"
)

// maxFile is far above the largest file of a payload, and so small that sums fit.
const maxFile = 1 << 40

// entry is what matters of an entry.
type entry struct {
	Type        string            `json:"type"`
	Name        string            `json:"name"`
	Mode        int64             `json:"mode"`
	Size        int64             `json:"size"`
	UID         int               `json:"uid"`
	GID         int               `json:"gid"`
	Xattrs      map[string]string `json:"xattrs"`
	Digest      string            `json:"digest"`
	Offset      int64             `json:"offset"`
	EndOffset   int64             `json:"endOffset"`
	ChunkSize   int64             `json:"chunkSize"`
	ChunkDigest string            `json:"chunkDigest"`
	ChunkType   string            `json:"chunkType"`
}

// fingerprint is equal where a file can become a hard link to another one.
func (e entry) fingerprint() string {
	var attributes strings.Builder
	for _, key := range slices.Sorted(maps.Keys(e.Xattrs)) {
		fmt.Fprintf(&attributes, " %q=%q", key, e.Xattrs[key])
	}
	return fmt.Sprintf("%s %d:%d:%o%s", e.Digest, e.UID, e.GID, e.Mode, attributes.String())
}

func (l Layer) entries() ([]entry, error) {
	if l.Contents == nil {
		return nil, nil
	}
	var table struct {
		Version int     `json:"version"`
		Entries []entry `json:"entries"`
	}
	if err := json.Unmarshal(l.Contents, &table); err != nil {
		return nil, fmt.Errorf("table of contents of layer %q: %w", l.Component, err)
	}
	if table.Version != 1 {
		return nil, fmt.Errorf("table of contents of layer %q has version %d: 1 is known", l.Component, table.Version)
	}
	for _, e := range table.Entries {
		if e.Offset < 0 || e.Offset > l.Size || e.EndOffset < 0 || e.EndOffset > l.Size {
			return nil, fmt.Errorf("table of contents of layer %q: %q lies outside the layer", l.Component, e.Name)
		}
		if e.Size < 0 || e.Size > maxFile || e.ChunkSize < 0 || e.ChunkSize > maxFile {
			return nil, fmt.Errorf("table of contents of layer %q: %q has a size that no file of a payload has", l.Component, e.Name)
		}
	}
	return table.Entries, nil
}

func sizeOf(entries []entry) (size int64) {
	for _, e := range entries {
		if e.Type == typeFile {
			size += e.Size
		}
	}
	return size
}
