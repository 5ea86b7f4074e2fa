// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxProblems bounds what one check names.
const maxProblems = 10

// check returns every pair of entries that is for the same version in the same place, and every
// stretch of versions between two entries that no entry is for.
func (c *Catalog) check() error {
	places, err := c.places()
	if err != nil {
		return err
	}
	var problems []string
	for axis := range axes {
		t := c.table(axis)
		problems = append(problems, t.overlaps()...)
		for _, p := range places {
			problems = append(problems, t.gaps(p)...)
		}
	}
	var errs []error
	for _, problem := range problems[:min(len(problems), maxProblems)] {
		errs = append(errs, errors.New(problem))
	}
	if rest := len(problems) - len(errs); rest > 0 {
		errs = append(errs, fmt.Errorf("%d more problems of this kind", rest))
	}
	return errors.Join(errs...)
}

// places returns one place of each kind that the entries tell apart: every architecture and every
// RHEL that one of them names, and one of neither.
func (c *Catalog) places() ([]place, error) {
	architectures, systems := []string{""}, []int{0}
	for _, e := range c.entries {
		architectures, systems = append(architectures, e.Architectures...), append(systems, e.RHEL...)
	}
	slices.Sort(architectures)
	slices.Sort(systems)
	architectures, systems = slices.Compact(architectures), slices.Compact(systems)
	if len(architectures) > maxList || len(systems) > maxList {
		return nil, fmt.Errorf("the entries name %d architectures and %d versions of RHEL, and may name %d", len(architectures)-1, len(systems)-1, maxList-1)
	}
	var out []place
	for _, a := range architectures {
		for _, s := range systems {
			out = append(out, place{a, s})
		}
	}
	return out, nil
}

// table says for one axis which entry is for which version.
type table struct {
	axis    Axis
	entries []*entry
	// points are releases in order; which entries a version belongs to changes at none but these.
	points []*semver.Version
	// has is true by entry and point where the point is in the entry's range.
	has [][]bool
}

func (c *Catalog) table(axis Axis) table {
	t := table{axis: axis}
	for i := range c.entries {
		if e := &c.entries[i]; e.ranges[axis] != nil {
			t.entries = append(t.entries, e)
			t.points = append(t.points, e.ranges[axis].bounds...)
		}
	}
	slices.SortFunc(t.points, (*semver.Version).Compare)
	t.points = slices.CompactFunc(t.points, (*semver.Version).Equal)
	for _, e := range t.entries {
		has := make([]bool, len(t.points))
		for i, v := range t.points {
			has[i] = e.ranges[axis].has(v)
		}
		t.has = append(t.has, has)
	}
	return t
}

func (t table) overlaps() []string {
	var out []string
	for i, e := range t.entries {
		for j := i + 1; j < len(t.entries); j++ {
			other := t.entries[j]
			from, to := t.run(func(v int) bool { return t.has[i][v] && t.has[j][v] }, 0)
			if from < len(t.points) && e.meets(other) {
				out = append(out, fmt.Sprintf("%s and %s are both for %s: end one of the ranges earlier", e, other, t.stretch(from, to)))
			}
		}
	}
	return out
}

// gaps looks between the first and the last version that any entry is for in a place: what is
// older or newer is left out on purpose.
func (t table) gaps(p place) []string {
	var out []string
	none := func(v int) bool { return t.at(v, p) == nil }
	begin := 0
	for begin < len(t.points) && none(begin) {
		begin++
	}
	for from, to := t.run(none, begin); to < len(t.points); from, to = t.run(none, to) {
		out = append(out, fmt.Sprintf("no entry is for %s%s, between %s and %s: widen one of their ranges", t.stretch(from, to), p, t.at(from-1, p), t.at(to, p)))
	}
	return out
}

// at returns the first entry in a place that a point belongs to, nil for none.
func (t table) at(point int, p place) *entry {
	for i, e := range t.entries {
		if t.has[i][point] && e.fits(p) {
			return e
		}
	}
	return nil
}

// run returns the first run of points from one on for which something holds: its first point, and
// the one after it. Either is the number of points where there is none.
func (t table) run(holds func(int) bool, begin int) (from, to int) {
	for from = begin; from < len(t.points) && !holds(from); from++ {
	}
	for to = from; to < len(t.points) && holds(to); to++ {
	}
	return from, to
}

// stretch prints a run of versions.
func (t table) stretch(from, to int) string {
	first := t.axis.show(t.points[from])
	switch {
	case to == len(t.points):
		return fmt.Sprintf("%s %s and newer", t.axis, first)
	case from == 0:
		return fmt.Sprintf("%s below %s", t.axis, t.axis.show(t.points[to]))
	default:
		return fmt.Sprintf("%s from %s to below %s", t.axis, first, t.axis.show(t.points[to]))
	}
}

// String follows a version in a sentence.
func (p place) String() string {
	var parts []string
	if p.architecture != "" {
		parts = append(parts, p.architecture)
	}
	if p.rhel != 0 {
		parts = append(parts, fmt.Sprintf("RHEL %d", p.rhel))
	}
	if len(parts) == 0 {
		return ""
	}
	return " on " + strings.Join(parts, ", ")
}
