// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bad is a build that cannot succeed.
type bad struct {
	args []string
	want string
	// temporary is where the program keeps temporary files, and place where the image is to be;
	// each is a directory without anything else in it.
	temporary, place string
}

// One test has all bad input that a build meets, in the program as it is shipped: each is one
// sentence that names it, and nothing is left behind.
func TestBadInputIsOneSentenceAndLeavesNothing(t *testing.T) {
	t.Parallel()
	kataPayload, dir := program(t), t.TempDir()
	to := "oci:" + filepath.Join(dir, "layout") + ":v1"
	all := badSources(t, to)
	maps.Copy(all, badTrees(t, to))
	maps.Copy(all, badTargets(t))
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.place = cmp.Or(c.place, dir)
			c.fails(t, kataPayload)
		})
	}
}

// fails checks what is printed, and that nothing is left.
func (c bad) fails(t *testing.T, kataPayload string) {
	t.Helper()
	c.temporary = cmp.Or(c.temporary, t.TempDir())
	out, diag, err := runIn(t, []string{"TMPDIR=" + c.temporary}, kataPayload, c.args...)
	require.Error(t, err)
	assert.Empty(t, out)
	lines := strings.Split(strings.TrimSpace(diag), "\n")
	last := lines[len(lines)-1]
	assert.True(t, strings.HasPrefix(last, "kata-payload: "), diag)
	assert.Contains(t, last, c.want)
	assert.Equal(t, 1, strings.Count(diag, "kata-payload: "), diag)
	assert.Empty(t, entries(t, c.temporary))
	assert.Empty(t, entries(t, c.place))
}

// release is the smallest archive that profile minimal can be made of, by names below opt/kata.
func release() map[string]string {
	return map[string]string{
		"VERSION": "4.2.0\n", "versions.yaml": "assets: {}\n", "bin/containerd-shim-kata-v2": "#!/bin/sh\n",
		"share/kata-containers/kata-containers-initrd.img":       "initrd",
		"share/defaults/kata-containers/configuration-qemu.toml": "[hypervisor.qemu]\npath = \"/opt/kata/bin/qemu-system-x86_64\"\n",
	}
}

func changed(name, content string) map[string]string {
	files := release()
	files[name] = content
	return files
}

// packed declares an archive of these files and entries, and what else sources.toml has.
func packed(t *testing.T, files map[string]string, more []tar.Header, declared ...string) string {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "opt/kata/" + name, Mode: 0o755, Size: int64(len(files[name]))}))
		_, err := io.WriteString(w, files[name])
		require.NoError(t, err)
	}
	for _, h := range more {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	file := declare(t, `file = "kata.tar"`, fmt.Sprintf("%x", sha256.Sum256(text.Bytes())))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "kata.tar"), text.Bytes(), 0o600))
	if len(declared) > 0 {
		head, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(head, strings.Join(declared, "")...), 0o600))
	}
	return file
}

// foreign is the head of a program for another machine than amd64 (elf(5)).
func foreign(t *testing.T) string {
	t.Helper()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_AARCH64), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var text bytes.Buffer
	require.NoError(t, binary.Write(&text, binary.LittleEndian, h))
	return text.String()
}

// damagedRPM is a package of which one byte of the payload is another one, with its right pin.
func damagedRPM(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "payload/source/rpmset/testdata/tiny-1.0~rc1-1.x86_64.rpm"))
	require.NoError(t, err)
	content[len(content)-3] ^= 0xff
	file := filepath.Join(t.TempDir(), "tiny.rpm")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return fmt.Sprintf("[[rpms]]\nset = \"host\"\narchitecture = \"amd64\"\npackages = [{ file = %q, sha256 = \"%x\" }]\n", file, sha256.Sum256(content))
}

// claimed is a directory with a file that the archive has, too.
func claimed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "opt/kata"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "opt/kata/VERSION"), nil, 0o600))
	listing := fmt.Sprintf("- %x %q\n", sha256.Sum256(nil), "opt/kata/VERSION")
	return fmt.Sprintf("[[directories]]\ncomponent = \"extra\"\ndirectory = %q\nsha256 = \"%x\"\n", dir, sha256.Sum256([]byte(listing)))
}

