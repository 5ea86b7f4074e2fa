// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/source/archive"
)

// entry is one entry of a test's archive: a regular file unless its header says otherwise.
type entry struct {
	tar.Header

	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}, content}
}

func program(name, content string) entry {
	e := file(name, content)
	e.Mode = 0o755
	return e
}

func dir(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, ""}
}

func link(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func hard(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}, ""}
}

func with(e entry, change func(*tar.Header)) entry {
	change(&e.Header)
	return e
}

func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		require.NoError(tb, w.WriteHeader(&e.Header))
		_, err := io.WriteString(w, e.content)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func write(tb testing.TB, content []byte) archive.File {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "archive")
	require.NoError(tb, os.WriteFile(name, content, 0o600))
	return archive.File(name)
}

func survey(tb testing.TB, source archive.Source) (archive.Listing, string, error) {
	tb.Helper()
	return archive.Survey(tb.Context(), source, archive.DefaultLimits(), nil)
}

// kata is a small archive in upstream's form.
func kata() []entry {
	return []entry{
		dir("./"), dir("./opt/"), dir("./opt/kata/"), file("./opt/kata/VERSION", "4.2.0\n"),
		program("./opt/kata/bin/containerd-shim-kata-v2", "the shim"), file("./opt/kata/share/vmlinuz-6.18", "the kernel"),
		link("./opt/kata/share/vmlinuz.container", "vmlinuz-6.18"), hard("./opt/kata/bin/again", "./opt/kata/bin/containerd-shim-kata-v2"),
		link("./opt/kata/share/configuration.toml", "configuration-qemu.toml"),
	}
}

func packers(t *testing.T) map[string]func([]byte) []byte {
	t.Helper()
	through := func(w io.WriteCloser, err error, plain []byte) {
		require.NoError(t, err)
		_, err = w.Write(plain)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	return map[string]func([]byte) []byte{
		"tar": func(plain []byte) []byte { return plain },
		"gz": func(plain []byte) []byte {
			var b bytes.Buffer
			through(gzip.NewWriter(&b), nil, plain)
			return b.Bytes()
		},
		"xz": func(plain []byte) []byte {
			var b bytes.Buffer
			w, err := xz.NewWriter(&b)
			through(w, err, plain)
			return b.Bytes()
		},
		"zst": func(plain []byte) []byte {
			var b bytes.Buffer
			w, err := zstd.NewWriter(&b)
			through(w, err, plain)
			return b.Bytes()
		},
	}
}

func TestArchivesOfAllFormsAreSurveyed(t *testing.T) {
	t.Parallel()
	for name, packer := range packers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packed := packer(pack(t, kata()...))
			documents := map[string][]byte{"opt/kata/VERSION": nil, "opt/kata/other": nil}
			list, digest, err := archive.Survey(t.Context(), write(t, packed), archive.DefaultLimits(), documents)
			require.NoError(t, err)
			sum := sha256.Sum256(packed)
			assert.Equal(t, hex.EncodeToString(sum[:]), digest)
			assert.Equal(t, "4.2.0\n", string(documents["opt/kata/VERSION"]))
			shim := "opt/kata/bin/containerd-shim-kata-v2"
			assert.Equal(t, archive.Listing{
				{Path: "opt/kata/VERSION", Size: 6},
				{Path: "opt/kata/bin/again", Same: shim, Size: 8, Program: true},
				{Path: shim, Size: 8, Program: true},
				{Path: "opt/kata/share/configuration.toml", Link: "configuration-qemu.toml"},
				{Path: "opt/kata/share/vmlinuz-6.18", Size: 10},
				{Path: "opt/kata/share/vmlinuz.container", Link: "vmlinuz-6.18"},
			}, list)
		})
	}
}

func TestAnArchiveWithOneBadEntryIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 256)
	for want, bad := range map[string][]entry{
		`entry "/etc/passwd" has an absolute path`:                           {file("/etc/passwd", "")},
		`entry "./a/../../b" leads out of the archive`:                       {file("./a/../../b", "")},
		`entry "c" is a device node or a pipe`:                               {with(file("c", ""), func(h *tar.Header) { h.Typeflag = tar.TypeChar })},
		`entry "b" is a device node or a pipe`:                               {with(file("b", ""), func(h *tar.Header) { h.Typeflag = tar.TypeBlock })},
		`entry "f" is a device node or a pipe`:                               {with(file("f", ""), func(h *tar.Header) { h.Typeflag = tar.TypeFifo })},
		`entry "s" has a setuid, setgid or sticky bit (mode u`:               {with(file("s", ""), func(h *tar.Header) { h.Mode = 0o4755 })},
		`entry "g" has a setuid, setgid or sticky bit (mode g`:               {with(file("g", ""), func(h *tar.Header) { h.Mode = 0o2755 })},
		`entry "d" has a setuid, setgid or sticky bit (mode d`:               {with(dir("d"), func(h *tar.Header) { h.Mode = 0o2755 })},
		`entry "p" has file capabilities: a payload has none`:                {attributed("p", "SCHILY.xattr.security.capability")},
		`entry "x" has the extended attribute user.a: a payload has none`:    {attributed("x", "SCHILY.xattr.user.a")},
		`entry "l" has the extended attribute user.a: a payload has none`:    {attributed("l", "LIBARCHIVE.xattr.user.a")},
		`entry "t" is there twice`:                                           {file("t", "1"), file("./t", "2")},
		`entry "u" is there twice`:                                           {file("u/v", ""), file("u", "")},
		`entry "w/x" lies below "w", which is no directory`:                  {link("w", "t"), file("w/x", "")},
		`entry "h" is a hard link to "i", which is not a regular`:            {hard("h", "i"), file("i", "")},
		`entry "k" is a hard link to "../i", which leads out of the archive`: {hard("k", "../i")},
		`entry "m" is a hard link to "n", which is not a regular file`:       {link("n", "o"), hard("m", "n")},
		`entry "q" is a link to "/etc": links in a payload are relative`:     {link("q", "/etc")},
		`entry "r" is a link to "../etc", which does not lead into`:          {link("r", "../etc")},
		`more than 40 symbolic links behind each other`:                      {link("y", "z"), link("z", "y")},
		`has a name of 256 bytes: Linux takes 255`:                           {file("a/"+long, "")},
		`has a path of 5121 bytes: Linux takes 4095`:                         {file(strings.Repeat(long[:255]+"/", 20)+"a", "")},
		`entry "a\x1bb" has a path with control characters`:                  {file("a\x1bb", "")},
		`is a link whose target has control characters`:                      {link("e", "a\nb")},
	} {
		_, _, err := survey(t, write(t, pack(t, append(kata(), bad...)...)))
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
		assert.Less(t, len(err.Error()), 500)
	}
}

func attributed(name, record string) entry {
	return with(file(name, ""), func(h *tar.Header) {
		h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{record: "v"}
	})
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	plain := pack(t, append(kata(), file("opt/kata/big", strings.Repeat("0", 65<<20)))...)
	for want, change := range map[string]func(*archive.Limits){
		"more than 3 entries": func(l *archive.Limits) { l.Entries = 3 },
		`entry "opt/kata/big" has 68157440 bytes: one file may have 100`: func(l *archive.Limits) { l.File = 100 },
		"unpacks to more than 4096 bytes":                                func(l *archive.Limits) { l.Total = 4096 },
		"unpacks to more than 2 times its size":                          func(l *archive.Limits) { l.Ratio = 2 },
	} {
		limits := archive.DefaultLimits()
		change(&limits)
		_, _, err := archive.Survey(t.Context(), write(t, packers(t)["zst"](plain)), limits, nil)
		require.ErrorContains(t, err, want)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("12345678"), 0o600))
	limits := archive.DefaultLimits()
	limits.Total = 7
	_, _, err := archive.Survey(t.Context(), archive.Directory(dir), limits, nil)
	require.EqualError(t, err, "its files have more than 7 bytes")
}

func TestABrokenArchiveIsRefused(t *testing.T) {
	t.Parallel()
	plain := pack(t, append(kata(), file("opt/kata/big", strings.Repeat("0123456789", 1<<16)))...)
	for name, packer := range packers(t) {
		packed := packer(plain)
		source := write(t, packed[:len(packed)*2/3])
		_, digest, err := survey(t, source)
		require.ErrorContains(t, err, "it is truncated", name)
		assert.Len(t, digest, 64, "so that the pin is compared all the same")
	}
	for _, content := range []string{"", "PK\x03\x04 is no tar", strings.Repeat("x", 600)} {
		_, _, err := survey(t, write(t, []byte(content)))
		require.EqualError(t, err, "is no archive: must be .tar, .tar.zst, .tar.xz or .tar.gz")
	}
	damaged := packers(t)["zst"](plain)
	damaged[len(damaged)/2] ^= 0xff
	_, _, err := survey(t, write(t, damaged))
	require.Error(t, err)
}

func TestAnArchiveIsReadWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := archive.Survey(ctx, write(t, pack(t, kata()...)), archive.DefaultLimits(), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestOnlyTheChosenFilesAreExtracted(t *testing.T) {
	t.Parallel()
	unpacked := t.TempDir()
	extract(t, write(t, pack(t, kata()...)), unpacked, nil)
	for name, source := range map[string]archive.Source{"file": write(t, pack(t, kata()...)), "directory": archive.Directory(unpacked)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			extract(t, source, out, []string{"opt/kata/bin/again", "opt/kata/share/vmlinuz.container", "opt/kata/share/vmlinuz-6.18"})
			content, err := os.ReadFile(filepath.Join(out, "opt/kata/share/vmlinuz.container"))
			require.NoError(t, err)
			assert.Equal(t, "the kernel", string(content))
			content, err = os.ReadFile(filepath.Join(out, "opt/kata/bin/again"))
			require.NoError(t, err)
			assert.Equal(t, "the shim", string(content))
			assert.NoFileExists(t, filepath.Join(out, "opt/kata/bin/containerd-shim-kata-v2"))
			info, err := os.Stat(filepath.Join(out, "opt/kata/bin/again"))
			require.NoError(t, err)
			assert.NotZero(t, info.Mode()&0o100)
		})
	}
}

