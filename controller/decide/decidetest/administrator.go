// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// Dice are where everything comes from that happens by chance.
type Dice struct{ *rand.Rand }

// Likely is true in so many of a hundred cases.
func (d Dice) Likely(percent int) bool { return d.IntN(100) < percent }

// One returns one of several words.
func (d Dice) One(of ...string) string { return of[d.IntN(len(of))] }

// Administrator changes the KataConfigs of a cluster.
type Administrator struct {
	Cluster *Cluster
	Dice    Dice
	// Names is how many KataConfigs there may be, and Everywhere how many of a hundred select all
	// workers. The others select one of the pools x and y.
	Names, Everywhere int
	// Moved is called when nodes may have got another KataConfig.
	Moved func()
	// Changes are what it may do to a KataConfig, in addition to a pause and another selector.
	Changes []func(*v1.KataInstallConfig)
}

// Act creates, changes or deletes one KataConfig. At the end of a cluster none is created, and in
// calm times no finalizer is taken away.
func (a Administrator) Act(now time.Time, ending, calm bool) {
	name := fmt.Sprintf("kc%d", a.Dice.IntN(a.Names))
	kc := a.Cluster.Configs.Now[name]
	switch {
	case kc == nil && !ending:
		a.Create(name, now)
	case kc == nil:
	case a.Dice.Likely(30):
		a.Delete(kc, now, calm)
	default:
		a.change(kc)
	}
}

// Create makes a KataConfig.
func (a Administrator) Create(name string, now time.Time) {
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: name, UID: a.Cluster.UID(), Generation: 1, CreationTimestamp: metav1.NewTime(now)}}
	kc.Spec.KataConfigPoolSelector = a.selector()
	if a.Dice.Likely(50) {
		kc.Spec.Config.MaxUnavailable = new(intstr.FromInt32(1 + a.Dice.Int32N(2)))
	}
	if a.Dice.Likely(50) {
		kc.Spec.Config.MaxParallel = new(1 + a.Dice.Int32N(4))
	}
	a.Cluster.Configs.Put(kc, a.Cluster.Next())
}

func (a Administrator) selector() *v1.PoolSelector {
	if a.Dice.Likely(a.Everywhere) {
		return nil
	}
	return &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": v1.LabelValue(a.Dice.One("x", "y"))}}
}

// Delete lets a KataConfig go, in other than calm times sometimes by taking its finalizer away,
// too.
func (a Administrator) Delete(kc *v1.KataConfig, now time.Time, calm bool) {
	forced := !calm && a.Dice.Likely(10)
	if forced {
		a.Moved()
	}
	if kc.DeletionTimestamp != nil && !forced {
		return
	}
	if len(kc.Finalizers) == 0 || forced {
		a.Cluster.Configs.Remove(kc.Name)
		return
	}
	kc = kc.DeepCopy()
	kc.DeletionTimestamp = &metav1.Time{Time: now}
	kc.Generation++
	a.Cluster.Configs.Put(kc, a.Cluster.Next())
}

func (a Administrator) change(kc *v1.KataConfig) {
	if kc.DeletionTimestamp != nil {
		return
	}
	kc = kc.DeepCopy()
	kc.Generation++
	switch i := a.Dice.IntN(2 + len(a.Changes)); i {
	case 0:
		kc.Spec.Config.Paused = !kc.Spec.Config.Paused
	case 1:
		kc.Spec.KataConfigPoolSelector = a.selector()
		a.Moved()
	default:
		a.Changes[i-2](&kc.Spec.Config)
	}
	a.Cluster.Configs.Put(kc, a.Cluster.Next())
}
