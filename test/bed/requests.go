// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Requests returns what the API server answered to the node's credential so far, one event per
// request. Programs on the node are distinguished by their user agent.
func (n *Node) Requests() ([]auditv1.Event, error) {
	requests, err := n.cluster.Requests(func(user string) bool { return user == "system:node:"+n.Name() })
	if err != nil {
		return nil, fmt.Errorf("reading the requests of %q: %w", n.Name(), err)
	}
	return requests, nil
}

// Requests returns what the API server answered to some users so far, one event per request. It
// keeps what nodes and the service account of our controller ask for.
func (c *Cluster) Requests(of func(user string) bool) ([]auditv1.Event, error) {
	log, err := os.ReadFile(c.endpoints.AuditLog)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	var requests []auditv1.Event
	seen := map[string]bool{}
	complete := log[:bytes.LastIndexByte(log, '\n')+1]
	for line := range bytes.Lines(complete) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		// A watch has two: where its answer starts and where it ends.
		if of(event.User.Username) && !seen[string(event.AuditID)] {
			seen[string(event.AuditID)] = true
			requests = append(requests, event)
		}
	}
	return requests, nil
}
