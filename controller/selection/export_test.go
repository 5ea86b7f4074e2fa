// SPDX-License-Identifier: Apache-2.0

package selection

// Places is how many places for pings the fleet keeps.
func (f *Fleet) Places() int {
	places := 0
	for _, p := range f.pings {
		places += len(p.queue)
	}
	return places
}
