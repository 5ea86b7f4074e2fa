// SPDX-License-Identifier: Apache-2.0

// Package nodes tests what happens to nodes when things go wrong: each test has a node with a real
// systemd and the agent's package of its own, and breaks something there from outside. The tests
// share one control plane and one controller.
package nodes
