// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/images"
)

// killShims ends this many shims, so that CRI-O cannot ask them any more.
func (s *subject) killShims(count int) {
	s.t.Helper()
	for _, pid := range s.awaitShims(count) {
		s.run("kill", "-KILL", strconv.Itoa(pid))
	}
}

// crio asks the node's CRI-O from outside.
func (s *subject) crio(ask func(context.Context, cri.RuntimeService) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.askCRIO(ctx, ask))
}

func (s *subject) askCRIO(ctx context.Context, ask func(context.Context, cri.RuntimeService) error) error {
	client, err := remote.NewRemoteRuntimeServiceBuilder().WithEndpoint("unix://" + s.node.Live(ctx) + "/run/crio/crio.sock").
		WithConnectionTimeout(patience).WithTracerProvider(noop.NewTracerProvider()).Build(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx) //nolint:errcheck // nothing is lost with it
	return ask(ctx, client)
}

// runSandbox runs a pod of one container, as the kubelet does for one of namespace default.
func (s *subject) runSandbox(name, handler string) {
	s.t.Helper()
	namespaces := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	pod := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: metav1.NamespaceDefault, Uid: name}, Hostname: name,
		LogDirectory: "/var/log/pods/" + name,
		Linux:        &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: namespaces}},
	}
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		sandbox, err := client.RunPodSandbox(ctx, pod, handler)
		if err != nil {
			return err
		}
		container, err := client.CreateContainer(ctx, sandbox, &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "main"}, LogPath: "main.log",
			Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: namespaces}},
			Image: &runtimeapi.ImageSpec{Image: images.Busybox, UserSpecifiedImage: images.Busybox}, Command: bed.PodSpec("").Containers[0].Command,
		}, pod)
		if err != nil {
			return err
		}
		return client.StartContainer(ctx, container)
	})
}

// endSandbox stops and removes what runSandbox has run.
func (s *subject) endSandbox(name string) {
	s.t.Helper()
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, nil)
		for _, sandbox := range all {
			if sandbox.GetMetadata().GetName() == name && err == nil {
				err = end(ctx, client, sandbox.GetId())
			}
		}
		return err
	})
}

// end kills the containers first, as the kubelet does after their grace period: CRI-O gives those
// of a sandbox two minutes, and a shell that is process 1 ignores SIGTERM.
func end(ctx context.Context, client cri.RuntimeService, sandbox string) error {
	containers, err := client.ListContainers(ctx, &runtimeapi.ContainerFilter{PodSandboxId: sandbox})
	for _, container := range containers {
		err = errors.Join(err, client.StopContainer(ctx, container.GetId(), 1))
	}
	return errors.Join(err, client.StopPodSandbox(ctx, sandbox), client.RemovePodSandbox(ctx, sandbox))
}

// prove starts a sandbox as the agent's proof does, and leaves it, as an agent does that is killed.
func (s *subject) prove() {
	s.t.Helper()
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		_, err := client.RunPodSandbox(ctx, &runtimeapi.PodSandboxConfig{
			Metadata: &runtimeapi.PodSandboxMetadata{Name: "proof", Namespace: "kata-agent", Uid: "proof"},
			Hostname: "proof",
			Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE},
			}},
		}, node.ProofHandler)
		return err
	})
}

// finishSandboxes stops every sandbox of the node, as the end of a Job does.
func (s *subject) finishSandboxes() {
	s.t.Helper()
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, nil)
		for _, sandbox := range all {
			if err == nil {
				err = client.StopPodSandbox(ctx, sandbox.GetId())
			}
		}
		return err
	})
}

// finishedSandboxes counts those that CRI-O still has.
func (s *subject) finishedSandboxes() (count int) {
	s.t.Helper()
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, nil)
		for _, sandbox := range all {
			if sandbox.GetState() == runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
				count++
			}
		}
		return err
	})
	return count
}

// containerPID waits until a container of a sandbox runs, and returns its process: a pod's status
// may still be that from before a reboot.
func (s *subject) containerPID(sandbox string) (pid int) {
	s.t.Helper()
	s.await("a container of sandbox "+sandbox+" runs", func(ctx context.Context) error {
		err := s.askCRIO(ctx, func(ctx context.Context, client cri.RuntimeService) (err error) {
			pid, err = runningIn(ctx, client, sandbox)
			return err
		})
		if err == nil && pid == 0 {
			err = errors.New("none does")
		}
		return err
	})
	return pid
}

// runningIn is the process of the container that runs in a sandbox, 0 for none.
func runningIn(ctx context.Context, client cri.RuntimeService, sandbox string) (pid int, err error) {
	running := &runtimeapi.ContainerFilter{State: &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}}
	containers, err := client.ListContainers(ctx, running)
	if err != nil {
		return 0, err
	}
	sandboxes, err := client.ListPodSandbox(ctx, nil)
	if err != nil {
		return 0, err
	}
	names := map[string]string{}
	for _, b := range sandboxes {
		names[b.GetId()] = b.GetMetadata().GetName()
	}
	for _, c := range containers {
		if names[c.GetPodSandboxId()] != sandbox {
			continue
		}
		status, err := client.ContainerStatus(ctx, c.GetId(), true)
		if err != nil {
			return 0, err
		}
		var info struct{ PID int }
		err = json.Unmarshal([]byte(status.GetInfo()["info"]), &info)
		return info.PID, err
	}
	return 0, nil
}
