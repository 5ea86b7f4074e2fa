// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	// instancesFile is how many instances of inotify(7) one user may have. For the kernel the root
	// of every container is the host's.
	instancesFile = "/proc/sys/fs/inotify/max_user_instances"
	// instances is enough for 50 nodes: systemd, CRI-O, kubelet and agent have about 20 in each.
	// The kernel's own limit is 128.
	instances = 1024
)

// allowInotify raises the host's limit, which stays so until the host's next boot. A CRI-O that
// reaches it ends at its start, and its kubelet with it.
func allowInotify() error {
	content, err := os.ReadFile(instancesFile)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("reading %s: %w", instancesFile, err)
	}
	if limit >= instances {
		return nil
	}
	return os.WriteFile(instancesFile, []byte(strconv.Itoa(instances)), 0o644)
}
