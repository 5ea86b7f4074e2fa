// SPDX-License-Identifier: Apache-2.0

package kata_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/payload/profile"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/stretchr/testify/require"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

const prefix = "opt/kata"

// build is what a payload is made of: a build of Kata, or one of its releases.
type build struct {
	// version is Kata's.
	version string
	// release is an archive with the Go shim, or the directory that one was unpacked in. The rest
	// is empty then.
	release string
	// The others are files of a build.
	shim, agent, config, virtiofsd string
}

// find looks for a release of Kata, and then for what a build of it makes.
func find(t *testing.T, dir string) build {
	t.Helper()
	if archives, err := filepath.Glob(filepath.Join(dir, "kata-go-static-*-"+runtime.GOARCH+".tar.*")); err == nil && len(archives) == 1 {
		_, rest, _ := strings.Cut(filepath.Base(archives[0]), "kata-go-static-")
		version, _, _ := strings.Cut(rest, "-"+runtime.GOARCH+".tar.")
		return build{release: archives[0], version: version}
	}
	if version, err := os.ReadFile(filepath.Join(dir, prefix, "VERSION")); err == nil {
		return build{release: dir, version: strings.TrimSpace(string(version))}
	}
	b := build{shim: only(t, dir, "containerd-shim-kata-v2"), agent: only(t, dir, "kata-agent"), config: only(t, dir, "configuration-qemu.toml"), virtiofsd: only(t, dir, "virtiofsd")}
	for _, file := range []string{b.shim, b.agent, b.config, b.virtiofsd} {
		require.NotEmpty(t, file, what, dir)
	}
	out, err := exec.CommandContext(t.Context(), b.shim, "--version").CombinedOutput()
	require.NoError(t, err)
	b.version = versionIn(string(out))
	return b
}

// versionIn is the version in what a shim says of itself.
func versionIn(text string) string {
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, `",:`)
		if strings.Count(word, ".") >= 2 && strings.ContainsAny(word[:1], "0123456789") {
			return word
		}
	}
	return "0.0.0"
}

// only returns the one file of that name at any depth, or nothing.
func only(t *testing.T, dir, name string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() == name {
			require.Empty(t, found, "two files called %s below %s", name, dir)
			found = path
		}
		return err
	})
	require.NoError(t, err)
	return found
}

