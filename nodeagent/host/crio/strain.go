// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outOfMemory is CRI-O's reason for a container that the kernel killed for its memory.
const outOfMemory = "OOMKilled"

// short reports whether an answer names something that the host lacks at this moment. CRI-O passes
// on what a shim or QEMU said and gives it the code Unknown, so that the words have to be read.
func short(err error) bool {
	if slices.Contains([]codes.Code{codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable}, status.Code(err)) {
		return true
	}
	words := strings.ToLower(status.Convert(err).Message())
	return slices.ContainsFunc(shortages(), func(shortage string) bool { return strings.Contains(words, shortage) })
}

// shortages are how programs in Go, and in lower case those in C, name them.
func shortages() []string {
	return []string{
		syscall.ENOMEM.Error(), syscall.ENOSPC.Error(), syscall.EDQUOT.Error(), syscall.EMFILE.Error(), syscall.EAGAIN.Error(),
		context.DeadlineExceeded.Error(), "timed out",
	}
}
