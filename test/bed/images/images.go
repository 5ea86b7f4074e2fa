// SPDX-License-Identifier: Apache-2.0

// Package images builds the images of the pods that run on test nodes. Their contents come from Go
// modules and Debian, so that no test needs a registry of the internet.
package images

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is how images are named in a test cluster.
const Registry = "registry.kata.test"

// The images, as a pod names them.
const (
	// Pause is what CRI-O starts in every sandbox.
	Pause = Registry + "/kata/pause:test"
	// Busybox has a shell and the usual small programs.
	Busybox = Registry + "/kata/busybox:test"
	// Agnhost is the image of Kubernetes' own tests, with the programs of [Busybox] below it.
	Agnhost = Registry + "/kata/agnhost:test"
)

// Programs are the files of the static programs that the images hold; busybox is the host's.
type Programs struct {
	Pause, Agnhost string
}

// Set is images by the names that pods use.
type Set map[string]v1.Image

// Build builds every image. The same programs give the same digests.
func Build(ctx context.Context, programs Programs) (Set, error) {
	pause, err := pauseImage(programs.Pause)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", Pause, err)
	}
	busybox, err := busyboxImage(ctx)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", Busybox, err)
	}
	agnhost, err := agnhostImage(busybox, programs.Agnhost)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", Agnhost, err)
	}
	return Set{Pause: pause, Busybox: busybox, Agnhost: agnhost}, nil
}

// Push writes the images to the registry at host:port, which speaks plain HTTP and stands for
// [Registry].
func (s Set) Push(ctx context.Context, registry string) error {
	for _, image := range slices.Sorted(maps.Keys(s)) {
		target, err := name.ParseReference(registry+strings.TrimPrefix(image, Registry), name.Insecure)
		if err != nil {
			return fmt.Errorf("pushing %s: %w", image, err)
		}
		if err := remote.Write(target, s[image], remote.WithContext(ctx)); err != nil {
			return fmt.Errorf("pushing %s to %s: %w", image, registry, err)
		}
	}
	return nil
}
