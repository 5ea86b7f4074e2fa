// SPDX-License-Identifier: Apache-2.0

// Package crio speaks CRI to CRI-O about sandboxes of the agent's handlers, and starts the sandbox
// that proves a payload.
package crio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Client is CRI-O behind its socket. It connects lazily, so CRI-O may come and go.
type Client struct {
	conn *grpc.ClientConn
	cri  cri.RuntimeServiceClient
	// cgroups is where control groups are looked at.
	cgroups string
	// runsFor is after which time a container counts as one that runs.
	runsFor time.Duration

	known known
}

// Limits of calls to a CRI-O that may hang.
const (
	listLimit   = 20 * time.Second
	removeLimit = 2 * time.Minute
	// versionLimit is short: the version is for the host check alone, and each look waits for it.
	versionLimit = time.Second

	// reclaimLimit is for an answer that CRI-O has at once, unless it still starts the sandbox.
	reclaimLimit = 10 * time.Second

	// stopLimit is the deadline of one stop. CRI-O takes its whole seconds as the time that a
	// sandbox's process has between SIGTERM and SIGKILL (stopTimeoutFromContext in server/utils.go
	// of 1.36). A process that has just been started and has no handler yet ignores SIGTERM where
	// it is process 1, so a longer deadline would be waited for to its end.
	stopLimit = 10 * time.Second
)

// maxMessage is the kubelet's own limit, in bytes. A list carries the annotations of every pod of
// the node, which exceed gRPC's default of 4 MiB.
const maxMessage = 16 << 20

// reconnect is how soon a CRI-O that was away is tried again: as soon as by the kubelet
// (maxBackoffDelay of k8s.io/cri-client). Until a try every call fails at once, and gRPC's own
// limit is 2 min.
func reconnect() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
		MinConnectTimeout: 5 * time.Second,
	}
}

// userAgent begins the user agent of every call, for CRI-O's log.
const userAgent = "kata-agent"

// Dial returns a client for the socket at a path.
func Dial(socket string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(reconnect()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)), grpc.WithUserAgent(userAgent))
	if err != nil {
		return nil, fmt.Errorf("dialling CRI-O at %s: %w", socket, err)
	}
	return &Client{conn: conn, cri: cri.NewRuntimeServiceClient(conn), cgroups: hierarchy, runsFor: runsFor}, nil
}

// Close gives the connection up.
func (c *Client) Close() error { return c.conn.Close() }

// Version asks the running CRI-O.
func (c *Client) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	answer, err := c.cri.Version(ctx, &cri.VersionRequest{})
	if err != nil {
		return "", fmt.Errorf("asking for the version: %w", err)
	}
	return answer.GetRuntimeVersion(), nil
}

// List returns the sandboxes of these handlers. One that goes away meanwhile is left out. One whose
// status the runtime refuses is listed without a handler, and Unknown says what the runtime
// answered.
func (c *Client) List(ctx context.Context, handlers ...string) ([]host.Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	answer, err := c.cri.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing sandboxes: %w", err)
	}
	c.known.keep(answer.GetItems())
	var sandboxes []host.Sandbox
	for _, s := range answer.GetItems() {
		handler, err := c.known.of(ctx, c.cri, s)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("listing sandboxes: %w", err)
		}
		if err != nil && !gone(err) {
			unknown := sandbox(s, "")
			unknown.Unknown = status.Convert(err).Message()
			sandboxes = append(sandboxes, unknown)
		}
		if err == nil && slices.Contains(handlers, handler) {
			sandboxes = append(sandboxes, sandbox(s, handler))
		}
	}
	return sandboxes, nil
}

func sandbox(s *cri.PodSandbox, handler string) host.Sandbox {
	return host.Sandbox{
		ID: s.GetId(), Handler: handler, Ready: s.GetState() == cri.PodSandboxState_SANDBOX_READY,
		Namespace: s.GetMetadata().GetNamespace(), Name: s.GetMetadata().GetName(),
	}
}

// Prove starts a sandbox on the host's network, and a container in it: OpenShift gives no pod
// network to a sandbox that no pod stands behind.
func (c *Client) Prove(ctx context.Context, handler, name string) (string, error) {
	config := proof(name, c.parent(ctx))
	answer, err := c.cri.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{RuntimeHandler: handler, Config: config})
	if err != nil {
		return "", explain(handler, err)
	}
	id := answer.GetPodSandboxId()
	if err := c.contain(ctx, id, config); err != nil {
		return id, fmt.Errorf("a sandbox of handler %s started, but running a container in it failed: %w", handler, err)
	}
	return id, nil
}

// Namespace is the namespace that proof sandboxes claim; no pod of it exists in the API.
const Namespace = "kata-agent"

func proof(name, parent string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: Namespace, Uid: name},
		Hostname:     name,
		LogDirectory: host.ProofLogs + "/" + name,
		Labels:       map[string]string{"app.kubernetes.io/managed-by": "kata-agent", "app.kubernetes.io/component": "proof"},
		Annotations:  map[string]string{},
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: parent, SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: namespaces(),
		}},
	}
}

// namespaces are those of a proof: its containers have their own processes, as those of pods do.
func namespaces() *cri.NamespaceOption {
	return &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER}
}

// unknownHandler is how CRI-O begins its answer for a handler that it was started without. A shim
// could print the same words: CRI-O puts others before those.
const unknownHandler = "failed to find runtime handler"

func explain(handler string, err error) error {
	answer := status.Convert(err).Message()
	err = said("starting a sandbox of handler "+handler, err)
	if strings.HasPrefix(answer, unknownHandler+" "+handler+" ") {
		return &host.UnknownHandler{Handler: handler, Err: err}
	}
	return err
}

// Remove stops and removes a sandbox. The kubelet removes sandboxes that it does not know, so it
// may be removed at any moment.
func (c *Client) Remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	if err := c.stop(ctx, id); err != nil {
		return fmt.Errorf("stopping sandbox %s: %w", id, err)
	}
	if _, err := c.cri.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil && !gone(err) {
		return fmt.Errorf("removing sandbox %s: %w", id, err)
	}
	return nil
}

// stop calls twice where the first call reaches its deadline: CRI-O then still sends SIGKILL and
// waits for the end of the sandbox (runtimeVM.StopContainer keeps to no caller's deadline), but
// fails in what follows. The second call waits for the first one and does the rest.
func (c *Client) stop(ctx context.Context, id string) error {
	err := c.stopOnce(ctx, id)
	if status.Code(err) == codes.DeadlineExceeded && ctx.Err() == nil {
		err = c.stopOnce(ctx, id)
	}
	return err
}

func (c *Client) stopOnce(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if _, err := c.cri.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil && !gone(err) {
		return err
	}
	return nil
}

func gone(err error) bool { return status.Code(err) == codes.NotFound }
