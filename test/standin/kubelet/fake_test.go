// SPDX-License-Identifier: Apache-2.0

package kubelet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// runtime is a container runtime in memory: it knows some handlers and keeps sandboxes until they
// are removed.
type runtime struct {
	mu        sync.Mutex
	handlers  []string
	sandboxes []*cri.PodSandbox
	ran       map[string]string // handler by sandbox id
	count     int
	stuck     error // what Stop answers
	kept      error // what Remove answers
}

func newRuntime(handlers ...string) *runtime {
	return &runtime{handlers: append(handlers, ""), ran: map[string]string{}}
}

func (r *runtime) Version(context.Context) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{RuntimeName: "cri-o", RuntimeVersion: "1.37.0"}, nil
}

func (r *runtime) Status(context.Context) (*cri.StatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: cri.RuntimeReady, Status: true}, {Type: cri.NetworkReady, Status: true},
	}}}
	for _, h := range r.handlers {
		answer.RuntimeHandlers = append(answer.RuntimeHandlers, &cri.RuntimeHandler{Name: h})
	}
	return answer, nil
}

func (r *runtime) Run(_ context.Context, config *cri.PodSandboxConfig, handler string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.handlers, handler) {
		return "", fmt.Errorf("no runtime handler %s", handler)
	}
	return r.make(config.GetMetadata(), handler), nil
}

// plant starts a sandbox as somebody else than the kubelet would.
func (r *runtime) plant(uid, name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.make(&cri.PodSandboxMetadata{Uid: uid, Name: name, Namespace: "default"}, "")
}

func (r *runtime) make(metadata *cri.PodSandboxMetadata, handler string) string {
	r.count++
	id := fmt.Sprintf("sandbox-%d", r.count)
	r.ran[id] = handler
	r.sandboxes = append(r.sandboxes, &cri.PodSandbox{Id: id, Metadata: metadata, State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: time.Now().UnixNano()})
	return id
}

func (r *runtime) List(context.Context) ([]*cri.PodSandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*cri.PodSandbox
	for _, s := range r.sandboxes {
		out = append(out, &cri.PodSandbox{Id: s.GetId(), Metadata: s.GetMetadata(), State: s.GetState(), CreatedAt: s.GetCreatedAt()})
	}
	return out, nil
}

func (r *runtime) Stop(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stuck != nil {
		return r.stuck
	}
	r.kill(id)
	return nil
}

// kill is the death of a sandbox; the caller holds the lock.
func (r *runtime) kill(id string) {
	for _, s := range r.sandboxes {
		if s.GetId() == id {
			s.State = cri.PodSandboxState_SANDBOX_NOTREADY
		}
	}
}

func (r *runtime) Remove(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept != nil {
		return r.kept
	}
	for _, s := range r.sandboxes {
		if s.GetId() == id && s.GetState() == cri.PodSandboxState_SANDBOX_READY {
			return errors.New("sandbox is still running: " + id)
		}
	}
	r.sandboxes = slices.DeleteFunc(r.sandboxes, func(s *cri.PodSandbox) bool { return s.GetId() == id })
	return nil
}

// ready returns id and attempt of each ready sandbox of a pod.
func (r *runtime) ready(uid string) map[string]uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]uint32{}
	for _, s := range r.sandboxes {
		if s.GetMetadata().GetUid() == uid && s.GetState() == cri.PodSandboxState_SANDBOX_READY {
			out[s.GetId()] = s.GetMetadata().GetAttempt()
		}
	}
	return out
}

func (r *runtime) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sandboxes)
}

// change does something to the runtime from outside.
func (r *runtime) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// refuse is an API server that is away.
func refuse(clienttesting.Action) (bool, k8sruntime.Object, error) {
	return true, nil, errors.New("the API server is away")
}
