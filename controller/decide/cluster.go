// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"reflect"
	"time"

	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/payload/catalog"
)

// Cluster decides as Decide does, by what has changed since its last decision: it keeps the places
// of Nodes, and no decision. It is for one goroutine at a time. Its zero value has no Nodes.
type Cluster struct {
	fleet   selection.Fleet
	configs []facts.Config
	catalog *catalog.Catalog
	desired release.Desired
	release *release.Resolver
}

// Decide returns what the function Decide returns for all Nodes. It reads Seen.Changed, and not
// Seen.Nodes.
func (c *Cluster) Decide(s Seen, settings Settings, now time.Time) Decision {
	configs := configFacts(s, settings)
	changed := c.release == nil || s.Catalog != c.catalog || s.Desired != c.desired || !reflect.DeepEqual(configs, c.configs)
	if changed {
		c.configs, c.catalog, c.desired, c.release = configs, s.Catalog, s.Desired, release.New(s.Catalog, s.Desired)
	}
	entered := make(map[string]bool, len(s.Ledger.Entries))
	for name := range s.Ledger.Entries {
		entered[name] = true
	}
	division := c.fleet.Divide(selection.Rules{Configs: configs, Release: c.release.Release, PingInterval: settings.PingInterval, Changed: changed, Now: now}, s.Changed, entered)
	s.Nodes = nil
	for name := range entered {
		if n, found := c.fleet.Node(name); found {
			s.Nodes = append(s.Nodes, n)
		}
	}
	return decide(s, division, settings, now)
}
