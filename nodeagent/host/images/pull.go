// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
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

// progressInterval is how often a blob's progress is reported.
const progressInterval = time.Second

// Pull fetches an image by digest and pins it. Layers that are complete already, from another
// payload or an interrupted pull, are not fetched again.
func (s *Store) Pull(ctx context.Context, image string, progress func(host.Progress)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, err := s.store()
	if err != nil {
		return err
	}
	// Mirrors come and go while the agent runs; the library reads their configuration once and
	// keeps it.
	sysregistriesv2.InvalidateCache()
	if err := os.MkdirAll(s.system.BigFilesTemporaryDir, 0o700); err != nil {
		return fmt.Errorf("making room for downloads: %w", err)
	}
	id, err := s.fetch(ctx, store, image, progress)
	if err != nil {
		return outdated(fmt.Errorf("pulling payload %q: %w", image, err), s.trusted, authorities(s.root))
	}
	if err := pin(store, id); err != nil {
		return err
	}
	_ = s.keep(store, id) //nolint:errcheck // without a note, a mount needs the store
	_ = sweep(store)      //nolint:errcheck // the image is there; the next pull or deletion tries again
	return nil
}

func (s *Store) fetch(ctx context.Context, store storage.Store, image string, progress func(host.Progress)) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	from, err := docker.NewReference(named)
	if err != nil {
		return "", err
	}
	to, err := istorage.Transport.NewStoreReference(store, named, "")
	if err != nil {
		return "", err
	}
	policy, err := s.policy(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = policy.Destroy() }() //nolint:errcheck // releases memory only
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	guard := newStallGuard(s.Stall, cancel)
	defer guard.timer.Stop()
	id, err := s.transfer(ctx, policy, to, from, progress, guard)
	if stalled := context.Cause(ctx); errors.Is(stalled, errStalled) {
		return "", stalled
	}
	return id, err
}

// transfer copies an image that was inspected, and returns its id.
func (s *Store) transfer(ctx context.Context, policy *signature.PolicyContext, to, from types.ImageReference, progress func(host.Progress), guard stallGuard) (string, error) {
	source, err := from.NewImageSource(ctx, s.source())
	if err != nil {
		return "", err
	}
	defer func() { _ = source.Close() }() //nolint:errcheck // closes idle connections only
	if err := s.inspect(ctx, policy, source); err != nil {
		return "", err
	}
	guard.timer.Reset(guard.limit)
	events := make(chan types.ProgressProperties)
	told := make(chan struct{})
	go func() { defer close(told); tell(events, progress, guard) }()
	defer func() { close(events); <-told }()
	var resolved types.ImageReference
	_, err = copy.Image(ctx, policy, to, opened{from, source}, &copy.Options{
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

// errStalled is the cause of a pull that was given up.
var errStalled = errors.New("no progress")

// stallGuard ends a pull whose registry keeps the connection and sends nothing. The library has no
// such limit of its own, not for the header of an answer and not for its body.
type stallGuard struct {
	limit time.Duration
	timer *time.Timer
}

func newStallGuard(limit time.Duration, cancel context.CancelCauseFunc) stallGuard {
	return stallGuard{limit, time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errStalled, limit)) })}
}

// patience is longer once all that was asked for has come: layers are then unpacked and flushed to
// a disk that may be slow.
func (g stallGuard) patience(sum host.Progress) time.Duration {
	if sum.Done >= sum.Total {
		return 10 * g.limit
	}
	return g.limit
}

// tell adds up the progress of the image's blobs until the channel closes. The library sends events
// at intervals, also while no byte comes: only what was added counts as progress.
func tell(events <-chan types.ProgressProperties, progress func(host.Progress), guard stallGuard) {
	blobs, last := map[string]host.Progress{}, host.Progress{}
	for e := range events {
		blobs[e.Artifact.Digest.String()] = blob(e)
		sum := host.Progress{}
		for _, b := range blobs {
			sum.Done, sum.Total = sum.Done+b.Done, sum.Total+b.Total
		}
		if sum != last || e.Event != types.ProgressEventRead {
			last = sum
			guard.timer.Reset(guard.patience(sum))
		}
		progress(sum)
	}
}

func blob(e types.ProgressProperties) host.Progress {
	size := max(e.Artifact.Size, 0)
	if e.Event == types.ProgressEventSkipped {
		return host.Progress{Done: size, Total: size}
	}
	return host.Progress{Done: int64(e.Offset), Total: size} //nolint:gosec // a blob's size fits
}
