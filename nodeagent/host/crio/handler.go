// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// handlerAnnotation is where CRI-O 1.37 tells a sandbox's handler; the field of the CRI made for it
// stays empty in lists and in plain status.
const handlerAnnotation = "io.kubernetes.cri-o.RuntimeHandler"

// known remembers the handlers of sandboxes, which never change: asking costs a call for each of a
// node's few hundred.
type known struct {
	mu       sync.Mutex
	handlers map[string]string
}

// of returns the handler of a sandbox, empty for the runtime's default.
func (k *known) of(ctx context.Context, client cri.RuntimeServiceClient, s *cri.PodSandbox) (string, error) {
	if s.GetRuntimeHandler() != "" {
		return s.GetRuntimeHandler(), nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if handler, ok := k.handlers[s.GetId()]; ok {
		return handler, nil
	}
	answer, err := client.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: s.GetId(), Verbose: true})
	if err != nil {
		return "", err
	}
	handler, err := handlerIn(answer.GetInfo()["info"])
	if err != nil {
		return "", fmt.Errorf("reading the handler of sandbox %s: %w", s.GetId(), err)
	}
	if k.handlers == nil {
		k.handlers = map[string]string{}
	}
	k.handlers[s.GetId()] = handler
	return handler, nil
}

// keep forgets sandboxes that were removed.
func (k *known) keep(listed []*cri.PodSandbox) {
	ids := map[string]bool{}
	for _, s := range listed {
		ids[s.GetId()] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.handlers, func(id, _ string) bool { return !ids[id] })
}

func handlerIn(info string) (string, error) {
	var document struct {
		RuntimeSpec struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"runtimeSpec"`
	}
	if err := json.Unmarshal([]byte(info), &document); err != nil {
		return "", fmt.Errorf("verbose status: %w", err)
	}
	return document.RuntimeSpec.Annotations[handlerAnnotation], nil
}
