// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
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
	return s.target().pull(ctx, image, progress)
}

func (s *Store) pull(ctx context.Context, image string, progress func(host.Progress)) error {
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
	unlimited, err := s.limited(ctx)
	if err != nil {
		return fmt.Errorf("pulling payload %q: %w", image, err)
	}
	id, err := s.fetch(ctx, store, image, progress)
	unlimited()
	if err != nil {
		return outdated(s.classify(fmt.Errorf("pulling payload %q: %w", image, err)), s.trusted, authorities(s.root))
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
	if _, byDigest := named.(reference.Canonical); !byDigest {
		return "", errors.New("its name has no digest, so that it may be another one the next time: name it by digest")
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
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: guard.answer})
	id, err := s.transfer(ctx, transfer{store: store, policy: policy, named: named, progress: progress, guard: guard})
	if stalled := context.Cause(ctx); errors.Is(stalled, errStalled) {
		return "", stalled
	}
	return id, err
}

// transfer is one image on its way.
type transfer struct {
	store    storage.Store
	policy   *signature.PolicyContext
	named    reference.Named
	progress func(host.Progress)
	guard    *stallGuard
}

// attempt copies an image that was inspected, and returns its id.
func (s *Store) attempt(ctx context.Context, t transfer, partial bool) (string, error) {
	from, err := docker.NewReference(t.named)
	if err != nil {
		return "", err
	}
	source, err := from.NewImageSource(ctx, s.source())
	if err != nil {
		return "", err
	}
	defer func() { _ = source.Close() }() //nolint:errcheck // closes idle connections only
	layers, err := s.inspect(ctx, t.policy, source)
	if err != nil {
		return "", err
	}
	if err := s.affords(ctx, t.store, layers); err != nil {
		return "", err
	}
	options := &copy.Options{SourceCtx: s.source(), DestinationCtx: s.system, ProgressInterval: progressInterval}
	store, err := s.choose(ctx, t, source, layers, partial, options)
	if err != nil {
		return "", err
	}
	to, err := istorage.Transport.NewStoreReference(store, t.named, "")
	if err != nil {
		return "", err
	}
	t.guard.timer.Reset(t.guard.limit)
	return s.bring(ctx, t, to, opened{from, source}, options)
}

func (s *Store) bring(ctx context.Context, t transfer, to, from types.ImageReference, options *copy.Options) (string, error) {
	events := make(chan types.ProgressProperties)
	shown := make(chan struct{})
	go func() { defer close(shown); tell(events, t.progress, t.guard, s.staged) }()
	defer func() { close(events); <-shown }()
	var resolved types.ImageReference
	options.Progress, options.ReportResolvedReference = events, &resolved
	if _, err := copy.Image(ctx, t.policy, to, from, options); err != nil {
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
	if s.proxy != nil {
		system.DockerProxy = s.proxy.url
	}
	return &system
}

// limited makes this pull keep to the limit, if there is one, until the function is called.
func (s *Store) limited(ctx context.Context) (done func(), err error) {
	if s.Bandwidth == 0 {
		return func() {}, nil
	}
	s.proxy, err = startProxy(ctx, s.pace(s.Bandwidth), s.environment)
	if err != nil {
		return nil, err
	}
	return func() { s.proxy.close(); s.proxy = nil }, nil
}
