// SPDX-License-Identifier: Apache-2.0

package plan

import "strings"

// Kind names a step.
type Kind string

// The steps. Each checks, changes atomically, can be repeated, and is undone by the removal's.
const (
	// Keep writes the intent to disk, so that the next boot acts before the API server is there.
	Keep Kind = "keep intent"
	// Pull fetches the payload into the store.
	Pull Kind = "pull payload"
	// Prefetch fetches another payload into the store, ahead of time.
	Prefetch Kind = "prefetch payload"
	// Mount mounts the payload's layers at the slot's directory.
	Mount Kind = "mount payload"
	// Verify compares every mounted file with the payload's manifest.
	Verify Kind = "verify payload"
	// Resume mounts a slot that was unmounted in this boot, and takes over what was found out about
	// it, as far as payload and host are the same as then.
	Resume Kind = "resume payload"
	// VerifyAgain compares the content of every file of a slot that was resumed, while it serves.
	VerifyAgain Kind = "verify payload again"
	// BuildGuest makes what the payload's guests start from.
	BuildGuest Kind = "build guest"
	// BuildAhead makes the initrd for a kernel that the next boot may bring.
	BuildAhead Kind = "build guest ahead"
	// Configure renders the handlers' directories next to the mount.
	Configure Kind = "configure handlers"
	// LayerPackages layers the payload's packages on the host's operating system, and applies them
	// to the running one where that needs no reboot.
	LayerPackages Kind = "layer packages"
	// UnlayerPackages uninstalls exactly what LayerPackages has installed.
	UnlayerPackages Kind = "unlayer packages"
	// LoadModules loads the kernel modules that the payload's virtual machines need, now and at
	// each boot.
	LoadModules Kind = "load modules"
	// WriteDropIn tells CRI-O about our handlers, at its next start.
	WriteDropIn Kind = "write drop-in"
	// RestartCRIO makes CRI-O read the drop-in.
	RestartCRIO Kind = "restart CRI-O"
	// StartDependents starts the services that systemd stopped with CRI-O for our restart, and gave
	// up where CRI-O did not come back at once.
	StartDependents Kind = "start dependents"
	// ConfirmNode notes that the node has everything again that it had before our restart of CRI-O.
	ConfirmNode Kind = "confirm node"
	// PointProof makes the slot the one that the proof handler runs.
	PointProof Kind = "point proof"
	// Prove starts a sandbox of the proof handler, or of that of a further handler, and a container
	// in it.
	Prove Kind = "prove payload"
	// Control proves the slot that serves, for comparison with the one of Object, whose proof
	// failed.
	Control Kind = "prove control"
	// PointCurrent makes the slot the one that new pods get.
	PointCurrent Kind = "point current"
	// Record writes down what current serves.
	Record Kind = "record payload"
	// Withdraw deletes that record: from here on a removal does not go back to serving.
	Withdraw Kind = "withdraw payload"
	// KeepFindings writes down what was found out about a slot that is to be unmounted, and
	// DropFindings deletes that.
	KeepFindings Kind = "keep findings"
	DropFindings Kind = "drop findings"
	// Unmount unmounts a slot that nothing holds.
	Unmount Kind = "unmount payload"
	// DeleteGuest deletes an initrd that no slot needs.
	DeleteGuest Kind = "delete guest"
	// DeleteImage deletes an image that no slot needs.
	DeleteImage Kind = "delete image"
	// RemoveSandbox stops and removes a sandbox of our handlers that no pod needs.
	RemoveSandbox Kind = "remove sandbox"
	// Reclaim ends what CRI-O may still have of a proof that was interrupted.
	Reclaim Kind = "reclaim proof"
	// RemoveDropIn lets CRI-O forget our handlers at its next natural start.
	RemoveDropIn Kind = "remove drop-in"
	// Clear deletes store and records.
	Clear Kind = "clear store and state"
	// Cordon makes the node unschedulable for a reboot, and Drain evicts its pods.
	Cordon Kind = "cordon node"
	Drain  Kind = "drain node"
	// RebootNode restarts the machine.
	RebootNode Kind = "reboot node"
	// Uncordon makes a node schedulable that the agent made unschedulable.
	Uncordon Kind = "uncordon node"
	// ForgetReboot deletes the record of a reboot that has done what it was for.
	ForgetReboot Kind = "forget reboot"
	// Forget deletes the intent from disk after the controller has taken it off the Node.
	Forget Kind = "forget intent"
)

// Step is one change to the host.
type Step struct {
	Kind Kind
	// Payload is the image by digest; Slot the slot's id, empty while the payload is not in the
	// store; Object a sandbox or image id, the name of a proof, the slot of a guest or of a
	// comparison, the release of a kernel, the name of a further handler, or what a reboot is for.
	Payload, Slot, Object string
}

// Pulls reports whether the step fetches a payload.
func (s Step) Pulls() bool { return s.Kind == Pull || s.Kind == Prefetch }

// String is the step as --dry-run prints and the journal logs it.
func (s Step) String() string {
	words := []string{string(s.Kind)}
	for _, word := range []string{s.Payload, s.Slot, s.Object} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
