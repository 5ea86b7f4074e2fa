// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// state is everything that an installation could leave on a node and on its Node object.
type state struct {
	files  snapshot.Snapshot
	mounts []string
	object []string
}

// capture reads it. It leaves out times: the kubelet moves its heartbeats, and its Ready condition
// moves with the one restart of CRI-O.
func capture(ctx context.Context, n *fixture.Node) (state, error) {
	files, err := n.Snapshot(ctx, "/etc", "/run/kata-agent", "/var/lib/kata-*", "/var/log/crio")
	if err != nil {
		return state{}, err
	}
	mounts, err := mountTable(ctx, n)
	if err != nil {
		return state{}, err
	}
	object, err := n.Object(ctx)
	if err != nil {
		return state{}, err
	}
	return state{files: files, mounts: mounts, object: describe(object)}, nil
}

func mountTable(ctx context.Context, n *fixture.Node) ([]string, error) {
	mounts, err := n.Mounts(ctx)
	if err != nil {
		return nil, err
	}
	var table []string
	for _, m := range mounts {
		table = append(table, strings.Join([]string{m.Mountpoint, m.FSType, m.Source, m.Root, m.Options, m.VFSOptions, m.Optional}, " "))
	}
	slices.Sort(table)
	return table, nil
}

func describe(object *corev1.Node) []string {
	var lines []string
	for kind, entries := range map[string]map[string]string{"label": object.Labels, "annotation": object.Annotations} {
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			lines = append(lines, fmt.Sprintf("%s %s=%s", kind, key, entries[key]))
		}
	}
	for _, c := range object.Status.Conditions {
		lines = append(lines, fmt.Sprintf("condition %s=%s %s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(lines)
	return lines
}

// differences says what is not as it was.
func (before state) differences(after state) []string {
	diff := snapshot.Diff(before.files, after.files)
	diff = append(diff, changed("mount", before.mounts, after.mounts)...)
	return append(diff, changed("node object", before.object, after.object)...)
}

func changed(what string, before, after []string) []string {
	var lines []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			lines = append(lines, what+" gone: "+line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			lines = append(lines, what+" new: "+line)
		}
	}
	return lines
}

// awaitSame gives the handshake at the end of a removal its time: the agent clears its report after
// the controller has read it. On the node that joined late, the labels that the administrator gave
// it are no difference.
func (s *Story) awaitSame(ctx context.Context, n *fixture.Node, before state) error {
	check := func() error {
		after, err := capture(ctx, n)
		if err != nil {
			return err
		}
		diff := slices.DeleteFunc(before.differences(after), func(line string) bool {
			return strings.Contains(line, "new: label install-kata=") || strings.Contains(line, "new: label node-role.kubernetes.io/worker=")
		})
		if len(diff) > 0 {
			return fmt.Errorf("%s is not what it was:\n%s", n.Name(), strings.Join(diff, "\n"))
		}
		return nil
	}
	return until(ctx, check, check)
}

// quietly is the same story without output.
func (s *Story) quietly() *Story {
	quiet := *s
	quiet.Out = io.Discard
	quiet.progress = nil
	return &quiet
}
