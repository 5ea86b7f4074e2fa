// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kata-node/kata-node/payload/transport"
)

func newRoot(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "kata-payload",
		Short: "Build the payload images that kata-agent mounts on nodes, look into them, and say which node gets which",
		Long: `Build the payload images that kata-agent mounts on nodes, and look into them.

Images are named as skopeo names them: oci:DIR[:TAG] is an OCI layout, docker://registry/repository[:TAG] a registry,
and @sha256:... behind either is one image whatever its tag.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newBuild(), newInspect(), newVerify(), newCatalog())
	return root
}

// isTarget tells an image from a directory.
func isTarget(text string) bool {
	return strings.HasPrefix(text, "oci:") || strings.HasPrefix(text, "docker://")
}

// registryFlags are skopeo's, for the same purposes.
type registryFlags struct {
	authFile  string
	tlsVerify bool
}

func (r *registryFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&r.authFile, "authfile", os.Getenv("REGISTRY_AUTH_FILE"), "credentials, as podman or docker login writes them [REGISTRY_AUTH_FILE]")
	flags.BoolVar(&r.tlsVerify, "tls-verify", true, "demand a registry's certificate; false accepts any, and plain HTTP")
}

func (r *registryFlags) options() transport.Options {
	return transport.Options{AuthFile: r.authFile, SkipTLSVerify: !r.tlsVerify}
}
