// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed selinux/policy.cil
var policy []byte

const (
	// policyVersion is one that every kernel since 4.13 loads.
	policyVersion = "31"
	// categories are as many as CRI-O chooses from to keep pods apart.
	categories = 1024
	// policyDir is where systemd looks for a policy, which it loads before it starts anything.
	policyDir = "/etc/selinux/bed"
	// service is the domain of what systemd and ssh start.
	service = "system_r:unconfined_service_t:s0"
	// noRules is what dbus-daemon takes as an answer.
	noRules = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><selinux/></busconfig>
`
	// containerLabels are those that CRI-O gives.
	containerLabels = `process = "system_u:system_r:container_t:s0"
kvm_process = "system_u:system_r:container_kvm_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file = "system_u:object_r:container_ro_file_t:s0"
`
)

// enforce gives a machine that is off an SELinux policy, which its systemd loads and its kernel
// enforces.
func (e emulated) enforce(ctx context.Context) error {
	for path, content := range map[string]string{
		"/etc/selinux/config":                    "SELINUX=enforcing\nSELINUXTYPE=" + filepath.Base(policyDir) + "\n",
		policyDir + "/seusers":                   "__default__:system_u:s0-s0:c0.c1023\n",
		policyDir + "/contexts/default_contexts": service + " " + service + "\n",
		policyDir + "/contexts/failsafe_context": service + "\n",
		policyDir + "/contexts/dbus_contexts":    noRules,
		policyDir + "/contexts/lxc_contexts":     containerLabels,
	} {
		if err := e.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return e.compile(ctx)
}

// compile makes the policy and its list of files.
func (e emulated) compile(ctx context.Context) error {
	output := filepath.Join(e.root, policyDir, "policy", "policy."+policyVersion)
	contexts := filepath.Join(e.root, policyDir, "contexts", "files", "file_contexts")
	for _, file := range []string{output, contexts} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
	}
	args := []string{"-c", policyVersion, "-o", output, "-f", contexts}
	for name, content := range map[string][]byte{"policy.cil": policy, "categories.cil": declareCategories()} {
		file := filepath.Join(e.dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
		args = append(args, file)
	}
	return run(ctx, "secilc", args...)
}

func declareCategories() []byte {
	var declared, names strings.Builder
	for i := range categories {
		fmt.Fprintf(&declared, "(category c%d)\n", i)
		fmt.Fprintf(&names, " c%d", i)
	}
	return []byte(declared.String() + "(categoryorder (" + names.String() + "))\n(sensitivitycategory s0 (range c0 c1023))\n")
}

// label gives a machine that is off the labels with which it begins, as an installation of a system
// does. What the machine makes in a directory gets the directory's label. Files without a label,
// those of Debian's packages, have one for all of them, see the policy.
func (e emulated) label() error {
	for path, kind := range map[string]string{
		"/etc": "etc_t", "/etc/crio": "container_config_t", "/etc/crio/crio.conf.d": "container_config_t",
		"/usr/bin/crio": "container_runtime_exec_t", "/var/lib": "var_lib_t", "/var/lib/containers": "container_var_lib_t",
	} {
		err := unix.Lsetxattr(filepath.Join(e.root, path), "security.selinux", []byte("system_u:object_r:"+kind+":s0\x00"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("labelling %s: %w", path, err)
		}
	}
	return nil
}
