// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Options says how registries are reached.
type Options struct {
	// AuthFile is a containers auth.json or a Docker config.json. Without it the places that podman
	// and docker use are searched.
	AuthFile string
	// SkipTLSVerify accepts any certificate, and plain HTTP where the registry speaks nothing else.
	SkipTLSVerify bool
	// Progress, if set, is told how many bytes of how many have been written to a registry. It is
	// called from one goroutine at a time.
	Progress func(complete, total int64)
}

// Published is an image at its place.
type Published struct {
	// Name is the image by digest: registry/repository@sha256:hex, or oci:DIR@sha256:hex.
	Name string
	// Digest is sha256:hex.
	Digest string
}

// Push writes the image. The target's tag moves to it when everything else is in place.
func Push(ctx context.Context, image v1.Image, target Target, o Options) (Published, error) {
	digest, err := push(ctx, image, target, o)
	if err != nil {
		return Published{}, fmt.Errorf("publishing to %s: %w", target, err)
	}
	return Published{Name: target.byDigest(digest), Digest: digest}, nil
}

func push(ctx context.Context, image v1.Image, target Target, o Options) (string, error) {
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	if target.digest != "" && target.digest != digest.String() {
		return "", fmt.Errorf("the image's digest is %s", digest)
	}
	if target.layout != "" {
		return digest.String(), pushLayout(ctx, image, target)
	}
	return digest.String(), pushRegistry(ctx, image, target, o)
}

func pushRegistry(ctx context.Context, image v1.Image, target Target, o Options) error {
	ref, err := target.reference(o)
	if err != nil {
		return err
	}
	options, err := o.remote(ctx, ref.Context())
	if err != nil {
		return err
	}
	if o.Progress == nil {
		return remote.Write(ref, image, options...)
	}
	updates := make(chan v1.Update)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for u := range updates {
			if u.Error == nil {
				o.Progress(u.Complete, u.Total)
			}
		}
	}()
	err = remote.Write(ref, image, append(options, remote.WithProgress(updates))...)
	<-done
	return err
}

// Open finds an image. Its layers are read later, from where it was found.
func Open(ctx context.Context, target Target, o Options) (v1.Image, error) {
	image, err := open(ctx, target, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", target, err)
	}
	return image, nil
}

func open(ctx context.Context, target Target, o Options) (v1.Image, error) {
	if target.layout != "" {
		return openLayout(layout.Path(target.layout), target)
	}
	ref, err := target.reference(o)
	if err != nil {
		return nil, err
	}
	options, err := o.remote(ctx, ref.Context())
	if err != nil {
		return nil, err
	}
	return remote.Image(ref, options...)
}
