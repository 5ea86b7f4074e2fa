// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pairs holds the addresses of the links between the host and its machines, four to a link. The
// range is set aside for tests between hosts (RFC 2544): no real network has it.
var pairs = netip.MustParsePrefix("198.18.0.0/15")

// perLink is how many addresses of pairs a link takes: its network, host, machine, broadcast.
const perLink, linkBits = 4, 30

// here is the link's end in the machine's namespace.
const here = "eth0"

// tap is the virtual machine's end of its link.
const tap = "tap0"

// network is a machine's own network namespace, with a link to the host. It lives as long as the
// machine, over its boots, and ends when its file is unmounted and no process is in it.
type network struct {
	file string
	// host and machine are the ends of the link.
	host, machine netip.Prefix
}

// newNetwork makes a namespace that is mounted on file.
func newNetwork(ctx context.Context, file string) (network, error) {
	n := network{file: file}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return n, fmt.Errorf("making network: %w", err)
	}
	if err := run(ctx, "unshare", "--net="+file, "true"); err != nil {
		return n, fmt.Errorf("making network: %w", err)
	}
	// The link's end on the host ends with the namespace.
	var namespace unix.Stat_t
	if err := unix.Stat(file, &namespace); err != nil {
		return n, fmt.Errorf("making network: %w", err)
	}
	there := "katabed" + strconv.FormatUint(namespace.Ino%(1<<32), 36)
	if err := run(ctx, "ip", "link", "add", there, "type", "veth", "peer", "name", here, "netns", file); err != nil {
		return n, fmt.Errorf("making network: %w", err)
	}
	link, err := net.InterfaceByName(there)
	if err != nil {
		return n, fmt.Errorf("making network: %w", err)
	}
	n.host, n.machine = addresses(link.Index)
	return n, n.do(ctx, [][]string{
		{"ip", "address", "add", n.host.String(), "dev", there},
		{"ip", "link", "set", there, "up"},
		{"nsenter", "--net=" + file, "ip", "link", "set", "lo", "up"},
		{"nsenter", "--net=" + file, "ip", "link", "set", here, "up"},
	})
}

// address gives the namespace its end of the link: what runs in it is the machine.
func (n network) address(ctx context.Context) error {
	return n.do(ctx, [][]string{
		{"nsenter", "--net=" + n.file, "ip", "address", "add", n.machine.String(), "dev", here},
		{"nsenter", "--net=" + n.file, "ip", "route", "add", "default", "via", n.host.Addr().String()},
	})
}

// bridge leads the link on to a tap device for a virtual machine, which has the address.
func (n network) bridge(ctx context.Context) error {
	const bridge = "br0"
	steps := [][]string{{"link", "add", bridge, "type", "bridge"}, {"tuntap", "add", tap, "mode", "tap"}}
	for _, device := range []string{here, tap} {
		steps = append(steps, []string{"link", "set", device, "master", bridge})
	}
	for _, device := range []string{tap, bridge} {
		steps = append(steps, []string{"link", "set", device, "up"})
	}
	for i, step := range steps {
		steps[i] = append([]string{"nsenter", "--net=" + n.file, "ip"}, step...)
	}
	return n.do(ctx, steps)
}

func (n network) do(ctx context.Context, steps [][]string) error {
	for _, step := range steps {
		if err := run(ctx, step[0], step[1:]...); err != nil {
			return fmt.Errorf("connecting network: %w", err)
		}
	}
	return nil
}

// addresses of both ends of the link with the given index, which no other link of the host has.
func addresses(index int) (host, machine netip.Prefix) {
	base := pairs.Addr().As4()
	links := 1 << (linkBits - pairs.Bits())
	first := binary.BigEndian.Uint32(base[:]) + uint32(index%links*perLink) //nolint:gosec // Below 2^17.
	at := func(offset uint32) netip.Prefix {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], first+offset)
		return netip.PrefixFrom(netip.AddrFrom4(a), linkBits)
	}
	return at(1), at(2)
}

// listen opens a TCP port on the machine's own loopback address, served by this process.
func (n network) listen(ctx context.Context) (listener net.Listener, err error) {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err == nil {
		defer own.Close()
		err = enter(n.file)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil { //nolint:gosec // Descriptors fit.
		return nil, errors.Join(err, fmt.Errorf("returning to the host's network: %w", back)) // The thread is of no use any more.
	}
	runtime.UnlockOSThread()
	return listener, err
}

// enter moves the calling thread.
func enter(namespace string) error {
	file, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil { //nolint:gosec // Descriptors fit.
		return fmt.Errorf("entering network %s: %w", namespace, err)
	}
	return nil
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
