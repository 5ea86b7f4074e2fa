// SPDX-License-Identifier: Apache-2.0

// Package cri talks to a container runtime over its CRI v1 socket with the kubelet's deadlines.
// It translates calls only and decides nothing.
package cri

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Deadlines of the kubelet: two minutes for a request, twice that to start a sandbox.
const (
	requestTimeout = 2 * time.Minute
	sandboxTimeout = 2 * requestTimeout
)

// Client is a connection to one runtime. It connects when first used and again by itself after the
// runtime restarted.
type Client struct {
	conn    *grpc.ClientConn
	service api.RuntimeServiceClient
}

// Dial makes a client for the runtime behind a Unix socket; the path is absolute and need not exist
// yet.
func Dial(socket string) (*Client, error) {
	// A runtime that comes back is met within a second: the default back-off grows to two minutes.
	retry := grpc.WithConnectParams(grpc.ConnectParams{Backoff: quick(), MinConnectTimeout: time.Second})
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), retry)
	if err != nil {
		return nil, fmt.Errorf("making a client for the runtime at %s: %w", socket, err)
	}
	return &Client{conn: conn, service: api.NewRuntimeServiceClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Version asks the runtime for its name and version.
func (c *Client) Version(ctx context.Context) (*api.VersionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.service.Version(ctx, &api.VersionRequest{Version: "v1"})
	if err != nil {
		return nil, fmt.Errorf("asking the runtime for its version: %w", err)
	}
	return answer, nil
}

// Status asks the runtime for its conditions and handlers.
func (c *Client) Status(ctx context.Context) (*api.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.service.Status(ctx, &api.StatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking the runtime for its status: %w", err)
	}
	return answer, nil
}

// Run starts a sandbox under a handler ("" is the default one) and returns its id.
// The runtime's error is returned as it is: it goes into the pod's event word for word.
func (c *Client) Run(ctx context.Context, config *api.PodSandboxConfig, handler string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sandboxTimeout)
	defer cancel()
	answer, err := c.service.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	return answer.GetPodSandboxId(), err
}

// List returns every sandbox of the runtime, whoever made it.
func (c *Client) List(ctx context.Context) ([]*api.PodSandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.service.ListPodSandbox(ctx, &api.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing sandboxes: %w", err)
	}
	return answer.GetItems(), nil
}

// Stop ends a sandbox; one that has ended already is no error.
func (c *Client) Stop(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := c.service.StopPodSandbox(ctx, &api.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return fmt.Errorf("stopping sandbox %s: %w", id, err)
	}
	return nil
}

// Remove deletes a stopped sandbox; one that is gone already is no error.
func (c *Client) Remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := c.service.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		return fmt.Errorf("removing sandbox %s: %w", id, err)
	}
	return nil
}

// quick is gRPC's back-off with a ceiling of one second.
func quick() backoff.Config {
	config := backoff.DefaultConfig
	config.BaseDelay, config.MaxDelay = 100*time.Millisecond, time.Second
	return config
}
