// SPDX-License-Identifier: Apache-2.0

// Package conformance holds tests that name what the agent relies on in CRI-O 1.37, one behaviour
// each. They run against the stand-in, and against a real CRI-O where one is on PATH or named with
// -crio.
package conformance
