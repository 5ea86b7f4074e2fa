// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"slices"

	"github.com/kata-node/kata-node/test/bed/images"
	"github.com/kata-node/kata-node/test/bed/machine"
)

const (
	// imageStoreDir is where a node has the images of package images without having pulled them.
	imageStoreDir = "/usr/share/kata-test/images"
	// imageStoreFile makes them known to CRI-O. A file of a test that sorts later can say
	// otherwise. As on OpenShift, CRI-O's storage is no private mount: a shim of Kata could not see
	// into it.
	imageStoreFile = "/etc/crio/crio.conf.d/05-test-images.conf"
	imageStoreConf = `[crio]
storage_driver = "overlay"
storage_option = ["overlay.imagestore=` + imageStoreDir + `", "overlay.skip_mount_home=true"]
[crio.image]
pause_image = "` + images.Pause + `"
`
	// crioStorage is where CRI-O mounts the root of each container.
	crioStorage = "/var/lib/containers"
)

// Images builds the images of package images.
func (p Programs) Images(ctx context.Context) (images.Set, error) {
	return images.Build(ctx, images.Programs{Pause: p.Path("pause"), Agnhost: p.Path("agnhost")})
}

// PushImages puts the images of package images into the cluster's registry.
func (c *Cluster) PushImages(ctx context.Context) error {
	set, err := c.options.Programs.Images(ctx)
	if err != nil {
		return err
	}
	return set.Push(ctx, c.Registry)
}

// share adds the images and the programs to a disk. All nodes of a checkout share one store of
// images.
func (c *Cluster) share(ctx context.Context, disk *machine.Disk) error {
	store, err := c.imageStore(ctx)
	if err != nil {
		return err
	}
	programs, err := c.programLayer()
	if err != nil {
		return err
	}
	base := len(disk.Layers) - 1
	disk.Layers = slices.Insert(disk.Layers, base, programs)
	disk.Shared = map[string]string{imageStoreDir: store}
	disk.Real = append(disk.Real, crioStorage)
	return nil
}

// imageStore builds the images once for all nodes: they are large.
func (c *Cluster) imageStore(ctx context.Context) (string, error) {
	c.making.Lock()
	defer c.making.Unlock()
	if c.store != "" {
		return c.store, nil
	}
	set, err := c.options.Programs.Images(ctx)
	if err != nil {
		return "", err
	}
	c.store, err = set.Store(ctx, c.workspace.cache(), c.options.Progress)
	return c.store, err
}
