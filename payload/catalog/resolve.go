// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// Target is what a node runs, as the node says it. What it does not say is empty.
type Target struct {
	OpenShift    string
	Kubernetes   string
	Architecture string
	// RHEL is the major version of the operating system, 0 where it is another one.
	RHEL int
}

// Resolve returns the entry for a target, or the reason why none fits. A target with an OpenShift
// version is resolved by the openshift ranges, if the catalogue has any: what was not released for
// an OpenShift must not get there because its Kubernetes fits.
func (c *Catalog) Resolve(t Target) (Entry, error) {
	axis, text := c.axis(t)
	v, err := axis.Version(text)
	if err != nil {
		return Entry{}, err
	}
	p := place{t.Architecture, t.RHEL}
	for _, e := range c.entries {
		if e.ranges[axis].has(v) && e.fits(p) {
			return e.Entry, nil
		}
	}
	return Entry{}, fmt.Errorf("no entry of the catalogue is for %s %s%s: %s", axis, axis.show(v), p, c.offer(axis, p))
}

func (c *Catalog) axis(t Target) (Axis, string) {
	if t.OpenShift != "" && c.Has(OpenShift) {
		return OpenShift, t.OpenShift
	}
	return Kubernetes, t.Kubernetes
}

// Has is true where an entry has a range of the axis.
func (c *Catalog) Has(axis Axis) bool {
	return slices.ContainsFunc(c.entries, func(e entry) bool { return e.ranges[axis] != nil })
}

// offer says what the catalogue has, so that a person sees how far it is off.
func (c *Catalog) offer(axis Axis, p place) string {
	var ranges []string
	for _, e := range c.entries {
		if e.ranges[axis] != nil && e.fits(p) {
			ranges = append(ranges, e.texts()[axis])
		}
	}
	switch {
	case len(ranges) > 0:
		return "it has " + strings.Join(ranges, "; ")
	case c.Has(axis):
		return "it has other architectures or versions of RHEL"
	default:
		return "it has no range of " + axis.String()
	}
}
