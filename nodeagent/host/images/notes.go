// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/ioutils"

	"github.com/kata-node/kata-node/nodeagent/damage"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// note is what must be known of an image to mount it again while the store cannot be opened: the
// library writes when it opens a store for the first time in a boot, and a full disk does not allow
// that.
type note struct {
	Image  host.Image `json:"image"`
	Layers []string   `json:"layers"`
}

func (s *Store) notesDir() string { return filepath.Join(s.graph, "notes") }

func (s *Store) noteFile(id string) string { return filepath.Join(s.notesDir(), id+".json") }

// keep writes the note of an image that was pulled.
func (s *Store) keep(store storage.Store, id string) error {
	image, err := store.Image(id)
	if err != nil {
		return err
	}
	dirs, err := layers(store, image.TopLayer)
	if err != nil {
		return err
	}
	document, err := json.Marshal(note{describe(store, *image), dirs})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.notesDir(), 0o700); err != nil {
		return err
	}
	return ioutils.AtomicWriteFile(s.noteFile(id), document, 0o600)
}

// notes are those of all images, where the reason why the store cannot be opened
// is none of its own. A damaged store is pulled anew.
func (s *Store) notes(why error) []note {
	if s.torn() || damage.OfMedium(why) {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.notesDir(), "*.json"))
	if err != nil {
		return nil
	}
	var all []note
	for _, file := range files {
		var n note
		document, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(document, &n) == nil {
			all = append(all, n)
		}
	}
	return all
}

// noted returns the images of all notes, and why the store could not be asked.
func (s *Store) noted(why error) ([]host.Image, error) {
	var images []host.Image
	for _, n := range s.notes(why) {
		images = append(images, n.Image)
	}
	return images, why
}

// notedLayers returns an image's layers from its note.
func (s *Store) notedLayers(id string, why error) ([]string, error) {
	all := s.notes(why)
	at := slices.IndexFunc(all, func(n note) bool { return n.Image.ID == id })
	if at < 0 {
		return nil, fmt.Errorf("locating the layers of image %s: %w", id, why)
	}
	return all[at].Layers, nil
}
