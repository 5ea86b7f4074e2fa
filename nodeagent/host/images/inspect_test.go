// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"net/http"
	"path"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
)

// foreign is an architecture that this machine is not.
func foreign() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// index publishes payloads under one name, each for the architecture of its image.
func (s *source) index(t *testing.T, payloads map[string]assemble.Payload) string {
	t.Helper()
	var parts []mutate.IndexAddendum
	for architecture, p := range payloads {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		parts = append(parts, mutate.IndexAddendum{Add: p.Image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	index := mutate.AppendManifests(empty.Index, parts...)
	at, err := name.ParseReference(s.address()+"/kata/payload:index", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(at, index, remote.WithContext(t.Context())))
	digest, err := index.Digest()
	require.NoError(t, err)
	s.fetched()
	return repository + "@" + digest.String()
}

// configuration returns the digest of the only blob that may be read of an image that is refused.
func configuration(t *testing.T, image v1.Image) string {
	t.Helper()
	digest, err := image.ConfigName()
	require.NoError(t, err)
	return digest.String()
}

// assertUnfit returns whether it is the host that has to change.
func assertUnfit(t *testing.T, n node, payload, sentence string) bool {
	t.Helper()
	err := n.store.Pull(t.Context(), payload, func(host.Progress) {})
	var unfit *host.Unfit
	require.ErrorAs(t, err, &unfit)
	require.ErrorContains(t, err, sentence)
	assert.Empty(t, n.list(t))
	return unfit.Host
}

func TestAPayloadForAnotherArchitectureIsRefusedBeforeItsLayers(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, payload := s.publishFor(t, "1.0.0", foreign())
	assertUnfit(t, n, payload, "it is for "+foreign()+", this node is "+runtime.GOARCH)
	blobs := s.fetched()
	require.Len(t, blobs, 1)
	assert.Equal(t, configuration(t, p.Image), path.Base(blobs[0]))
}

func TestAnIndexWithoutThisArchitectureIsRefusedBeforeAnyBlob(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, _ := s.publishFor(t, "1.0.0", foreign())
	assertUnfit(t, n, s.index(t, map[string]assemble.Payload{foreign(): p}), "an index without a payload for this node, which is "+runtime.GOARCH)
	assert.Empty(t, s.fetched())
}

// An index may say anything of what it lists.
func TestAnIndexThatNamesAnotherArchitectureIsRefusedBeforeLayers(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, _ := s.publishFor(t, "1.0.0", foreign())
	assertUnfit(t, n, s.index(t, map[string]assemble.Payload{runtime.GOARCH: p}), "it is for "+foreign())
	assert.Len(t, s.fetched(), 1)
}

func TestOfAnIndexThePayloadForThisArchitectureIsPulled(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	ours, _ := s.publish(t, "1.0.0")
	others, _ := s.publishFor(t, "1.0.0", foreign())
	n.pull(t, s.index(t, map[string]assemble.Payload{runtime.GOARCH: ours, foreign(): others}))
	assert.Len(t, s.fetched(), 4)
	assert.Equal(t, ours.Digest, n.list(t)[0].Platform)
}

func TestAnImageThatIsNoPayloadIsRefusedBeforeItsLayers(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	other, err := random.Image(1024, 3)
	require.NoError(t, err)
	file, err := other.ConfigFile()
	require.NoError(t, err)
	file.OS, file.Architecture = "linux", runtime.GOARCH
	other, err = mutate.ConfigFile(other, file)
	require.NoError(t, err)
	at, err := name.ParseReference(s.address()+"/kata/payload:other", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(at, other, remote.WithContext(t.Context())))
	s.fetched()
	digest, err := other.Digest()
	require.NoError(t, err)
	assertUnfit(t, n, repository+"@"+digest.String(), "it is no payload")
	assert.Len(t, s.fetched(), 1)
}

func TestMoreLayersThanTheHostCanMountAreRefusedBeforeThePull(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, payload := s.publish(t, "1.0.0")
	var length int
	n.store.MostLayers = func(name int) int { length = name; return 2 }
	assertUnfit(t, n, payload, "it has 3 layers, and this kernel can mount 2 at most")
	assert.Len(t, s.fetched(), 1)
	n.store.MostLayers = func(int) int { return 3 }
	n.pull(t, payload)
	layers, err := n.store.Layers(t.Context(), n.list(t)[0].ID)
	require.NoError(t, err)
	assert.Len(t, layers[0], length, "the length of a layer's name is known before it is there")
}

func TestAPayloadThatNeedsMoreThanTheHostHasIsRefusedBeforeThePull(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	yes := true
	_, payload := s.build(t, assemble.Input{Tree: s.tree(t, map[string]string{shim: "a shim", config: "[runtime]\n"}), Description: assemble.Description{
		Version: "1.0.0", Architecture: runtime.GOARCH, Requires: assemble.Requires{KVM: &yes, OldestKernel: "5.14"}, Components: []assemble.Component{{Name: "shim"}},
	}})
	lacks := "the host has no /dev/kvm"
	n.store.Lacks = func(_ context.Context, r manifest.Requires) string {
		assert.Equal(t, manifest.Requires{KVM: true, OldestKernel: "5.14"}, r)
		return lacks
	}
	assert.True(t, assertUnfit(t, n, payload, lacks))
	assert.Len(t, s.fetched(), 1)
	lacks = ""
	n.pull(t, payload)
}

// An older builder sets no label: what the payload requires is known once it is mounted.
func TestAPayloadThatSaysNothingOfItsHostIsPulled(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	n.store.Lacks = func(context.Context, manifest.Requires) string { return "it was asked" }
	p, _ := s.publish(t, "1.0.0")
	n.pull(t, s.relabel(t, p.Image, func(labels map[string]string) { delete(labels, manifest.RequiresLabel) }))
	odd := s.relabel(t, p.Image, func(labels map[string]string) { labels[manifest.RequiresLabel] = "kvm" })
	err := n.store.Pull(t.Context(), odd, func(host.Progress) {})
	require.ErrorContains(t, err, "its label io.kata-node.payload.requires cannot be read")
}

// relabel publishes an image with other labels.
func (s *source) relabel(t *testing.T, image v1.Image, change func(labels map[string]string)) string {
	t.Helper()
	file, err := image.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	change(file.Config.Labels)
	other, err := mutate.ConfigFile(image, file)
	require.NoError(t, err)
	at, err := name.ParseReference(s.address()+"/kata/payload:relabelled", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(at, other, remote.WithContext(t.Context())))
	digest, err := other.Digest()
	require.NoError(t, err)
	return repository + "@" + digest.String()
}

func TestARegistryThatIsSilentAboutTheConfigurationIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, payload := s.publish(t, "1.0.0")
	n.store.Stall = time.Second
	s.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		silent := path.Base(r.URL.Path) == configuration(t, p.Image)
		if silent {
			<-r.Context().Done()
		}
		return silent
	})
	require.ErrorContains(t, n.store.Pull(t.Context(), payload, func(host.Progress) {}), "no progress for 1s")
}
