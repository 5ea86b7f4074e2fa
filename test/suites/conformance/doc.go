// SPDX-License-Identifier: Apache-2.0

// Package conformance holds tests that name what the agent relies on in CRI-O, one behaviour each.
// CRI-O 1.36.3 is built from its module; 1.37 was seen to pass them, too. -crio names another one.
package conformance
