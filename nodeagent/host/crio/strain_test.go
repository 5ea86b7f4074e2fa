// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestALackOfTheHostIsNoFaultOfThePayload(t *testing.T) {
	t.Parallel()
	answers := func(call string, code codes.Code, words string) *fake {
		return &fake{refuse: map[string]error{call: status.Error(code, words)}}
	}
	ended := func(code int32, reason string) *fake {
		return &fake{container: &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_EXITED, ExitCode: code, Reason: reason}}
	}
	for name, c := range map[string]struct {
		fake *fake
		want bool
	}{
		"no memory, in QEMU's words": {answers("create", codes.Unknown, "qemu-system-x86_64: cannot set up guest memory 'dimm1': Cannot allocate memory"), true},
		"no room":                    {answers("create", codes.Unknown, "mkdir /run/vc/sbs: no space left on device"), true},
		"no descriptors":             {answers("start", codes.Unknown, "pipe2: too many open files"), true},
		"no answer of the guest":     {answers("create", codes.Unknown, "timed out connecting to vsock 2133661219:1024"), true},
		"no time":                    {answers("start", codes.DeadlineExceeded, "context deadline exceeded"), true},
		"no CRI-O":                   {answers("start", codes.Unavailable, "connection refused"), true},
		"killed for its memory":      {ended(137, "OOMKilled"), true},
		"a file that is missing":     {answers("create", codes.Unknown, "CreateContainer failed: the file pause was not found"), false},
		"another end":                {ended(127, "Error"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dial(t, c.fake).Prove(t.Context(), "kata-oc-proof", "p")
			require.Error(t, err)
			_, strained := errors.AsType[*host.Strained](err)
			assert.Equal(t, c.want, strained, "%v", err)
		})
	}
}
