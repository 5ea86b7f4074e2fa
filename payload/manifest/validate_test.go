// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

func TestValidateNamesTheFirstDefect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*manifest.Manifest)
		want   string
	}{
		"version":                 {func(m *manifest.Manifest) { m.Version = 2 }, "version is 2, must be 1"},
		"payload version":         {func(m *manifest.Manifest) { m.PayloadVersion = "" }, `payloadVersion "" does not have the form`},
		"architecture":            {func(m *manifest.Manifest) { m.Architecture = "AMD64" }, `architecture "AMD64"`},
		"compatibility":           {func(m *manifest.Manifest) { m.ShimCompatibility = "" }, "shimCompatibility"},
		"relative prefix":         {func(m *manifest.Manifest) { m.Prefix = "opt/kata" }, `prefix "opt/kata" is not a clean absolute path`},
		"the root as prefix":      {func(m *manifest.Manifest) { m.Prefix = "/" }, `prefix "/" is not a clean absolute path`},
		"unclean prefix":          {func(m *manifest.Manifest) { m.Prefix = "/opt/kata/" }, `prefix "/opt/kata/" is not a clean absolute path`},
		"range":                   {func(m *manifest.Manifest) { m.OpenShift = "4\n" }, `openshift "4\n" has control characters`},
		"kernel's release":        {func(m *manifest.Manifest) { m.Requires.OldestKernel = "5.14.0-570.el9" }, `requires.oldestKernel "5.14.0-570.el9" does not have the form`},
		"no handlers":             {func(m *manifest.Manifest) { m.Handlers = nil }, "no handlers"},
		"handler twice":           {func(m *manifest.Manifest) { m.Handlers = append(m.Handlers, m.Handlers[0]) }, `handler "kata-oc" is listed twice`},
		"handler name":            {handler(func(h *manifest.Handler) { h.Name = "a/b" }), `name "a/b" does not have the form`},
		"handler type":            {handler(func(h *manifest.Handler) { h.Type = "pod" }), `handler "kata-oc": type is "pod", must be vm or oci`},
		"dialect":                 {handler(func(h *manifest.Handler) { h.Dialect = "rust" }), `dialect is "rust", must be go or runtime-rs`},
		"shim's base name":        {handler(func(h *manifest.Handler) { h.Shim = "usr/bin/kata" }), `base name of the shim "kata"`},
		"shim missing":            {handler(func(h *manifest.Handler) { h.Shim = "bin/containerd-shim-x" }), `bin/containerd-shim-x is not a file of the payload`},
		"shim outside":            {handler(func(h *manifest.Handler) { h.Shim = "../containerd-shim-x" }), `leaves the payload`},
		"shim not executable":     {file(func(f *manifest.File) { f.Mode = 0o744 }), "is not executable: its mode is 0744"},
		"config missing":          {handler(func(h *manifest.Handler) { h.Config = "" }), `config "": . is not a file of the payload`},
		"component twice":         {func(m *manifest.Manifest) { m.Components[1].Name = "shim" }, `component "shim" is listed twice`},
		"two rests":               {func(m *manifest.Manifest) { m.Components[0].Paths = nil }, `components "shim" and "config" both have no paths`},
		"component version":       {func(m *manifest.Manifest) { m.Components[0].Version = "" }, `component "shim": version ""`},
		"component pattern":       {func(m *manifest.Manifest) { m.Components[0].Paths[0] = "usr/[" }, `syntax error in pattern`},
		"component path":          {func(m *manifest.Manifest) { m.Components[0].Paths[0] = "/usr" }, `"/usr" is not a clean relative path`},
		"setuid":                  {file(func(f *manifest.File) { f.Mode = 0o4755 }), `has mode 4755: setuid, setgid and sticky bits are not allowed`},
		"setgid":                  {file(func(f *manifest.File) { f.Mode = 0o2755 }), `has mode 2755`},
		"unreadable":              {file(func(f *manifest.File) { f.Mode = 0o111 }), `its owner must be able to read it`},
		"size":                    {file(func(f *manifest.File) { f.Size = -1 }), "negative size -1"},
		"short digest":            {file(func(f *manifest.File) { f.SHA256 = "ab" }), "must be 64 lower-case hex digits"},
		"upper-case digest":       {file(func(f *manifest.File) { f.SHA256 = strings.Repeat("AB", 32) }), "must be 64 lower-case hex digits"},
		"order":                   {func(m *manifest.Manifest) { m.Files[0], m.Files[1] = m.Files[1], m.Files[0] }, "files are sorted by path"},
		"path twice":              {func(m *manifest.Manifest) { m.Files[1] = m.Files[0] }, "is listed twice"},
		"manifest itself":         {add(regular(manifest.Path)), "is listed twice, or is the manifest itself"},
		"absolute path":           {file(func(f *manifest.File) { f.Path = "/bin/sh" }), `"/bin/sh" is not a clean relative path`},
		"escaping path":           {file(func(f *manifest.File) { f.Path = "a/../../b" }), "is not a clean relative path"},
		"unclean path":            {file(func(f *manifest.File) { f.Path = "a//b" }), "is not a clean relative path"},
		"control characters":      {file(func(f *manifest.File) { f.Path = "a\x1b[2J" }), "has control characters"},
		"whiteout":                {file(func(f *manifest.File) { f.Path = "a/.wh.b" }), "reserved prefix .wh."},
		"below a file":            {add(regular("usr/share/kata-containers/latest/x")), "which is no directory"},
		"below the manifest":      {add(regular(manifest.Path + "/x")), "which is no directory"},
		"in the manifest's way":   {add(link("usr/share/kata-payload", "kata-containers")), "stands where the manifest's directory must be"},
		"absolute link":           {add(link("z", "/etc/passwd")), `"z" links to "/etc/passwd": links are relative`},
		"escaping link":           {add(link("z/y", "../../etc")), `link "z/y" to "../../etc": leaves the payload`},
		"escape through a link":   {add(link("z/up", ".."), link("z/y", "up/../etc")), `link "z/y" to "up/../etc": leaves the payload`},
		"link loop":               {add(link("z", "z")), "more than 40 symbolic links"},
		"guest without a kernel":  {guest(func(m *manifest.Manifest) { m.Requires.Kernel = false }), "requires.kernel must be true"},
		"guest without modules":   {guest(func(m *manifest.Manifest) { m.Guest.Modules = nil }), "guest: no modules"},
		"guest without an initrd": {guest(func(m *manifest.Manifest) { m.Guest.Initrd = "opt/none" }), `guest: initrd "opt/none": opt/none is not a file`},
		"guest's kernel missing":  {guest(func(m *manifest.Manifest) { m.Guest.Kernel = "opt/none" }), `guest: kernel "opt/none": opt/none is not a file`},
		"module twice":            {guest(func(m *manifest.Manifest) { m.Guest.OptionalModules = []string{"virtiofs"} }), `guest: module "virtiofs" is listed twice`},
		"module's name":           {guest(func(m *manifest.Manifest) { m.Guest.Modules = []string{"../x"} }), `guest: module "../x" does not have the form`},
		"too many modules":        {guest(func(m *manifest.Manifest) { m.Guest.Modules = slices.Repeat([]string{"x"}, 257) }), "guest: 257 modules: at most 256"},
		"link with a mode":        {add(manifest.File{Path: "z", Link: "y", Mode: 0o777}), "is a link and has a mode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := valid()
			require.NoError(t, m.Validate())
			test.change(&m)
			err := m.Validate()
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "\n")
			_, err = manifest.Encode(m)
			assert.ErrorContains(t, err, "writing payload manifest: ", "nobody writes what nobody reads")
		})
	}
}

