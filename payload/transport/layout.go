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

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/renameio/v2"
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

// pushLayout writes the image into a layout of its own inside the directory, moves the blobs over,
// and moves the name last, by one rename. Whoever reads the layout meanwhile sees the old image or
// the new one; two writers at once are not for this.
func pushLayout(ctx context.Context, image v1.Image, target Target) error {
	if err := prepareLayout(target.layout); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(target.layout, ".incoming-")
	if err != nil {
		return err
	}
	return errors.Join(moveImage(ctx, image, layout.Path(stage), target), os.RemoveAll(stage))
}

// prepareLayout makes an empty layout, and refuses a directory that holds something else.
func prepareLayout(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	isLayout := slices.ContainsFunc(there, func(d fs.DirEntry) bool { return d.Name() == layoutFile })
	if len(there) > 0 && !isLayout {
		return fmt.Errorf("%s holds %q and is no OCI layout: name an empty or new directory", dir, there[0].Name())
	}
	if _, err := os.Stat(filepath.Join(dir, indexFile)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	index, err := empty.Index.RawManifest()
	if err != nil {
		return err
	}
	if err := write(dir, layoutFile, []byte(layoutVersion)); err != nil {
		return err
	}
	return write(dir, indexFile, index)
}

// write replaces a file as a whole.
func write(dir, name string, content []byte) error {
	return renameio.WriteFile(filepath.Join(dir, name), content, fileMode, renameio.WithStaticPermissions(fileMode))
}

func moveImage(ctx context.Context, image v1.Image, stage layout.Path, target Target) error {
	if err := stage.WriteImage(image); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	blobs := filepath.Join("blobs", "sha256")
	if err := os.MkdirAll(filepath.Join(target.layout, blobs), dirMode); err != nil {
		return err
	}
	staged, err := os.ReadDir(filepath.Join(string(stage), blobs))
	if err != nil {
		return err
	}
	for _, blob := range staged {
		if err := moveBlob(string(stage), target.layout, filepath.Join(blobs, blob.Name())); err != nil {
			return err
		}
	}
	return moveName(image, target)
}

func moveBlob(from, to, blob string) error {
	if err := os.Chmod(filepath.Join(from, blob), fileMode); err != nil {
		return err
	}
	return os.Rename(filepath.Join(from, blob), filepath.Join(to, blob))
}

// moveName makes the image the one that its tag names, or the one without a tag.
func moveName(image v1.Image, target Target) error {
	index, err := readIndex(layout.Path(target.layout))
	if err != nil {
		return err
	}
	descriptor, err := partial.Descriptor(image)
	if err != nil {
		return err
	}
	descriptor.ArtifactType = ""
	if descriptor.Annotations = nil; target.tag != "" {
		descriptor.Annotations = map[string]string{refName: target.tag}
	}
	if descriptor.Platform, err = platform(image); err != nil {
		return err
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[refName] == target.tag })
	index.Manifests = append(index.Manifests, *descriptor)
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return write(target.layout, indexFile, append(text, '\n'))
}

func platform(image v1.Image) (*v1.Platform, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return &v1.Platform{OS: config.OS, Architecture: config.Architecture}, nil
}

func readIndex(l layout.Path) (*v1.IndexManifest, error) {
	index, err := l.ImageIndex()
	if err != nil {
		return nil, err
	}
	return index.IndexManifest()
}

func openLayout(l layout.Path, target Target) (v1.Image, error) {
	index, err := readIndex(l)
	if err != nil {
		return nil, err
	}
	for _, d := range index.Manifests {
		byDigest := target.digest != "" && d.Digest.String() == target.digest
		byName := target.digest == "" && d.Annotations[refName] == target.tag
		if byDigest || byName {
			return l.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("no such image among the %d in %s", len(index.Manifests), string(l))
}
