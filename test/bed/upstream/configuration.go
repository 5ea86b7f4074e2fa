// SPDX-License-Identifier: Apache-2.0

package upstream

import "strings"

// versions has those keys of upstream's versions.yaml that say what an archive is made of.
const versions = `description: what a release is made of
assets:
  hypervisor:
    qemu: {version: "v11.0.1"}
  kernel: {version: "v6.18.35"}
externals:
  virtiofsd: {version: "v1.14.0"}
`

// hypervisor has the keys that both dialects have in common.
const hypervisor = `[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-MACHINE"
kernel = "/opt/kata/share/kata-containers/vmlinux.container"
image = "/opt/kata/share/kata-containers/kata-containers.img"
# initrd = "/opt/kata/share/kata-containers/kata-containers-initrd.img"
machine_type = "q35"
rootfs_type = "ext4"
enable_annotations = ["enable_iommu", "kernel_params", "kernel_verity_params"]
valid_hypervisor_paths = ["/opt/kata/bin/qemu-system-MACHINE"]
kernel_params = ""
firmware = ""
machine_accelerators = ""
cpu_features = "pmu=off"
default_vcpus = 1
default_maxvcpus = 0
default_bridges = 1
default_memory = 2048
memory_slots = 10
default_maxmemory = 0
enable_virtio_mem = false
disable_block_device_use = false
shared_fs = "virtio-fs"
virtio_fs_daemon = "/opt/kata/libexec/virtiofsd"
valid_virtio_fs_daemon_paths = ["/opt/kata/libexec/virtiofsd"]
virtio_fs_cache_size = 0
virtio_fs_queue_size = 1024
virtio_fs_extra_args = ["--thread-pool-size=1", "--announce-submounts"]
virtio_fs_cache = "auto"
block_device_driver = "virtio-scsi"
block_device_aio = "io_uring"
enable_iothreads = false
enable_vhost_user_store = false
vhost_user_store_path = "/var/run/kata-containers/vhost-user"
valid_vhost_user_store_paths = ["/var/run/kata-containers/vhost-user"]
entropy_source = "/dev/urandom"
valid_entropy_sources = ["/dev/urandom", "/dev/random", ""]
disable_selinux = false
disable_guest_selinux = true
`

// goConfiguration has the keys of upstream's configuration for the Go shim.
func goConfiguration(architecture string) string {
	return strings.ReplaceAll(hypervisor, "MACHINE", machine(architecture)) + `firmware_volume = ""
seccompsandbox = ""
msize_9p = 8192
disable_image_nvdimm = false
valid_file_mem_backends = [""]
pflashes = []

[factory]
template_path = "/run/vc/vm/template"

[agent.kata]
kernel_modules = []
dial_timeout = 45

[runtime]
internetworking_model = "tcfilter"
disable_guest_seccomp = true
sandbox_cgroup_only = false
static_sandbox_resource_mgmt = true
sandbox_bind_mounts = []
vfio_mode = "guest-kernel"
disable_guest_empty_dir = false
experimental = []
create_container_timeout = 60
dan_conf = "/run/kata-containers/dans"
kubelet_root_dir = "/var/lib/kubelet"
`
}

// rustConfiguration has the keys of upstream's configuration for runtime-rs.
func rustConfiguration(architecture string) string {
	return strings.ReplaceAll(hypervisor, "MACHINE", machine(architecture)) + `vm_rootfs_driver = "virtio-blk-pci"
seccomp_sandbox = ""
overhead_vcpus = 0.25
overhead_memory = 128
indep_iothreads = 0
network_queues = 1
tdx_quote_generation_service_socket_port = 4050

[agent.kata]
dial_timeout_ms = 10
reconnect_timeout_ms = 3000
create_container_timeout = 60

[agent.kata.mem_agent]
mem_agent_enable = false

[runtime]
name = "virt_container"
hypervisor_name = "qemu"
agent_name = "kata"
internetworking_model = "tcfilter"
disable_guest_seccomp = true
sandbox_cgroup_only = false
static_sandbox_resource_mgmt = true
sandbox_bind_mounts = []
vfio_mode = "guest-kernel"
experimental = []
dan_conf = "/run/kata-containers/dans"
`
}
