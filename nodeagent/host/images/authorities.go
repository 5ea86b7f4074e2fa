// SPDX-License-Identifier: Apache-2.0

package images

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// bundles are where crypto/x509 looks for the certificates of authorities on Linux. It reads them
// once in the life of a process.
func bundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
		"/etc/ssl/certs",
		"/etc/pki/tls/certs",
	}
}

// stamp is what changes about a file when it is written or replaced.
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// stampOf returns the stamp of a file, and whether it is there.
func stampOf(path string) (stamp, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, false
	}
	return stamp{device: s.Dev, inode: s.Ino, size: info.Size(), modified: info.ModTime()}, true
}

// authorities are the bundles of a host as they are now. One that is not there is left out.
func authorities(root string) map[string]stamp {
	found := map[string]stamp{}
	for _, bundle := range bundles() {
		if now, there := stampOf(filepath.Join(root, bundle)); there {
			found[bundle] = now
		}
	}
	return found
}

// outdated adds to an error about a certificate that this process has not read the bundle that is
// there now. What mirrors answered is only in the text of an error.
func outdated(err error, atStart, now map[string]stamp) error {
	if err == nil || !strings.Contains(err.Error(), "x509: ") || maps.Equal(atStart, now) {
		return err
	}
	return &host.Outdated{What: changed(atStart, now), Err: err}
}

// changed returns the first bundle that is not what it was.
func changed(before, after map[string]stamp) string {
	at := slices.IndexFunc(bundles(), func(bundle string) bool { return before[bundle] != after[bundle] })
	return bundles()[max(at, 0)]
}
