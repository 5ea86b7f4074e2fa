// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Label is the SELinux label of guests: what container-selinux says of everything below
// /var/lib/kata-containers, so that a relabelling of the host changes nothing. QEMU, which runs as
// container_kvm_t, may read it, and may not read what has the label of /var/lib.
const Label = "system_u:object_r:container_ro_file_t:s0"

// xattr is where the kernel keeps a label.
const xattr = "security.selinux"

// label labels the guest of a slot where SELinux is on. Files that are made later in the
// directories inherit the label.
func (b Builder) label(slot string) error {
	if b.Label == "" {
		return nil
	}
	for _, name := range []string{host.GuestsDir, host.GuestDir(slot), host.GuestInitrd(slot), recordFile(slot)} {
		err := unix.Lsetxattr(b.Path(name), xattr, []byte(b.Label+"\x00"), 0)
		// A file system without labels of its own has that of its mount.
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("labelling %s %s for SELinux, without which QEMU cannot read it: %w", name, b.Label, err)
		}
	}
	return nil
}
