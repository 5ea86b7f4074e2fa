// SPDX-License-Identifier: Apache-2.0

package host

// ReleaseFiles are where a host names its operating system, see os-release(5): the first one that
// is there counts.
func ReleaseFiles() []string { return []string{"/etc/os-release", "/usr/lib/os-release"} }

// Release is the operating system that runs, in the words of its os-release. What that does not say
// is empty.
type Release struct {
	// ID, Version and Variant are ID, VERSION_ID and VARIANT_ID.
	ID, Version, Variant string
}
