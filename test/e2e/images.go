// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	imageutils "k8s.io/kubernetes/test/utils/image"
	"sigs.k8s.io/yaml"

	"github.com/kata-node/kata-node/test/bed/images"
)

// mirror stands for registry.k8s.io. critest's own option for another registry pulls from it, and
// then looks for the original name.
const mirror = images.Registry + "/e2e"

// writeRepoList writes the file that tells Kubernetes' tests where images are, and reads it as they
// do.
func writeRepoList(dir string) (string, error) {
	content, err := yaml.Marshal(map[string]string{
		"gcRegistry":          mirror,
		"promoterE2eRegistry": mirror + "/e2e-test-images",
	})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "registries.yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", err
	}
	imageutils.Init(file)
	return file, nil
}

// Commands of two web servers: tests look for the name of one's process, and for the other's name
// in its log.
const (
	nginx = `exec -a "nginx: master process nginx" /agnhost test-webserver`
	httpd = `echo httpd started; exec /agnhost test-webserver`
)

// testImages are the images by the names that the tests use, which are those of [writeRepoList].
// nnp is the program of one of them.
func testImages(built images.Set, nnp string) (images.Set, error) {
	nonRoot, err := mutate.Config(built[images.Busybox], v1.Config{User: "1234", Cmd: []string{"sh", "-c", "id -u"}})
	if err != nil {
		return nil, fmt.Errorf("making an image that runs as another user: %w", err)
	}
	web, err := mutate.Config(built[images.Agnhost], v1.Config{Entrypoint: []string{"sh", "-c", nginx}})
	if err != nil {
		return nil, fmt.Errorf("making an image of a web server: %w", err)
	}
	logging, err := mutate.Config(built[images.Agnhost], v1.Config{Entrypoint: []string{"sh", "-c", httpd}})
	if err != nil {
		return nil, fmt.Errorf("making an image of a web server that has a log: %w", err)
	}
	program, err := images.StaticProgram(nnp)
	if err != nil {
		return nil, err
	}
	program.Mode |= fs.ModeSetuid
	escalates, err := images.WithLayer(nil, fstest.MapFS{"usr/local/bin/nnp": program}, v1.Config{Cmd: []string{"/usr/local/bin/nnp"}})
	if err != nil {
		return nil, fmt.Errorf("making an image with a setuid program: %w", err)
	}
	set := images.Set{}
	for id, image := range map[imageutils.ImageID]v1.Image{
		imageutils.Agnhost:     built[images.Agnhost],
		imageutils.AgnhostPrev: built[images.Agnhost],
		imageutils.BusyBox:     built[images.Busybox],
		imageutils.Nginx:       web,
		imageutils.NginxNew:    web,
		imageutils.Nonewprivs:  escalates,
		imageutils.NonRoot:     nonRoot,
		imageutils.Pause:       built[images.Pause],
	} {
		set[imageutils.GetE2EImage(id)] = image
	}
	// critest has versions of its own.
	for name, image := range map[string]v1.Image{
		"busybox:1.29-2": built[images.Busybox], "nonewprivs:1.3": escalates, "nginx:1.14-2": web, "httpd:2.4.39-4": logging,
	} {
		set[mirror+"/e2e-test-images/"+name] = image
	}
	return set, nil
}
