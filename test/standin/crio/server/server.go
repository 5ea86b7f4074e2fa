// SPDX-License-Identifier: Apache-2.0

// Package server is the CRI v1 runtime service of the CRI-O stand-in: status and pod sandboxes, no
// containers and no images. Sandboxes of vm handlers have a shim process; those of other handlers
// are records alone where the infra container is dropped.
package server

import (
	"context"
	"sync"

	"github.com/sirupsen/logrus"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/fault"
	"github.com/kata-node/kata-node/test/standin/crio/handler"
	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/vm"
)

// Version is the CRI-O version whose behaviour is followed.
const Version = "1.37.0"

// Network attaches sandboxes that do not use the host's.
type Network interface {
	Ready() error
	Attach(ctx context.Context, namespace, name, uid string) error
}

// Parts is what the server is made of; CgroupParent and DropInfra may be empty.
type Parts struct {
	Handlers     *handler.Table
	Store        *sandbox.Store
	Network      Network
	Faults       fault.Dir
	LogDir       string // where the logs of sandboxes go that name no directory
	DropInfra    bool   // whether sandboxes of OCI runtimes have no container
	CgroupParent string // where shims go, below each hierarchy's root; empty leaves them next to the server
	Log          logrus.FieldLogger
}

// Server serves the runtime service.
type Server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	Parts

	mu       sync.Mutex
	shims    map[string]*vm.Shim
	reserved map[string]bool
}

// New returns a server that knows the store's sandboxes and has found their shims again.
func New(ctx context.Context, parts Parts) *Server {
	s := &Server{Parts: parts, shims: map[string]*vm.Shim{}, reserved: map[string]bool{}}
	for _, r := range s.Store.All() {
		s.restore(ctx, r)
	}
	return s
}

// Version names CRI-O.
func (s *Server) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: "cri-o", RuntimeVersion: Version, RuntimeApiVersion: "v1"}, nil
}

// Status lists the handlers of the last reload, which need not be those that work.
func (s *Server) Status(_ context.Context, req *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	network := &runtimeapi.RuntimeCondition{Type: runtimeapi.NetworkReady, Status: true}
	if err := s.Network.Ready(); err != nil {
		network.Status, network.Reason, network.Message = false, "NetworkPluginNotReady", "Network plugin returns error: "+err.Error()
	}
	response := &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
			{Type: runtimeapi.RuntimeReady, Status: true}, network,
		}},
		Features: &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true, UserNamespacesHostNetwork: true},
	}
	for _, h := range s.Handlers.Shown() {
		response.RuntimeHandlers = append(response.RuntimeHandlers, &runtimeapi.RuntimeHandler{
			Name: h.Name,
			Features: &runtimeapi.RuntimeHandlerFeatures{
				RecursiveReadOnlyMounts: h.RecursiveReadOnlyMounts, UserNamespaces: h.UserNamespaces,
			},
		})
	}
	if !req.GetVerbose() {
		return response, nil
	}
	document, err := s.Handlers.Document()
	response.Info = map[string]string{"config": document}
	return response, err
}

func (s *Server) shim(id string) (*vm.Shim, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shim, ok := s.shims[id]
	return shim, ok
}

func (s *Server) remember(id string, shim *vm.Shim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shims[id] = shim
}

func (s *Server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shims, id)
}
