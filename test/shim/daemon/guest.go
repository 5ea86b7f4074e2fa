// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mapGuest maps a guest's image for as long as this process lives, as QEMU does. Nothing reads it.
func mapGuest(image string) error {
	file, err := os.Open(filepath.Clean(image))
	if err != nil {
		return fmt.Errorf("opening the guest's image: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("opening the guest's image: %w", err)
	}
	if _, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED); err != nil { //nolint:gosec // descriptors fit
		return fmt.Errorf("mapping the guest's image %s: %w", image, err)
	}
	return nil
}