// push builds a payload of that version with kata-payload, pushes it to the cluster's registry, and
// returns the name by which nodes pull it.
func (b build) push(ctx context.Context, t *testing.T, c *fixture.Cluster, version string) string {
	t.Helper()
	args := []string{"build", "--to=docker://" + c.Registry + "/kata/payload:" + version, "--tls-verify=false", "--cache=" + t.TempDir()}
	if b.release != "" {
		args = append(args, b.sources(t, version)...)
	} else {
		args = append(args, b.stage(t, version)...)
	}
	command := exec.CommandContext(ctx, c.Programs.Path("kata-payload"), args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	require.NoError(t, command.Run(), "%s", &stderr)
	t.Logf("payload %s:\n%s%s", version, &stderr, &stdout)
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	_, digest, found := strings.Cut(lines[len(lines)-1], "@")
	require.True(t, found, "the last line is a name by digest: %s", &stdout)
	return bed.RegistryName + "/kata/payload@" + digest
}

// sources declares a release.
func (b build) sources(t *testing.T, version string) []string {
	t.Helper()
	key, from := "file", archive.Source(archive.File(b.release))
	if info, err := os.Stat(b.release); err == nil && info.IsDir() {
		key, from = "directory", archive.Directory(b.release)
	}
	_, digest, err := archive.Survey(t.Context(), from, archive.DefaultLimits(), nil)
	require.NoError(t, err)
	text := fmt.Sprintf("name = \"kata\"\nkata = %q\nversion = %q\nshimCompatibility = \"kata\"\n[[archives]]\n%s = %q\nsha256 = %q\nshim = \"go\"\narchitecture = %q\n",
		b.version, version, key, b.release, digest, runtime.GOARCH)
	file := filepath.Join(t.TempDir(), "sources.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return []string{"--sources=" + file, "--profile=self-contained"}
}

// description is of a payload whose guest runs its host's kernel, as it is without a kernel of
// Kata's. The modules are those that a guest of Debian's or RHEL's kernel needs for a pod.
const description = `name = "kata"
version = %q
architecture = %q
prefix = "/` + prefix + `"
shimCompatibility = "kata"
[requires]
qemu = true
virtiofsd = false
kernel = true
[guest]
initrd = "` + initrdPath + `"
modules = ["virtio_pci", "virtio_console", "vmw_vsock_virtio_transport", "virtiofs", "overlay", "virtio_net"]
optionalModules = ["virtio_blk", "virtio_scsi", "sd_mod", "virtio_rng", "nf_tables", "nft_compat", "nft_chain_nat", "veth", "bridge"]
[[handlers]]
name = "kata-oc"
type = "vm"
dialect = "go"
shim = "` + shimPath + `"
config = "` + configPath + `"
[[components]]
name = "guest"
version = %[3]q
paths = ["` + initrdPath + `"]
[[components]]
name = "kata"
version = %[3]q
`

// The paths are those of a release.
const (
	initrdPath    = prefix + "/share/kata-containers/kata-containers-initrd.img"
	shimPath      = prefix + "/bin/containerd-shim-kata-v2"
	configPath    = prefix + "/share/defaults/kata-containers/configuration-qemu.toml"
	virtiofsdPath = prefix + "/libexec/virtiofsd"
)

// stage lays a build out as the root of an image.
func (b build) stage(t *testing.T, version string) []string {
	t.Helper()
	tree := t.TempDir()
	files := map[string][]byte{
		initrdPath: initrd(t, b.agent), configPath: b.configuration(t), shimPath: read(t, b.shim), virtiofsdPath: read(t, b.virtiofsd),
	}
	for path, content := range files {
		at, mode := filepath.Join(tree, path), fs.FileMode(0o644)
		if path == shimPath || path == virtiofsdPath {
			mode = 0o755
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, content, mode))
	}
	file := filepath.Join(t.TempDir(), "payload.toml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, description, version, runtime.GOARCH, b.version), 0o600))
	return []string{"--from=" + tree, "--describe=" + file}
}

// configuration is Kata's own one as in the profile minimal, but for virtiofsd, which Debian 12
// does not have.
func (b build) configuration(t *testing.T) []byte {
	t.Helper()
	p, err := profile.For("minimal", runtime.GOARCH, b.version)
	require.NoError(t, err)
	handler := p.Handlers[0]
	profile.Merge(handler.Settings, map[string]any{"hypervisor": map[string]any{"qemu": map[string]any{
		"virtio_fs_daemon": "/" + virtiofsdPath, "valid_virtio_fs_daemon_paths": []any{"/" + virtiofsdPath},
	}}})
	config, err := handler.Configure(read(t, b.config))
	require.NoError(t, err)
	return config
}

// guestInit loads the modules that the node has put into the guest, in their order, before the
// agent listens on vsock, which is one of them.
const guestInit = `#!/bin/sh
while read -r module; do insmod "$module" || echo "cannot load $module"; done < /etc/kata-guest/modules.load
exec /usr/bin/kata-agent
`

// initrd has a build's agent and busybox.
func initrd(t *testing.T, agent string) []byte {
	t.Helper()
	records := []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1), cpio.CharDev("dev/null", 0o666, 1, 3),
		cpio.StaticFile("init", guestInit, 0o755), cpio.Directory("usr", 0o755), cpio.Directory("usr/bin", 0o755), cpio.Directory("usr/lib", 0o755),
		cpio.StaticFile("usr/bin/busybox", string(read(t, "/bin/busybox")), 0o755), cpio.StaticFile("usr/bin/kata-agent", string(read(t, agent)), 0o755),
		cpio.Symlink("bin", "usr/bin"), cpio.Symlink("sbin", "usr/bin"), cpio.Symlink("lib", "usr/lib"),
	}
	for _, dir := range []string{"etc", "etc/kata-guest", "mnt", "proc", "root", "run", "sys", "tmp", "var"} {
		records = append(records, cpio.Directory(dir, 0o755))
	}
	for _, applet := range []string{"sh", "insmod", "modprobe", "mount", "umount", "ip", "cat", "ls", "mkdir"} {
		records = append(records, cpio.Symlink("usr/bin/"+applet, "busybox"))
	}
	cpio.MakeAllReproducible(records)
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	require.NoError(t, cpio.WriteRecords(w, records))
	require.NoError(t, cpio.WriteTrailer(w))
	return out.Bytes()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}
