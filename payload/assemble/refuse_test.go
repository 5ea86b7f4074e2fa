// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/assemble"
)

func TestBuildRefusesWithOneSentenceThatNamesThePath(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, in *assemble.Input)
		want  string
	}{
		"setuid": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Chmod(filepath.Join(root, shim), 0o755|os.ModeSetuid))
		}), shim + ": has a setuid, setgid or sticky bit: clear it"},
		"file capability": {staged(func(t *testing.T, root string) {
			t.Helper()
			// cap_net_bind_service+ep, version 2 (linux/capability.h)
			value := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			err := unix.Setxattr(filepath.Join(root, shim), "security.capability", value, 0)
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) {
				t.Skip("file capabilities cannot be set here: ", err)
			}
			require.NoError(t, err)
		}), shim + ": has file capabilities: remove them with setcap -r"},
		"a name below the prefix that is not staged": {func(t *testing.T, in *assemble.Input) {
			t.Helper()
			in.Description.Prefix = "/opt/kata"
			put(t, in.Tree, config, "[hypervisor.qemu]\npath = '/opt/kata/bin/qemu-system-x86_64'\n", 0o644)
		}, config + `: the payload's base configuration: hypervisor.qemu.path is "/opt/kata/bin/qemu-system-x86_64": the payload has nothing of that name`},
		"too many layers": {described(func(d *assemble.Description) {
			for i := range 40 {
				d.Components = append(d.Components, assemble.Component{Name: fmt.Sprintf("c%d", i), Paths: []string{fmt.Sprintf("usr/c%d", i)}})
			}
		}), "43 components: each is a layer, and a kernel before 6.5 can mount 32 at most, as their names share one page: merge some"},
		"pipe": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, syscall.Mkfifo(filepath.Join(root, "usr/pipe"), 0o644))
		}), "usr/pipe: is neither a regular file, a directory nor a symbolic link"},
		"socket": {staged(func(t *testing.T, root string) {
			t.Helper()
			socket(t, filepath.Join(root, "usr/socket"))
		}), "usr/socket: is neither a regular file"},
		"escaping link": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Symlink("../../etc", filepath.Join(root, "usr/etc")))
		}), `link "usr/etc" to "../../etc": leaves the payload`},
		"absolute link": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Symlink("/etc", filepath.Join(root, "usr/etc")))
		}), `"usr/etc" links to "/etc": links are relative`},
		"link loop": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Symlink("loop", filepath.Join(root, "usr/loop")))
		}), `link "usr/loop" to "loop": more than 40 symbolic links`},
		"whiteout": {staged(func(t *testing.T, root string) {
			t.Helper()
			put(t, root, "usr/.wh.bin", "", 0o644)
		}), `"usr/.wh.bin" has the reserved prefix`},
		"manifest in the tree": {staged(func(t *testing.T, root string) {
			t.Helper()
			put(t, root, "usr/share/kata-payload/manifest.json", "{}", 0o644)
		}), "usr/share/kata-payload/manifest.json: the manifest is written by the build"},
		"no shim": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(root, shim)))
		}), `handler "kata-oc": shim "` + shim + `": ` + shim + " is not a file of the payload"},
		"shim not executable": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Chmod(filepath.Join(root, shim), 0o644))
		}), "is not executable: its mode is 0644"},
		"no configuration": {staged(func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(root, config)))
		}), `config "` + config + `"`},
		"no tree": {func(t *testing.T, in *assemble.Input) {
			t.Helper()
			in.Tree = filepath.Join(in.Tree, "nowhere")
		}, "nowhere: no such file or directory"},
		"two owners":    {claims(0, "usr/bin/*", "usr/share/guest"), shim + `: components "guest" and "shim" both claim it`},
		"no owner":      {claims(2, config), "usr/share/defaults/initrd: belongs to no component"},
		"nothing owned": {claims(0, "usr/shore"), `component "guest" has no file: its paths match nothing that is staged`},
		"shim of another machine": {staged(func(t *testing.T, root string) {
			t.Helper()
			put(t, root, shim, elfHeader(elf.EM_AARCH64), 0o755)
		}), shim + ": is a program for EM_AARCH64, the payload's architecture is amd64"},
		"no version":        {described(func(d *assemble.Description) { d.Version = "" }), `payloadVersion "" does not have the form`},
		"no work directory": {func(_ *testing.T, in *assemble.Input) { in.WorkDir = "/nowhere" }, "/nowhere/layer-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(t, stage(t))
			work := in.WorkDir
			test.spoil(t, &in)
			_, err := assemble.Build(t.Context(), in)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "building payload from "+in.Tree+": ")
			assert.NotContains(t, err.Error(), "\n")
			left, err := os.ReadDir(work)
			require.NoError(t, err)
			assert.Empty(t, left, "nothing is compressed before everything is judged")
		})
	}
}

// socket leaves a socket behind at a path that may be longer than a socket's address.
func socket(t *testing.T, name string) {
	t.Helper()
	short, err := os.MkdirTemp("", "s") //nolint:usetesting // t.TempDir's path is too long for the address of a socket.
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(short)) })
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.NoError(t, os.Rename(filepath.Join(short, "s"), name))
}

func staged(spoil func(*testing.T, string)) func(*testing.T, *assemble.Input) {
	return func(t *testing.T, in *assemble.Input) {
		t.Helper()
		spoil(t, in.Tree)
	}
}

func claims(component int, paths ...string) func(*testing.T, *assemble.Input) {
	return described(func(d *assemble.Description) { d.Components[component].Paths = paths })
}

// elfHeader is all that tells a program's machine (elf(5)).
func elfHeader(machine elf.Machine) string {
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var text bytes.Buffer
	if err := binary.Write(&text, binary.LittleEndian, h); err != nil {
		return err.Error()
	}
	return text.String()
}

func described(change func(*assemble.Description)) func(*testing.T, *assemble.Input) {
	return func(_ *testing.T, in *assemble.Input) { change(&in.Description) }
}
