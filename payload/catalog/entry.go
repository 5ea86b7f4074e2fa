// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// architecture is the form of Go's architecture names.
var architecture = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// Bounds of RHEL's major version: the oldest that can run CRI-O with Kata, and one that is far.
const (
	oldestRHEL = 8
	newestRHEL = 99
)

// compile reads the ranges and returns everything that is wrong with the entry.
func (e *entry) compile() error {
	var problems []error
	if err := node.ValidateImage("image", e.Image); err != nil {
		problems = append(problems, err)
	}
	if node.Line(e.Version, maxVersion) != e.Version {
		problems = append(problems, fmt.Errorf("version is not one line of at most %d bytes", maxVersion))
	}
	if e.OpenShift == "" && e.Kubernetes == "" {
		problems = append(problems, errors.New(`it is for no version: give it a range such as openshift: ">=4.17, <4.20" or kubernetes: ">=1.30, <1.33"`))
	}
	for axis, text := range e.texts() {
		if text == "" {
			continue
		}
		v, err := parseRange(Axis(axis), text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		e.ranges[axis] = v
	}
	return errors.Join(append(problems, e.places())...)
}

func (e *entry) texts() [axes]string {
	return [axes]string{OpenShift: e.OpenShift, Kubernetes: e.Kubernetes}
}

// places judges architectures and RHEL versions.
func (e *entry) places() error {
	var problems []error
	if len(e.Architectures) > maxList || len(e.RHEL) > maxList {
		problems = append(problems, fmt.Errorf("architectures or rhel has more than %d items", maxList))
	}
	for i, name := range e.Architectures {
		switch {
		case !architecture.MatchString(name):
			problems = append(problems, fmt.Errorf("architecture %q is no name as Go and Kubernetes use it: write one such as amd64 or arm64", name))
		case slices.Contains(e.Architectures[:i], name):
			problems = append(problems, fmt.Errorf("architecture %q is named twice", name))
		}
	}
	for i, major := range e.RHEL {
		switch {
		case major < oldestRHEL || major > newestRHEL:
			problems = append(problems, fmt.Errorf("rhel %d is no major version from %d on: write one such as 9", major, oldestRHEL))
		case slices.Contains(e.RHEL[:i], major):
			problems = append(problems, fmt.Errorf("rhel %d is named twice", major))
		}
	}
	return errors.Join(problems...)
}

// place is where a payload runs, apart from versions.
type place struct {
	architecture string
	rhel         int
}

// meets is true where two entries are for some place in common.
func (e *entry) meets(other *entry) bool {
	return share(e.Architectures, other.Architectures) && share(e.RHEL, other.RHEL)
}

// share is true for lists with an item in common; an empty one stands for everything.
func share[T comparable](a, b []T) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(item T) bool { return slices.Contains(b, item) })
}

// fits is true where the entry is for the place.
func (e *entry) fits(p place) bool {
	return (len(e.Architectures) == 0 || slices.Contains(e.Architectures, p.architecture)) &&
		(len(e.RHEL) == 0 || slices.Contains(e.RHEL, p.rhel))
}
