// SPDX-License-Identifier: GPL-2.0

//! Cached memory of which the device's access, and nothing else, can be taken away.

use core::ops::Range;

use kernel::{
    dma::DataDirection,
    mm::virt::VmaNew,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use super::{
    binding::Binding,
    pages::Pages,
    streaming::{
        Mapped,
        Side, //
    },
    window::Window, //
};
use crate::limits::Charge;

/// Zeroed pages, mapped for a device until [`Self::revoke`].
///
/// The pages live as long as their users; the mapping, which belongs to the device, does not.
///
/// # Invariants
///
/// `mapped` is mapped for the device of `binding`.
#[pin_data(PinnedDrop)]
pub(crate) struct CachedMemory {
    pages: Arc<Pages>,
    binding: Arc<Binding>,
    #[pin]
    mapped: Mutex<Option<Mapped>>,
}

impl CachedMemory {
    /// Memory of `bytes` bytes, in whole pages, for the device of `binding`. The pages keep `charge`.
    pub(crate) fn new(binding: &Arc<Binding>, bytes: usize, charge: Charge) -> Result<Arc<Self>> {
        let pages = Pages::new(bytes, charge)?;
        let this = Arc::pin_init(
            pin_init!(Self {
                pages,
                binding: binding.clone(),
                mapped <- new_mutex!(None),
            }),
            GFP_KERNEL,
        )?;
        let device = binding.hold().ok_or(ENODEV)?;
        // SAFETY: It is unmapped by `revoke`, while the device is held, or never.
        // INVARIANT: The device is that of the binding.
        let mapped = unsafe { Mapped::new(this.pages.clone(), &device) }?;
        drop(device);
        *this.mapped.lock() = Some(mapped);
        Ok(this)
    }

    /// The size of the memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.bytes()
    }

    /// The pages, which may outlive the mapping.
    pub(super) fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// Where the device finds the byte at `offset`, and how many bytes are contiguous from there on.
    /// It is valid until the memory is revoked.
    pub(crate) fn segment(&self, offset: usize) -> Result<(u64, usize)> {
        let mapped = self.mapped.lock();
        let mapped = mapped.as_ref().ok_or(ENODEV)?;
        mapped.segments().at(offset).ok_or(EINVAL)
    }

    /// Passes a range to a side; `direction` says who writes.
    pub(crate) fn pass(&self, range: Range<usize>, direction: DataDirection, to: Side) -> Result {
        if range.end > self.bytes() {
            return Err(EINVAL);
        }
        let mapped = self.mapped.lock();
        let mapped = mapped.as_ref().ok_or(ENODEV)?;
        let _device = self.binding.hold().ok_or(ENODEV)?;
        mapped.pass(range, direction, to)
    }

    /// Maps the memory to `area`, from the page with index `first` on. It stays when the memory is
    /// revoked.
    pub(crate) fn map(&self, area: &VmaNew, first: usize) -> Result {
        self.pages.map(area, first)
    }

    /// For copies by the processor.
    pub(crate) fn window(&self) -> Window<'_> {
        self.pages.window()
    }

    /// Takes the memory from the device, which must not be using it any more, and still be bound.
    pub(crate) fn revoke(&self) {
        let mut mapped = self.mapped.lock();
        // Without the device, it leaks: unmapping it now could unmap something else.
        if let (Some(mapped), Some(device)) = (mapped.take(), self.binding.hold()) {
            mapped.unmap(&device);
        }
    }
}

#[pinned_drop]
impl PinnedDrop for CachedMemory {
    fn drop(self: Pin<&mut Self>) {
        self.revoke();
    }
}
