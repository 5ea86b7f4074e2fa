// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"

	v1 "github.com/kata-node/kata-node/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// administers changes the KataConfigs, or deletes one while another may select the same nodes.
func (w *life) administers(*resident) {
	name := fmt.Sprintf("kc%d", w.rnd.IntN(2))
	kc := w.Configs.Now[name]
	switch {
	case kc == nil && !w.ending:
		w.creates(name)
	case kc == nil:
	case w.likely(30):
		w.deletes(kc)
	default:
		w.changes(kc)
	}
}

func (w *life) creates(name string) {
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: name, UID: w.UID(), Generation: 1, CreationTimestamp: metav1.NewTime(w.now)}}
	kc.Spec.KataConfigPoolSelector = w.selector()
	if w.likely(50) {
		kc.Spec.Config.MaxUnavailable = new(intstr.FromInt32(1 + w.rnd.Int32N(2)))
	}
	if w.likely(50) {
		kc.Spec.Config.MaxParallel = new(1 + w.rnd.Int32N(4))
	}
	w.Configs.Put(kc, w.Next())
}

func (w *life) selector() *v1.PoolSelector {
	if w.likely(60) {
		return nil
	}
	return &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": v1.LabelValue(w.one("x", "y"))}}
}

// deletes lets a KataConfig go, sometimes by taking its finalizer away, too.
func (w *life) deletes(kc *v1.KataConfig) {
	forced := !w.calm && w.likely(10)
	if forced {
		w.moved()
	}
	if kc.DeletionTimestamp != nil && !forced {
		return
	}
	if len(kc.Finalizers) == 0 || forced {
		w.Configs.Remove(kc.Name)
		return
	}
	kc = kc.DeepCopy()
	kc.DeletionTimestamp = &metav1.Time{Time: w.now}
	kc.Generation++
	w.Configs.Put(kc, w.Next())
}

func (w *life) changes(kc *v1.KataConfig) {
	if kc.DeletionTimestamp != nil {
		return
	}
	kc = kc.DeepCopy()
	kc.Generation++
	switch w.rnd.IntN(5) {
	case 0:
		kc.Spec.Config.Paused = !kc.Spec.Config.Paused
	case 1:
		kc.Spec.KataConfigPoolSelector = w.selector()
		w.moved()
	case 2:
		kc.Spec.Config.Handlers = [][]v1.HandlerName{nil, {"rs"}}[w.rnd.IntN(2)]
	default:
		kc.Spec.Config.PayloadImage = w.one("", newer().Reference(), newer().Reference(), bad().Reference(), lost().Reference())
	}
	w.Configs.Put(kc, w.Next())
}
