// SPDX-License-Identifier: Apache-2.0

package stage_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/source"
	"github.com/kata-node/kata-node/payload/source/archive"
	"github.com/kata-node/kata-node/payload/source/fetch"
	"github.com/kata-node/kata-node/payload/stage"
)

const (
	goArchive = "kata-go-static-4.2.0-amd64.tar.zst"
	rsArchive = "kata-static-4.2.0-amd64.tar.zst"
	qemuKeys  = `path = "/opt/kata/bin/qemu-system-x86_64"
kernel = "/opt/kata/share/kata-containers/vmlinux.container"
image = "/opt/kata/share/kata-containers/kata-containers.img"
valid_hypervisor_paths = ["/opt/kata/bin/qemu-system-x86_64"]
virtio_fs_daemon = "/opt/kata/libexec/virtiofsd"
valid_virtio_fs_daemon_paths = ["/opt/kata/libexec/virtiofsd"]
rootfs_type = "ext4"
`
	versions = "assets:\n  hypervisor:\n    qemu:\n      version: v11.0.1\n  kernel:\n    version: v6.18.35\nexternals:\n  virtiofsd:\n    version: v1.14.0\n"
)

// tree is an archive's content by path below opt/kata: a text, or "-> target" for a link.
type tree map[string]string

// common is what upstream has in both archives.
func common() tree {
	return tree{
		"VERSION": "4.2.0\n", "versions.yaml": versions,
		"bin/qemu-system-x86_64": "QEMU", "bin/cloud-hypervisor": "left out", "libexec/virtiofsd": "virtiofsd", "libexec/nydusd": "left out",
		"share/kata-qemu/qemu/bios-256k.bin": "BIOS", "share/kata-qemu/qemu/efi-virtio.rom": "ROM", "share/kata-qemu/qemu/edk2-x86_64-code.fd": "left out",
		"share/kata-containers/vmlinuz-6.18.35-200": "kernel", "share/kata-containers/vmlinuz.container": "-> vmlinuz-6.18.35-200",
		"share/kata-containers/vmlinux-6.18.35-200": "large kernel", "share/kata-containers/vmlinux.container": "-> vmlinux-6.18.35-200",
		"share/kata-containers/kata-alpine-3.22.initrd": "initrd", "share/kata-containers/kata-containers-initrd.img": "-> kata-alpine-3.22.initrd",
		"share/kata-containers/kata-ubuntu-noble.image": strings.Repeat("image", 100), "share/kata-containers/kata-containers.img": "-> kata-ubuntu-noble.image",
		"share/defaults/kata-containers/configuration.toml": "-> configuration-qemu.toml",
	}
}

func goTree() tree {
	t := common()
	maps.Copy(t, tree{
		"bin/containerd-shim-kata-v2": "#!/bin/go", "bin/kata-runtime": "#!/bin/runtime",
		"share/defaults/kata-containers/configuration-qemu.toml": "# upstream's\n[hypervisor.qemu]\n" + qemuKeys + "\n[agent.kata]\ndial_timeout = 45\n[runtime]\n",
	})
	return t
}

func rsTree() tree {
	t := common()
	maps.Copy(t, tree{
		"runtime-rs/bin/containerd-shim-kata-v2":                                       "#!/bin/rs",
		"share/defaults/kata-containers/runtime-rs/configuration-qemu-runtime-rs.toml": "[hypervisor.qemu]\n" + qemuKeys + "\n[runtime]\nname = \"virt_container\"\n",
	})
	return t
}

func (t tree) pack() []byte {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	must(err)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./opt/kata/" + name, Mode: 0o644, Size: int64(len(t[name]))}
		if strings.Contains(name, "bin/") || strings.Contains(name, "libexec/") {
			h.Mode = 0o755
		}
		if target, isLink := strings.CutPrefix(t[name], "-> "); isLink {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		must(w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, t[name])
			must(err)
		}
	}
	must(w.Close())
	must(z.Close())
	return out.Bytes()
}

// must is for what cannot fail: writing to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// sources writes the archives and a declaration of them, and returns what stage.Build takes.
func sources(t *testing.T, archives map[string][]byte, more string) stage.Input {
	t.Helper()
	in := stage.Input{
		Dir: t.TempDir(), Tree: t.TempDir(), Profile: "host-qemu", Architecture: "amd64",
		Cache: fetch.Cache{Dir: filepath.Join(t.TempDir(), "cache"), FirstDelay: 1}, Limits: archive.DefaultLimits(),
	}
	text := "name = \"kata\"\nkata = \"4.2.0\"\nshimCompatibility = \"kata-4\"\n" + more
	for name, content := range archives {
		require.NoError(t, os.WriteFile(filepath.Join(in.Dir, name), content, 0o600))
		text += fmt.Sprintf("[[archives]]\nfile = %q\nsha256 = %q\n", name, digest(content))
	}
	in.Sources = parse(t, text)
	return in
}

