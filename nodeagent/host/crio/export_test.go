// SPDX-License-Identifier: Apache-2.0

package crio

import "time"

// Cgroups lets a test have control groups of its own.
func (c *Client) Cgroups(dir string) { c.cgroups = dir }

// RunsFor lets a test wait for less time until a container counts as one that runs.
func (c *Client) RunsFor(d time.Duration) { c.runsFor = d }
