/* SPDX-License-Identifier: MIT */
/*
 * The hooks of a kernel that has none. Alone in its file, so that the linker leaves it in the
 * library when the kernel defines a table of its own.
 */
#include "pvops/pvguest.h"

const struct pv_hooks pv_hooks = { 0 };
