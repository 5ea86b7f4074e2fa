// SPDX-License-Identifier: Apache-2.0

package crio

// Cgroups lets a test have control groups of its own.
func (c *Client) Cgroups(dir string) { c.cgroups = dir }
