// SPDX-License-Identifier: Apache-2.0

// Package launch is the shim's `start` action: it leaves one long-lived process per sandbox behind.
// A container of a sandbox that already has one is sent there, whatever version that process runs.
package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kata-node/kata-node/test/shim/bundle"
)

const (
	// ListenerFD is where the long-lived process finds its socket, already listening.
	ListenerFD = 3

	scheme      = "unix://"
	addressFile = "address"
)

// Launcher starts shims; all fields are needed.
type Launcher struct {
	Executable string // what the long-lived process runs, with every link resolved
	SocketDir  string // where the sockets go
	Namespace  string
	Bundle     string // the container's bundle, and the working directory of the process
}

// Start returns the ttrpc address that serves container id and writes it to the bundle's address
// file.
func (l Launcher) Start(id string) (string, error) {
	b, err := bundle.Read(l.Bundle)
	if err != nil {
		return "", err
	}
	address := l.address(b.SandboxOf(id))
	if b.SandboxOf(id) == id {
		if err := l.spawn(id, address); err != nil {
			return "", fmt.Errorf("starting shim of %s: %w", id, err)
		}
	}
	return address, l.record(address)
}

func (l Launcher) address(sandbox string) string {
	sum := sha256.Sum256([]byte(l.Namespace + "/" + sandbox))
	return scheme + filepath.Join(l.SocketDir, hex.EncodeToString(sum[:]))
}

func (l Launcher) spawn(id, address string) error {
	if err := os.MkdirAll(l.SocketDir, 0o700); err != nil {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: strings.TrimPrefix(address, scheme), Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close() //nolint:errcheck // the copy in the new process is the one that counts
	socket, err := listener.File()
	if err != nil {
		return err
	}
	defer socket.Close() //nolint:errcheck // the copy in the new process is the one that counts
	return l.command(id, socket).Start()
}

// command gives the process a mount namespace of its own that follows the host's, as Kata does:
// that copy is what makes a plain umount of the payload fail while the shim lives.
// No stream is inherited: the caller reads `start` until its output ends.
func (l Launcher) command(id string, socket *os.File) *exec.Cmd {
	cmd := exec.Command(l.Executable, "-namespace", l.Namespace, "-id", id) //nolint:noctx,gosec // it outlives this process by design, and runs this same program
	cmd.Dir = l.Bundle
	cmd.ExtraFiles = []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	}
	return cmd
}

func (l Launcher) record(address string) error {
	path := filepath.Join(l.Bundle, addressFile)
	if err := os.WriteFile(path+".tmp", []byte(address), 0o600); err != nil {
		return fmt.Errorf("writing shim address: %w", err)
	}
	return os.Rename(path+".tmp", path)
}
