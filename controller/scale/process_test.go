// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kata-node/kata-node/controller/scale/scaletest"
)

// process is a program under measurement.
type process struct {
	b   *testing.B
	cmd *exec.Cmd
}

// program builds the controller as it is shipped. CONTROLLER names another version's, to compare.
func program(b *testing.B) string {
	b.Helper()
	if other := os.Getenv("CONTROLLER"); other != "" {
		return other
	}
	file := filepath.Join(b.TempDir(), "kata-controller")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "../../cmd/kata-controller")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building the controller: %v: %s", err, out)
	}
	return file
}

func start(b *testing.B, cmd *exec.Cmd) *process {
	b.Helper()
	// Collector and scheduler see two processors, as in the published figures.
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=2"), cmd.Env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &process{b, cmd}
}

func (p *process) stop() {
	if err := p.cmd.Process.Kill(); err != nil {
		p.b.Fatal(err)
	}
	if err := p.cmd.Wait(); err == nil {
		p.b.Error("a process ended by itself")
	}
}

func (p *process) cpu() time.Duration {
	used, err := scaletest.CPU(p.cmd.Process.Pid)
	if err != nil {
		p.b.Fatal(err)
	}
	return used
}

// memory is one line of proc_pid_status(5), in MiB.
func (p *process) memory(line string) float64 {
	size, err := scaletest.MiB(p.cmd.Process.Pid, line)
	if err != nil {
		p.b.Fatal(err)
	}
	return size
}

// credential is a kubeconfig file for the server.
func credential(b *testing.B, s *apiServer) string {
	b.Helper()
	const name = "test"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: s.http.URL}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name}
	file.CurrentContext = name
	path := filepath.Join(b.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		b.Fatal(err)
	}
	return path
}

// until waits for what the other process does.
func until(b *testing.B, what string, reached func() bool) time.Duration {
	b.Helper()
	begun, tick := time.Now(), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-b.Context().Done():
			b.Fatalf("waiting for %s: %v", what, b.Context().Err())
		case <-tick.C:
		}
		if time.Since(begun) > 30*time.Minute {
			b.Fatalf("%s has not happened", what)
		}
	}
	return time.Since(begun)
}
