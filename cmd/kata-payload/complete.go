// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/profile"
)

// architectures are those that upstream makes payloads of.
func architectures() []string { return []string{"amd64", "arm64", "s390x"} }

// completion is what a shell offers for a word that is begun.
type completion = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeImages offers the kinds of places, and the names of files and directories, for the first
// words of a command.
func completeImages(words int) completion {
	return func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= words {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var offered []cobra.Completion
		for _, kind := range []string{"docker://", "oci:", "oci-archive:", "containers-storage:"} {
			if strings.HasPrefix(kind, begun) {
				offered = append(offered, kind)
			}
		}
		if len(offered) > 0 && begun != "" {
			return offered, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		}
		return offered, cobra.ShellCompDirectiveNoSpace
	}
}

// completeList offers what is not yet in a list with commas.
func completeList(values []string) completion {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		done, _ := cutLast(begun)
		var offered []cobra.Completion
		for _, value := range values {
			if !slices.Contains(strings.Split(done, ","), value) {
				offered = append(offered, done+value)
			}
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
}

// cutLast cuts a list behind its last comma.
func cutLast(list string) (done, last string) {
	at := strings.LastIndex(list, ",") + 1
	return list[:at], list[at:]
}

func completeProfiles(_ *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names, err := profile.Names()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeCompressions() completion {
	return cobra.FixedCompletions([]cobra.Completion{string(assemble.ZstdChunked), string(assemble.Gzip)}, cobra.ShellCompDirectiveNoFileComp)
}

// addArchitecture adds the flag that chooses an image of an index.
func addArchitecture(cmd *cobra.Command, architecture *string) {
	cmd.Flags().StringVar(architecture, "architecture", "", "`NAME` of the architecture whose image of an index is meant, such as arm64 (default: this machine's)")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("architecture", cobra.FixedCompletions(architectures(), cobra.ShellCompDirectiveNoFileComp)))
}
