// SPDX-License-Identifier: Apache-2.0

package runtimeclass

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/selection"
)

// AliasLabel is on each alias, and has its name.
const AliasLabel = "kataconfiguration.openshift.io/alias"

// Pair is a RuntimeClass as it was seen and as it should be; nil for none.
type Pair struct {
	Existing, Desired *nodev1.RuntimeClass
}

// Aliases returns the aliases that are ours, or should be, of kata-oc, which is given as
// it exists and as it is desired. An alias is equal to kata-oc but for its name. One that no
// KataConfig names any more is withdrawn, and not deleted before kata-oc is: the kubelet reads it
// for every sandbox that it creates for a pod with it. One that an administrator then deletes is
// not made again.
func Aliases(others []*nodev1.RuntimeClass, existing, desired *nodev1.RuntimeClass, pools []selection.Pool) []Pair {
	var pairs []Pair
	if desired != nil && Foreign(existing) != nil {
		return nil
	}
	named := aliases(pools, existing != nil)
	for _, name := range named {
		class := find(others, name)
		if desired != nil && (class == nil || ours(class)) {
			pairs = append(pairs, Pair{class, alias(name, desired, desired.Scheduling.NodeSelector)})
		}
	}
	for _, class := range others {
		switch {
		case !ours(class), desired != nil && slices.Contains(named, class.Name):
		case desired == nil:
			pairs = append(pairs, Pair{Existing: class})
		default:
			pairs = append(pairs, Pair{class, alias(class.Name, desired, withdrawn())})
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.name(), b.name()) })
	return pairs
}

// AliasProblem names the classes of an alias' name that another owner has made; it is empty for
// none.
func AliasProblem(names []string, others []*nodev1.RuntimeClass) string {
	var problems []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		if class := find(others, name); class != nil && !ours(class) {
			problems = append(problems, fmt.Sprintf("RuntimeClass %q, with handler %q, exists and was not made by this controller, so it is no alias of %s", name, class.Handler, node.RuntimeClass))
		}
	}
	if len(problems) == 0 {
		return ""
	}
	return strings.Join(problems, "; ") + ": delete it, or take the name out of spec.config.runtimeClassAliases"
}

// aliases are the names that KataConfigs want, each once. One that is about to be accepted counts
// where kata-oc exists already.
func aliases(pools []selection.Pool, exists bool) []string {
	var names []string
	for _, p := range pools {
		if !p.Config.Deleting && (p.Config.Accepted || exists && p.Config.Acceptable()) {
			names = append(names, p.Config.Aliases...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func alias(name string, of *nodev1.RuntimeClass, selector map[string]string) *nodev1.RuntimeClass {
	class := of.DeepCopy()
	class.Name, class.Scheduling.NodeSelector = name, selector
	class.Labels[AliasLabel] = name
	return class
}

// ours asks for the name too: a user's copy of kata-oc, or of an alias, has our labels.
func ours(class *nodev1.RuntimeClass) bool {
	return Foreign(class) == nil && class.Labels[AliasLabel] == class.Name
}

func find(classes []*nodev1.RuntimeClass, name string) *nodev1.RuntimeClass {
	i := slices.IndexFunc(classes, func(c *nodev1.RuntimeClass) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return classes[i]
}

func (p Pair) name() string {
	return cmp.Or(p.Existing, p.Desired).Name
}
