// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"os"
	"path/filepath"

	eventsapi "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
)

// oomFile is how Kata's shim tells CRI-O, in the container's bundle, that memory was exhausted.
const oomFile = "oom"

// oomPublisher writes that file. CRI-O takes no events from shims.
type oomPublisher struct {
	bundleOf func(id string) string
}

// Publish takes note of a container whose memory was exhausted.
func (p oomPublisher) Publish(_ context.Context, _ string, event events.Event) error {
	oom, ok := event.(*eventsapi.TaskOOM)
	if !ok {
		return nil
	}
	dir := p.bundleOf(oom.GetContainerID())
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, oomFile), nil, 0o600)
}

// Close does nothing.
func (oomPublisher) Close() error { return nil }
