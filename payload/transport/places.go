// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"os"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// source returns how the library names the target to read from it.
func (t Target) source() (types.ImageReference, error) {
	switch t.kind {
	case registryPrefix:
		return t.inRegistry()
	case layoutPrefix:
		at, err := t.findInLayout()
		if err != nil {
			return nil, err
		}
		return layout.NewIndexReference(t.place, at)
	case archivePrefix:
		return archive.NewReference(t.place, t.tag)
	default:
		return t.inStorage()
	}
}

func (t Target) inRegistry() (types.ImageReference, error) {
	named, err := t.named()
	if err != nil {
		return nil, err
	}
	return docker.NewReference(named)
}

// toRegistry sends the image by digest, and moves the tag when all that belongs to it is there.
func (j *job) toRegistry(ctx context.Context) (err error) {
	o, err := j.signed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSigners(o)) }()
	byDigest := j.to
	byDigest.tag, byDigest.digest = "", j.Digest
	to, err := byDigest.inRegistry()
	if err != nil {
		return err
	}
	if err := j.copy(ctx, to, o); err != nil {
		return err
	}
	if err := j.attachInRegistry(ctx, o); err != nil {
		return err
	}
	if j.to.tag == "" {
		return nil
	}
	tagged, err := j.to.inRegistry()
	if err != nil {
		return err
	}
	return j.putManifest(ctx, tagged, j.raw)
}

// putManifest gives a name to a manifest or an index whose parts are there.
func (j *job) putManifest(ctx context.Context, to types.ImageReference, raw []byte) error {
	destination, err := to.NewImageDestination(ctx, j.work.system)
	if err != nil {
		return err
	}
	return errors.Join(destination.PutManifest(ctx, raw, nil), destination.Close())
}

// inStorage names an image in a store of container images, the host's own if no other is named.
func (t Target) inStorage() (types.ImageReference, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("this takes root: run it as root, or below podman unshare for a user's own store")
	}
	named, err := t.named()
	if err != nil {
		return nil, err
	}
	return storage.Transport.ParseReference(t.store + named.String())
}

// toStorage unpacks the image into a store. A store has no indexes: of one, the image for this
// machine is stored, and is found by the index's digest too.
func (j *job) toStorage(ctx context.Context) error {
	to, err := j.to.inStorage()
	if err != nil {
		return err
	}
	if j.Index {
		return j.copy(ctx, to, copy.Options{ImageListSelection: copy.CopySystemImage})
	}
	return j.copy(ctx, to, copy.Options{ImageListSelection: copy.CopyAllImages})
}
