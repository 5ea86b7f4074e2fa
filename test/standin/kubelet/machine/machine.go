// SPDX-License-Identifier: Apache-2.0

// Package machine reads the facts about a machine that the kubelet puts into its Node.
// It reads files below a root and asks the system for its addresses; it changes nothing.
package machine

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
)

const (
	maxPods      = "110"
	ephemeralGiB = "20Gi"
	loopback     = "127.0.0.1"
)

// Read collects the facts of the machine whose files are below root, under the given node name. A
// missing machine id or release file leaves its field empty; a missing boot id is an error, because
// nodes are told apart across reboots by it.
func Read(root, name string) (nodestatus.Machine, error) {
	boot, err := os.ReadFile(filepath.Join(root, "proc/sys/kernel/random/boot_id")) //nolint:gosec // the root is the operator's choice
	if err != nil {
		return nodestatus.Machine{}, fmt.Errorf("reading the boot id: %w", err)
	}
	memory, err := memoryTotal(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return nodestatus.Machine{}, err
	}
	return nodestatus.Machine{
		Name: name, IP: address(),
		BootID:        strings.TrimSpace(string(boot)),
		MachineID:     line(filepath.Join(root, "etc/machine-id")),
		KernelVersion: line(filepath.Join(root, "proc/sys/kernel/osrelease")),
		OSImage:       value(filepath.Join(root, "etc/os-release"), "PRETTY_NAME="),
		Capacity: corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
			corev1.ResourceMemory:           memory,
			corev1.ResourcePods:             resource.MustParse(maxPods),
			corev1.ResourceEphemeralStorage: resource.MustParse(ephemeralGiB),
		},
	}, nil
}

func memoryTotal(path string) (resource.Quantity, error) {
	fields := strings.Fields(value(path, "MemTotal:"))
	if len(fields) == 0 {
		return resource.Quantity{}, fmt.Errorf("reading the memory size: no MemTotal in %s", path)
	}
	quantity, err := resource.ParseQuantity(fields[0] + "Ki")
	if err != nil {
		return resource.Quantity{}, fmt.Errorf("reading the memory size from %s: %w", path, err)
	}
	return quantity, nil
}

func line(path string) string { return value(path, "") }

// value returns the rest of the first line of a file that starts with prefix, without quotes and
// spaces around it.
func value(path, prefix string) string {
	file, err := os.Open(path) //nolint:gosec // paths are constants below the root
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), prefix); found {
			return strings.Trim(rest, "\" \t")
		}
	}
	return ""
}

// address is the first IPv4 address that is not the loopback's; a machine without one answers on
// the loopback.
func address() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return loopback
	}
	for _, a := range addresses {
		network, ok := a.(*net.IPNet)
		if ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return loopback
}
