// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/renameio/v2"
	"go.podman.io/image/v5/copy"
	ocilayout "go.podman.io/image/v5/oci/layout"
)

const (
	refName = "org.opencontainers.image.ref.name"
	// Names and content as the OCI image layout specification has them (image-layout.md).
	indexFile     = "index.json"
	layoutFile    = "oci-layout"
	layoutVersion = `{"imageLayoutVersion":"1.0.0"}`
	dirMode       = 0o755
	fileMode      = 0o644
)

// toLayout copies into a layout of its own inside the directory, moves the blobs over, and moves
// the name last, by one rename: the library writes the index in place. Whoever reads the layout
// meanwhile sees the old image or the new one. One process at a time may write.
func (j *job) toLayout(ctx context.Context) error {
	var c created
	if err := j.intoLayout(ctx, &c); err != nil {
		return errors.Join(err, c.undo())
	}
	return nil
}

func (j *job) intoLayout(ctx context.Context, c *created) error {
	dir := j.to.place
	if err := c.directories(dir); err != nil {
		return err
	}
	held, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer held.Close() //nolint:errcheck // It is a directory.
	if err := errors.Join(lock(held), judgeLayout(dir)); err != nil {
		return err
	}
	if err := removeAbandoned(dir, incoming); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(dir, incoming)
	if err != nil {
		return err
	}
	return errors.Join(j.stage(ctx, stage, c), os.RemoveAll(stage))
}

// judgeLayout refuses a directory that holds something else.
func judgeLayout(dir string) error {
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	foreign := ""
	for _, entry := range there {
		if entry.Name() == layoutFile && entry.Type().IsRegular() {
			return nil
		}
		if !strings.HasPrefix(entry.Name(), incoming) {
			foreign = entry.Name()
		}
	}
	if foreign != "" {
		return fmt.Errorf("%s holds %q and is no OCI layout: name an empty or new directory", dir, foreign)
	}
	return nil
}

func (j *job) stage(ctx context.Context, stage string, c *created) error {
	to, err := ocilayout.NewReference(stage, "")
	if err != nil {
		return err
	}
	if err := j.copy(ctx, to, copy.Options{ImageListSelection: copy.CopyAllImages}); err != nil {
		return err
	}
	lists, err := j.attachInLayout(ctx, stage, to)
	if err != nil {
		return err
	}
	named, err := j.descriptors(stage)
	if err != nil {
		return err
	}
	named = append(lists, named...)
	index, err := nameIn(j.to.place, named)
	if err != nil {
		return err
	}
	if err := moveBlobs(stage, j.to.place, c); err != nil {
		return err
	}
	if err := c.file(filepath.Join(j.to.place, layoutFile), []byte(layoutVersion)); err != nil {
		return err
	}
	return replace(filepath.Join(j.to.place, indexFile), index)
}

// descriptors are what the layout's index has to say about what is in the stage.
func (j *job) descriptors(stage string) ([]v1.Descriptor, error) {
	staged, err := readIndex(stage)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(staged.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == j.Digest })
	if at < 0 {
		return nil, fmt.Errorf("the copy in %s has no %s", stage, j.Digest)
	}
	top := staged.Manifests[at]
	if top.Annotations = nil; j.to.tag != "" {
		top.Annotations = map[string]string{refName: j.to.tag}
	}
	if !j.Index {
		config, err := j.Images[0].ConfigFile()
		if err != nil {
			return nil, err
		}
		top.Platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture}
	}
	return []v1.Descriptor{top}, nil
}

// nameIn returns the layout's index with the descriptors in it. A name that it has already moves.
func nameIn(dir string, named []v1.Descriptor) ([]byte, error) {
	index, err := readIndex(dir)
	if errors.Is(err, fs.ErrNotExist) {
		index, err = empty.Index.IndexManifest()
	}
	if err != nil {
		return nil, err
	}
	for _, d := range named {
		index.Manifests = slices.DeleteFunc(index.Manifests, func(old v1.Descriptor) bool { return old.Annotations[refName] == d.Annotations[refName] })
		index.Manifests = append(index.Manifests, d)
	}
	text, err := json.MarshalIndent(index, "", "  ")
	return append(text, '\n'), err
}

func moveBlobs(from, to string, c *created) error {
	blobs := filepath.Join("blobs", "sha256")
	if err := c.directories(filepath.Join(to, blobs)); err != nil {
		return err
	}
	staged, err := os.ReadDir(filepath.Join(from, blobs))
	if err != nil {
		return err
	}
	for _, blob := range staged {
		if err := c.move(filepath.Join(from, blobs, blob.Name()), filepath.Join(to, blobs, blob.Name())); err != nil {
			return err
		}
	}
	return nil
}

// replace replaces a file as a whole.
func replace(name string, content []byte) error {
	return renameio.WriteFile(name, content, fileMode, renameio.WithStaticPermissions(fileMode))
}

func readIndex(dir string) (*v1.IndexManifest, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	return index.IndexManifest()
}

// errNoSuchImage is of a layout that has others.
var errNoSuchImage = errors.New("no such image")

// findInLayout returns which of a layout's images the target names.
func (t Target) findInLayout() (int, error) {
	index, err := readIndex(t.place)
	if err != nil {
		return 0, err
	}
	for at, d := range index.Manifests {
		byDigest := t.digest != "" && d.Digest.String() == t.digest
		byName := t.digest == "" && d.Annotations[refName] == t.tag
		if byDigest || byName {
			return at, nil
		}
	}
	return 0, fmt.Errorf("%w among the %d in %s", errNoSuchImage, len(index.Manifests), t.place)
}
