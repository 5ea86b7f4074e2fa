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
// request. Programs on the node are told apart by their user agent.
func (n *Node) Requests() ([]auditv1.Event, error) {
	log, err := os.ReadFile(n.cluster.endpoints.AuditLog)
	if err != nil {
		return nil, fmt.Errorf("reading the requests of %q: %w", n.Name(), err)
	}
	var requests []auditv1.Event
	seen := map[string]bool{}
	complete := log[:bytes.LastIndexByte(log, '\n')+1]
	for line := range bytes.Lines(complete) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the requests of %q: %w", n.Name(), err)
		}
		// A watch has two: where its answer starts and where it ends.
		if event.User.Username == "system:node:"+n.Name() && !seen[string(event.AuditID)] {
			seen[string(event.AuditID)] = true
			requests = append(requests, event)
		}
	}
	return requests, nil
}
