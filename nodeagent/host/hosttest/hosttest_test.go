// SPDX-License-Identifier: Apache-2.0

package hosttest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

func machine(t *testing.T) *hosttest.Machine {
	t.Helper()
	root := t.TempDir()
	m, err := hosttest.New(root, files.Below(root))
	require.NoError(t, err)
	return m
}

func TestTheFilesConform(t *testing.T) {
	t.Parallel()
	hosttest.ConformFiles(t, machine(t).Host().Files)
}

func TestTheMountsConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	hosttest.ConformMounts(t, hosttest.MountsBench{Mounts: m.Host().Mounts, Root: m.Root, Hold: func(target string) func() {
		m.Busy[target] = true
		return func() { m.Busy[target] = false }
	}})
}

func TestTheProcessesConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	hosttest.ConformProcesses(t, m.Host().Processes, func(path string) (int, func()) {
		require.NoError(t, m.Files.Write(path, nil, 0o755))
		m.Processes = append(m.Processes, host.Process{PID: 7, Args: []string{path}, Paths: []string{path}, Name: "shim", Since: time.Now()})
		return 7, func() { m.Processes = slices.Delete(m.Processes, 0, 1) }
	})
}

func TestTheServicesConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Words = map[string]string{fmt.Sprintf("%032x", m.Starts+1): "hello"}
	m.Messages = map[string][]string{"crio.service": {"hello"}}
	hosttest.ConformServices(t, m.Host().Services, "crio.service", "kubelet.service", "hello")
}

func TestTheSandboxesConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	h := m.Host()
	require.NoError(t, h.Files.Write(host.DropIn, nil, 0o644))
	require.NoError(t, h.Files.Write(host.ProofLink+"/"+node.ProofHandler+"/"+host.Shim, []byte("a shim"), 0o755))
	require.NoError(t, h.Services.Restart(t.Context(), "crio.service"))
	hosttest.ConformSandboxes(t, h.Sandboxes)
}

func TestTheImagesConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	one, two := hosttest.Payload{Version: "1.0.0", Shim: "one"}, hosttest.Payload{Version: "2.0.0", Shim: "two"}
	m.Registry[one.Reference()], m.Registry[two.Reference()] = one, two
	missing := hosttest.Payload{Version: "3.0.0"}.Reference()
	hosttest.ConformImages(t, hosttest.ImagesBench{Images: m.Host().Images, One: one.Reference(), Two: two.Reference(), Missing: missing})
}

func TestTheGuestsConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Kernels = []string{"6.13", "6.12"}
	require.NoError(t, m.Files.Write("/base", []byte("a base"), 0o644))
	hosttest.ConformGuests(t, hosttest.GuestsBench{Guests: m.Host().Guests, Files: m.Files, Order: host.GuestOrder{Base: "/base", BaseSHA256: "0"}})
}

func TestTheVMsConform(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Booted = map[string]host.Booted{"/ready": {Ready: true, Console: "it is ready"}, "/ends": {Console: "console", Words: "words", Exited: "exit status 3"}}
	hosttest.ConformVMs(t, m.Host().VMs, "/ready", "/ends", "is ready")
}