func parse(t *testing.T, text string) source.Sources {
	t.Helper()
	s, err := source.Parse([]byte(text))
	require.NoError(t, err)
	return s
}

func both() map[string][]byte {
	return map[string][]byte{goArchive: goTree().pack(), rsArchive: rsTree().pack()}
}

// build stages and assembles, and returns what is in each component.
func build(t *testing.T, in stage.Input) (assemble.Payload, stage.Contents) {
	t.Helper()
	staged, err := stage.Build(t.Context(), in)
	require.NoError(t, err)
	p, err := assemble.Build(t.Context(), assemble.Input{Tree: in.Tree, Description: staged.Description, WorkDir: t.TempDir()})
	require.NoError(t, err)
	return p, staged.Contents
}

func files(m manifest.Manifest) map[string][]string {
	out := map[string][]string{}
	for _, f := range m.Files {
		c, _ := m.Component(f.Path)
		out[c.Name] = append(out[c.Name], strings.TrimPrefix(f.Path, "opt/kata/"))
	}
	return out
}

// size is that of a component's files in the image, in bytes.
func size(m manifest.Manifest, component string) (sum int64) {
	for _, f := range m.Files {
		if c, _ := m.Component(f.Path); c.Name == component {
			sum += f.Size
		}
	}
	return sum
}

func TestEveryProfileGetsItsFiles(t *testing.T) {
	t.Parallel()
	const defaults = "share/defaults/kata-containers/"
	kernel := []string{"share/kata-containers/vmlinuz-6.18.35-200", "share/kata-containers/vmlinuz.container"}
	minimal := map[string][]string{
		"guest":         {"share/kata-containers/kata-alpine-3.22.initrd", "share/kata-containers/kata-containers-initrd.img"},
		"shim":          {"bin/containerd-shim-kata-v2"},
		"configuration": {"VERSION", defaults + "configuration-qemu.toml", "versions.yaml"},
	}
	with := func(more map[string][]string) map[string][]string {
		out := maps.Clone(minimal)
		maps.Copy(out, more)
		return out
	}
	hostQEMU := with(map[string][]string{"kernel": kernel, "tools": {"bin/kata-runtime"}})
	for profile, want := range map[string]map[string][]string{
		"minimal": minimal, "host-qemu": hostQEMU,
		"self-contained": with(map[string][]string{
			"kernel": kernel, "tools": {"bin/kata-runtime"}, "qemu": {"bin/qemu-system-x86_64"}, "virtiofsd": {"libexec/virtiofsd"},
			"firmware": {"share/kata-qemu/qemu/bios-256k.bin", "share/kata-qemu/qemu/efi-virtio.rom"},
		}),
		"runtime-rs": with(map[string][]string{
			"kernel": kernel, "tools": {"bin/kata-runtime"}, "shim-runtime-rs": {"runtime-rs/bin/containerd-shim-kata-v2"},
			"configuration-runtime-rs": {defaults + "runtime-rs/configuration-qemu-runtime-rs.toml"},
		}),
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			in := sources(t, both(), "")
			in.Profile = profile
			p, contents := build(t, in)
			assert.Equal(t, want, files(p.Manifest))
			assert.Equal(t, "4.2.0", p.Manifest.PayloadVersion)
			for _, part := range contents.Components {
				assert.Equal(t, size(p.Manifest, part.Name), part.Size, part.Name)
				if part.Name == "kernel" {
					assert.Equal(t, "v6.18.35", part.Version)
				}
			}
			assert.Equal(t, "opt/kata/share/kata-containers/kata-ubuntu-noble.image", contents.LeftOut[0].Path, "the largest comes first")
			assert.EqualValues(t, 500, contents.LeftOut[0].Size)
		})
	}
}

func TestTheBaseConfigurationNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	in := sources(t, both(), "")
	in.Profile = "runtime-rs"
	p, _ := build(t, in)
	require.Len(t, p.Manifest.Handlers, 2)
	for _, h := range p.Manifest.Handlers {
		text, err := os.ReadFile(filepath.Join(in.Tree, h.Config))
		require.NoError(t, err)
		var config struct {
			Hypervisor map[string]map[string]any `toml:"hypervisor"`
		}
		require.NoError(t, toml.Unmarshal(text, &config))
		qemu := config.Hypervisor["qemu"]
		assert.Equal(t, "/usr/libexec/qemu-kvm", qemu["path"], h.Name)
		assert.Equal(t, "/opt/kata/share/kata-containers/kata-containers-initrd.img", qemu["initrd"], h.Name)
		assert.Empty(t, qemu["image"], h.Name)
	}
	assert.Equal(t, manifest.Requires{KVM: true, QEMU: true, Virtiofsd: true, OldestKernel: "5.14"}, p.Manifest.Requires)
}

