// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"
)

// End makes room for an entry that is to be added: it ends the ranges that have no end where that
// of the new entry begins, and says in a sentence each what it changed. Only what the new entry
// takes over whole is ended: it has no end either, and is for every place of the older one. So no
// version loses its payload anywhere. All other overlaps are left, and Add refuses them.
func End(text []byte, e Entry) (ended []byte, changes []string, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return text, nil, nil
	}
	c, err := Parse(text)
	if err != nil {
		return nil, nil, err
	}
	next := entry{Entry: e}
	if err := next.compile(); err != nil {
		return nil, nil, fmt.Errorf("reading the new entry: %w", err)
	}
	root, err := tree(text)
	if err != nil {
		return nil, nil, fmt.Errorf("reading catalogue: %w", err)
	}
	for i, item := range payloads(root).Content {
		old := c.entries[i]
		for axis := range axes {
			from := old.ranges[axis].end(next.ranges[axis])
			if from == nil || !next.covers(old) {
				continue
			}
			before := old.texts()[axis]
			after := fmt.Sprintf("%s, <%s", before, axis.show(from))
			set(item, axis.key(), after)
			changes = append(changes, fmt.Sprintf("%s: %s %q is now %q", old, axis.key(), before, after))
		}
	}
	if changes == nil {
		return text, nil, nil
	}
	ended, err = write(root)
	return ended, changes, err
}

// end returns where a range without an end has to end for another one that has none, nil where that
// leaves nothing of it, or where one of them has an end.
func (v *versions) end(next *versions) *semver.Version {
	if !v.endless() || !next.endless() {
		return nil
	}
	from := next.first()
	if !v.first().LessThan(from) {
		return nil
	}
	return from
}

// beyond is newer than every number that a range can name.
const beyond = 10_000_000

func (v *versions) endless() bool { return v.has(semver.New(beyond, 0, 0, "", "")) }

// first is the oldest release in the range.
func (v *versions) first() *semver.Version {
	in := slices.DeleteFunc(slices.Clone(v.bounds), func(release *semver.Version) bool { return !v.has(release) })
	return slices.MinFunc(in, (*semver.Version).Compare)
}

// covers is true where the entry is for every place that the other one is for.
func (e *entry) covers(other entry) bool {
	return within(other.Architectures, e.Architectures) && within(other.RHEL, e.RHEL)
}

// within is true where a list has no item that the other one lacks; an empty one stands for
// everything.
func within[T comparable](list, in []T) bool {
	if len(in) == 0 {
		return true
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(item T) bool { return !slices.Contains(in, item) })
}

// set replaces the value of a key that an entry of the document has.
func set(item *yaml.Node, key, value string) {
	for i := 0; i+1 < len(item.Content); i += 2 {
		if item.Content[i].Value == key {
			item.Content[i+1].SetString(value)
		}
	}
}

func write(root *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(root), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing catalogue: %w", err)
	}
	return out.Bytes(), nil
}
