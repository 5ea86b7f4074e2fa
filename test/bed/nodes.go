// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kata-node/kata-node/test/bed/fault"
	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// closeLimit is for shutting down everything on a machine that is busy with other things.
const closeLimit = 2 * time.Minute

// storeDir is on a real file system in every node, because an overlay's layers cannot be on an
// overlay.
const storeDir = "/var/lib/kata-containers"

// Node is one machine of the cluster and what lies between it and the control plane.
type Node struct {
	*machine.Machine

	// API is the only way from the node to the API server.
	API *fault.Forwarder
	// Images is the only way from the node to the registry.
	Images *fault.Registry

	cluster *Cluster
}

// NodeOptions say what a node has in addition to Debian, CRI-O, the kubelet, and the images of
// package images in a read-only store, as if it had pulled them.
type NodeOptions struct {
	// Layers are directory trees laid over the node's root, the topmost first, such as an unpacked
	// package. They are used where they are: nothing may write to them while the node exists.
	Layers []string
	// Files are written to the node's disk before it boots, mode 0644.
	Files map[string]string
	// Packages are further Debian packages. Nodes with the same ones share a tree, which takes
	// minutes to make the first time.
	Packages []string
	// Programs are further programs of the host, static ones, by the path at which the node has
	// them.
	Programs map[string]string
	// Preset are units for which `systemctl preset` decides, before the first boot, whether they
	// are enabled.
	Preset []string
	// Bare leaves out CRI-O, the kubelet and the images.
	Bare bool
	// Release is the Debian release of a container, bookworm where it is empty.
	Release machine.Release
	// Emulated makes the node a virtual machine with a kernel of its own and KVM, which boots in a
	// minute, in place of a container.
	Emulated bool
	// Kernel is the Debian release whose kernel an emulated node runs, bookworm where it is empty.
	Kernel machine.Release
	// Off leaves the node switched off; the caller boots it.
	Off bool
}

// PrepareNodes makes what all nodes of a kind share, which takes long the first time and nothing
// later. AddNode does it where it is not made yet; a caller who limits that call does it before.
func (c *Cluster) PrepareNodes(ctx context.Context, options NodeOptions) error {
	_, err := c.disk(ctx, options)
	if err == nil && !options.Bare {
		_, err = c.imageStore(ctx)
	}
	if err != nil {
		return fmt.Errorf("preparing nodes: %w", err)
	}
	return nil
}

// disk is what a node's root is made of, without what nodes share of this cluster.
func (c *Cluster) disk(ctx context.Context, o NodeOptions) (disk machine.Disk, err error) {
	dir, out, base := c.workspace.cache(), c.options.Progress, ""
	if o.Emulated {
		base, err = machine.EmulatedBase(ctx, dir, out, o.Packages...)
	} else {
		base, err = cmp.Or(o.Release, machine.Bookworm).Base(ctx, dir, out, o.Packages...)
	}
	if err == nil && o.Kernel != "" {
		disk.Kernel, err = o.Kernel.KernelBase(ctx, dir, out)
	}
	disk.Layers, disk.Real = append(slices.Clone(o.Layers), base), []string{storeDir}
	return disk, err
}

func (o NodeOptions) machine() func(ctx context.Context, home, name string, disk machine.Disk) (*machine.Machine, error) {
	if o.Emulated {
		return machine.NewEmulated
	}
	return machine.New
}

// AddNode makes a node and boots it. It returns when the node's systemd has reached basic.target;
// services may still be starting.
func (c *Cluster) AddNode(ctx context.Context, name string, options NodeOptions) (*Node, error) {
	disk, err := c.disk(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("adding node %q: %w", name, err)
	}
	n := &Node{cluster: c}
	if !options.Bare {
		if err := c.share(ctx, &disk); err != nil {
			return nil, fmt.Errorf("adding node %q: %w", name, err)
		}
	}
	if n.Machine, err = options.machine()(ctx, c.home, name, disk); err != nil {
		return nil, errors.Join(fmt.Errorf("adding node %q: %w", name, err), n.Remove(ctx))
	}
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	if err := n.connect(ctx); err != nil {
		return nil, fmt.Errorf("adding node %q: %w", name, err)
	}
	if err := n.install(ctx, options); err != nil {
		return nil, fmt.Errorf("adding node %q: %w", name, err)
	}
	if options.Off {
		return n, nil
	}
	return n, n.Boot(ctx)
}

// connect opens the node's ways to the control plane and the registry, see
// [machine.Machine.Listen].
func (n *Node) connect(ctx context.Context) error {
	api, err := n.Listen(ctx)
	if err != nil {
		return err
	}
	n.API = fault.Forward(ctx, api, n.cluster.endpoints.APIServer)
	images, err := n.Listen(ctx)
	if err != nil {
		return err
	}
	n.Images = fault.NewRegistry(images, n.cluster.Registry)
	return nil
}

// Snapshot records files of the node as it sees them now, see [snapshot.Take].
func (n *Node) Snapshot(ctx context.Context, patterns ...string) (snapshot.Snapshot, error) {
	root, err := n.Open(ctx, patterns...)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	taken, err := snapshot.Take(root, patterns...)
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", n.Name(), err)
	}
	return taken, nil
}

// Remove takes the machine and its connections away; its Node object stays in the cluster, as after
// the loss of a machine.
func (n *Node) Remove(ctx context.Context) error {
	var errs []error
	if n.Machine != nil {
		errs = append(errs, n.Machine.Remove(ctx))
	}
	if n.API != nil {
		errs = append(errs, n.API.Close())
	}
	if n.Images != nil {
		errs = append(errs, n.Images.Close())
	}
	n.cluster.forget(n)
	return errors.Join(errs...)
}

func (c *Cluster) forget(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(c.nodes, func(other *Node) bool { return other == n })
}

// removeAll removes nodes at the same time.
func removeAll(ctx context.Context, nodes []*Node) error {
	errs := make([]error, len(nodes))
	var removals sync.WaitGroup
	for i, n := range nodes {
		removals.Go(func() { errs[i] = n.Remove(ctx) })
	}
	removals.Wait()
	return errors.Join(errs...)
}
