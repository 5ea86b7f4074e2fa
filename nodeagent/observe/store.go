// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// store keeps a store that cannot be read, such as one on a full or failing disk, as a fact: what
// serves continues to serve, what can be mounted is served again after a boot, and a removal needs
// no list of images.
func (o Observer) store(ctx context.Context) (plan.Store, error) {
	served, err := record.LoadServed(o.Host.Files)
	if err != nil {
		return plan.Store{}, err
	}
	if served != nil && o.refuses(served.Payload) != "" {
		served = nil
	}
	if served != nil && o.refuses(served.Before) != "" {
		served.Before = ""
	}
	s := plan.Store{Served: served, Exists: o.Host.Images.Exists()}
	for _, path := range host.Leftovers() {
		if o.there(path) {
			s.Leftovers = append(s.Leftovers, path)
		}
	}
	if s.Guests, err = o.guests(); err != nil {
		return s, err
	}
	images, err := o.Host.Images.List(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return s, err
		}
		s.Problem = err.Error()
	}
	for _, i := range images {
		s.Images = append(s.Images, plan.Image{ID: i.ID, Digests: i.Digests, Platform: i.Platform})
	}
	return s, nil
}
