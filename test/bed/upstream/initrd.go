// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"compress/gzip"
	"io"

	"github.com/u-root/u-root/pkg/cpio"
)

// initrd returns a compressed cpio archive whose first process is the agent, as in upstream's, with
// about that many bytes.
func initrd(agent []byte, size int64) ([]byte, error) {
	library, err := io.ReadAll(File{Size: 3 * size}.content("library", 0))
	if err != nil {
		return nil, err
	}
	var plain bytes.Buffer
	w := cpio.Newc.Writer(&plain)
	records := []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1), cpio.CharDev("dev/null", 0o666, 1, 3),
		cpio.Directory("proc", 0o555), cpio.Directory("run", 0o755), cpio.Directory("sbin", 0o755), cpio.Directory("sys", 0o555),
		cpio.Directory("usr", 0o755), cpio.Directory("usr/bin", 0o755), cpio.StaticFile("usr/bin/kata-agent", string(agent), 0o755), cpio.StaticFile("usr/library", string(library), 0o644),
		cpio.Symlink("sbin/init", "/usr/bin/kata-agent"), cpio.Symlink("init", "/usr/bin/kata-agent"),
	}
	cpio.MakeAllReproducible(records)
	if err := cpio.WriteRecords(w, records); err != nil {
		return nil, err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
