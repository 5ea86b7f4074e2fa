// SPDX-License-Identifier: Apache-2.0

// Package real holds the tests of the whole product on nodes with the real CRI-O, kubelet and
// scheduler.
package real
