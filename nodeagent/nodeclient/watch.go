// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// retry is how the agent waits for an API server or a credential: at boot they come late, later
// they may go.
func retry() wait.Backoff {
	return wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 30 * time.Second}
}

// rotationCheck is how often the credential's file is looked at. Client certificates that it names
// by file are read anew by client-go; what it holds inline, as the certificate authority that the
// machine-config operator rotates, is not.
const rotationCheck = time.Minute

// askLimit bounds the one request that precedes the watches. Those notice a silent API server by
// the pings that client-go sends on a connection.
const askLimit = 30 * time.Second

// Run watches until ctx ends. A change of the credential's file begins it anew.
func (c *Client) Run(ctx context.Context) {
	backoff := retry()
	for ctx.Err() == nil {
		if err := c.session(ctx); err != nil {
			c.log.WithError(err).Warnf("The API server cannot be asked; what is installed continues to serve")
			pause(ctx, backoff.Step())
			continue
		}
		backoff = retry()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// session watches with one reading of the credential, and ends without an error when the file has
// changed.
func (c *Client) session(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	read := stampOf(c.kubeconfig)
	api, err := c.connect()
	if err != nil {
		return err
	}
	name, err := c.ask(ctx, api)
	if err != nil {
		return err
	}
	v := newView(api, name, c.draining.Load, c.tell)
	var group wait.Group
	group.StartWithContext(ctx, v.run)
	group.StartWithContext(ctx, func(ctx context.Context) {
		if cache.WaitForCacheSync(ctx.Done(), v.synced) {
			c.show(v)
			group.StartWithContext(ctx, func(ctx context.Context) { c.watchGuard(ctx, api, name) })
		}
		if cache.WaitForCacheSync(ctx.Done(), v.classes.synced) {
			c.tell()
		}
	})
	// A credential that is refused may be replaced before anything was seen with it.
	c.awaitRotation(ctx, read)
	end()
	group.Wait()
	v.ended()
	return nil
}

func (c *Client) ask(ctx context.Context, api kubernetes.Interface) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.asking)
	defer cancel()
	return whoami(ctx, api)
}

// show replaces the old view only now that the new one is complete.
func (c *Client) show(v view) {
	c.mu.Lock()
	c.view = v
	c.mu.Unlock()
	c.tell()
}

func (c *Client) awaitRotation(ctx context.Context, read stamp) {
	ticker := time.NewTicker(c.rotation)
	defer ticker.Stop()
	for stampOf(c.kubeconfig) == read {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// stamp tells two contents of a file apart, without reading them.
type stamp struct {
	size     int64
	modified time.Time
}

func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{size: info.Size(), modified: info.ModTime()}
}
