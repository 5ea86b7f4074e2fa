// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host/crio"
)

// fake is a runtime that answers as CRI-O 1.37 does, as far as the agent asks: its lists know no
// handlers, its verbose status does.
type fake struct {
	cri.UnimplementedRuntimeServiceServer

	mu        sync.Mutex
	sandboxes []*cri.PodSandbox
	handlers  map[string]string // by sandbox
	asked     []string          // calls, with their objects
	ran       *cri.RunPodSandboxRequest
	refuse    map[string]error // by call
	config    string
	driver    *cri.CgroupDriver // nil is no answer
	broken    map[string]error  // statuses, by sandbox
	hang      bool
	verbose   string // in place of the sandbox's container in its verbose status

	created     *cri.CreateContainerRequest
	container   *cri.ContainerStatus // none: it has ended well
	createHangs bool
	repeated    chan struct{} // closed when a second request for the container is there
	givenUp     chan struct{} // closed when that one is given up
	kubelet     bool          // removes the sandbox as soon as its container is started
	early       bool          // the kubelet does so before its container is created

	slowStops int             // stops that reach their deadline
	deadlines []time.Duration // left to each stop
}

func (f *fake) note(call, object string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, call+" "+object)
	return f.refuse[call]
}

func (f *fake) ListPodSandbox(ctx context.Context, _ *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	if f.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &cri.ListPodSandboxResponse{Items: f.sandboxes}, f.note("list", "all")
}

func (f *fake) PodSandboxStatus(_ context.Context, r *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	if err := f.note("status", r.GetPodSandboxId()); err != nil {
		return nil, err
	}
	if err := f.broken[r.GetPodSandboxId()]; err != nil {
		return nil, err
	}
	handler, there := f.handlers[r.GetPodSandboxId()]
	if !there {
		return nil, status.Errorf(codes.NotFound, "could not find pod %q", r.GetPodSandboxId())
	}
	answer := &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{Id: r.GetPodSandboxId(), State: ready}}
	if r.GetVerbose() {
		answer.Info = map[string]string{"info": fmt.Sprintf(`{%s,"annotations":{"io.kubernetes.cri-o.RuntimeHandler":%q}}}`, pause, handler)}
	}
	if f.verbose != "" {
		answer.Info = map[string]string{"info": f.verbose}
	}
	return answer, nil
}

func (f *fake) Status(context.Context, *cri.StatusRequest) (*cri.StatusResponse, error) {
	answer := &cri.StatusResponse{}
	if f.config != "" {
		answer.Info = map[string]string{"config": f.config}
	}
	return answer, f.note("info", "all")
}

func (f *fake) RuntimeConfig(context.Context, *cri.RuntimeConfigRequest) (*cri.RuntimeConfigResponse, error) {
	if f.driver == nil {
		return nil, status.Error(codes.Unimplemented, "unknown method RuntimeConfig")
	}
	return &cri.RuntimeConfigResponse{Linux: &cri.LinuxRuntimeConfiguration{CgroupDriver: *f.driver}}, nil
}

func (f *fake) RunPodSandbox(_ context.Context, r *cri.RunPodSandboxRequest) (*cri.RunPodSandboxResponse, error) {
	f.ran = r
	if f.handlers == nil {
		f.handlers = map[string]string{}
	}
	f.handlers["proof"] = r.GetRuntimeHandler()
	return &cri.RunPodSandboxResponse{PodSandboxId: "proof"}, f.note("run", r.GetRuntimeHandler())
}

func (f *fake) StopPodSandbox(ctx context.Context, r *cri.StopPodSandboxRequest) (*cri.StopPodSandboxResponse, error) {
	if deadline, limited := ctx.Deadline(); limited {
		f.deadlines = append(f.deadlines, time.Until(deadline))
	}
	if len(f.deadlines) <= f.slowStops {
		_ = f.note("stop", r.GetPodSandboxId()) //nolint:errcheck // It ends otherwise.
		return nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	}
	return &cri.StopPodSandboxResponse{}, f.note("stop", r.GetPodSandboxId())
}

func (f *fake) RemovePodSandbox(_ context.Context, r *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	return &cri.RemovePodSandboxResponse{}, f.note("remove", r.GetPodSandboxId())
}

func (f *fake) add(id, handler string, state cri.PodSandboxState) {
	f.sandboxes = append(f.sandboxes, &cri.PodSandbox{Id: id, State: state, Metadata: &cri.PodSandboxMetadata{Namespace: "ns", Name: "pod-" + id}})
	if f.handlers == nil {
		f.handlers = map[string]string{}
	}
	f.handlers[id] = handler
}

// counts how often a call was made.
func (f *fake) counts(call string) int {
	return len(slices.DeleteFunc(slices.Clone(f.asked), func(a string) bool { return len(a) < len(call) || a[:len(call)] != call }))
}

// dial serves a runtime on a socket and returns a client for it.
func dial(t *testing.T, f cri.RuntimeServiceServer) *crio.Client {
	t.Helper()
	// Paths of sockets are short; a test's temporary directory need not be.
	dir, err := os.MkdirTemp("", "cri") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "crio.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() { assert.NoError(t, server.Serve(listener)) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	client, err := crio.Dial(socket)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}
