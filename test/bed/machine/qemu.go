// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// diskSize is what the machine sees; only what it writes takes space on the host.
	diskSize = 8 << 30
	// memory in MiB. QEMU itself needs less than 1 GiB more, most of it for translated code.
	memory = "2048"
	// rebooting is the last word of a kernel that reboots; its own priority keeps it on the
	// console.
	rebooting = "reboot: Restarting system"
)

// emulated is a machine with a kernel of its own, in QEMU without the host's KVM. Its processor has
// AMD's SVM, so that KVM works in it. With more than one emulated processor such a machine was seen
// to stop.
type emulated struct{ *Machine }

func (e emulated) disk() string { return filepath.Join(e.dir, "disk.img") }

// assemble puts the root together as a container's, and makes the disk of it.
func (e emulated) assemble(ctx context.Context, disk Disk) error {
	if err := e.network.bridge(ctx); err != nil {
		return err
	}
	tree := filepath.Join(e.dir, "tree")
	disk.Real = nil // All of the disk is.
	if err := mountRoot(tree, disk); err != nil {
		return err
	}
	root := filepath.Join(tree, "root")
	if err := e.takeKernel(ctx, cmp.Or(disk.Kernel, root)); err != nil {
		return fmt.Errorf("looking for the kernel: %w", err)
	}
	if disk.Kernel != "" {
		if err := addKernel(ctx, disk.Kernel, root); err != nil {
			return err
		}
	}
	if err := e.format(ctx, root); err != nil {
		return fmt.Errorf("making disk: %w", err)
	}
	if err := removeDirectory(tree); err != nil {
		return err
	}
	if err := e.mount(ctx); err != nil {
		return err
	}
	return e.settle(ctx)
}

// takeKernel copies the only kernel of a tree and its initrd to where QEMU reads them.
func (e emulated) takeKernel(ctx context.Context, tree string) error {
	for from, to := range map[string]string{"boot/vmlinuz-*": "kernel", "boot/initrd.img-*": "initrd"} {
		found, err := filepath.Glob(filepath.Join(tree, from))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d files are %s, want 1", len(found), from)
		}
		if err := run(ctx, "cp", found[0], filepath.Join(e.dir, to)); err != nil {
			return err
		}
	}
	return nil
}

// addKernel puts the kernel of a tree into a root that has another one.
func addKernel(ctx context.Context, tree, root string) error {
	if err := run(ctx, "cp", "-a", filepath.Join(tree, "boot"), root); err != nil {
		return err
	}
	return run(ctx, "cp", "-a", filepath.Join(tree, "usr/lib/modules"), filepath.Join(root, "usr/lib"))
}

func (e emulated) format(ctx context.Context, tree string) error {
	if err := os.WriteFile(e.disk(), nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(e.disk(), diskSize); err != nil {
		return err
	}
	return run(ctx, "mkfs.ext4", "-q", "-d", tree, e.disk())
}

// mount gives the host the disk of a machine that is off.
func (e emulated) mount(ctx context.Context) error {
	return run(ctx, "mount", "-o", "loop", e.disk(), e.root)
}

// settle writes what a virtual machine has in place of what systemd-nspawn does for a container.
func (e emulated) settle(ctx context.Context) error {
	key, err := e.makeKey(ctx)
	if err != nil {
		return err
	}
	files := map[string]string{
		"/root/.ssh/authorized_keys":           string(key),
		"/etc/ssh/sshd_config.d/bed.conf":      "UsePAM no\nUseDNS no\nMaxSessions 1000\nStrictModes no\n",
		"/etc/systemd/network/10-eth0.network": fmt.Sprintf("[Match]\nName=%s\n[Network]\nAddress=%s\nGateway=%s\nIPv6AcceptRA=no\n", here, e.network.machine, e.network.host.Addr()),
		"/etc/systemd/network/10-others.link":  "[Match]\nKind=veth bridge\n[Link]\nMACAddressPolicy=none\n",
	}
	for path, content := range files {
		if err := e.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := run(ctx, "systemctl", "--root="+e.root, "mask", "--quiet", "serial-getty@ttyS0.service"); err != nil {
		return err
	}
	if err := run(ctx, "systemctl", "--root="+e.root, "enable", "--quiet", "systemd-networkd.service"); err != nil {
		return err
	}
	return e.enforce(ctx)
}

// run boots the virtual machine once.
func (e emulated) run(ctx context.Context, b *boot, cgroups []string) (again bool, err error) {
	if err := e.label(); err != nil {
		return false, err
	}
	if err := unix.Unmount(e.root, 0); err != nil {
		return false, fmt.Errorf("unmounting the disk from the host: %w", err)
	}
	said, err := e.console.Seek(0, 2)
	if err != nil {
		return false, err
	}
	// With the share of one of many containers, tests of it would last twice as long as all others.
	if err := prefer(cgroups); err != nil {
		return false, err
	}
	qemu := e.qemu(ctx, cgroups)
	if err := qemu.Start(); err != nil {
		return false, err
	}
	b.leader.Store(int64(qemu.Process.Pid))
	connected, disconnect := context.WithCancel(ctx)
	var link error
	off := make(chan struct{})
	go func() {
		defer close(off)
		link = e.connect(connected, b)
	}()
	if err = qemu.Wait(); err != nil {
		err = fmt.Errorf("running QEMU: %w\n%s", err, e.consoleTail())
	}
	disconnect()
	<-off
	err = errors.Join(err, link, e.mount(ctx))
	console, read := os.ReadFile(e.console.Name())
	if read != nil || err != nil {
		return false, errors.Join(err, read)
	}
	return strings.Contains(string(console[said:]), rebooting), nil
}

// qemu is the command of one boot. It ends when the machine reboots. The machine's kernel runs in
// FIPS mode, in which it is stricter about its modules, and with SELinux, see enforce.
func (e emulated) qemu(ctx context.Context, cgroups []string) *exec.Cmd {
	return e.start(ctx, cgroups, "nsenter", "--net="+e.network.file, "qemu-system-x86_64",
		"-name", e.id, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-machine", "pc", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "EPYC,+svm", "-smp", "1", "-m", memory,
		"-kernel", filepath.Join(e.dir, "kernel"), "-initrd", filepath.Join(e.dir, "initrd"),
		"-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off fips=1 security=selinux enforcing=1",
		"-drive", "if=virtio,format=raw,file="+e.disk(), "-device", "virtio-rng-pci",
		"-netdev", "tap,id=link,script=no,downscript=no,ifname="+tap, "-device", "virtio-net-pci,netdev=link")
}

// listen opens a port on the host's end of the link.
func (e emulated) listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(e.network.host.Addr().String(), "0"))
}

// live is no path that there is.
func (e emulated) live(*boot) string {
	return filepath.Join(e.dir, "files of a virtual machine that is on")
}
