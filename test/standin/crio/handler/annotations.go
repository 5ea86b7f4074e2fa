// SPDX-License-Identifier: Apache-2.0

package handler

// allowedAnnotations are the values CRI-O 1.37 takes in allowed_annotations: external names, its
// own, and their older spellings.
func allowedAnnotations() []string {
	return []string{
		"io.kubernetes.cri.rdt-class", "bundle", "org.systemd.property.", "org.criu.config",
		"module.wasm.image/variant", "io.kubernetes.cri.container-type", "run.oci.",
		"io.containers.trace-syscall", "org.opencontainers.image.stopSignal",
		"cgroup2-mount-hierarchy-rw.crio.io", "cpu-c-states.crio.io", "cpu-freq-governor.crio.io", "cpu-load-balancing.crio.io",
		"cpu-quota.crio.io", "cpu-shared.crio.io", "devices.crio.io", "disable-fips.crio.io", "irq-load-balancing.crio.io",
		"link-logs.crio.io", "platform-runtime-path.crio.io", "pod-linux-overhead.crio.io", "pod-linux-resources.crio.io",
		"seccomp-notifier-action.crio.io", "seccomp-profile.crio.io", "shm-size.crio.io", "skip-gomaxprocs.crio.io", "spoofed.crio.io",
		"try-skip-volume-selinux-label.crio.io", "umask.crio.io", "unified-cgroup.crio.io", "userns-mode.crio.io",
		"io.kubernetes.cri-o.Devices", "io.kubernetes.cri-o.DisableFIPS", "io.kubernetes.cri-o.LinkLogs",
		"io.kubernetes.cri-o.PlatformRuntimePath", "io.kubernetes.cri-o.PodLinuxOverhead", "io.kubernetes.cri-o.PodLinuxResources",
		"io.kubernetes.cri-o.ShmSize", "io.kubernetes.cri-o.Spoofed", "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel",
		"io.kubernetes.cri-o.UnifiedCgroup", "io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw",
		"io.kubernetes.cri-o.seccompNotifierAction", "io.kubernetes.cri-o.umask", "io.kubernetes.cri-o.userns-mode",
		"seccomp-profile.kubernetes.cri-o.io",
	}
}
