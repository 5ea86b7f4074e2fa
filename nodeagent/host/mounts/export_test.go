// SPDX-License-Identifier: Apache-2.0

package mounts

// MountByString and MountByCalls are the two ways of mounting, of which a kernel may know only one.
var (
	MountByString = mountByString
	MountByCalls  = mountByCalls
	MostLayers    = mostLayers
)
