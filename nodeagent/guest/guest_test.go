// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/guest"
)

// indexes are those of a small kernel. As depmod writes it, each line names everything below a
// module, the deepest one last.
func indexes() guest.Indexes {
	return guest.Indexes{
		Dep: []byte(`kernel/fs/fuse/fuse.ko.xz:
kernel/fs/fuse/virtiofs.ko.xz: kernel/fs/fuse/fuse.ko.xz
kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz
kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz
kernel/net/core/failover.ko.xz:
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/net/netfilter/nf_log.ko:
kernel/net/netfilter/nft-late.ko:
kernel/broken.ko: kernel/gone.ko
`),
		Builtin: []byte("kernel/drivers/virtio/virtio_pci.ko\n"),
		Softdep: []byte("# Soft dependencies extracted from modules themselves.\nsoftdep ext4 pre: crc32c nothing post: nft-late\nsoftdep nf_log pre: broken\nsoftdep odd\n"),
		Alias:   []byte("# Aliases\nalias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias pci:v00001AF4d*sv* virtio_pci\n"),
	}
}

func closure(t *testing.T, list guest.List) ([]string, error) {
	t.Helper()
	x, err := guest.Parse(indexes())
	require.NoError(t, err)
	files, err := x.Closure(list)
	var names []string
	for _, f := range files {
		names = append(names, guest.Name(f))
	}
	return names, err
}

func TestAClosureIsInTheOrderOfLoading(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		list guest.List
		want []string
	}{
		"what a module needs comes first":        {guest.List{Required: []string{"virtio_net"}}, []string{"failover", "net_failover", "virtio_net"}},
		"the list's order is kept":               {guest.List{Required: []string{"virtiofs", "failover", "fuse"}}, []string{"fuse", "virtiofs", "failover"}},
		"what is built in needs no file":         {guest.List{Required: []string{"virtio-pci", "fuse"}}, []string{"fuse"}},
		"soft dependencies, by other names too":  {guest.List{Required: []string{"ext4"}}, []string{"crc32c_generic", "crc32c_intel", "jbd2", "ext4", "nft_late"}},
		"a soft dependency may lack what it has": {guest.List{Required: []string{"nf_log"}}, []string{"nf_log"}},
		"optional ones may be missing":           {guest.List{Required: []string{"fuse"}, Optional: []string{"9p", "broken", "jbd2"}}, []string{"fuse", "jbd2"}},
		"nothing":                                {guest.List{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := closure(t, test.list)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestAMissingModuleIsNamedWithTheWayToIt(t *testing.T) {
	t.Parallel()
	_, err := closure(t, guest.List{Required: []string{"fuse", "9p"}})
	require.EqualError(t, err, "module 9p is neither built in nor among the modules")
	_, err = closure(t, guest.List{Required: []string{"broken"}})
	require.EqualError(t, err, "module gone, which broken needs, is neither built in nor among the modules")
}

func TestADamagedIndexIsRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"kernel/fuse.ko", "../../../etc/passwd:", "a/../b.ko:", "/abs.ko:"} {
		_, err := guest.Parse(guest.Indexes{Dep: []byte(line)})
		require.ErrorContains(t, err, "run depmod again", line)
	}
}

func TestTheGuestsFilesNameModulesAsTheyLieThere(t *testing.T) {
	t.Parallel()
	x, err := guest.Parse(indexes())
	require.NoError(t, err)
	files, err := x.Closure(guest.List{Required: []string{"virtio_net"}})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"etc/kata-guest/modules.load": "/usr/lib/modules/6.12/kernel/net/core/failover.ko\n/usr/lib/modules/6.12/kernel/drivers/net/net_failover.ko\n" +
			"/usr/lib/modules/6.12/kernel/drivers/net/virtio_net.ko\n",
		"usr/lib/modules/6.12/modules.dep": "kernel/net/core/failover.ko:\nkernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko\n" +
			"kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko\n",
	}, x.Text("6.12", files))
}

// Whatever an index holds, also with modules that need each other in a circle: each file comes
// once.
func FuzzClosure(f *testing.F) {
	f.Add(string(indexes().Dep), string(indexes().Softdep), "ext4")
	f.Add("a.ko: b.ko\nb.ko: a.ko\n", "softdep a pre: b post: a", "a")
	f.Fuzz(func(t *testing.T, dep, soft, name string) {
		x, err := guest.Parse(guest.Indexes{Dep: []byte(dep), Softdep: []byte(soft)})
		if err != nil {
			return
		}
		files, err := x.Closure(guest.List{Required: []string{name}})
		if err != nil {
			return
		}
		slices.Sort(files)
		assert.Equal(t, slices.Compact(slices.Clone(files)), files)
	})
}
