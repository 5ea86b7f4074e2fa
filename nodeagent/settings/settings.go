// SPDX-License-Identifier: Apache-2.0

// Package settings reads the agent's own settings from TOML fragments: the vendor's, then the run
// time's, then the administrator's, by file name, later ones winning.
package settings

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/internal/stricttoml"
)

// Settings are what an administrator may change about the agent.
type Settings struct {
	// Kubeconfig is the kubelet's own credential.
	Kubeconfig string `toml:"kubeconfig"`
	// PullSecret holds the node's registry credentials.
	PullSecret string `toml:"pull_secret"`
	// SignaturePolicy says which images may be used, as containers-policy.json(5). Empty is the
	// host's default, /etc/containers/policy.json, and where there is none the one that CRI-O's
	// configuration names.
	SignaturePolicy string `toml:"signature_policy"`
	// CRISocket is where CRI-O listens: a path, which may be written as unix:///path too.
	CRISocket string `toml:"cri_socket"`
	// CRIOUnit is the systemd unit to restart.
	CRIOUnit string `toml:"crio_unit"`
	// SELinuxContext labels everything in a mounted payload, where SELinux is on.
	SELinuxContext string `toml:"selinux_context"`
	// AllowedPayloads are prefixes of references, by whole path components, below which a payload
	// must lie. Nil, the default, allows every payload; an empty list allows none.
	AllowedPayloads []string `toml:"allowed_payloads"`
	// GuestKernel says whose kernel guests run where the payload leaves the choice: that of the
	// host, or one that the payload brings.
	GuestKernel GuestKernel `toml:"guest_kernel"`
	// AllowLayering lets the agent layer packages on a node of the machine-config operator, which
	// does not support it.
	AllowLayering bool `toml:"allow_layering"`
	// PullBandwidth is how many bytes a second a pull may take from the network. Zero, the default,
	// is no limit.
	PullBandwidth int64 `toml:"pull_bandwidth"`
	// Arm gives CRI-O the handlers before anything is wanted of the node, so that a later
	// installation needs no restart of CRI-O.
	Arm bool `toml:"arm"`
	// ProofTimeout is how long a proof may take: a sandbox and a container in it.
	ProofTimeout Duration `toml:"proof_timeout"`
	// IntentFile is an absolute path. Where it is set, the intent is read from it, the report is
	// a file, and no API server is asked.
	IntentFile string `toml:"intent_file"`
	// MetricsAddress is where metrics are served over TCP, in addition to the socket, without TLS
	// and to whoever asks. Empty is nowhere.
	MetricsAddress string `toml:"metrics_address"`
}

// Duration is a time span as the kubelet's configuration writes it, such as "2m30s".
type Duration struct{ time.Duration }

// UnmarshalText reads one.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time span: write it as \"2m30s\"", text)
	}
	d.Duration = parsed
	return nil
}

// Limits of ProofTimeout. No VM starts in less, and a proof that waits for longer hides a runtime
// that hangs.
const (
	minProof = 10 * time.Second
	maxProof = time.Hour
)

// minBandwidth is the least limit of a pull. With less, a payload of 100 MB takes more than half an
// hour, and a pull looks like one that makes no progress.
const minBandwidth = 64 << 10

// GuestKernel says whose kernel guests run.
type GuestKernel string

// The values of GuestKernel.
const (
	HostKernel    GuestKernel = "host"
	PayloadKernel GuestKernel = "payload"
)

// Default returns the settings of an OpenShift, OKD or Fedora CoreOS node.
func Default() Settings {
	return Settings{
		Kubeconfig: "/var/lib/kubelet/kubeconfig",
		PullSecret: "/var/lib/kubelet/config.json",
		CRISocket:  "/run/crio/crio.sock",
		CRIOUnit:   "crio.service",
		// The type under which CRI-O's domain starts shims, see container-selinux.
		SELinuxContext: "system_u:object_r:container_runtime_exec_t:s0",
		GuestKernel:    HostKernel,
		ProofTimeout:   Duration{100 * time.Second},
	}
}

// directories hold fragments, in order of precedence.
func directories() []string {
	return []string{"/usr/lib/kata-agent", "/run/kata-agent/settings.d", "/etc/kata-agent"}
}

// Files is what Load reads through.
type Files interface {
	Read(path string) ([]byte, error)
	List(dir string) ([]string, error)
}

// Load merges all fragments over the defaults. An unknown key is an error that names file, line and
// key: a misspelt setting must not be ignored.
func Load(files Files) (Settings, error) {
	s := Default()
	for _, dir := range directories() {
		names, err := files.List(dir)
		if err != nil {
			return s, fmt.Errorf("reading settings in %s: %w", dir, err)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".toml") })
		for _, name := range names {
			if err := merge(files, path.Join(dir, name), &s); err != nil {
				return s, err
			}
		}
	}
	s.CRISocket = strings.TrimPrefix(s.CRISocket, "unix://")
	return s, nil
}

func merge(files Files, file string, into *Settings) error {
	content, err := files.Read(file)
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	if err := stricttoml.Decode(content, into); err != nil {
		return fmt.Errorf("reading settings %s: %w", file, err)
	}
	if into.GuestKernel != HostKernel && into.GuestKernel != PayloadKernel {
		return fmt.Errorf("reading settings %s: guest_kernel is %q, must be %q or %q", file, into.GuestKernel, HostKernel, PayloadKernel)
	}
	if p := into.ProofTimeout.Duration; p < minProof || p > maxProof {
		return fmt.Errorf("reading settings %s: proof_timeout is %s, must be from %s to %s", file, p, minProof, maxProof)
	}
	if f := into.IntentFile; f != "" && !path.IsAbs(f) {
		return fmt.Errorf("reading settings %s: intent_file is %q, must be an absolute path", file, f)
	}
	if a := into.MetricsAddress; a != "" {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("reading settings %s: metrics_address is %q, must be like \"127.0.0.1:9464\": %w", file, a, err)
		}
	}
	if b := into.PullBandwidth; b != 0 && b < minBandwidth {
		return fmt.Errorf("reading settings %s: pull_bandwidth is %d bytes per second, must be 0, which is no limit, or at least %d", file, b, minBandwidth)
	}
	return nil
}