func TestLinksMayLeadNowhere(t *testing.T) {
	t.Parallel()
	m := valid()
	add(link("z", "nowhere/at/../all"))(&m)
	assert.NoError(t, m.Validate())
}

func TestAShimMayBeALinkToAnExecutable(t *testing.T) {
	t.Parallel()
	m := valid()
	add(link("usr/share/kata-containers/v/containerd-shim-kata-qemu-v2", "../../../bin/containerd-shim-kata-v2"))(&m)
	m.Handlers[0].Shim = "usr/share/kata-containers/v/containerd-shim-kata-qemu-v2"
	assert.NoError(t, m.Validate())
}

func regular(path string) manifest.File {
	return manifest.File{Path: path, Mode: 0o644, SHA256: strings.Repeat("ef", 32)}
}

func link(path, target string) manifest.File { return manifest.File{Path: path, Link: target} }

// add appends files; the cases name paths that sort last.
func add(files ...manifest.File) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) { m.Files = append(m.Files, files...) }
}

func file(change func(*manifest.File)) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) { change(&m.Files[0]) }
}

func handler(change func(*manifest.Handler)) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) { change(&m.Handlers[0]) }
}

// packageFile is the path of the package that packaged adds.
const packageFile = manifest.PackageDir + "/host/qemu-kvm-core-10.1.0-1.el9.x86_64.rpm"

// packaged returns a manifest with one RPM package, changed by the caller.
func packaged(change func(*manifest.Package)) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) {
		add(regular(packageFile))(m)
		p := manifest.Package{Set: "host", Name: "qemu-kvm-core", Epoch: 17, Version: "10.1.0", Release: "1.el9", Architecture: "x86_64", Path: packageFile}
		change(&p)
		m.Packages = append(m.Packages, p)
	}
}

func TestPackagesAreJudged(t *testing.T) {
	t.Parallel()
	m := valid()
	packaged(func(*manifest.Package) {})(&m)
	require.NoError(t, m.Validate())
	assert.Equal(t, "qemu-kvm-core-17:10.1.0-1.el9.x86_64", m.Packages[0].NEVRA())
	for want, change := range map[string]func(*manifest.Package){
		`package "": name "" does not have the form`:    func(p *manifest.Package) { p.Name = "" },
		`version "1-2" does not have the form`:          func(p *manifest.Package) { p.Version = "1-2" },
		`release "" does not have the form`:             func(p *manifest.Package) { p.Release = "" },
		`architecture "X" does not have the form`:       func(p *manifest.Package) { p.Architecture = "X" },
		"epoch is -1, must not be negative":             func(p *manifest.Package) { p.Epoch = -1 },
		`path is "a.rpm", must be usr/share/`:           func(p *manifest.Package) { p.Path = "a.rpm" },
		"host/b.rpm is not a file of the payload":       func(p *manifest.Package) { p.Path = manifest.PackageDir + "/host/b.rpm" },
		`path is "` + packageFile + `", must be usr/sh`: func(p *manifest.Package) { p.Set = "other" },
	} {
		m := valid()
		packaged(change)(&m)
		require.ErrorContains(t, m.Validate(), want)
	}
	m.Packages = append(m.Packages, m.Packages[0])
	require.ErrorContains(t, m.Validate(), `are both in set "host": a host installs one of them`)
}
