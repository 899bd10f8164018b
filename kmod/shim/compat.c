// SPDX-License-Identifier: GPL-2.0

/*
 * For Linux 7.2 only: the helpers that 7.3 has in rust/helpers/, net/genetlink.c and barrier.c, and
 * a proof that sys/compat.rs declares structures and numbers as C does.
 */

#include <asm/barrier.h>
#include <linux/mm.h>
#include <net/genetlink.h>

#include "compat.h"

static_assert(sizeof(struct nla_policy) == 16);
static_assert(sizeof(struct genl_multicast_group) == 17);
static_assert(sizeof(struct genl_family) == 160);
static_assert(offsetofend(struct genl_family, maxattr) == 28);
static_assert(offsetof(struct genl_family, n_split_ops) == 31);
static_assert(offsetof(struct genl_family, n_mcgrps) == 32);
static_assert(offsetof(struct genl_family, split_ops) == 96);
static_assert(offsetof(struct genl_family, module) == 112);
static_assert(offsetof(struct genl_family, mcgrp_offset) == 148);
static_assert(sizeof(struct genl_info) == 104);
static_assert(offsetof(struct genl_info, attrs) == 32);
static_assert(offsetof(struct genl_info, extack) == 96);
static_assert(sizeof(struct genl_split_ops) == 40);
static_assert(offsetof(struct genl_split_ops, policy) == 24);
static_assert(offsetof(struct genl_split_ops, validate) == 39);
static_assert(offsetof(struct genl_dumpit_info, info) == 40);
static_assert(VM_MAYSHARE == 1 << 7);
static_assert(NLA_U32 == 3 && GENL_CMD_CAP_DO == 2 && GENL_CMD_CAP_DUMP == 4);
static_assert(GENLMSG_DEFAULT_SIZE >= PAGE_SIZE - 512);

struct sk_buff *dmacopy_genlmsg_new(size_t payload, gfp_t flags)
{
	return genlmsg_new(payload, flags);
}

void dmacopy_genlmsg_end(struct sk_buff *skb, void *hdr)
{
	genlmsg_end(skb, hdr);
}

void dmacopy_genlmsg_cancel(struct sk_buff *skb, void *hdr)
{
	genlmsg_cancel(skb, hdr);
}

int dmacopy_genlmsg_multicast(const struct genl_family *family, struct sk_buff *skb, u32 portid,
			      unsigned int group, gfp_t flags)
{
	return genlmsg_multicast(family, skb, portid, group, flags);
}

void dmacopy_nlmsg_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

void dmacopy_dma_rmb(void)
{
	dma_rmb();
}

struct sock *dmacopy_genl_sock(void)
{
	return init_net.genl_sock;
}

int dmacopy_genl_has_listeners(const struct genl_family *family, struct net *net,
			       unsigned int group)
{
	return genl_has_listeners(family, net, group);
}
