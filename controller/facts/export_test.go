// SPDX-License-Identifier: Apache-2.0

package facts

import "reflect"

// Shared identifies the map of all labels but the host's name.
func (l Labels) Shared() uintptr { return reflect.ValueOf(l.shared).Pointer() }
