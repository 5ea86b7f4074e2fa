// SPDX-License-Identifier: Apache-2.0

// Package seam puts one function around every change that goes through the ports of a host, so that
// a test can count, stop or fail any of them. What only reads passes untouched.
package seam

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Kind is a method that changes something.
type Kind string

// Every method of every port that changes something.
const (
	Write   Kind = "files.write"
	Link    Kind = "files.link"
	Remove  Kind = "files.remove"
	Start   Kind = "services.start"
	Restart Kind = "services.restart"
	Pull    Kind = "images.pull"
	Delete  Kind = "images.delete"
	Discard Kind = "images.discard"
	Destroy Kind = "images.destroy"
	Overlay Kind = "mounts.overlay"
	Unmount Kind = "mounts.unmount"
	Prove   Kind = "sandboxes.prove"
	End     Kind = "sandboxes.remove"
	Reclaim Kind = "sandboxes.reclaim"
	Build   Kind = "guests.build"
	Layer   Kind = "ostree.layer"
	Live    Kind = "ostree.live"
	Boot    Kind = "vms.boot"
	Reboot  Kind = "power.reboot"
)

// Op is one change: what is done, and to which path, unit, image or sandbox.
type Op struct {
	Kind   Kind
	Object string
}

func (o Op) String() string { return string(o.Kind) + " " + o.Object }

// Around is called in place of a change, which it may do, and returns what the caller gets.
type Around func(op Op, do func() error) error

// Wrap returns the same host, with a function around each of its changes.
func Wrap(h host.Host, around Around) host.Host {
	h.Files = files{h.Files, around}
	h.Services = services{h.Services, around}
	h.Images = images{h.Images, around}
	h.Mounts = mounts{h.Mounts, around}
	h.Sandboxes = sandboxes{h.Sandboxes, around}
	h.Guests = guests{h.Guests, around}
	h.Ostree = ostree{h.Ostree, around}
	h.VMs = vms{h.VMs, around}
	h.Power = power{h.Power, around}
	return h
}

type files struct {
	host.Files
	around Around
}

func (f files) Write(path string, content []byte, mode fs.FileMode) error {
	return f.around(Op{Write, path}, func() error { return f.Files.Write(path, content, mode) })
}

func (f files) Link(path, target string) error {
	return f.around(Op{Link, path}, func() error { return f.Files.Link(path, target) })
}

func (f files) Remove(path string) error {
	return f.around(Op{Remove, path}, func() error { return f.Files.Remove(path) })
}

type services struct {
	host.Services
	around Around
}

func (s services) Start(ctx context.Context, name string) error {
	return s.around(Op{Start, name}, func() error { return s.Services.Start(ctx, name) })
}

func (s services) Restart(ctx context.Context, name string) error {
	return s.around(Op{Restart, name}, func() error { return s.Services.Restart(ctx, name) })
}

type images struct {
	host.Images
	around Around
}

func (i images) Pull(ctx context.Context, image string, progress func(host.Progress)) error {
	return i.around(Op{Pull, image}, func() error { return i.Images.Pull(ctx, image, progress) })
}

func (i images) Delete(ctx context.Context, id string) error {
	return i.around(Op{Delete, id}, func() error { return i.Images.Delete(ctx, id) })
}

func (i images) Discard(ctx context.Context, id string) error {
	return i.around(Op{Discard, id}, func() error { return i.Images.Discard(ctx, id) })
}

func (i images) Destroy(ctx context.Context) error {
	return i.around(Op{Destroy, host.StoreDir}, func() error { return i.Images.Destroy(ctx) })
}

type mounts struct {
	host.Mounts
	around Around
}

func (m mounts) Overlay(layers []string, target string) error {
	return m.around(Op{Overlay, target}, func() error { return m.Mounts.Overlay(layers, target) })
}

func (m mounts) Unmount(target string) error {
	return m.around(Op{Unmount, target}, func() error { return m.Mounts.Unmount(target) })
}

type sandboxes struct {
	host.Sandboxes
	around Around
}

func (s sandboxes) Prove(ctx context.Context, handler, name string) (id string, err error) {
	err = s.around(Op{Prove, name}, func() error {
		id, err = s.Sandboxes.Prove(ctx, handler, name)
		return err
	})
	return id, err
}

func (s sandboxes) Remove(ctx context.Context, id string) error {
	return s.around(Op{End, id}, func() error { return s.Sandboxes.Remove(ctx, id) })
}

func (s sandboxes) Reclaim(ctx context.Context, name string) error {
	return s.around(Op{Reclaim, name}, func() error { return s.Sandboxes.Reclaim(ctx, name) })
}

type guests struct {
	host.Guests
	around Around
}

func (g guests) Build(ctx context.Context, order host.GuestOrder) error {
	return g.around(Op{Build, order.Slot}, func() error { return g.Guests.Build(ctx, order) })
}

type ostree struct {
	host.Ostree
	around Around
}

func (o ostree) Layer(ctx context.Context, change host.Layering) error {
	object := strings.Join(append(slices.Clone(change.Install), change.Uninstall...), " ")
	return o.around(Op{Layer, object}, func() error { return o.Ostree.Layer(ctx, change) })
}

func (o ostree) ApplyLive(ctx context.Context) error {
	return o.around(Op{Live, "pending deployment"}, func() error { return o.Ostree.ApplyLive(ctx) })
}

type vms struct {
	host.VMs
	around Around
}

func (v vms) Boot(ctx context.Context, boot host.Boot) (booted host.Booted, err error) {
	err = v.around(Op{Boot, boot.Program}, func() error {
		booted, err = v.VMs.Boot(ctx, boot)
		return err
	})
	return booted, err
}

type power struct {
	host.Power
	around Around
}

func (p power) Reboot(ctx context.Context) error {
	return p.around(Op{Reboot, "host"}, func() error { return p.Power.Reboot(ctx) })
}
