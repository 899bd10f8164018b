// SPDX-License-Identifier: GPL-2.0

//! Coherent memory that can be mapped into user space.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use core::ops::Range;

use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::Coherent,
    error::to_result,
    mm::virt::VmaNew,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    types::ForeignOwnable, //
};

use super::raw_device;

/// Coherent memory with the device that it was allocated for.
///
/// # Invariants
///
/// `memory` was allocated for `device`, with no DMA attributes.
pub(crate) struct CoherentMemory {
    memory: Coherent<[u8]>,
    device: ARef<device::Device>,
}

impl CoherentMemory {
    /// Keeps the memory alive as long as it is mapped.
    ///
    /// No owner is needed: an area refers to its file, and that to the module.
    const AREA_OPERATIONS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        open: Some(Self::area_open),
        close: Some(Self::area_close),
        ..pin_init::zeroed()
    };

    /// Allocates `bytes` zeroed bytes.
    pub(crate) fn zeroed(device: &device::Device<Bound>, bytes: usize) -> Result<Self> {
        // INVARIANT: The memory is allocated for `device`, and `zeroed_slice` uses no attributes.
        Ok(Self {
            memory: Coherent::<u8>::zeroed_slice(device, bytes, GFP_KERNEL)?,
            device: device.into(),
        })
    }

    /// The memory.
    pub(crate) fn memory(&self) -> &Coherent<[u8]> {
        &self.memory
    }

    /// Copies `length` bytes from offset `source` to offset `destination`.
    pub(crate) fn copy_within(&self, source: usize, destination: usize, length: usize) -> Result {
        let bytes = self.memory.size();
        let source: Range<usize> = source..source.checked_add(length).ok_or(EINVAL)?;
        let destination: Range<usize> =
            destination..destination.checked_add(length).ok_or(EINVAL)?;
        if source.end > bytes || destination.end > bytes {
            return Err(EINVAL);
        }

        let memory = self.memory.as_mut_ptr().cast::<u8>();
        // SAFETY: `source.start` has just been checked to lie within the allocation or at its end.
        let from = unsafe { memory.add(source.start) };
        // SAFETY: Likewise for `destination.start`.
        let to = unsafe { memory.add(destination.start) };
        // SAFETY: Both ranges have just been checked to lie within the allocation, which is valid
        // as long as `self` is borrowed; they may overlap. User space may write to the memory at
        // the same time. That makes its contents arbitrary, but it is no data race in the memory
        // model of the kernel, which `memmove` belongs to: it is opaque to the compiler.
        unsafe { bindings::memmove(to.cast(), from.cast_const().cast(), length) };
        Ok(())
    }

    /// Maps the memory to `area`, from the area's offset on.
    ///
    /// The mapping owns a reference to the memory. User space may then write to the memory at any
    /// time, also while the processor or a device accesses it.
    #[doc(alias = "dma_mmap_attrs")]
    pub(crate) fn map(self: &Arc<Self>, area: &VmaNew) -> Result {
        let area = area.as_ptr();
        // SAFETY: `area` is undergoing its setup, by the type invariants of `VmaNew`.
        if !unsafe { (*area).vm_private_data }.is_null() {
            // It is mapped to something already.
            return Err(EBUSY);
        }
        // SAFETY: `raw_device` returns a valid pointer, since `device` is borrowed. `area` is
        // undergoing its setup, by the type invariants of `VmaNew`. By the type invariants of
        // `Self`, the addresses, the size and the (empty) attributes are those of an allocation for
        // this device. `dma_mmap_attrs` refuses an area that reaches beyond the allocation.
        to_result(unsafe {
            bindings::dma_mmap_attrs(
                raw_device(&self.device),
                area,
                self.memory.as_mut_ptr().cast(),
                self.memory.dma_address(),
                self.memory.size(),
                0,
            )
        })?;

        // SAFETY: `area` is undergoing its setup, so nobody else accesses it. The reference that is
        // stored here is dropped by `area_close`, which the kernel calls once when the area goes,
        // also if the setup fails after this.
        unsafe { (*area).vm_private_data = self.clone().into_foreign() };
        let operations: &'static bindings::vm_operations_struct = &Self::AREA_OPERATIONS;
        // SAFETY: As above; `AREA_OPERATIONS` expects just this in `vm_private_data`.
        unsafe { (*area).vm_ops = operations };
        Ok(())
    }

    /// Called when an area is split or moved: each part has a reference of its own.
    ///
    /// # Safety
    ///
    /// `area` must be valid and a copy of an area that [`Self::map`] has set up.
    unsafe extern "C" fn area_open(area: *mut bindings::vm_area_struct) {
        // SAFETY: The caller promises that `area` is valid.
        let data = unsafe { (*area).vm_private_data };
        // SAFETY: The area that this is a copy of owns a reference, which it cannot drop before
        // this returns, and `data` comes from its `into_foreign`.
        let memory = unsafe { <Arc<Self> as ForeignOwnable>::borrow(data) };
        // Dropped by `area_close` for this area. `data` is right for that: all references to the
        // memory have the same pointer.
        let _ = Arc::<Self>::from(memory).into_foreign();
    }

    /// # Safety
    ///
    /// `area` must be valid, have been set up by [`Self::map`] or [`Self::area_open`], and be about
    /// to go.
    unsafe extern "C" fn area_close(area: *mut bindings::vm_area_struct) {
        // SAFETY: The caller promises that `area` is valid.
        let data = unsafe { (*area).vm_private_data };
        // SAFETY: `data` comes from `into_foreign`, and is not used after this, since the area
        // goes.
        drop(unsafe { Arc::<Self>::from_foreign(data) });
    }
}
