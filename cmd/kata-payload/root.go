// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kata-node/kata-node/payload/transport"
)

func newRoot(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "kata-payload",
		Short: "Build the payload images that kata-agent mounts on nodes, look into them, and say which node gets which",
		Long: `Build the payload images that kata-agent mounts on nodes, and look into them.

Images are named as skopeo names them: docker://registry/repository[:TAG] is in a registry, oci:DIR[:TAG] in an OCI layout,
oci-archive:FILE[:TAG] in an archive, containers-storage:NAME[:TAG] in the host's own store, and @sha256:... behind any of them
is one image whatever its tag. Registries are reached as podman and skopeo reach them: with their login files, certs.d and
registries.conf.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newBuild(), newInspect(), newVerify(), newDiff(), newPush(), newCatalog(), newMan())
	return root
}

// registryFlags are skopeo's, for the same purposes.
type registryFlags struct {
	authFile  string
	tlsVerify optionalBool
}

func (r *registryFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&r.authFile, "authfile", "", "`FILE` with credentials, as podman or docker login writes it [REGISTRY_AUTH_FILE]")
	flag := flags.VarPF(&r.tlsVerify, "tls-verify", "", "demand a registry's certificate; --tls-verify=false accepts any, and plain HTTP; without either, registries.conf decides")
	flag.NoOptDefVal = "true"
}

func (r *registryFlags) options() transport.Options {
	return transport.Options{AuthFile: cmp.Or(r.authFile, os.Getenv("REGISTRY_AUTH_FILE")), SkipTLSVerify: r.tlsVerify == "false", DemandTLS: r.tlsVerify == "true"}
}

// optionalBool is "true", "false", or empty where the flag is not given.
type optionalBool string

func (o *optionalBool) String() string { return string(*o) }
func (o *optionalBool) Type() string   { return "bool" }

// Set takes what other flags take as a boolean.
func (o *optionalBool) Set(text string) error {
	value, err := strconv.ParseBool(text)
	*o = optionalBool(strconv.FormatBool(value))
	return err
}
