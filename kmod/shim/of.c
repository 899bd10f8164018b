// SPDX-License-Identifier: GPL-2.0

/*
 * What <linux/of.h> offers in inline functions, for a kernel without device trees, too.
 */

#include <linux/of.h>

#include "of.h"

/* Whether the device tree has a node of that kind which is not disabled. */
bool dmacopy_of_has_node(const char *compatible)
{
	struct device_node *node;

	for_each_compatible_node(node, NULL, compatible) {
		if (of_device_is_available(node)) {
			of_node_put(node);
			return true;
		}
	}
	return false;
}
