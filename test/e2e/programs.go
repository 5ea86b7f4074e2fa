// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"golang.org/x/sys/unix"
)

// processes run tests at the same time. Most of a test's time is waiting.
const processes = 4

// kubernetesFocus is what concerns runtimes in Kubernetes' tests, and what every node has to do.
const kubernetesFocus = `\[sig-node\].*(RuntimeClass|\[Conformance\].*\[NodeConformance\])`

// critestFocus is all of critest.
const critestFocus = "."

func (r *run) runKubernetes(ctx context.Context, p part) error {
	args := []string{
		"run", "--procs=" + strconv.Itoa(processes), "--no-color", "--timeout=2h", "--output-dir=" + r.Reports, "--junit-report=" + p.report,
		"--focus=" + p.focus, "--skip=" + pattern(r.applying(p)), r.programs.Path("e2e.test"),
		"--", "--kubeconfig=" + r.cluster.Kubeconfig, "--provider=skeleton", "--disable-log-dump", "--num-nodes=1",
	}
	command := exec.CommandContext(ctx, r.programs.Path("ginkgo"), args...)
	command.Env = append(os.Environ(), "KUBE_TEST_REPO_LIST="+r.repoList)
	command.Stdout, command.Stderr = r.Out, r.Out
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // It writes its report.
	command.WaitDelay = time.Minute
	return command.Run()
}

// Where critest is on the node, and where it leaves its report.
const (
	critest       = "/usr/local/bin/critest"
	critestResult = "/var/tmp/critest.xml"
)

// runCritest runs critest in the node, next to the socket that it talks to.
func (r *run) runCritest(ctx context.Context, p part) error {
	if err := r.prepareCritest(ctx); err != nil {
		return fmt.Errorf("preparing it: %w", err)
	}
	args := []string{
		critest, "-runtime-endpoint=unix:///run/crio/crio.sock", "-ginkgo.no-color", "-ginkgo.junit-report=" + critestResult,
		"-ginkgo.focus=" + p.focus, "-ginkgo.skip=" + pattern(r.applying(p)),
	}
	if !r.Ordinary {
		args = append(args, "-runtime-handler="+node.RuntimeClass)
	}
	command, err := r.worker.Command(ctx, args...)
	if err != nil {
		return err
	}
	command.Stdout, command.Stderr = r.Out, r.Out
	failed := command.Run()
	results, err := r.worker.ReadFile(ctx, critestResult)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.Reports, p.report), results, 0o600)
	}
	return errors.Join(failed, err)
}

// prepareCritest stops the kubelet, which would end sandboxes of which the API server has no pod.
func (r *run) prepareCritest(ctx context.Context) error {
	content, err := os.ReadFile(r.programs.Path("critest"))
	if err != nil {
		return err
	}
	if err := r.worker.WriteFile(critest, content, 0o755); err != nil {
		return err
	}
	_, err = r.worker.Exec(ctx, "systemctl", "stop", "kubelet.service")
	return err
}

// emulated runs the suite on a virtual machine with more than there is time for at each change.
func (r *run) emulated(flags ...string) func(context.Context, part) error {
	return func(ctx context.Context, _ part) error {
		command := exec.CommandContext(ctx, "go", append([]string{"test", "-vet=off", "-count=1", "-timeout=2h", "-v", "./suites/emulated"}, flags...)...)
		command.Dir = r.workspace.Path("test")
		command.Stdout, command.Stderr = r.Out, r.Out
		// The go command leaves the test program alone with a signal that reaches only itself.
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		command.Cancel = func() error { return unix.Kill(-command.Process.Pid, unix.SIGINT) }
		command.WaitDelay = time.Minute
		return command.Run()
	}
}
