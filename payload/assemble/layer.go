// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // SPDX 2.3 demands it in bills of materials; nothing is trusted by it.
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kata-node/kata-node/payload/manifest"
)

const modeDirectory = 0o755

// modificationTime is that of all files, whenever a payload is built: a node reuses a file that it
// has only where mode, owner and time are equal, too.
func modificationTime() time.Time { return time.Unix(0, 0).UTC() }

// layer is a compressed layer in a file of the work directory.
type layer struct {
	file           string
	size           int64
	digest, diffID v1.Hash
	compression    Compression
	// annotations belong to the layer's descriptor.
	annotations map[string]string
	// sha1 has digests of the files in hex, by path.
	sha1 map[string]string
}

func (l *layer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Size() (int64, error)                { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.compression.mediaType(), nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return os.Open(l.file) }

// layerWriter writes one layer, hashing it on both sides of the compression. Entries come in sorted
// order; owners are root, times are all the same, and a directory comes before the first file in
// it.
type layerWriter struct {
	out          *os.File
	inner, outer hash.Hash
	compression  Compression
	annotations  map[string]string
	zip          io.WriteCloser
	tar          *tar.Writer
	directories  map[string]bool
	sha1         map[string]string
	// read is called for what was read of files, with a number of bytes.
	read func(bytes int)
}

// newLayerWriter writes a layer of files that have size bytes in all.
func newLayerWriter(in Input, size int64) (_ *layerWriter, err error) {
	w := &layerWriter{inner: sha256.New(), outer: sha256.New(), compression: in.Compression, directories: map[string]bool{".": true}, sha1: map[string]string{}, read: func(int) {}}
	if w.out, err = os.CreateTemp(in.WorkDir, "layer-*.tar"); err != nil {
		return nil, err
	}
	if w.zip, w.annotations, err = in.Compression.writer(io.MultiWriter(w.out, w.outer), size); err != nil {
		return nil, errors.Join(err, w.out.Close())
	}
	w.tar = tar.NewWriter(io.MultiWriter(w.zip, w.inner))
	return w, nil
}

// add writes one entry. It returns the digest of what it wrote, or "" for a link.
func (w *layerWriter) add(ctx context.Context, f manifest.File, content io.Reader) (string, error) {
	if err := w.addDirectories(path.Dir(f.Path)); err != nil {
		return "", err
	}
	if err := w.tar.WriteHeader(w.header(f)); err != nil || f.Link != "" {
		return "", err
	}
	sum, weak := sha256.New(), sha1.New() //nolint:gosec // See above.
	n, err := io.Copy(io.MultiWriter(w.tar, sum, weak), io.LimitReader(interruptible{ctx, content, w.read}, f.Size))
	if err == nil && n != f.Size {
		err = io.ErrUnexpectedEOF
	}
	w.sha1[f.Path] = hex.EncodeToString(weak.Sum(nil))
	return hex.EncodeToString(sum.Sum(nil)), err
}

func (w *layerWriter) header(f manifest.File) *tar.Header {
	h := &tar.Header{Name: f.Path, Format: tar.FormatPAX, ModTime: modificationTime(), Uname: "root", Gname: "root"}
	if f.Link != "" {
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		return h
	}
	h.Typeflag, h.Mode, h.Size = tar.TypeReg, int64(f.Mode), f.Size
	return h
}

func (w *layerWriter) addDirectories(dir string) error {
	if w.directories[dir] {
		return nil
	}
	if err := w.addDirectories(path.Dir(dir)); err != nil {
		return err
	}
	w.directories[dir] = true
	return w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: dir + "/", Mode: modeDirectory, Format: tar.FormatPAX, ModTime: modificationTime(), Uname: "root", Gname: "root",
	})
}

// close ends the layer. Its file stays in the work directory.
func (w *layerWriter) close() (*layer, error) {
	for _, end := range []func() error{w.tar.Close, w.zip.Close} {
		if err := end(); err != nil {
			return nil, err
		}
	}
	info, err := w.out.Stat()
	if err != nil {
		return nil, err
	}
	return &layer{
		file: w.out.Name(), size: info.Size(), digest: v1Hash(w.outer), diffID: v1Hash(w.inner),
		compression: w.compression, annotations: w.annotations, sha1: w.sha1,
	}, w.out.Close()
}

func v1Hash(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// writeComponent writes the layer of some of the files and fills in their digests.
func writeComponent(ctx context.Context, in Input, tree *os.Root, files []manifest.File, owned []int, progress func(done, total int64)) (*layer, error) {
	var done int64
	total := sizeOf(files, owned)
	w, err := newLayerWriter(in, total)
	if err != nil {
		return nil, err
	}
	defer w.out.Close() //nolint:errcheck // close has reported it; here it only ends an interrupted layer.
	w.read = func(bytes int) {
		done += int64(bytes)
		progress(done, total)
	}
	for _, i := range owned {
		if err := writeStaged(ctx, w, tree, &files[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Path, err)
		}
	}
	return w.close()
}

func writeStaged(ctx context.Context, w *layerWriter, tree *os.Root, f *manifest.File) error {
	if f.Link != "" {
		_, err := w.add(ctx, *f, nil)
		return err
	}
	content, err := tree.Open(f.Path)
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // Nothing was written.
	f.SHA256, err = w.add(ctx, *f, content)
	return err
}

func writeManifest(ctx context.Context, in Input, document []byte) (*layer, error) {
	w, err := newLayerWriter(in, int64(len(document)))
	if err != nil {
		return nil, err
	}
	defer w.out.Close() //nolint:errcheck // close has reported it; here it only ends an interrupted layer.
	f := manifest.File{Path: manifest.Path, Mode: modeData, Size: int64(len(document))}
	if _, err := w.add(ctx, f, bytes.NewReader(document)); err != nil {
		return nil, err
	}
	return w.close()
}

// interruptible ends a copy between two reads when its context ends, and counts what is read.
type interruptible struct {
	ctx     context.Context //nolint:containedctx // It lives for one copy.
	content io.Reader
	read    func(bytes int)
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.content.Read(p)
	r.read(n)
	return n, err
}
