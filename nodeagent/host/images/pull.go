// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// progressInterval is how often a blob's progress is told.
const progressInterval = time.Second

// Pull fetches an image by digest and pins it. Layers that are complete already, from another payload or an interrupted pull, are not fetched again.
func (s *Store) Pull(ctx context.Context, image string, progress func(host.Progress)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, err := s.store()
	if err != nil {
		return err
	}
	// Mirrors come and go while the agent runs; the library reads their configuration once and keeps it.
	sysregistriesv2.InvalidateCache()
	if err := os.MkdirAll(s.system.BigFilesTemporaryDir, 0o700); err != nil {
		return fmt.Errorf("making room for downloads: %w", err)
	}
	id, err := s.fetch(ctx, store, image, progress)
	if err != nil {
		return fmt.Errorf("pulling payload %q: %w", image, err)
	}
	return pin(store, id)
}

func (s *Store) fetch(ctx context.Context, store storage.Store, image string, progress func(host.Progress)) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	source, err := docker.NewReference(named)
	if err != nil {
		return "", err
	}
	target, err := istorage.Transport.NewStoreReference(store, named, "")
	if err != nil {
		return "", err
	}
	policy, err := s.policy()
	if err != nil {
		return "", err
	}
	defer func() { _ = policy.Destroy() }() //nolint:errcheck // releases memory only
	events := make(chan types.ProgressProperties)
	told := make(chan struct{})
	go func() { defer close(told); tell(events, progress) }()
	defer func() { close(events); <-told }()
	var resolved types.ImageReference
	_, err = copy.Image(ctx, policy, target, source, &copy.Options{
		SourceCtx: s.source(), DestinationCtx: s.system, ReportResolvedReference: &resolved,
		Progress: events, ProgressInterval: progressInterval,
	})
	if err != nil {
		return "", err
	}
	_, found, err := istorage.ResolveReference(resolved)
	if err != nil {
		return "", fmt.Errorf("looking up what was pulled: %w", err)
	}
	return found.ID, nil
}

// source is how registries are reached: with the node's credentials from the moment they are there.
func (s *Store) source() *types.SystemContext {
	system := *s.system
	if info, err := os.Stat(s.auth); err == nil && info.Mode().IsRegular() {
		system.AuthFilePath = s.auth
	}
	return &system
}

// policy is the host's own decision which images may be used at all.
func (s *Store) policy() (*signature.PolicyContext, error) {
	policy, err := signature.DefaultPolicy(s.system)
	if err != nil {
		return nil, fmt.Errorf("reading the host's signature policy: %w", err)
	}
	return signature.NewPolicyContext(policy)
}

// tell adds up the progress of the image's blobs until the channel closes.
func tell(events <-chan types.ProgressProperties, progress func(host.Progress)) {
	blobs := map[string]host.Progress{}
	for e := range events {
		blobs[e.Artifact.Digest.String()] = host.Progress{Done: int64(e.Offset), Total: e.Artifact.Size} //nolint:gosec // a blob's size fits
		sum := host.Progress{}
		for _, b := range blobs {
			sum.Done, sum.Total = sum.Done+b.Done, sum.Total+max(b.Total, 0)
		}
		progress(sum)
	}
}
