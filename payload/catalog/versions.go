// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Axis is one of the two kinds of version that payloads are chosen by.
type Axis int

// The axes. A Node says its kubelet's version in full, and of OpenShift the minor version.
const (
	OpenShift Axis = iota
	Kubernetes
	axes
)

// String returns the name for people.
func (a Axis) String() string { return [axes]string{"OpenShift", "Kubernetes"}[a] }

func (a Axis) key() string { return [axes]string{"openshift", "kubernetes"}[a] }

// Version reads a version of the axis. A pre-release counts as the release that it precedes, since
// nodes that run 4.20.0-rc.1 need what 4.20 needs, and since vendors of Kubernetes put their own
// suffixes there (v1.34.2-eks-1a2b3c4, v1.34.2-gke.100). Build metadata (v1.34.2+1a2b3c4) counts
// for nothing. Of OpenShift, the patch version counts for nothing either: no Node says it.
func (a Axis) Version(text string) (*semver.Version, error) {
	if len(text) > maxRange {
		return nil, fmt.Errorf("%.20q… is no version of %s: it is longer than %d bytes", text, a, maxRange)
	}
	v, err := semver.NewVersion(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no version of %s, such as %s: %w", text, a, a.example(), err)
	}
	patch := v.Patch()
	if a == OpenShift {
		patch = 0
	}
	return semver.New(v.Major(), v.Minor(), patch, "", ""), nil
}

func (a Axis) example() string { return [axes]string{"4.20", "v1.33.5"}[a] }

// show prints a version as precisely as the axis knows it.
func (a Axis) show(v *semver.Version) string {
	if a == OpenShift || v.Patch() == 0 {
		return fmt.Sprintf("%d.%d", v.Major(), v.Minor())
	}
	return v.String()
}

// versions is one range: what the library made of it, and the releases at which it may begin or
// end.
type versions struct {
	constraints *semver.Constraints
	bounds      []*semver.Version
}

func (v *versions) has(release *semver.Version) bool { return v != nil && v.constraints.Check(release) }

// comparison is one part of a range. A range has no "||", since an entry is for one stretch of
// versions, and no wildcard, since "~4.17" says the same.
const comparison = `(?:>=|<=|>|<|=|~|\^)?\s*v?(\d{1,6}\.\d{1,6}(?:\.\d{1,6})?)`

var (
	comparisons = regexp.MustCompile(comparison)
	rangeForm   = regexp.MustCompile(`^\s*` + comparison + `(?:(?:\s*,\s*|\s+)` + comparison + `)*\s*$`)
)

func parseRange(axis Axis, text string) (*versions, error) {
	if len(text) > maxRange || !rangeForm.MatchString(text) {
		return nil, fmt.Errorf(`%s %.40q is no range: compare with releases of two or three numbers, such as ">=4.17, <4.20" or "~1.33", without pre-releases, wildcards and ||`, axis.key(), text)
	}
	constraints, err := semver.NewConstraint(text)
	if err != nil {
		return nil, fmt.Errorf("%s %q is no range: %w", axis.key(), text, err)
	}
	out := &versions{constraints: constraints, bounds: []*semver.Version{semver.New(0, 0, 0, "", "")}}
	for _, part := range comparisons.FindAllStringSubmatch(text, -1) {
		v, err := semver.NewVersion(part[1])
		if err != nil {
			return nil, fmt.Errorf("%s %q is no range: %w", axis.key(), text, err)
		}
		if axis == OpenShift && strings.Count(part[1], ".") > 1 {
			return nil, fmt.Errorf("openshift %q compares with %s: write the minor version alone, such as %d.%d, since a Node does not say which patch version it runs", text, part[1], v.Major(), v.Minor())
		}
		out.bounds = append(out.bounds, around(v)...)
	}
	if !slices.ContainsFunc(out.bounds, out.has) {
		return nil, fmt.Errorf("%s %q has no version in it: its end is below its beginning", axis.key(), text)
	}
	return out, nil
}

// around returns the releases at which a comparison with this version may begin or end to hold:
// each of ">=", ">", "=", "~" and "^", with two numbers or three, changes at one of them, and
// nowhere between them. So it is enough to ask the library about these.
func around(v *semver.Version) []*semver.Version {
	patch, minor, major := v.IncPatch(), v.IncMinor(), v.IncMajor()
	return []*semver.Version{v, &patch, &minor, &major}
}
