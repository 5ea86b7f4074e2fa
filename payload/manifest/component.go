// SPDX-License-Identifier: Apache-2.0

package manifest

import "path"

// Claims tells whether one of the component's patterns matches the path or a directory above it, by
// the rules of path.Match: "usr/bin" claims all files below usr/bin, and "usr/share/*.img" every
// image there. Malformed patterns match nothing.
func (c Component) Claims(file string) bool {
	for ; file != "."; file = path.Dir(file) {
		if c.matches(file) {
			return true
		}
	}
	return false
}

func (c Component) matches(name string) bool {
	for _, pattern := range c.Paths {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

// Component returns the first component that claims the path, else the one that takes the rest.
func (m Manifest) Component(file string) (Component, bool) {
	rest, hasRest := Component{}, false
	for _, c := range m.Components {
		if c.Claims(file) {
			return c, true
		}
		if len(c.Paths) == 0 {
			rest, hasRest = c, true
		}
	}
	return rest, hasRest
}
