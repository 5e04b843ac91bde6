/* SPDX-License-Identifier: MIT */
/* Where assembly finds members of C structures; init.c holds them against the structures. */
#ifndef PVOPS_BOOT_OFFSETS_H
#define PVOPS_BOOT_OFFSETS_H

#define PV_OPS_FRAME_RESUME 88

#endif /* PVOPS_BOOT_OFFSETS_H */
