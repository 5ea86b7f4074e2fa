// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/kata-node/kata-node/api/node"

	"github.com/kata-node/kata-node/test/bed/images"
)

// runcWrapper is in place of runc for ordinary pods: Kubernetes' tests look at a node from
// privileged ones.
const (
	runcWrapper = "/usr/local/sbin/runc"
	runcConf    = `[crio.runtime.runtimes.runc]
runtime_path = "` + runcWrapper + `"
`
)

// The handler that Kubernetes' tests know, in the file in which they look for it. It is Kata, as
// the agent's drop-in has it for its own name.
const (
	kataHandler = `[crio.runtime.runtimes.test-handler]
runtime_path = "/run/kata-agent/current/` + node.RuntimeClass + `/containerd-shim-kata-v2"
runtime_type = "vm"
runtime_root = "/run/vc"
runtime_config_path = "/run/kata-agent/current/` + node.RuntimeClass + `/configuration.toml"
privileged_without_host_devices = true
`
	ordinaryHandler = `[crio.runtime.runtimes.test-handler]
runtime_path = "` + runcWrapper + `"
`
)

// mirrorConf lets a node's CRI-O find registry.k8s.io in the test registry.
const mirrorConf = `[[registry]]
prefix = "registry.k8s.io"
location = %q
insecure = true
`

// configure gives the node what the tests expect of it, and restarts CRI-O.
func (r *run) configure(ctx context.Context) error {
	wrapper, err := os.ReadFile(r.programs.Path("runc"))
	if err != nil {
		return err
	}
	handler := kataHandler
	if r.Ordinary {
		handler = ordinaryHandler
	}
	if err := r.worker.WriteFile(runcWrapper, wrapper, 0o755); err != nil {
		return err
	}
	for file, content := range map[string]string{
		"/etc/crio/crio.conf":                        handler,
		"/etc/crio/crio.conf.d/10-runc.conf":         runcConf,
		"/etc/containers/registries.conf.d/e2e.conf": fmt.Sprintf(mirrorConf, r.worker.Images.Address()+strings.TrimPrefix(mirror, images.Registry)),
	} {
		if err := r.worker.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if _, err := r.worker.Exec(ctx, "systemctl", "restart", "crio.service"); err != nil {
		return err
	}
	return r.worker.AwaitAgent(ctx)
}
