// SPDX-License-Identifier: Apache-2.0

package host

import "path"

// The places that the agent owns on its host. CRI-O's drop-in and every administrator's script may rely on them.
const (
	StoreDir    = "/var/lib/kata-containers/storage"
	StateDir    = "/var/lib/kata-agent"
	RunDir      = "/run/kata-agent"
	VersionsDir = RunDir + "/versions"
	CurrentLink = RunDir + "/current"
	ProofLink   = RunDir + "/proof"
	// StoreRunDir holds what the store must forget at a reboot.
	StoreRunDir = RunDir + "/storage"
	DropIn      = "/etc/crio/crio.conf.d/60-kata-agent.conf"

	// IntentFile is the last intent, without its grants.
	IntentFile = StateDir + "/intent.json"
	// ServedFile is what current served last; it is restored at boot.
	ServedFile = StateDir + "/served.json"
	// RestartedFile is the invocation of CRI-O that was last restarted in this boot.
	RestartedFile = RunDir + "/restarted"

	// ConfigDir holds administrators' fragments for configuration.toml.
	ConfigDir = "/etc/kata-agent/config.d"

	// Pending is the name of the version that only says why there is none.
	Pending = "pending"
	// PendingReason is read by the shim of the pending version.
	PendingReason = VersionsDir + "/" + Pending + "/reason"
	// OriginRecord, VerifiedMark and ProvedMark stand in a version's directory and hold for this boot.
	OriginRecord = "origin.json"
	VerifiedMark = "verified"
	ProvedMark   = "proved"
	// Shim is the base name under which CRI-O accepts the program of a handler of type vm.
	Shim = "containerd-shim-kata-v2"
	// Configuration is looked up beside the shim.
	Configuration = "configuration.toml"
)

// VersionDir returns the directory of a version.
func VersionDir(id string) string { return path.Join(VersionsDir, id) }

// PayloadDir returns where a version's payload is mounted.
func PayloadDir(id string) string { return path.Join(VersionDir(id), "payload") }

// Target returns what the links current and proof contain for a version.
func Target(id string) string { return path.Join(path.Base(VersionsDir), id) }

// Origin is what a version was made of.
type Origin struct {
	// Image is the store's id, Payload the reference by which it was asked for, Release the version that it calls itself.
	Image   string `json:"image"`
	Payload string `json:"payload"`
	Release string `json:"release"`
}

// Leftovers are files of an installation that Clear deletes beside the store.
func Leftovers() []string { return []string{ServedFile, RestartedFile, PendingReason} }
