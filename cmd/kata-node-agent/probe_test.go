// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
)

// probed returns what the command prints on a host whose QEMU is a script, and which link leads to
// the slot s.
func probed(t *testing.T, script, link string, flags ...string) (string, error) {
	t.Helper()
	root := t.TempDir()
	tree := files.Below(root)
	require.NoError(t, tree.Write("/usr/bin/qemu", []byte("#!/bin/sh\n"+script), 0o700))
	require.NoError(t, tree.Link(link, host.Target("s")))
	configuration := "[hypervisor.qemu]\npath = '/usr/bin/qemu'\nkernel = '/k'\ninitrd = '/i'\n"
	require.NoError(t, tree.Write(filepath.Join(host.SlotDir("s"), node.Handler, host.Configuration), []byte(configuration), 0o600))
	var out bytes.Buffer
	c := command()
	c.SetArgs(append([]string{"--root", root, "probe", "--ready-line", "is ready"}, flags...))
	c.SetOut(&out)
	err := c.ExecuteContext(t.Context())
	left, readErr := os.ReadDir(root)
	require.NoError(t, readErr)
	assert.Len(t, left, 2, "it leaves nothing: /run and /usr were there before")
	return out.String(), err
}

func TestAGuestIsStartedOnceAndSaysThatItIsReady(t *testing.T) {
	t.Parallel()
	for _, link := range []string{host.CurrentLink, host.ProofLink} {
		out, err := probed(t, "echo 'the guest is ready'; exec sleep 1000", link)
		require.NoError(t, err)
		assert.Regexp(t, `^the guest is ready after [0-9.]+m?s: kernel /k, initrd /i\n$`, out)
	}
}

func TestAGuestThatDoesNotStartIsExplained(t *testing.T) {
	t.Parallel()
	_, err := probed(t, "echo 'Could not access KVM' >&2; exit 1", host.CurrentLink)
	require.EqualError(t, err, "starting the guest of slot s: QEMU: exit status 1 Could not access KVM")
}

func TestAllThatAGuestPrintedIsShownOnRequest(t *testing.T) {
	t.Parallel()
	out, err := probed(t, `printf 'its kernel\033[2J\r\n\nis ready\n'; exec sleep 1000`, host.CurrentLink, "--console")
	require.NoError(t, err)
	assert.Regexp(t, `^its kernel\[2J\nis ready\nthe guest is ready after `, out)
	out, err = probed(t, "echo its kernel; exit 1", host.CurrentLink, "--console")
	require.Error(t, err)
	assert.Equal(t, "its kernel\n", out)
}

func TestWithoutASlotThereIsNoGuest(t *testing.T) {
	t.Parallel()
	c := command()
	c.SetArgs([]string{"--root", t.TempDir(), "probe"})
	require.ErrorContains(t, c.ExecuteContext(t.Context()), "no slot is linked")
}
