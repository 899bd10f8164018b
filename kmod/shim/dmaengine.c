// SPDX-License-Identifier: GPL-2.0

/*
 * What clients of DMA controllers find in the structures and inline functions of
 * <linux/dmaengine.h>, for which Rust has no bindings.
 */

#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/module.h>

#include "dmaengine.h"

/* The device that does the DMA: memory has to be allocated or mapped for it. */
struct device *dmacopy_dma_controller(struct dma_chan *chan)
{
	return chan->device->dev;
}

/*
 * Makes sure that the controller is bound to its driver for as long as @consumer is, which is being
 * probed. A link that the device tree has brought about does so, too, unless that is switched off.
 */
bool dmacopy_dma_keep_bound(struct dma_chan *chan, struct device *consumer)
{
	struct device_link *link;

	link = device_link_add(consumer, chan->device->dev,
			       DL_FLAG_AUTOREMOVE_CONSUMER);
	/* Another state: the controller is about to go. */
	return link && READ_ONCE(link->status) == DL_STATE_CONSUMER_PROBE;
}

bool dmacopy_dma_can_copy(struct dma_chan *chan)
{
	return dma_has_cap(DMA_MEMCPY, chan->device->cap_mask) &&
	       chan->device->device_prep_dma_memcpy &&
	       chan->device->device_terminate_all;
}

/*
 * What addresses and lengths have to be multiples of: as the driver says or, where it knows only the
 * widths of single accesses, the smallest one that it has for both ends.
 */
size_t dmacopy_dma_alignment(struct dma_chan *chan)
{
	struct dma_device *dma = chan->device;
	u32 widths = dma->src_addr_widths & dma->dst_addr_widths & ~BIT(0);
	size_t width = widths ? roundup_pow_of_two(__ffs(widths)) : 1;

	return max_t(size_t, width, 1UL << dma->copy_align);
}

/* The longest piece of memory that one copy may read or write: a multiple of the alignment. */
size_t dmacopy_dma_max_bytes(struct dma_chan *chan)
{
	size_t alignment = dmacopy_dma_alignment(chan);

	return max_t(size_t, alignment,
		     round_down(dma_get_max_seg_size(chan->device->dev), alignment));
}

static void done(void *param, const struct dmaengine_result *result)
{
	dmacopy_dma_done(param, result->result == DMA_TRANS_NOERROR);
}

/* Queues a copy, which begins after dmacopy_dma_issue(), and returns its cookie. May sleep. */
int dmacopy_dma_copy(struct dma_chan *chan, dma_addr_t to, dma_addr_t from,
		     size_t bytes, void *param)
{
	struct dma_async_tx_descriptor *tx;

	tx = dmaengine_prep_dma_memcpy(chan, to, from, bytes,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx)
		return -ENOMEM;
	tx->callback_result = done;
	tx->callback_param = param;
	return dmaengine_submit(tx);
}

void dmacopy_dma_issue(struct dma_chan *chan)
{
	dma_async_issue_pending(chan);
}

/* Whether a copy has been done: 1, or -EIO if it has failed, or 0 as long as that is not known. */
int dmacopy_dma_status(struct dma_chan *chan, int cookie)
{
	switch (dma_async_is_tx_complete(chan, cookie, NULL, NULL)) {
	case DMA_COMPLETE:
		return 1;
	case DMA_ERROR:
		return -EIO;
	default:
		return 0;
	}
}

/* Forgets all copies; when this returns, no callback runs any more. May sleep. */
int dmacopy_dma_terminate(struct dma_chan *chan)
{
	return dmaengine_terminate_sync(chan);
}

/* Keeps the module loaded for good, for callbacks that nothing can keep from coming. */
void dmacopy_dma_keep_module(void)
{
	__module_get(THIS_MODULE);
}
