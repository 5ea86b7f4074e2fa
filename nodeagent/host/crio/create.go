// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// create makes a container whose sandbox is not stopped before release is called.
//
// The kubelet looks every two seconds for sandboxes that it does not know, and stops them. Kata 4.1
// kills a container that is stopped between its creation and its start; after that neither start
// nor stop returns, and the virtual machine stays. CRI-O lets a stop wait while a container is
// being created, and takes a second request for the same container for one that the kubelet
// repeats: it waits until its caller gives it up (getResourceOrWait in server/utils.go of 1.36). So
// that second request is made here, and given up by release.
func (c *Client) create(ctx context.Context, request *cri.CreateContainerRequest) (id string, release func(), err error) {
	ctx, release = context.WithCancel(ctx)
	type answer struct {
		id  string
		err error
	}
	answers := make(chan answer, 2)
	for range cap(answers) {
		go func() {
			created, err := c.cri.CreateContainer(ctx, request)
			answers <- answer{created.GetContainerId(), err}
		}()
	}
	first := <-answers
	return first.id, release, first.err
}
