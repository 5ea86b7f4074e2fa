// SPDX-License-Identifier: Apache-2.0

// Package conformance holds tests that name what the agent relies on in CRI-O, one behaviour each.
// They run against the stand-in and against a real CRI-O 1.36.3, which is built from its module;
// 1.37 was seen to pass them, too. -crio names another one.
package conformance
