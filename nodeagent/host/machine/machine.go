// SPDX-License-Identifier: Apache-2.0

// Package machine examines the host's hardware, and what of its system virtual machines depend on.
// It changes nothing, and each of its questions ends within seconds.
package machine

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Examiner examines one host. It remembers for a while what costs more than reading a file.
type Examiner struct {
	root, context string
	places        Places
	device        device
	now           func() time.Time
	version       func(ctx context.Context, program string) (string, error)

	mu       sync.Mutex
	kvm      host.KVM
	tried    time.Time
	programs map[string]known
}

// Places are where the host may have its programs, the first one that is there counts.
type Places struct{ QEMU, Virtiofsd []string }

// Below returns an examiner of the host whose files are below a root. The SELinux context is that
// of payloads.
func Below(root, selinuxContext string, places Places) *Examiner {
	return &Examiner{
		root: root, context: selinuxContext, places: places, device: kernel{}, now: time.Now, version: askVersion, programs: map[string]known{},
	}
}

// Examine returns what the host is like now.
func (e *Examiner) Examine(ctx context.Context) host.MachineFacts {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := host.MachineFacts{
		Architecture: runtime.GOARCH, KVM: e.tryKVM(ctx), Devices: e.devices(), Modules: e.modules(), Nested: e.nested(),
		CgroupVersion: e.cgroupVersion(), StoreFree: e.storeFree(), SELinux: e.selinux(), PrivateStorage: e.privateStorage(), Clock: e.clock(),
		QEMU: e.find(ctx, e.places.QEMU), Virtiofsd: e.find(ctx, e.places.Virtiofsd),
	}
	f.Virtual, f.Extensions = e.processor()
	f.MemoryTotal, f.MemoryAvailable = e.memory()
	return f
}

// How long the answer of KVM counts: a virtual machine costs milliseconds, and an agent looks at
// its host many times while it installs.
const (
	usableFor   = 10 * time.Minute
	unusableFor = 20 * time.Second
)

func (e *Examiner) tryKVM(ctx context.Context) host.KVM {
	age, counts := e.now().Sub(e.tried), unusableFor
	if e.kvm.Device && e.kvm.Problem == "" {
		counts = usableFor
	}
	if e.tried.IsZero() || age < 0 || age >= counts {
		e.kvm, e.tried = tryKVM(ctx, e.device, e.path("/dev/kvm")), e.now()
	}
	return e.kvm
}

func (e *Examiner) path(path string) string { return filepath.Join(e.root, path) }

// read returns a file's text, empty where it cannot be read: what it would say is not known then.
func (e *Examiner) read(path string) string {
	content, err := os.ReadFile(e.path(path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func (e *Examiner) exists(path string) bool {
	_, err := os.Stat(e.path(path))
	return err == nil
}
