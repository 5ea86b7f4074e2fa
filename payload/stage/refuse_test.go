// SPDX-License-Identifier: Apache-2.0

package stage_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/stage"
)

// changed returns the Go archive's tree with some files deleted, and others put in.
func changed(put tree, deleted ...string) []byte {
	t := goTree()
	for _, name := range deleted {
		delete(t, name)
	}
	maps.Copy(t, put)
	return t.pack()
}

func TestBadSourcesAreOneSentence(t *testing.T) {
	t.Parallel()
	const initrd = "share/kata-containers/kata-containers-initrd.img"
	for want, content := range map[string][]byte{
		`holds Kata 4.1.0, and kata is "4.2.0" in sources.toml`:                         changed(tree{"VERSION": "4.1.0\n"}),
		"has neither opt/kata/VERSION nor opt/kata/versions.yaml: it is not an archive": changed(nil, "VERSION", "versions.yaml"),
		"reading opt/kata/versions.yaml: ":                                              changed(tree{"versions.yaml": "a: b: c"}),
		`component "guest": archive ` + goArchive + ` has no opt/kata/` + initrd:        changed(nil, initrd),
		"leads to opt/kata/share/kata-containers/kata-alpine-3.22.initrd, which is not": changed(nil, "share/kata-containers/kata-alpine-3.22.initrd"),
		"it is truncated": goTree().pack()[:200],
		"more than 40 symbolic links behind each other":  changed(tree{"a": "-> b", "b": "-> a"}),
		`upstream's configuration has no table "hypervi`: changed(tree{"share/defaults/kata-containers/configuration-qemu.toml": "[hypervisor.clh]\n"}),
		"reading upstream's configuration: ":             changed(tree{"share/defaults/kata-containers/configuration-qemu.toml": "x = = 1\n"}),
	} {
		in := sources(t, map[string][]byte{goArchive: content}, "")
		_, err := stage.Build(t.Context(), in)
		require.ErrorContains(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), `staging profile "host-qemu" for amd64: `), err)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestAWrongPinIsSaidBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	in := sources(t, map[string][]byte{goArchive: []byte("something else entirely")}, "")
	in.Sources.Archives[0].SHA256 = digest([]byte("the reviewed archive"))
	_, err := stage.Build(t.Context(), in)
	require.ErrorContains(t, err, "has sha256 "+digest([]byte("something else entirely"))+", and sources.toml pins "+digest([]byte("the reviewed archive")))
	in.Sources.Archives[0].SHA256 = ""
	_, err = stage.Build(t.Context(), in)
	require.ErrorContains(t, err, goArchive+" is not pinned: its sha256 is ")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	in := sources(t, both(), "")
	for want, change := range map[string]func(*stage.Input){
		`no archive with the shim "go" for arm64: declare one (upstream's name is kata-go-static-4.2.0-arm64`: func(in *stage.Input) { in.Architecture = "arm64" },
		`profile "all" is unknown`:                 func(in *stage.Input) { in.Profile = "all" },
		"no such file":                             func(in *stage.Input) { in.Dir = "/nowhere" },
		`profile "runtime-rs" needs Kata >= 4.2.0`: func(in *stage.Input) { in.Profile, in.Sources.Kata = "runtime-rs", "4.1.0" },
	} {
		bad := in
		bad.Tree = t.TempDir()
		change(&bad)
		_, err := stage.Build(t.Context(), bad)
		require.ErrorContains(t, err, want)
	}
}

func TestTwoComponentsCannotClaimOnePath(t *testing.T) {
	t.Parallel()
	in := sources(t, both(), "")
	extra := filepath.Join(in.Dir, "extra/opt/kata")
	require.NoError(t, os.MkdirAll(extra, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(extra, "versions.yaml"), nil, 0o600))
	_, measured, err := archive.Survey(t.Context(), archive.Directory(filepath.Join(in.Dir, "extra")), archive.DefaultLimits(), nil)
	require.NoError(t, err)
	in.Sources.Directories = []source.Directory{{Location: source.Location{Directory: "extra", SHA256: measured}, Component: "extra"}}
	_, err = stage.Build(t.Context(), in)
	require.ErrorContains(t, err, `opt/kata/versions.yaml: components "extra" and "configuration" both claim it`)
}

func TestAShimForAnotherMachineIsRefused(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	program[18], program[19] = 183, 0 // e_machine: EM_AARCH64
	in := sources(t, map[string][]byte{goArchive: changed(tree{"bin/containerd-shim-kata-v2": string(program)})}, "")
	staged, err := stage.Build(t.Context(), in)
	require.NoError(t, err)
	_, err = assemble.Build(t.Context(), assemble.Input{Tree: in.Tree, Description: staged.Description, WorkDir: t.TempDir()})
	require.ErrorContains(t, err, "opt/kata/bin/containerd-shim-kata-v2: is a program for EM_AARCH64, the payload's architecture is amd64")
}

func TestAConfigurationThatNamesWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	config := strings.Replace(goTree()["share/defaults/kata-containers/configuration-qemu.toml"],
		"[hypervisor.qemu]\n", "[hypervisor.qemu]\nfirmware = \"/opt/kata/share/ovmf/OVMF.fd\"\n", 1)
	in := sources(t, map[string][]byte{goArchive: changed(tree{"share/defaults/kata-containers/configuration-qemu.toml": config})}, "")
	staged, err := stage.Build(t.Context(), in)
	require.NoError(t, err)
	_, err = assemble.Build(t.Context(), assemble.Input{Tree: in.Tree, Description: staged.Description, WorkDir: t.TempDir()})
	require.ErrorContains(t, err, `hypervisor.qemu.firmware is "/opt/kata/share/ovmf/OVMF.fd": the payload has nothing of that name`)
}

func TestAFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(small, unix.MNT_DETACH)) })
	in := sources(t, map[string][]byte{goArchive: changed(tree{"bin/kata-runtime": strings.Repeat("x", 1<<20)})}, "")
	in.Tree = small
	_, err := stage.Build(t.Context(), in)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "archive "+goArchive+": writing opt/kata/bin/kata-runtime: ")
}
