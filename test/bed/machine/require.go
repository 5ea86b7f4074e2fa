// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"os/exec"
)

// Tools are the programs that this package runs on the host and the Debian packages that have them.
func Tools() map[string]string {
	return map[string]string{
		"systemd-nspawn":     "systemd-container",
		"systemctl":          "systemd",
		"journalctl":         "systemd",
		"debootstrap":        "debootstrap",
		"nsenter":            "util-linux",
		"ip":                 "iproute2",
		"tar":                "tar",
		"qemu-system-x86_64": "qemu-system-x86",
		"mkfs.ext4":          "e2fsprogs",
		"mount":              "mount",
		"secilc":             "secilc",
		"ssh":                "openssh-client",
	}
}

// Missing says in sentences why machines cannot run on this host. It is empty when they can.
func Missing() []string {
	var reasons []string
	if os.Geteuid() != 0 {
		reasons = append(reasons, "this is not root")
	}
	for tool, pkg := range Tools() {
		if _, err := exec.LookPath(tool); err != nil {
			reasons = append(reasons, fmt.Sprintf("%s is not installed (Debian package %s)", tool, pkg))
		}
	}
	if _, err := hierarchies(); err != nil {
		reasons = append(reasons, err.Error())
	}
	return reasons
}
