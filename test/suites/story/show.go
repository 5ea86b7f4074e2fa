// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"strings"
)

func (s *Story) showCluster(ctx context.Context) error {
	return s.kubectl(ctx, "get", "kataconfig,runtimeclass,nodes", "--show-labels=false")
}

func (s *Story) showNode(ctx context.Context) error {
	commands := []string{"systemctl --no-pager --lines=0 status kata-agent", "/usr/libexec/kata-agent/kata-node-agent status"}
	if s.Emulated {
		commands = append([]string{"uname --kernel-release --nodename", "ls -l /dev/kvm"}, commands...)
	}
	for _, command := range commands {
		out, err := s.nodes[0].Exec(ctx, strings.Fields(command)...)
		if err != nil {
			return err
		}
		s.show(s.nodes[0].Name()+"# "+command, out)
	}
	return nil
}

func (s *Story) kubectl(ctx context.Context, args ...string) error {
	out, err := s.Cluster.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	s.show("$ kubectl "+strings.Join(args, " "), out)
	return nil
}

func (s *Story) show(command string, output []byte) {
	s.say("   %s", command)
	for line := range strings.Lines(string(output)) {
		s.say("   | %s", strings.TrimRight(line, "\n"))
	}
}
