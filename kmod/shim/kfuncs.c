// SPDX-License-Identifier: GPL-2.0

/*
 * Functions that BPF programs can call, see ABI/bpf-dmacopy.
 *
 * They are in C because the verifier goes by their BTF, which there is for C code only.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#include "kfuncs.h"

__bpf_kfunc_start_defs();

__bpf_kfunc s64 dmacopy_transfers(u32 device)
{
	return dmacopy_count_transfers(device);
}

__bpf_kfunc s64 dmacopy_bytes(u32 device)
{
	return dmacopy_count_bytes(device);
}

__bpf_kfunc s64 dmacopy_errors(u32 device)
{
	return dmacopy_count_errors(device);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(dmacopy_kfunc_ids)
BTF_ID_FLAGS(func, dmacopy_transfers)
BTF_ID_FLAGS(func, dmacopy_bytes)
BTF_ID_FLAGS(func, dmacopy_errors)
BTF_KFUNCS_END(dmacopy_kfunc_ids)

static const struct btf_kfunc_id_set dmacopy_kfuncs = {
	.owner = THIS_MODULE,
	.set = &dmacopy_kfunc_ids,
};

/* There is nothing to undo: the sets go with the BTF of the module. */
int dmacopy_register_kfuncs(void)
{
	int ret;

	ret = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &dmacopy_kfuncs);
	if (ret)
		return ret;
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &dmacopy_kfuncs);
}
