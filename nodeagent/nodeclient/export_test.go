// SPDX-License-Identifier: Apache-2.0

package nodeclient

import "time"

// CheckRotationEvery makes a test quicker.
func (c *Client) CheckRotationEvery(d time.Duration) { c.rotation = d }

// BindFor makes a test quicker.
func (c *Client) BindFor(d time.Duration) { c.binding = d }

// AskFor makes a test quicker.
func (c *Client) AskFor(d time.Duration) { c.asking = d }
