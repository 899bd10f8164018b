/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kfuncs.c and Rust call each other by. sys/kfunc.rs must agree.
 */

#ifndef _DMACOPY_KFUNCS_H
#define _DMACOPY_KFUNCS_H

#include <linux/types.h>

/* Defined in C. Called once, when the module is initialized. */
int dmacopy_register_kfuncs(void);

/* Defined in Rust. Can be called in any context. */
s64 dmacopy_count_transfers(u32 device);
s64 dmacopy_count_bytes(u32 device);
s64 dmacopy_count_errors(u32 device);

#endif /* _DMACOPY_KFUNCS_H */
