/* SPDX-License-Identifier: MIT */
/*
 * The set of operations in force. Apart from the sets themselves, so that code which only uses the
 * table links without either.
 */
#include "pvops/pv_ops.h"

struct pv_ops pv_ops;
