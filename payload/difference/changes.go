// SPDX-License-Identifier: Apache-2.0

package difference

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/payload/manifest"
)

// changes says in sentences what changes besides files.
func changes(from, to manifest.Manifest) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if from.Architecture != to.Architecture {
		say("The payloads are for different architectures, %s and %s: no node goes from one to the other.", from.Architecture, to.Architecture)
	}
	if from.Name != to.Name {
		say("The payload's name changes from %s to %s.", from.Name, to.Name)
	}
	if from.PayloadVersion != to.PayloadVersion {
		say("The payload's version changes from %s to %s.", from.PayloadVersion, to.PayloadVersion)
	}
	all = append(all, componentChanges(from, to)...)
	all = append(all, handlerChanges(from, to)...)
	if from.ShimCompatibility != to.ShimCompatibility {
		say("Shim compatibility changes from %q to %q: the new shim cannot reach sandboxes that run, and a node keeps the old payload current until they have ended.", from.ShimCompatibility, to.ShimCompatibility)
	} else {
		say("Shim compatibility stays %q: each shim reaches the sandboxes of the other.", to.ShimCompatibility)
	}
	all = append(all, needChanges(from.Requires, to.Requires)...)
	all = append(all, guestChanges(from.Guest, to.Guest)...)
	for _, r := range []struct{ of, from, to string }{{"OpenShift", from.OpenShift, to.OpenShift}, {"Kubernetes", from.Kubernetes, to.Kubernetes}} {
		if r.from != r.to {
			say("The versions of %s that it is made for change from %s to %s.", r.of, cmp.Or(r.from, "any"), cmp.Or(r.to, "any"))
		}
	}
	if from.Prefix != to.Prefix {
		say("The prefix of the base configuration changes from %s to %s.", cmp.Or(from.Prefix, "none"), cmp.Or(to.Prefix, "none"))
	}
	return append(all, packageChanges(from, to)...)
}

func componentChanges(from, to manifest.Manifest) (all []string) {
	for _, c := range to.Components {
		old := versionOf(from, c.Name)
		switch {
		case !has(from, c.Name):
			all = append(all, fmt.Sprintf("Component %s is added, %s.", c.Name, named(c.Version)))
		case old != c.Version:
			all = append(all, fmt.Sprintf("Component %s changes from %s to %s.", c.Name, named(old), named(c.Version)))
		}
	}
	for _, c := range from.Components {
		if !has(to, c.Name) {
			all = append(all, fmt.Sprintf("Component %s, %s, is removed.", c.Name, named(c.Version)))
		}
	}
	return all
}

func named(version string) string {
	if version == "" {
		return "without a version"
	}
	return "version " + version
}

func handlerChanges(from, to manifest.Manifest) (all []string) {
	for _, h := range to.Handlers {
		old, found := from.Handler(h.Name)
		switch {
		case !found:
			all = append(all, fmt.Sprintf("Handler %s is added: %s, %s dialect, %s.", h.Name, h.Type, h.Dialect, h.Shim))
		case !reflect.DeepEqual(old, h):
			all = append(all, fmt.Sprintf("Handler %s changes from %s, %s dialect, %s, %s to %s, %s dialect, %s, %s.",
				h.Name, old.Type, old.Dialect, old.Shim, old.Config, h.Type, h.Dialect, h.Shim, h.Config))
		}
	}
	for _, h := range from.Handlers {
		if _, found := to.Handler(h.Name); !found {
			all = append(all, fmt.Sprintf("Handler %s is removed.", h.Name))
		}
	}
	return all
}

func needChanges(from, to manifest.Requires) (all []string) {
	for _, need := range []struct {
		thing  string
		before bool
		after  bool
	}{{"KVM", from.KVM, to.KVM}, {"QEMU", from.QEMU, to.QEMU}, {"virtiofsd", from.Virtiofsd, to.Virtiofsd}, {"a kernel for the guest", from.Kernel, to.Kernel}} {
		switch {
		case need.after && !need.before:
			all = append(all, fmt.Sprintf("The host must bring %s from now on.", need.thing))
		case need.before && !need.after:
			all = append(all, fmt.Sprintf("The host need not bring %s any more.", need.thing))
		}
	}
	if from.OldestKernel != to.OldestKernel {
		all = append(all, fmt.Sprintf("The oldest kernel that the host may run changes from %s to %s.", cmp.Or(from.OldestKernel, "any"), cmp.Or(to.OldestKernel, "any")))
	}
	return all
}

// guestChanges are about a guest whose initrd the host makes; nil is a guest of the payload's own.
func guestChanges(from, to *manifest.Guest) (all []string) {
	switch {
	case from == nil && to == nil:
		return nil
	case from == nil:
		return []string{fmt.Sprintf("The host makes the guest's initrd from now on, of %s and modules of its kernel.", to.Initrd)}
	case to == nil:
		return []string{"The host does not make the guest's initrd any more."}
	}
	for _, file := range []struct{ of, from, to string }{{"base initrd", from.Initrd, to.Initrd}, {"own kernel", from.Kernel, to.Kernel}} {
		if file.from != file.to {
			all = append(all, fmt.Sprintf("The guest's %s changes from %s to %s.", file.of, cmp.Or(file.from, "none"), cmp.Or(file.to, "none")))
		}
	}
	for _, list := range []struct {
		of       string
		from, to []string
	}{{"modules", from.Modules, to.Modules}, {"optional modules", from.OptionalModules, to.OptionalModules}} {
		if !slices.Equal(list.from, list.to) {
			all = append(all, fmt.Sprintf("The guest's %s change from %s to %s.", list.of, cmp.Or(strings.Join(list.from, ", "), "none"), cmp.Or(strings.Join(list.to, ", "), "none")))
		}
	}
	return all
}

func packageChanges(from, to manifest.Manifest) (all []string) {
	added, removed := without(to.Packages, from.Packages), without(from.Packages, to.Packages)
	if len(added) > 0 {
		all = append(all, fmt.Sprintf("RPM packages are added: %s.", strings.Join(added, ", ")))
	}
	if len(removed) > 0 {
		all = append(all, fmt.Sprintf("RPM packages are removed: %s.", strings.Join(removed, ", ")))
	}
	for i, p := range to.Packages {
		known := slices.ContainsFunc(from.Packages, func(old manifest.Package) bool { return old.Set == p.Set })
		first := !slices.ContainsFunc(to.Packages[:i], func(other manifest.Package) bool { return other.Set == p.Set })
		if before, after := from.SystemsOf(p.Set), to.SystemsOf(p.Set); known && first && !slices.Equal(before, after) {
			all = append(all, fmt.Sprintf("RPM set %s changes from one for %s to one for %s.", p.Set, manifest.Names(before), manifest.Names(after)))
		}
	}
	return all
}

// without returns the names of packages that are not among the others, with their sets.
func without(packages, others []manifest.Package) (names []string) {
	known := map[string]bool{}
	for _, p := range others {
		known[p.Set+" "+p.NEVRA()] = true
	}
	for _, p := range packages {
		if !known[p.Set+" "+p.NEVRA()] {
			names = append(names, fmt.Sprintf("%s (set %s)", p.NEVRA(), p.Set))
		}
	}
	return names
}