func badSources(t *testing.T, to string) map[string]bad {
	t.Helper()
	with := func(h tar.Header) string { return packed(t, release(), []tar.Header{h}) }
	loop := []tar.Header{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b"}, {Typeflag: tar.TypeSymlink, Name: "b", Linkname: "a"}}
	capable := tar.Header{Name: "c", Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "v"}}
	short := packed(t, release(), nil)
	require.NoError(t, os.Truncate(filepath.Join(filepath.Dir(short), "kata.tar"), 1000))
	all := map[string]bad{}
	for name, c := range map[string]struct{ file, want string }{
		"wrong sha256":     {short, "; get the reviewed one, or review this one and change the pin"},
		"truncated":        {archived(t, &tar.Header{Name: "opt/kata/VERSION", Mode: 0o644}, 514), `ends within entry "opt/kata/VERSION": it is truncated; nothing of it is used: take upstream's own archive, or make it again`},
		"absolute path":    {with(tar.Header{Name: "/etc/x", Mode: 0o644}), `archive kata.tar: entry "/etc/x" has an absolute path; nothing of it is used`},
		"escaping path":    {with(tar.Header{Name: "opt/../../x", Mode: 0o644}), `entry "opt/../../x" leads out of the archive`},
		"escaping link":    {with(tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "../etc"}), `entry "x" is a link to "../etc", which does not lead into the archive`},
		"loop of links":    {packed(t, release(), loop), "more than 40 symbolic links behind each other"},
		"device node":      {with(tar.Header{Typeflag: tar.TypeChar, Name: "n", Devmajor: 1, Devminor: 3}), `entry "n" is a device node or a pipe`},
		"setuid":           {with(tar.Header{Name: "s", Mode: 0o4755}), `entry "s" has a setuid, setgid or sticky bit`},
		"file capability":  {with(capable), `entry "c" has file capabilities`},
		"one path twice":   {packed(t, release(), nil, claimed(t)), `opt/kata/VERSION: components "extra" and "configuration" both claim it: leave it to one of them`},
		"another machine":  {packed(t, changed("bin/containerd-shim-kata-v2", foreign(t)), nil), "is a program for EM_AARCH64, the payload's architecture is amd64: stage another one"},
		"absent file":      {packed(t, changed("share/defaults/kata-containers/configuration-qemu.toml", "[hypervisor.qemu]\nfirmware = '/opt/kata/x'\n"), nil), `hypervisor.qemu.firmware is "/opt/kata/x": the payload has nothing of that name below its prefix "/opt/kata"; stage it`},
		"damaged package":  {packed(t, release(), nil, damagedRPM(t)), "tiny.rpm: is no intact RPM package: payload SHA-256 digest mismatch; get it again from where it was built"},
		"source not there": {declare(t, `file = "nowhere.tar"`, strings.Repeat("a", 64)), "nowhere.tar: no such file or directory"},
	} {
		all[name] = bad{args: []string{"build", "--sources", c.file, "--profile", "minimal", "--architecture", "amd64", "--cache", t.TempDir(), "--to", to}, want: c.want}
	}
	return all
}

func badTrees(t *testing.T, to string) map[string]bad {
	t.Helper()
	const description = "test/payload/payload.toml"
	text, err := os.ReadFile(filepath.Join(repository, description))
	require.NoError(t, err)
	for i := range 40 {
		text = fmt.Appendf(text, "[[components]]\nname = \"c%d\"\npaths = [\"usr/c%d\"]\n", i, i)
	}
	many := filepath.Join(t.TempDir(), "many.toml")
	require.NoError(t, os.WriteFile(many, text, 0o600))
	return map[string]bad{
		"too many layers":     {args: []string{"build", "--from", stage(t, "/bin/sh"), "--describe", many, "--to", to}, want: "a kernel before 6.5 can mount 32 at most, as their names share one page: merge some"},
		"too large a listing": {args: []string{"build", "--from", crowded(t), "--describe", description, "--to", to}, want: "the document is too large: "},
	}
}

// crowded is a tree whose manifest is too large: the names of its files have 17 MB in all.
func crowded(t *testing.T) string {
	t.Helper()
	tree := stage(t, "/bin/sh")
	root, err := os.OpenRoot(tree)
	require.NoError(t, err)
	defer root.Close()
	deep := filepath.Join("opt/kata", strings.Repeat(strings.Repeat("d", 250)+"/", 13))
	require.NoError(t, root.MkdirAll(deep, 0o755))
	below, err := root.OpenRoot(deep)
	require.NoError(t, err)
	defer below.Close()
	for i := range 5000 {
		require.NoError(t, below.WriteFile(fmt.Sprintf("%0250d", i), nil, 0o600))
	}
	return tree
}
