// SPDX-License-Identifier: Apache-2.0

// Package copying compares the agent with an installer that copies: what it takes to bring a
// payload of 300 MB to a node, to update it, to roll back, and after a boot. See the benchmark; it
// has no tests.
package copying
