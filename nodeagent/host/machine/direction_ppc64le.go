// SPDX-License-Identifier: Apache-2.0

package machine

// direction is _IOC_NONE of arch/powerpc/include/uapi/asm/ioctl.h.
const direction = 1 << 29
