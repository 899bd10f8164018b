// SPDX-License-Identifier: GPL-2.0

//! Ordinary memory in pages of its own, which user space can map for as long as it likes.
//!
//! C header: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use kernel::{
    alloc::allocator::Vmalloc,
    bindings,
    error::to_result,
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

use super::{
    compat::flags,
    window::Window, //
};
use crate::limits::Charge;

/// Zeroed pages.
///
/// Nothing but their users keeps them: whoever has mapped them to an address space, or attached them
/// to a device, has a reference, and each page table entry has one of its page.
///
/// # Invariants
///
/// `start` and `bytes` are those of a `VVec<u8>` that is owned by this. `bytes` is a multiple of the
/// page size and not zero.
pub(crate) struct Pages {
    start: NonNull<u8>,
    bytes: usize,
    capacity: usize,
    /// Given back after the memory, when the last of its users has gone.
    _charge: Charge,
}

// SAFETY: This is memory without a thread of its own, and a charge, which is `Send`.
unsafe impl Send for Pages {}
// SAFETY: Its contents are accessed by way of `Window` only, which is made for that.
unsafe impl Sync for Pages {}

impl Pages {
    /// What an area of pages does. The file that it maps keeps the module.
    const OPERATIONS: &bindings::vm_operations_struct = &bindings::vm_operations_struct {
        open: Some(Self::open),
        close: Some(Self::close),
        fault: Some(Self::fault),
        ..pin_init::zeroed()
    };

    /// `bytes` bytes, in whole pages, which are charged for by `charge` until they are freed. The
    /// memory cgroup of the caller pays for them, too.
    pub(crate) fn new(bytes: usize, charge: Charge) -> Result<Arc<Self>> {
        if bytes == 0 || bytes % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        let memory = VVec::from_elem(0u8, bytes, GFP_KERNEL_ACCOUNT)?;
        let (start, bytes, capacity) = memory.into_raw_parts();
        // INVARIANT: These are the parts of a vector that nobody else has.
        let this = Self {
            start: NonNull::new(start).ok_or(ENOMEM)?,
            bytes,
            capacity,
            _charge: charge,
        };
        Ok(Arc::new(this, GFP_KERNEL)?)
    }

    /// The size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where they are in the kernel's address space, one behind the other.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// For copies by the processor.
    pub(crate) fn window(&self) -> Window<'_> {
        // SAFETY: By the type invariants, the memory is allocated as long as `self` is borrowed. It
        // is referenced by nobody, since only its address is ever used.
        unsafe { Window::new(self.start, self.bytes) }
    }

    /// The page with that index.
    pub(super) fn page(&self, index: usize) -> Option<NonNull<bindings::page>> {
        let offset = index.checked_mul(PAGE_SIZE)?;
        if offset >= self.bytes {
            return None;
        }
        // SAFETY: `offset` lies within the allocation, as has just been checked.
        let address = unsafe { self.start.add(offset) };
        // SAFETY: By the type invariants, the address lies in an allocation of `Vmalloc`, which stays
        // as long as `self` is borrowed.
        let page = unsafe { Vmalloc::to_page(address) };
        NonNull::new(page.as_ptr())
    }

    /// Maps the pages from that with index `first` on to `area`.
    ///
    /// The mapping is shared, cached and of ordinary pages, so that the kernel can do direct I/O on
    /// it. It has a reference to the pages.
    pub(crate) fn map(self: &Arc<Self>, area: &VmaNew, first: usize) -> Result {
        // A shared mapping of a file that is open for reading only has lost `SHARED` by now, and
        // `MAYWRITE` with it. It keeps `MAYSHARE`, which a private one never has.
        if area.flags() & flags::MAYSHARE == 0 {
            return Err(EINVAL);
        }
        let pages = (area.end() - area.start()) / PAGE_SIZE;
        let end = first.checked_add(pages).ok_or(EINVAL)?;
        if end > self.bytes / PAGE_SIZE {
            return Err(EINVAL);
        }
        area.try_clear_mayexec()?;
        area.set_dontexpand();
        area.set_dontdump();
        area.set_mixedmap();

        let area = area.as_ptr();
        // SAFETY: `area` is undergoing its setup, by the type invariants of `VmaNew`, so it can be
        // written to. `fault` counts from the first page of the memory.
        unsafe { (*area).vm_pgoff = first };
        // SAFETY: Likewise. The functions expect a reference here.
        unsafe { (*area).vm_private_data = self.clone().into_raw().cast_mut().cast() };
        // SAFETY: Likewise. This is the last step, and nothing fails after it, so that `close` is
        // called in the end.
        unsafe { (*area).vm_ops = Self::OPERATIONS };
        Ok(())
    }

    /// The pages that are mapped to `area`, as [`Arc::into_raw`] has returned them.
    ///
    /// # Safety
    ///
    /// `area` must be one that [`Self::map`] has set up or a copy of such, and not have been closed.
    unsafe fn of(area: *mut bindings::vm_area_struct) -> *const Self {
        // SAFETY: The caller promises that the area is valid.
        unsafe { (*area).vm_private_data }.cast_const().cast()
    }

    /// # Safety
    ///
    /// As for [`Self::of`]; `area` must be a copy that has no reference of its own yet.
    unsafe extern "C" fn open(area: *mut bindings::vm_area_struct) {
        // SAFETY: As promised by the caller.
        let pages = unsafe { Self::of(area) };
        // SAFETY: `map` has put there what `into_raw` returned. What the area was copied from has a
        // reference, and still exists; it is not given up here.
        let pages = ManuallyDrop::new(unsafe { Arc::from_raw(pages) });
        // One for each of the two.
        let _ = Arc::clone(&pages).into_raw();
    }

    /// # Safety
    ///
    /// As for [`Self::of`]; the area's reference is given up.
    unsafe extern "C" fn close(area: *mut bindings::vm_area_struct) {
        // SAFETY: As promised by the caller.
        let pages = unsafe { Self::of(area) };
        // SAFETY: `map` has put there what `into_raw` returned; the reference is that of `map` or
        // `open`.
        drop(unsafe { Arc::from_raw(pages) });
    }

    /// # Safety
    ///
    /// `fault` must be one in an area that [`Self::map`] has set up or in a copy of such.
    unsafe extern "C" fn fault(fault: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The caller promises that the fault is valid.
        let place = unsafe { &(*fault).__bindgen_anon_1 };
        // SAFETY: The area of a fault is there until it has been handled.
        let pages = unsafe { Self::of(place.vma) };
        // SAFETY: The area has a reference to the pages until then.
        let pages = unsafe { &*pages };
        let Some(page) = pages.page(place.pgoff) else {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        };
        // SAFETY: The area is valid and locked for the fault, and was made for pages by `map`. The
        // page is valid, and has an order of 0. Its page table entry gets a reference to it.
        let result = unsafe { bindings::vm_insert_page(place.vma, place.address, page.as_ptr()) };
        match to_result(result) {
            // Another thread was faster.
            Ok(()) | Err(EBUSY) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(ENOMEM) => bindings::vm_fault_reason_VM_FAULT_OOM,
            Err(_) => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, these are the parts of a vector, which is owned by this.
        // A page that has more references stays until they are given up.
        drop(unsafe { VVec::from_raw_parts(self.start.as_ptr(), self.bytes, self.capacity) });
    }
}
