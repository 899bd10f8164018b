/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust calls in compat.c. sys/compat.rs must agree.
 */

struct sk_buff *dmacopy_genlmsg_new(size_t payload, gfp_t flags);
void dmacopy_genlmsg_end(struct sk_buff *skb, void *hdr);
void dmacopy_genlmsg_cancel(struct sk_buff *skb, void *hdr);
int dmacopy_genlmsg_multicast(const struct genl_family *family, struct sk_buff *skb, u32 portid,
			      unsigned int group, gfp_t flags);
void dmacopy_nlmsg_free(struct sk_buff *skb);
struct sock *dmacopy_genl_sock(void);
void dmacopy_dma_rmb(void);
int dmacopy_genl_has_listeners(const struct genl_family *family, struct net *net,
			       unsigned int group);
