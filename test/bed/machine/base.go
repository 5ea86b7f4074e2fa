// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/test/bed/progress"
)

// Release is a Debian release that machines run, by its code name.
type Release string

// Releases of machines. Programs that were built with cgo on one of them run on later ones, too.
const (
	// Bullseye has Linux 5.10, older than any that the product has to run on. Its programs are too
	// old for the others here.
	Bullseye Release = "bullseye"
	// Bookworm has systemd 252. It is the release of machines that name none.
	Bookworm Release = "bookworm"
	// Trixie has systemd 257, which knows soft reboots.
	Trixie Release = "trixie"
)

// basePackages is what a node has in addition to Debian's required packages.
func basePackages() []string {
	return []string{
		"systemd", "systemd-sysv", "dbus", "libpam-systemd",
		"ca-certificates", "conmon", "iproute2", "kmod", "mount", "procps", "runc", "util-linux",
	}
}

// maskedUnits would change the host, whose network and kernel the nodes share, or wake up in the
// middle of a test.
func maskedUnits() []string {
	return []string{
		"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "systemd-tmpfiles-clean.timer",
		"e2scrub_reap.service", "systemd-pstore.service", "systemd-modules-load.service", "systemd-sysctl.service",
		"systemd-journald-audit.socket", "getty@tty1.service", "console-getty.service",
	}
}

// Base returns the directory tree that all containers share, read-only by agreement. The first call
// makes it with debootstrap and keeps it below dir as a tarball and unpacked; later calls with the
// same further packages find it there.
func Base(ctx context.Context, dir string, out io.Writer, packages ...string) (string, error) {
	return Bookworm.Base(ctx, dir, out, packages...)
}

// Base is the function [Base] for machines of this release.
func (r Release) Base(ctx context.Context, dir string, out io.Writer, packages ...string) (string, error) {
	return base(ctx, r, dir, append(basePackages(), packages...), out)
}

// EmulatedBase is [Base] for virtual machines: the same, with a kernel, a way in, and the packages
// that the caller names.
func EmulatedBase(ctx context.Context, dir string, out io.Writer, packages ...string) (string, error) {
	return base(ctx, Bookworm, dir, slices.Concat(basePackages(), []string{kernelPackage, "openssh-server", "udev"}, packages), out)
}

// kernelPackage is what makes the kernel of a virtual machine and its initrd.
const kernelPackage = "linux-image-cloud-amd64"

// KernelBase returns a tree with this release's kernel, its modules and its initrd, for
// [Disk.Kernel].
func (r Release) KernelBase(ctx context.Context, dir string, out io.Writer) (string, error) {
	return base(ctx, r, dir, []string{kernelPackage, "udev"}, out)
}

func base(ctx context.Context, release Release, dir string, packages []string, out io.Writer) (string, error) {
	sum := sha256.Sum256([]byte(string(release) + strings.Join(packages, ",") + strings.Join(maskedUnits(), ",")))
	tree := filepath.Join(dir, "base-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making node tree: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "base.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := once(tree+".tar", func(path string) error { return pack(ctx, release, path, packages, out) }); err != nil {
		return "", err
	}
	return tree, once(tree, func(path string) error { return unpack(ctx, tree+".tar", path, out) })
}

// once makes path unless it is there; what an interrupted make left behind is thrown away.
func once(path string, make func(unfinished string) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := make(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// pack writes the tarball.
func pack(ctx context.Context, release Release, tarball string, packages []string, out io.Writer) error {
	tree := tarball + ".tree"
	if err := removeDirectory(tree); err != nil { // An interrupted debootstrap leaves mounts behind, too.
		return err
	}
	defer removeDirectory(tree) //nolint:errcheck // The next call tries again.
	debootstrap := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), string(release), tree)
	if err := progress.Run(ctx, out, "node tree (first time: about 90 seconds, 200 MB)", debootstrap); err != nil {
		return err
	}
	if err := settle(tree); err != nil {
		return fmt.Errorf("making node tree: %w", err)
	}
	return progress.Run(ctx, out, "packing node tree", exec.CommandContext(ctx, "tar", "-C", tree, "--numeric-owner", "--xattrs", "-cf", tarball, "."))
}

func unpack(ctx context.Context, tarball, tree string, out io.Writer) error {
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	return progress.Run(ctx, out, "unpacking node tree", exec.CommandContext(ctx, "tar", "-C", tree, "--numeric-owner", "--xattrs", "-xf", tarball))
}

// settle takes out of a fresh tree what belongs to one node only or to none.
func settle(tree string) error {
	for _, path := range []string{"var/cache/apt/archives", "var/lib/apt/lists", "var/log/bootstrap.log", "etc/machine-id", "etc/hostname", "etc/resolv.conf"} {
		if err := os.RemoveAll(filepath.Join(tree, path)); err != nil {
			return err
		}
	}
	for _, unit := range maskedUnits() {
		link := filepath.Join(tree, "etc/systemd/system", unit)
		if err := os.Symlink("/dev/null", link); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(tree, "var/log/journal"), 0o755)
}

// lock keeps test programs that run at the same time from doing the same work twice.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
