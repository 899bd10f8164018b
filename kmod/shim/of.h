/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of.c offers to Rust. sys/of.rs must agree.
 */

#ifndef _DMACOPY_OF_H
#define _DMACOPY_OF_H

#include <linux/types.h>

bool dmacopy_of_has_node(const char *compatible);

#endif /* _DMACOPY_OF_H */
