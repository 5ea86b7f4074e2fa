// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd runs etcd below dir on a free port and returns the URL that clients use.
// It never calls fsync: what it stores is worth nothing after the process ends.
func startEtcd(ctx context.Context, dir string) (string, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.ListenPeerUrls = free, free

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", fmt.Errorf("starting etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return "http://" + etcd.Clients[0].Addr().String(), nil
	case err := <-etcd.Err():
		return "", fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		return "", fmt.Errorf("starting etcd: %w", ctx.Err())
	}
}
