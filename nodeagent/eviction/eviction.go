// SPDX-License-Identifier: Apache-2.0

// Package eviction finds out, from a kubelet's configuration, how much of a disk the kubelet wants
// to stay free before it evicts pods. It is pure.
package eviction

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// images is where CRI-O keeps images unless its configuration names another place.
const images = "/var/lib/containers/storage"

// signal is what the kubelet watches about a disk. The kubelet takes its own default where its
// configuration has no evictionHard at all.
type signal struct {
	name, byDefault string
	inodes, image   bool
}

func signals() []signal {
	return []signal{
		{name: "nodefs.available", byDefault: "10%"},
		{name: "nodefs.inodesFree", byDefault: "5%", inodes: true},
		{name: "imagefs.available", byDefault: "15%", image: true},
		{name: "imagefs.inodesFree", byDefault: "5%", inodes: true, image: true},
	}
}

// document is what counts of a KubeletConfiguration.
type document struct {
	Hard  map[string]string `yaml:"evictionHard"`
	Soft  map[string]string `yaml:"evictionSoft"`
	Merge *bool             `yaml:"mergeDefaultEvictionSettings"`
}

// Thresholds returns what counts for disks. The documents are the kubelet's configuration file and
// those of its drop-in directory, in this order: a later one replaces single signals. A threshold
// of 0% or 100% is none.
func Thresholds(o Options, documents ...[]byte) ([]host.Threshold, error) {
	var all document
	for _, content := range documents {
		if err := yaml.Unmarshal(content, &all); err != nil {
			return nil, fmt.Errorf("reading the kubelet's configuration: %w", err)
		}
	}
	hard, err := orFlag(all.Hard, o.hard)
	if err != nil {
		return nil, err
	}
	soft, err := orFlag(all.Soft, o.soft)
	if err != nil {
		return nil, err
	}
	if hard == nil || all.Merge != nil && *all.Merge {
		hard = withDefaults(hard)
	}
	var found []host.Threshold
	for _, set := range []map[string]string{hard, soft} {
		some, err := read(set, cmp.Or(o.Root, kubeletRoot), cmp.Or(o.Images, images))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// Default returns the thresholds of a kubelet without a configuration of them.
func Default() []host.Threshold {
	found, err := read(withDefaults(nil), kubeletRoot, images)
	if err != nil {
		panic(err) // they are this package's own
	}
	return found
}

func withDefaults(hard map[string]string) map[string]string {
	merged := map[string]string{}
	for _, s := range signals() {
		merged[s.name] = s.byDefault
	}
	maps.Copy(merged, hard)
	return merged
}

// read leaves signals out that are about something else than disks.
func read(set map[string]string, root, images string) ([]host.Threshold, error) {
	var found []host.Threshold
	for _, s := range signals() {
		value, there := set[s.name]
		if !there || slices.Contains([]string{"0%", "100%"}, value) {
			continue
		}
		t := host.Threshold{Signal: s.name, Value: value, Dir: root, Inodes: s.inodes}
		if s.image {
			t.Dir = images
		}
		var err error
		if t.Amount, t.Percent, err = parse(value); err != nil {
			return nil, fmt.Errorf("reading the kubelet's configuration: %s is %q: %w", s.name, value, err)
		}
		found = append(found, t)
	}
	return found, nil
}

// parse reads a share of the capacity or an amount.
func parse(value string) (amount uint64, percent float64, err error) {
	if share, isShare := strings.CutSuffix(value, "%"); isShare {
		percent, err = strconv.ParseFloat(share, 64)
		return 0, percent, err
	}
	quantity, err := resource.ParseQuantity(value)
	return uint64(max(0, quantity.Value())), 0, err
}
