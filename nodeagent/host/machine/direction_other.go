// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !ppc64le

package machine

const direction = 0
