// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"strings"
	"testing"

	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

func TestTheStoreConforms(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	_, two := s.publish(t, "2.0.0")
	missing := repository + "@sha256:" + strings.Repeat("0", 64)
	hosttest.ConformImages(t, hosttest.ImagesBench{Images: n.store, One: one, Two: two, Missing: missing})
}
