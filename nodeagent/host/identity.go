// SPDX-License-Identifier: Apache-2.0

package host

import "time"

// Identity is what does not change on a host while the agent runs.
type Identity struct {
	BootID, Architecture, Kernel string
	// Build identifies the agent's program: another one may find out other things.
	Build string
	// CRIOUnit is the systemd unit of the container runtime.
	CRIOUnit string
	// AllowedPayloads are prefixes of references, by whole path components. Nil allows every
	// payload.
	AllowedPayloads []string
	// PayloadKernel is whether guests run the payload's kernel, not the host's.
	PayloadKernel bool
	// OwnContext is the setting selinux_context, KEY=VALUE, where SELinux is on and it is not the
	// default. A slot's id covers it, because a mount keeps its label.
	OwnContext string
	// AllowLayering is whether packages may be layered on nodes of the machine-config operator.
	AllowLayering bool
	// Arm is whether CRI-O is given the handlers before anything is wanted of this node.
	Arm bool
	// ProofTimeout is how long a proof may take.
	ProofTimeout time.Duration
}