func TestTheSameSourcesGiveTheSameImage(t *testing.T) {
	t.Parallel()
	first, _ := build(t, sources(t, both(), ""))
	unpacked := sources(t, nil, "")
	dir := filepath.Join(unpacked.Dir, "unpacked")
	for name, content := range goTree() {
		name = filepath.Join(dir, "opt/kata", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		if target, isLink := strings.CutPrefix(content, "-> "); isLink {
			require.NoError(t, os.Symlink(target, name))
			continue
		}
		mode := os.FileMode(0o600)
		if strings.Contains(name, "/bin/") {
			mode = 0o700
		}
		require.NoError(t, os.WriteFile(name, []byte(content), mode))
	}
	_, measured, err := archive.Survey(t.Context(), archive.Directory(dir), archive.DefaultLimits(), nil)
	require.NoError(t, err)
	unpacked.Sources.Archives = []source.Archive{{
		Location: source.Location{Directory: "unpacked", SHA256: measured}, Shim: source.ShimGo, Architecture: "amd64",
	}}
	second, _ := build(t, unpacked)
	assert.Equal(t, first.Digest, second.Digest)
}

func TestAnArchiveIsDownloaded(t *testing.T) {
	t.Parallel()
	archives := both()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(archives[filepath.Base(r.URL.Path)])
		assert.NoError(t, err)
	}))
	defer server.Close()
	in := sources(t, nil, "")
	in.Sources = parse(t, fmt.Sprintf("name = \"kata\"\nkata = \"4.2.0\"\nshimCompatibility = \"kata-4\"\n[[archives]]\nurl = %q\nsha256 = %q\n",
		server.URL+"/"+goArchive, digest(archives[goArchive])))
	build(t, in)
	in.Tree, in.Sources.Archives[0].SHA256 = t.TempDir(), ""
	_, err := stage.Build(t.Context(), in)
	require.ErrorContains(t, err, "is not pinned: its sha256 is "+digest(archives[goArchive])+"; compare that with the release's attestation")
}

func TestRPMsAndDirectoriesAreComponents(t *testing.T) {
	t.Parallel()
	const name = "tiny-1.0~rc1-1.x86_64.rpm"
	rpm, err := os.ReadFile("../source/rpmset/testdata/" + name)
	require.NoError(t, err)
	in := sources(t, both(), "")
	require.NoError(t, os.WriteFile(filepath.Join(in.Dir, "renamed.rpm"), rpm, 0o600))
	extra := filepath.Join(in.Dir, "extra/usr/share/extra")
	require.NoError(t, os.MkdirAll(extra, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(extra, "a[b]*"), nil, 0o600))
	_, measured, err := archive.Survey(t.Context(), archive.Directory(filepath.Join(in.Dir, "extra")), archive.DefaultLimits(), nil)
	require.NoError(t, err)
	in.Sources.Directories = []source.Directory{{Location: source.Location{Directory: "extra", SHA256: measured}, Component: "extra"}}
	pinned := source.Location{File: "renamed.rpm", SHA256: digest(rpm)}
	in.Sources.RPMs = []source.RPMSet{{Set: "host", Architecture: "amd64", Packages: []source.Location{pinned}, Systems: []source.System{{ID: "fedora", Version: "42"}}}}
	p, _ := build(t, in)
	path := manifest.PackageDir + "/host/" + name
	assert.Equal(t, []manifest.Package{{Set: "host", Name: "tiny", Epoch: 2, Version: "1.0~rc1", Release: "1", Architecture: "x86_64", Path: path}}, p.Manifest.Packages)
	assert.Equal(t, []string{path}, files(p.Manifest)["rpms-host"])
	assert.Equal(t, []manifest.PackageSet{{Name: "host", Systems: []manifest.System{{ID: "fedora", Version: "42"}}}}, p.Manifest.PackageSets)
	assert.Equal(t, []string{"usr/share/extra/a[b]*"}, files(p.Manifest)["extra"])
	f, _ := p.Manifest.File(path)
	assert.Equal(t, digest(rpm), f.SHA256)

	in.Tree = t.TempDir()
	in.Sources.RPMs[0].Packages = []source.Location{pinned, pinned}
	_, err = stage.Build(t.Context(), in)
	require.ErrorContains(t, err, `tiny-2:1.0~rc1-1.x86_64 are the same package: a host installs one of them`)

	in.Tree = t.TempDir()
	in.Sources.RPMs = []source.RPMSet{{Set: "host", Architecture: "amd64"}, {Set: "newer", Architecture: "amd64", Systems: []source.System{{ID: "fedora", Version: "43"}}}}
	_, err = stage.Build(t.Context(), in)
	require.ErrorContains(t, err, `package sets "host" and "newer" are both for fedora 43: a host layers one set`)
}
