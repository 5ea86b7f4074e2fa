// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a directory",
		Long: `Write the manual pages of all commands into a directory, which is made where there is none.

They are the same on every machine. SOURCE_DATE_EPOCH is their date (seconds since 1970; without it, today).`,
		Example: "  kata-payload man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writePages(cmd.Root(), args[0])
		},
	}
}

func writePages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing manual pages: %w", err)
	}
	header := &doc.GenManHeader{Section: "1", Source: "kata-payload " + root.Version, Manual: "Kata payload images"}
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		date, err := sourceDate(text)
		if err != nil {
			return err
		}
		date = date.UTC()
		header.Date = &date
	}
	root.DisableAutoGenTag = true // its date is that of the run
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("writing manual pages: %w", err)
	}
	return nil
}