// extract surveys a source and extracts the named entries, or all of them.
func extract(t *testing.T, source archive.Source, dir string, names []string) {
	t.Helper()
	list, surveyed, err := survey(t, source)
	require.NoError(t, err)
	var chosen archive.Listing
	for _, e := range list {
		if names == nil || slices.Contains(names, e.Path) {
			chosen = append(chosen, e)
		}
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	digest, err := archive.Extract(t.Context(), source, archive.DefaultLimits(), list, chosen, root)
	require.NoError(t, err)
	assert.Equal(t, surveyed, digest)
}

func TestAnArchiveThatChangedSinceTheSurveyIsRefused(t *testing.T) {
	t.Parallel()
	source := write(t, pack(t, kata()...))
	list, _, err := survey(t, source)
	require.NoError(t, err)
	for want, entries := range map[string][]entry{
		`entry "opt/kata/new" changed while the archive was read`:     append(kata(), file("opt/kata/new", "")),
		"files that it had are gone":                                  kata()[:4],
		`entry "opt/kata/VERSION" changed while the archive was read`: {file("opt/kata/VERSION", "4.2.0, longer\n")},
	} {
		require.NoError(t, os.WriteFile(string(source), pack(t, entries...), 0o600))
		root, err := os.OpenRoot(t.TempDir())
		require.NoError(t, err)
		_, err = archive.Extract(t.Context(), source, archive.DefaultLimits(), list, list, root)
		require.ErrorContains(t, err, want)
		require.NoError(t, root.Close())
	}
}

func TestNothingIsWrittenThroughALink(t *testing.T) {
	t.Parallel()
	out, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(out, "opt")))
	source := write(t, pack(t, kata()...))
	list, _, err := survey(t, source)
	require.NoError(t, err)
	root, err := os.OpenRoot(out)
	require.NoError(t, err)
	defer root.Close()
	_, err = archive.Extract(t.Context(), source, archive.DefaultLimits(), list, list, root)
	require.Error(t, err)
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestADirectoryIsJudgedAsAnArchiveIs(t *testing.T) {
	t.Parallel()
	for want, make := range map[string]func(dir string) error{
		"is a device node or a pipe": func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600) },
		"is a socket":                func(dir string) error { return unix.Mknod(filepath.Join(dir, "socket"), unix.S_IFSOCK|0o600, 0) },
		"has a setuid":               func(dir string) error { return os.Chmod(filepath.Join(dir, "file"), os.ModeSetuid|0o755) },
		"links in a payload are relative": func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, "link"))
		},
		"has the extended attribute user.a": func(dir string) error {
			return unix.Setxattr(filepath.Join(dir, "file"), "user.a", []byte("v"), 0)
		},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
		require.NoError(t, make(dir))
		_, _, err := survey(t, archive.Directory(dir))
		require.ErrorContains(t, err, want)
	}
}

func TestTheDigestOfADirectoryIsThatOfItsContent(t *testing.T) {
	t.Parallel()
	digest := func(umask os.FileMode, changes ...func(dir string)) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte("b"), 0o666&^umask))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o777&^umask))
		require.NoError(t, os.Symlink("a", filepath.Join(dir, "c")))
		for _, change := range changes {
			change(dir)
		}
		_, digest, err := survey(t, archive.Directory(dir))
		require.NoError(t, err)
		return digest
	}
	assert.Equal(t, digest(0o022), digest(0o077))
	assert.NotEqual(t, digest(0o022), digest(0o022, func(dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o600)) }))
	assert.NotEqual(t, digest(0o022), digest(0o022, func(dir string) { require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "d"))) }))
	assert.NotEqual(t, digest(0o022), digest(0o022, func(dir string) { require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("A"), 0o600)) }))
}

func TestALinkIsFollowedToItsFile(t *testing.T) {
	t.Parallel()
	list, _, err := survey(t, write(t, pack(t, append(kata(), link("opt/first", "kata/share/vmlinuz.container"))...)))
	require.NoError(t, err)
	way, err := list.Resolve("opt/first")
	require.NoError(t, err)
	require.Len(t, way, 3)
	assert.Equal(t, "opt/kata/share/vmlinuz-6.18", way[2].Path)
	_, err = list.Resolve("opt/kata/share/configuration.toml")
	require.EqualError(t, err, "opt/kata/share/configuration.toml leads to opt/kata/share/configuration-qemu.toml, which is not there")
}
