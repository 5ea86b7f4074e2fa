// SPDX-License-Identifier: Apache-2.0

package config

// Root is the table [crio].
type Root struct {
	Root               string   `toml:"root"`
	RunRoot            string   `toml:"runroot"`
	Storage            string   `toml:"storage_driver"`
	StorageOptions     []string `toml:"storage_option"`
	LogDir             string   `toml:"log_dir"`
	VersionFile        string   `toml:"version_file"`
	VersionFilePersist string   `toml:"version_file_persist"`
	CleanShutdownFile  string   `toml:"clean_shutdown_file"`
	InternalWipe       bool     `toml:"internal_wipe"`
	InternalRepair     bool     `toml:"internal_repair"`
}

// API is the table [crio.api].
type API struct {
	Listen        string `toml:"listen"`
	StreamAddress string `toml:"stream_address"`
	StreamPort    string `toml:"stream_port"`
}

// Runtime is the table [crio.runtime]. A later file replaces a whole handler, never a part of one.
type Runtime struct {
	DefaultRuntime string              `toml:"default_runtime"`
	LogLevel       string              `toml:"log_level"`
	LogFilter      string              `toml:"log_filter"`
	Conmon         string              `toml:"conmon"`
	ConmonCgroup   string              `toml:"conmon_cgroup"`
	CgroupManager  string              `toml:"cgroup_manager"`
	PinnsPath      string              `toml:"pinns_path"`
	NamespacesDir  string              `toml:"namespaces_dir"`
	HooksDir       []string            `toml:"hooks_dir"`
	DefaultEnv     []string            `toml:"default_env"`
	DefaultSysctls []string            `toml:"default_sysctls"`
	DropInfraCtr   bool                `toml:"drop_infra_ctr"`
	ReadOnly       bool                `toml:"read_only"`
	SELinux        bool                `toml:"selinux"`
	PidsLimit      int64               `toml:"pids_limit"`
	LogSizeMax     int64               `toml:"log_size_max"`
	CtrStopTimeout int64               `toml:"ctr_stop_timeout"`
	Runtimes       map[string]*Handler `toml:"runtimes"`
}

// Image is the table [crio.image].
type Image struct {
	PauseImage      string   `toml:"pause_image"`
	PauseCommand    string   `toml:"pause_command"`
	PinnedImages    []string `toml:"pinned_images"`
	SignaturePolicy string   `toml:"signature_policy"`
}

// Network is the table [crio.network].
type Network struct {
	NetworkDir string   `toml:"network_dir"`
	PluginDirs []string `toml:"plugin_dirs"`
}

// Handler is one table [crio.runtime.runtimes.NAME].
type Handler struct {
	RuntimePath                  string            `toml:"runtime_path"`
	RuntimeType                  string            `toml:"runtime_type"`
	RuntimeRoot                  string            `toml:"runtime_root"`
	RuntimeConfigPath            string            `toml:"runtime_config_path"`
	PrivilegedWithoutHostDevices bool              `toml:"privileged_without_host_devices,omitempty"`
	AllowedAnnotations           []string          `toml:"allowed_annotations,omitempty"`
	MonitorPath                  string            `toml:"monitor_path,omitempty"`
	MonitorCgroup                string            `toml:"monitor_cgroup,omitempty"`
	MonitorEnv                   []string          `toml:"monitor_env,omitempty"`
	MonitorExecCgroup            string            `toml:"monitor_exec_cgroup,omitempty"`
	PlatformRuntimePaths         map[string]string `toml:"platform_runtime_paths,omitempty"`
	RuntimePullImage             bool              `toml:"runtime_pull_image,omitempty"`
	ContainerMinMemory           string            `toml:"container_min_memory,omitempty"`
	NoSyncLog                    bool              `toml:"no_sync_log"`
	InheritDefaultRuntime        bool              `toml:"inherit_default_runtime,omitempty"`
	DefaultAnnotations           map[string]string `toml:"default_annotations,omitempty"`
	StreamWebsockets             bool              `toml:"stream_websockets,omitempty"`
	ExecCPUAffinity              string            `toml:"exec_cpu_affinity,omitempty"`
	SeccompProfile               string            `toml:"seccomp_profile,omitempty"`
	ContainerCreateTimeout       int64             `toml:"container_create_timeout,omitempty"`
}
