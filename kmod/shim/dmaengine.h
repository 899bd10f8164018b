/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What dmaengine.c and Rust call each other by. sys/dmaengine.rs must agree.
 */

#ifndef _DMACOPY_DMAENGINE_H
#define _DMACOPY_DMAENGINE_H

#include <linux/types.h>

struct device;
struct dma_chan;

/* Defined in C. */
struct device *dmacopy_dma_controller(struct dma_chan *chan);
bool dmacopy_dma_keep_bound(struct dma_chan *chan, struct device *consumer);
bool dmacopy_dma_can_copy(struct dma_chan *chan);
size_t dmacopy_dma_alignment(struct dma_chan *chan);
size_t dmacopy_dma_max_bytes(struct dma_chan *chan);
int dmacopy_dma_copy(struct dma_chan *chan, dma_addr_t to, dma_addr_t from,
		     size_t bytes, void *param);
void dmacopy_dma_issue(struct dma_chan *chan);
int dmacopy_dma_status(struct dma_chan *chan, int cookie);
int dmacopy_dma_terminate(struct dma_chan *chan);
void dmacopy_dma_keep_module(void);

/* Defined in Rust. Called in interrupt context, when a copy is done. */
void dmacopy_dma_done(void *param, bool ok);

#endif /* _DMACOPY_DMAENGINE_H */
