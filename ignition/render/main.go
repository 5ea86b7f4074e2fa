// SPDX-License-Identifier: Apache-2.0

// Command render writes one MachineConfig per OpenShift release, and the disruption policies that
// go before, into a directory. It is a program of a module of its own because Butane and Ignition
// link a cloud SDK, which has no place in what runs on nodes.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kata-node/kata-node/ignition/machineconfig"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("render", flag.ContinueOnError)
	root := flags.String("root", "..", "root of the repository")
	out := flags.String("out", "../dist/machineconfig", "directory to write to")
	image := flags.String("image", "", "image of the agent, by digest")
	role := flags.String("role", "worker", "machine config pool")
	allowed := flags.String("allowed-payloads", "", "repositories, or directories of them, whose payloads the nodes run; separated by commas or spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rendered, err := machineconfig.All(*root, machineconfig.Options{
		Image: *image, Role: *role,
		AllowedPayloads: strings.FieldsFunc(*allowed, func(r rune) bool { return r == ',' || r == ' ' }),
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", *out, err)
	}
	for _, f := range rendered {
		path := filepath.Join(*out, f.Name)
		if err := os.WriteFile(path, f.Content, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		if _, err := fmt.Fprintf(stdout, "%-75s %s\n", path, f.Purpose); err != nil {
			return fmt.Errorf("printing what was written: %w", err)
		}
	}
	return nil
}
