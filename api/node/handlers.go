// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"slices"
)

// proofSuffix is what the name of a handler's proof handler ends with.
const proofSuffix = "-proof"

// FurtherHandlers are the names of the handlers that a payload may offer in addition to kata-oc,
// sorted. The set is fixed, so that CRI-O can be given all of them at once: neither a handler that
// is named later nor a payload that brings one needs another restart of it.
func FurtherHandlers() []string { return []string{"debug", "rs"} }

// FurtherHandler returns the handler of a further name, which is that of its RuntimeClass, too.
func FurtherHandler(name string) string { return Handler + "-" + name }

// FurtherLabel returns the label of nodes that may run pods of a further handler. Writer: the
// controller.
func FurtherLabel(name string) string { return ReadyLabel + "-" + name }

// ProofOf returns the handler that runs the proof of a handler.
func ProofOf(handler string) string { return handler + proofSuffix }

// PodHandlers are the handlers that RuntimeClasses name.
func PodHandlers() []string {
	handlers := []string{Handler}
	for _, name := range FurtherHandlers() {
		handlers = append(handlers, FurtherHandler(name))
	}
	return handlers
}

// ProofHandlers are the handlers of proofs.
func ProofHandlers() []string {
	var handlers []string
	for _, handler := range PodHandlers() {
		handlers = append(handlers, ProofOf(handler))
	}
	return handlers
}

// Handlers are all handlers that the agent defines in CRI-O.
func Handlers() []string { return append(PodHandlers(), ProofHandlers()...) }

// validateHandlers accepts names that this program does not know: a neighbouring version may.
func validateHandlers(names []string) error {
	if len(names) > maxHandlers {
		return fmt.Errorf("handlers are %d, more than %d: name fewer", len(names), maxHandlers)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		return fmt.Errorf("handlers %q are not sorted, or one is named twice", names)
	}
	if i := slices.IndexFunc(names, func(name string) bool { return name == "" || Line(name, maxHandler) != name }); i >= 0 {
		return errors.New("handlers have a name that is empty or longer than 16 bytes")
	}
	return nil
}
