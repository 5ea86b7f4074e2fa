// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tarBlock is the unit of an archive.
const tarBlock = 512

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const passwd = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
`

const group = `root:x:0:
tty:x:5:
nobody:x:65534:
`

// Programs that Kubernetes' images have and Debian's busybox has not, as far as tests use them.
const (
	ipcs = `#!/bin/sh
exec cat /proc/sysvipc/shm
`
	pgrep = `#!/bin/sh
for process in /proc/[0-9]*; do
    if [ "$(cat "$process/comm" 2>/dev/null)" = "$1" ]; then
        echo "${process#/proc/}"
    fi
done
`
	curl = `#!/bin/sh
exec wget -q -O - "$@"
`
)

func pauseImage(program string) (v1.Image, error) {
	content, err := StaticProgram(program)
	if err != nil {
		return nil, err
	}
	return WithLayer(nil, fstest.MapFS{"pause": content}, v1.Config{Entrypoint: []string{"/pause"}})
}

// busyboxImage is laid out as the official image is.
func busyboxImage(ctx context.Context) (v1.Image, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("%w; install the Debian package busybox-static", err)
	}
	content, err := StaticProgram(program)
	if err != nil {
		return nil, fmt.Errorf("%w; install the Debian package busybox-static", err)
	}
	names, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the programs of %s: %w", program, err)
	}
	files := fstest.MapFS{"bin/busybox": content, "etc/passwd": text(passwd), "etc/group": text(group), "tmp": directory(fs.ModeSticky | 0o777)}
	for _, dir := range []string{"bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var"} {
		files[dir] = directory(0o755)
	}
	for program := range strings.FieldsSeq(string(names)) {
		if program != "busybox" {
			files["bin/"+program] = link("busybox")
		}
	}
	files["bin/ipcs"], files["bin/pgrep"] = script(ipcs), script(pgrep)
	files["usr/bin/env"] = link("../../bin/env")
	return WithLayer(nil, files, v1.Config{Cmd: []string{"sh"}, Env: []string{searchPath}})
}

// agnhostImage has what test/images/agnhost/Dockerfile of Kubernetes says, except for a registry's
// content and a DNS server. Tests of groups look for its user.
func agnhostImage(below v1.Image, program string) (v1.Image, error) {
	content, err := StaticProgram(program)
	if err != nil {
		return nil, err
	}
	return WithLayer(below, fstest.MapFS{
		"agnhost":    content,
		"agnhost-2":  link("agnhost"),
		"bin/curl":   script(curl),
		"uploads":    directory(0o755),
		"etc":        directory(0o755),
		"etc/passwd": text(passwd + "user-defined-in-image:x:1000:1000::/home:/bin/sh\n"),
		"etc/group":  text(group + "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"),
	}, v1.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}, Env: []string{searchPath}})
}

// WithLayer lays files over an image, nil for none, as root's and without times. The layer is not
// compressed: it never leaves this machine.
func WithLayer(below v1.Image, files fstest.MapFS, config v1.Config) (v1.Image, error) {
	if below == nil {
		below = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	size := 2 * tarBlock // The end.
	for _, file := range files {
		size += len(file.Data) + 2*tarBlock // Its header, and what fills the last block.
	}
	var layer bytes.Buffer
	layer.Grow(size) // A buffer that grows by itself copies large programs again and again.
	w := tar.NewWriter(&layer)
	if err := w.AddFS(files); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(below, static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Config = runtime.GOARCH, "linux", config
	return mutate.ConfigFile(image, file)
}

// StaticProgram reads a program, and refuses one that needs a dynamic linker: an image has none.
func StaticProgram(path string) (*fstest.MapFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("reading program %s: %w", path, err)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("program %s is not static", path)
		}
	}
	return &fstest.MapFile{Data: content, Mode: 0o755}, nil
}

func text(content string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(content), Mode: 0o644}
}

func script(content string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(content), Mode: 0o755}
}

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

func directory(mode fs.FileMode) *fstest.MapFile {
	return &fstest.MapFile{Mode: fs.ModeDir | mode}
}
