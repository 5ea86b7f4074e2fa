// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/controller/ledger"
)

func entry() ledger.Entry {
	return ledger.Entry{
		Kind: ledger.RestartCRIO, UID: "8f14e45f-ceea-4672-9e3b-1b6f3a2d9c07", Boot: "5b8f7c9e-2d41-4c0a-9f3e-6a1b2c3d4e5f",
		Version: "12345678901", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func TestTheObjectHasWhatTheLedgerHas(t *testing.T) {
	t.Parallel()
	l := ledger.Ledger{Version: "7", Entries: map[string]ledger.Entry{"w": entry()}}
	object, err := l.Object("kata-node")
	require.NoError(t, err)
	assert.Equal(t, "7", object.ResourceVersion, "it replaces no other version")
	assert.True(t, ledger.Of(object).Same(l))
	assert.False(t, ledger.Of(object).Same(ledger.Ledger{}))
	assert.JSONEq(t, `{"kind":"RestartCRIO","uid":"8f14e45f-ceea-4672-9e3b-1b6f3a2d9c07","boot":"5b8f7c9e-2d41-4c0a-9f3e-6a1b2c3d4e5f","nodeVersion":"12345678901","since":"2026-03-01T12:00:00Z"}`, object.Data["w"])
}

func TestALedgerThatCannotBeReadIsLost(t *testing.T) {
	t.Parallel()
	good := `{"kind":"RestartCRIO","boot":"b","later":true}`
	l := ledger.Of(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9"}, Data: map[string]string{"a": "{", "b": good, "c": ""}})
	assert.Equal(t, "9", l.Version)
	assert.Equal(t, map[string]ledger.Entry{"b": {Kind: ledger.RestartCRIO, Boot: "b"}}, l.Entries)
	assert.True(t, l.Lost)
	assert.Equal(t, ledger.Ledger{Entries: map[string]ledger.Entry{}, Lost: true}, ledger.Of(nil))
	assert.False(t, ledger.Of(&corev1.ConfigMap{Data: map[string]string{"b": good}}).Lost)
}

// The API server refuses objects of more than 1.5 MiB, and ConfigMaps of more than 1 MiB.
func TestAFullLedgerCanBeStored(t *testing.T) {
	t.Parallel()
	l := ledger.Ledger{Entries: map[string]ledger.Entry{}}
	for i := range ledger.Most {
		l.Entries[fmt.Sprintf("%s-%04d", strings.Repeat("n", 63), i)] = entry()
	}
	object, err := l.Object("kata-node")
	require.NoError(t, err)
	size := 0
	for name, document := range object.Data {
		size += len(name) + len(document)
	}
	assert.Less(t, size, corev1.MaxSecretSize)
}
