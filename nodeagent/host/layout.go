// SPDX-License-Identifier: Apache-2.0

package host

import "path"

// The places that the agent owns on its host. CRI-O's drop-in and every administrator's script may
// rely on them.
const (
	StoreDir    = "/var/lib/kata-containers/storage"
	StateDir    = "/var/lib/kata-agent"
	RunDir      = "/run/kata-agent"
	SlotsDir    = RunDir + "/slots"
	CurrentLink = RunDir + "/current"
	ProofLink   = RunDir + "/proof"
	// FindingsDir has what was found out in this boot about slots that are not mounted any more.
	FindingsDir = RunDir + "/findings"
	// LockFile is held by the agent that works on this host.
	LockFile = RunDir + "/lock"
	// ReportFile is the report of a node without a controller.
	ReportFile = "/run/kata-node-agent/report.json"
	// MetricsSocket is where the agent that works on this host serves its metrics.
	MetricsSocket = "/run/kata-node-agent/metrics.sock"
	// StoreRunDir holds what the store must forget at a reboot.
	StoreRunDir = RunDir + "/storage"
	DropIn      = "/etc/crio/crio.conf.d/60-kata-agent.conf"

	// IntentFile is the last intent, without its grants.
	IntentFile = StateDir + "/intent.json"
	// ServedFile is what current served last; it is restored at boot.
	ServedFile = StateDir + "/served.json"
	// LayeredFile is what the agent has layered on the host's operating system. It stays until no
	// deployment has it.
	LayeredFile = StateDir + "/layered.json"
	// RebootedFile is the last reboot that the agent asked for; it outlives the boot.
	RebootedFile = StateDir + "/rebooted.json"
	// RebootRequiredFile asks for a reboot of this host, when the controller grants one. Its first
	// line says what for. It is written by an administrator or a program, and ends with the
	// boot.
	RebootRequiredFile = RunDir + "/reboot-required"
	// RestartedFile is the invocation of CRI-O that was last restarted in this boot.
	RestartedFile = RunDir + "/restarted"

	// LacksFile is the invocation of CRI-O that does not know our handlers.
	LacksFile = RunDir + "/lacks"

	// ProofsFile has the proofs of which CRI-O was asked for a sandbox and has named none since.
	ProofsFile = RunDir + "/proofs"

	// ProofLogs has a directory for each proof, into which CRI-O puts its logs. They have no
	// reader, but a CRI-O that starts and does not find them can never remove that sandbox. Without
	// a name CRI-O takes a directory of its own, and never deletes it.
	ProofLogs = RunDir + "/proof-logs"

	// CRIOConfig and CRIOConfigDir are what CRI-O reads at its start, in this order.
	CRIOConfig    = "/etc/crio/crio.conf"
	CRIOConfigDir = "/etc/crio/crio.conf.d"

	// OperatorConfig is the MachineConfig that the machine-config daemon has last applied here.
	OperatorConfig = "/etc/machine-config-daemon/currentconfig"

	// FIPSFile has "1" while the kernel runs in FIPS mode, as its command line says.
	FIPSFile = "/proc/sys/crypto/fips_enabled"

	// ConfigDir holds administrators' fragments for configuration.toml.
	ConfigDir = "/etc/kata-agent/config.d"

	// Pending is the name of the slot that only says why there is none.
	Pending = "pending"
	// PendingReason is read by the shim of the pending slot.
	PendingReason = SlotsDir + "/" + Pending + "/reason"
	// Shim is the base name under which CRI-O accepts the program of a handler of type vm.
	Shim = "containerd-shim-kata-v2"
	// Configuration is looked up next to the shim.
	Configuration = "configuration.toml"
)

// SlotDir returns the directory of a slot.
func SlotDir(id string) string { return path.Join(SlotsDir, id) }

// PayloadDir returns where a slot's payload is mounted.
func PayloadDir(id string) string { return path.Join(SlotDir(id), "payload") }

// Console returns where the console of a slot's guest is kept that did not start.
func Console(id string) string { return path.Join(SlotDir(id), "console.txt") }

// Target returns what the links current and proof contain for a slot.
func Target(id string) string { return path.Join(path.Base(SlotsDir), id) }

// Leftovers are files of an installation that Clear deletes in addition to the store.
func Leftovers() []string {
	return []string{ServedFile, RestartedFile, LacksFile, ProofsFile, PendingReason, ModulesFile, RebootedFile, FindingsDir, ProofLogs}
}
