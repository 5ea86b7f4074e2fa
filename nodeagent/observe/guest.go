// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// payloadKernel makes slots whose guests run the payload's kernel other slots.
const payloadKernel = " guest_kernel=payload"

// kernels returns the kernels on disk that do not run. None are known where they cannot be listed,
// which is no reason to stop serving: a guest that is missed is made at the next boot.
func (o Observer) kernels() []string {
	if o.Self.PayloadKernel {
		return nil
	}
	all, err := o.Host.Guests.Kernels()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(release string) bool { return release == o.Self.Kernel })
}

// guests returns the initrds on disk.
func (o Observer) guests() ([]plan.Guest, error) {
	slots, err := o.Host.Files.List(host.GuestsDir)
	if err != nil {
		return nil, err
	}
	var guests []plan.Guest
	for _, slot := range slots {
		guests = append(guests, plan.Guest{Slot: slot, Whole: o.wholeGuest(slot)})
	}
	return guests, nil
}

// wholeGuest takes what is no directory, or cannot be read, for a guest to make again or to delete.
func (o Observer) wholeGuest(slot string) bool {
	files, err := o.Host.Files.List(host.GuestDir(slot))
	return err == nil && slices.Contains(files, host.GuestInitrdFile) && slices.Contains(files, host.GuestRecordFile)
}

// guest reports whether what a slot's guests start from is there.
func (o Observer) guest(slot string) (bool, error) {
	g, err := record.LoadGuest(o.Host.Files, slot)
	if err != nil || g == nil {
		return false, err
	}
	if !strings.HasPrefix(g.Initrd, host.GuestsDir+"/") {
		return true, nil // it is a file of the payload
	}
	return o.wholeGuest(path.Base(path.Dir(g.Initrd))), nil
}
