// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/progress"
)

// Packages are the Debian packages for building and running a test cluster, and of those the ones that are not installed.
func Packages() (needed, missing []string) {
	tools := machine.Tools()
	tools["gcc"] = "gcc"           // The race detector needs cgo,
	tools["ld"] = "binutils"       // and that a linker.
	tools["rpmbuild"] = "rpm"      // Builds and unpacks the agent's package.
	tools["rpm2cpio"] = "rpm2cpio" // A package of its own in Debian.
	tools["cpio"] = "cpio"
	for tool, pkg := range tools {
		needed = append(needed, pkg)
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, pkg)
		}
	}
	if _, err := os.Stat("/usr/include/stdlib.h"); err != nil {
		missing = append(missing, "libc6-dev")
	}
	return unique(append(needed, "libc6-dev")), unique(missing)
}

// InstallCommand is the one command that installs packages.
func InstallCommand(packages []string) string {
	return "apt-get update && apt-get install --yes --no-install-recommends " + strings.Join(packages, " ")
}

// InstallMissing installs the missing packages when it runs as root. Otherwise its error has the command to type.
func InstallMissing(ctx context.Context, out io.Writer) error {
	_, missing := Packages()
	if len(missing) == 0 {
		return nil
	}
	command := InstallCommand(missing)
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("installing %s: there is no apt-get here; install them by other means", strings.Join(missing, " "))
	}
	if os.Geteuid() != 0 {
		return errors.New("packages are missing; install them with: sudo sh -c '" + command + "'")
	}
	install := exec.CommandContext(ctx, "sh", "-c", command)
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return progress.Run(ctx, out, "installing "+strings.Join(missing, " "), install)
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
