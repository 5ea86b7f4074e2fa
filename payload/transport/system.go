// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/types"
)

// useAttachments makes the library write sigstore signatures as images next to the signed one,
// which is where it looks for them on nodes. What the build host's own registries.d says must not
// decide about it.
const useAttachments = "default-docker:\n  use-sigstore-attachments: true\n"

// Options says how registries are reached, and where temporary files go.
type Options struct {
	// AuthFile is a containers auth.json or a Docker config.json. Without it the places that podman
	// and docker use are searched.
	AuthFile string
	// SkipTLSVerify accepts any certificate, and plain HTTP where the registry speaks nothing else.
	SkipTLSVerify bool
	// DemandTLS demands a certificate also of registries that registries.conf calls insecure. With
	// neither, registries.conf decides.
	DemandTLS bool
	// Signing is how the image is signed, not at all by default.
	Signing *Signing
	// Attachments are stored with the image.
	Attachments []Attachment
	// WorkDir is an existing directory for temporary files, the system's own by default. Nothing
	// stays in it.
	WorkDir string
	// Root is where the host's configuration of registries is looked for, / by default.
	Root string
	// Progress, if set, is called from one goroutine at a time as blobs are copied.
	Progress func(Progress)
}

// Progress is how far one blob has come.
type Progress struct {
	// Blob is its digest, as sha256:hex.
	Blob string
	// Done and Total count bytes.
	Done, Total int64
	// Present says that the target had the blob already.
	Present bool
	// Finished says that this is the last word about this blob.
	Finished bool
}

// workspace is the temporary directory of one operation, and the library's settings, which lead
// into it.
type workspace struct {
	dir    string
	system *types.SystemContext
}

func (o Options) workspace() (workspace, error) {
	if _, err := os.Stat(o.AuthFile); o.AuthFile != "" && err != nil {
		return workspace{}, fmt.Errorf("reading credentials from %s: %w: name an existing file with --authfile", o.AuthFile, err)
	}
	dir, err := os.MkdirTemp(o.WorkDir, "kata-payload-")
	if err != nil {
		return workspace{}, fmt.Errorf("making a directory for temporary files: %w", err)
	}
	w := workspace{dir: dir, system: &types.SystemContext{
		RootForImplicitAbsolutePaths: o.Root,
		AuthFilePath:                 o.AuthFile,
		BigFilesTemporaryDir:         dir,
		BlobInfoCacheDir:             filepath.Join(dir, "cache"),
		RegistriesDirPath:            filepath.Join(dir, "registries.d"),
		DockerRegistryUserAgent:      "kata-payload",
		// Layers go where they are copied to as they are.
		OCIAcceptUncompressedLayers: true,
	}}
	if o.SkipTLSVerify || o.DemandTLS {
		w.system.DockerInsecureSkipTLSVerify = types.NewOptionalBool(o.SkipTLSVerify)
	}
	if err := writeRegistries(w.system.RegistriesDirPath); err != nil {
		return workspace{}, errors.Join(err, w.close())
	}
	return w, nil
}

func writeRegistries(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "attachments.yaml"), []byte(useAttachments), 0o600)
}

func (w workspace) close() error { return os.RemoveAll(w.dir) }
