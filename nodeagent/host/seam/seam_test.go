// SPDX-License-Identifier: Apache-2.0

package seam_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

// reads are the methods that change nothing, by port.
func reads() map[string][]string {
	return map[string][]string{
		"Files":     {"List", "Path", "Read", "Readlink", "Stat"},
		"Services":  {"Check", "Dependents", "Unit", "Words", "Complaints", "Messages", "Restarts", "Fatal"},
		"Images":    {"Exists", "Layers", "List"},
		"Mounts":    {"Below", "Private"},
		"Sandboxes": {"List", "Shim", "Version"},
		"Processes": {"Holding", "Sees", "Started", "Using"},
		"Guests":    {"Image", "Kernels"},
		"Ostree":    {"Status", "Unfinalized"},
		"Machine":   {"Examine"},
	}
}

// returns calls a method with nothing and returns its error. It fails for one that reached the host
// itself, which is not there.
func returns(method reflect.Value) (err error, reached bool) {
	defer func() { reached = recover() != nil }()
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		if method.Type().IsVariadic() && i == method.Type().NumIn()-1 {
			break
		}
		args = append(args, reflect.Zero(method.Type().In(i)))
	}
	out := method.Call(args)
	err, _ = reflect.TypeAssert[error](out[len(out)-1]) // no error is nil
	return err, reached
}

// A port that gets a new method must either pass the seam with it or say here that it reads.
func TestEveryChangePassesTheSeam(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	seen := map[seam.Kind]bool{}
	h := reflect.ValueOf(seam.Wrap(host.Host{}, func(op seam.Op, _ func() error) error {
		seen[op.Kind] = true
		return stopped
	}))
	for i := range h.NumField() {
		port := h.Type().Field(i)
		for m := range port.Type.Methods() {
			name := m.Name
			if slices.Contains(reads()[port.Name], name) {
				continue
			}
			err, reached := returns(h.Field(i).MethodByName(name))
			require.False(t, reached, "%s.%s goes past the seam", port.Name, name)
			require.ErrorIs(t, err, stopped, "%s.%s", port.Name, name)
		}
	}
	assert.Len(t, seen, 19)
}

func TestAChangeIsDoneWhereTheFunctionDoesIt(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	var ops []string
	h := seam.Wrap(host.Host{Files: tree}, func(op seam.Op, do func() error) error {
		ops = append(ops, op.String())
		return do()
	})
	require.NoError(t, h.Files.Write("/a", []byte("x"), 0o600))
	require.NoError(t, h.Files.Link("/l", "a"))
	content, err := h.Files.Read("/l")
	require.NoError(t, err)
	assert.Equal(t, "x", string(content))
	require.NoError(t, h.Files.Remove("/l"))
	assert.Equal(t, []string{"files.write /a", "files.link /l", "files.remove /l"}, ops)
	_, err = tree.Readlink("/l")
	require.Error(t, err)
}
