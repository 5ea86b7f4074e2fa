// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// operation is one change of the host, from what was there to what shall be.
type operation struct {
	before func(t *testing.T, tree files.Tree)
	do     func(tree files.Tree) error
	path   string
	old    string
	want   string
}

func write(path, content string, mode fs.FileMode) func(files.Tree) error {
	return func(tree files.Tree) error { return tree.Write(path, []byte(content), mode) }
}

func stream(path, content string, mode fs.FileMode) func(files.Tree) error {
	return func(tree files.Tree) error {
		return tree.Stream(path, func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		}, mode)
	}
}

func link(path, target string) func(files.Tree) error {
	return func(tree files.Tree) error { return tree.Link(path, target) }
}

func remove(path string) func(files.Tree) error {
	return func(tree files.Tree) error { return tree.Remove(path) }
}

// after is what an earlier operation left.
func after(do func(files.Tree) error) func(*testing.T, files.Tree) {
	return func(t *testing.T, tree files.Tree) {
		t.Helper()
		require.NoError(t, do(tree))
	}
}

func nothing(t *testing.T, _ files.Tree) { t.Helper() }

func operations() map[string]operation {
	return map[string]operation{
		"a new file with its parents": {nothing, write("/a/b/c", "new", 0o640), "/a/b/c", "", "-rw-r----- new"},
		"a streamed file":             {nothing, stream("/a/b", "new", 0o644), "/a/b", "", "-rw-r--r-- new"},
		"another streamed file":       {after(write("/a/b", "old", 0o644)), stream("/a/b", "new", 0o644), "/a/b", "-rw-r--r-- old", "-rw-r--r-- new"},
		"another content":             {after(write("/a/b", "old", 0o600)), write("/a/b", "new", 0o600), "/a/b", "-rw------- old", "-rw------- new"},
		"another mode":                {after(write("/a/b", "old", 0o600)), write("/a/b", "old", 0o644), "/a/b", "-rw------- old", "-rw-r--r-- old"},
		"a new drop-in":               {nothing, write(dropIn, "new", 0o644), dropIn, "", "-rw-r--r-- new"},
		"another drop-in":             {after(write(dropIn, "old", 0o644)), write(dropIn, "new", 0o644), dropIn, "-rw-r--r-- old", "-rw-r--r-- new"},
		"a new link with its parents": {nothing, link("/a/b/l", "new"), "/a/b/l", "", "link new"},
		"another target":              {after(link("/a/l", "old")), link("/a/l", "new"), "/a/l", "link old", "link new"},
		"a removed file":              {after(write("/a/b", "old", 0o600)), remove("/a/b"), "/a/b", "-rw------- old", ""},
		"a removed drop-in":           {after(write(dropIn, "old", 0o644)), remove(dropIn), dropIn, "-rw-r--r-- old", ""},
		"a removed link":              {after(link("/a/l", "old")), remove("/a/l"), "/a/l", "link old", ""},
	}
}

// content describes what is at a path, empty for nothing.
func content(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(path)
		require.NoError(t, err)
		return "link " + target
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return info.Mode().String() + " " + string(text)
}

// place is a tree on a disk that fails.
type place struct {
	disk *hosttest.Disk
	tree files.Tree
}

func (o operation) place(t *testing.T) place {
	t.Helper()
	tree := files.Below(t.TempDir())
	o.before(t, tree)
	disk := hosttest.NewDisk(files.Kernel{}, t.TempDir())
	return place{disk, tree.On(disk)}
}

// troubles are what may happen at a call.
func troubles() map[string]func(d *hosttest.Disk, at int) {
	return map[string]func(d *hosttest.Disk, at int){
		"fails":       func(d *hosttest.Disk, at int) { d.FailAt = at },
		"dies before": func(d *hosttest.Disk, at int) { d.StopBefore = at },
		"dies after":  func(d *hosttest.Disk, at int) { d.StopAfter = at },
	}
}

func TestWhatSucceededIsNotLost(t *testing.T) {
	t.Parallel()
	for name, o := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := o.place(t)
			require.NoError(t, o.do(p.tree))
			require.NoError(t, p.disk.LosePower())
			assert.Equal(t, o.want, content(t, p.tree.Path(o.path)))
		})
	}
}

// At each call of an operation the disk fails or the agent dies, with and without the power.
func TestEveryMomentLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	for name, o := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := o.place(t)
			require.NoError(t, o.do(whole.tree))
			require.GreaterOrEqual(t, whole.disk.Calls, 4)
			for trouble, begin := range troubles() {
				for at := 1; at <= whole.disk.Calls; at++ {
					for _, dark := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s %d %t", trouble, at, dark), func(t *testing.T) { o.interrupted(t, at, begin, dark) })
					}
				}
			}
		})
	}
}

func (o operation) interrupted(t *testing.T, at int, begin func(*hosttest.Disk, int), dark bool) {
	t.Helper()
	p := o.place(t)
	begin(p.disk, at)
	require.Error(t, o.do(p.tree))
	p.disk.Revive()
	if dark {
		require.NoError(t, p.disk.LosePower())
	}
	assert.Contains(t, []string{o.old, o.want}, content(t, p.tree.Path(o.path)))

	require.NoError(t, o.do(p.tree), "it may be tried again")
	require.NoError(t, p.disk.LosePower())
	assert.Equal(t, o.want, content(t, p.tree.Path(o.path)), "and is on disk then")
	assert.Len(t, everything(t, filepath.Dir(p.tree.Path("/x"))), map[bool]int{true: 0, false: 1}[o.want == ""], "no temporary name stays")
}
