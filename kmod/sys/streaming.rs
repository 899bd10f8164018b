// SPDX-License-Identifier: GPL-2.0

//! Pages that are mapped for a device, and the passing of them from one side to the other.
//!
//! C headers: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h),
//! [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use core::{
    cmp::min,
    mem::ManuallyDrop,
    ops::Range, //
};

use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::DataDirection,
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    scatterlist::SGTable,
    sync::{
        aref::ARef,
        Arc, //
    },
    types::Opaque, //
};

use super::{
    pages::Pages,
    raw_device, //
};

/// Who accesses memory next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The processor.
    Cpu,
    /// The device.
    Device,
}

/// Where a device finds memory that is not contiguous for it: pieces, in order.
#[derive(Default)]
pub(super) struct Segments(KVVec<Segment>);

struct Segment {
    /// Where it ends, in bytes from the start of the memory.
    end: usize,
    /// Where the device finds its first byte.
    address: u64,
}

impl Segments {
    /// Those of a table that is mapped for a device.
    pub(super) fn of(table: &SGTable) -> Result<Self> {
        let mut segments = KVVec::new();
        let mut end = 0usize;
        for entry in table.iter() {
            let length = usize::try_from(entry.dma_len())?;
            end = end.checked_add(length).ok_or(EOVERFLOW)?;
            // CAST: An address of a device has at most 64 bits.
            #[allow(clippy::unnecessary_cast, reason = "it may have less")]
            let address = entry.dma_address() as u64;
            if length > 0 {
                segments.push(Segment { end, address }, GFP_KERNEL)?;
            }
        }
        Ok(Self(segments))
    }

    /// Where the device finds the byte at `offset`, and how many bytes are contiguous from there on.
    pub(super) fn at(&self, offset: usize) -> Option<(u64, usize)> {
        let index = self.0.partition_point(|segment| segment.end <= offset);
        let start = match index.checked_sub(1) {
            Some(before) => self.0.get(before)?.end,
            None => 0,
        };
        let segment = self.0.get(index)?;
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        // OVERFLOW: `offset` lies between `start` and `end`, all of which has addresses.
        let address = segment.address + (offset - start) as u64;
        Some((address, segment.end - offset))
    }
}

/// Pages that are mapped for a device, for both directions.
///
/// Dropping this leaks them: the device has to be there to let them go, see [`Self::unmap`].
///
/// # Invariants
///
/// `table` is a table of all of the `pages`, mapped for `device`, which is bound until it has been
/// unmapped.
pub(super) struct Mapped(ManuallyDrop<Inner>);

struct Inner {
    pages: Arc<Pages>,
    device: ARef<device::Device>,
    table: KBox<Opaque<bindings::sg_table>>,
    segments: Segments,
}

// SAFETY: A table can be used and given up on any thread.
unsafe impl Send for Mapped {}
// SAFETY: With a shared reference, the table is only read.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps `pages` for `device`, which sees what has been written to them until now.
    ///
    /// # Safety
    ///
    /// [`Self::unmap`] must be called before `device` is unbound, or never.
    pub(super) unsafe fn new(pages: Arc<Pages>, device: &device::Device<Bound>) -> Result<Self> {
        let count = pages.bytes() / PAGE_SIZE;
        let mut list = KVVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            list.push(pages.page(index).ok_or(EINVAL)?.as_ptr(), GFP_KERNEL)?;
        }
        // SAFETY: `raw_device` returns a valid pointer, since `device` is borrowed.
        let most = match unsafe { bindings::dma_max_mapping_size(raw_device(device)) } {
            0 => u32::MAX,
            most => u32::try_from(most).unwrap_or(u32::MAX),
        };
        let table = KBox::new(Opaque::<bindings::sg_table>::zeroed(), GFP_KERNEL)?;
        // SAFETY: `table` is valid for writes, and the list has as many valid pages as it says, at
        // least one. The table has references to none of them, so this has one to all.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                table.get(),
                list.as_mut_ptr(),
                u32::try_from(count)?,
                0,
                pages.bytes(),
                most,
                bindings::GFP_KERNEL,
            )
        })?;
        // SAFETY: `raw_device` returns a valid pointer to a bound device, and the table has just been
        // made.
        let mapped = to_result(unsafe {
            bindings::dma_map_sgtable(
                raw_device(device),
                table.get(),
                DataDirection::Bidirectional.into(),
                0,
            )
        });
        if let Err(error) = mapped {
            // SAFETY: The table has been made and is not mapped.
            unsafe { bindings::sg_free_table(table.get()) };
            return Err(error);
        }
        // SAFETY: The table is valid as long as `table` is, and nobody changes it.
        let segments = Segments::of(unsafe { SGTable::from_raw(table.get()) });
        let is_known = segments.is_ok();
        // INVARIANT: The table has just been mapped, and the caller promises the rest.
        let this = Self(ManuallyDrop::new(Inner {
            pages,
            device: device.into(),
            table,
            segments: segments.unwrap_or_default(),
        }));
        if !is_known {
            this.unmap(device);
            return Err(ENOMEM);
        }
        Ok(this)
    }

    /// The table, which stays where it is until it is unmapped.
    pub(super) fn table(&self) -> *mut bindings::sg_table {
        self.0.table.get()
    }

    /// Where the device finds the pages.
    pub(super) fn segments(&self) -> &Segments {
        &self.0.segments
    }

    /// Passes a range of the pages to a side; `direction` says who writes. The device must be bound.
    pub(super) fn pass(&self, range: Range<usize>, direction: DataDirection, to: Side) -> Result {
        let mut offset = range.start;
        while offset < range.end {
            let (address, length) = self.0.segments.at(offset).ok_or(EINVAL)?;
            // What is contiguous for the device need not be so for the processor, but for a page.
            let page = PAGE_SIZE - offset % PAGE_SIZE;
            let length = min(min(length, page), range.end - offset);
            let device = raw_device(&*self.0.device);
            match to {
                // SAFETY: By the type invariants, the pages are mapped for this device for both
                // directions, and `at` has found so many of their bytes at this address.
                Side::Cpu => unsafe {
                    bindings::__dma_sync_single_for_cpu(device, address, length, direction.into())
                },
                // SAFETY: Likewise.
                Side::Device => unsafe {
                    bindings::__dma_sync_single_for_device(
                        device,
                        address,
                        length,
                        direction.into(),
                    )
                },
            }
            offset += length;
        }
        Ok(())
    }

    /// Takes the pages from the device, which must not access them any more.
    ///
    /// `device` is the one that they were mapped for; if it is another, they leak.
    pub(super) fn unmap(self, device: &device::Device<Bound>) {
        if raw_device(&*self.0.device) != raw_device(device) {
            return;
        }
        let inner = ManuallyDrop::into_inner(self.0);
        // SAFETY: By the type invariants, the table is mapped for this device, which is bound.
        unsafe {
            bindings::dma_unmap_sgtable(
                raw_device(device),
                inner.table.get(),
                DataDirection::Bidirectional.into(),
                0,
            )
        };
        // SAFETY: The table is not mapped any more.
        unsafe { bindings::sg_free_table(inner.table.get()) };
        drop(inner.pages);
    }
}
