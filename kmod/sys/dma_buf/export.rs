// SPDX-License-Identifier: GPL-2.0

//! Cached memory as a dma-buf.
//!
//! The dma-buf has the pages of the memory, which are nobody's but their users'. So it stays good,
//! with all its mappings and for all other devices, when the device that they were made for goes.

use core::ptr::NonNull;

use kernel::{
    bindings,
    device,
    dma::DataDirection,
    error::{
        from_err_ptr,
        from_result, //
    },
    mm::virt::VmaNew,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

use super::{
    super::{
        cached::CachedMemory,
        compat::this_module,
        streaming::{
            Mapped,
            Side, //
        }, //
    },
    DmaBuf, //
};

/// Makes a dma-buf of `memory`, for reading and writing.
#[doc(alias = "dma_buf_export")]
pub(crate) fn export(memory: Arc<CachedMemory>) -> Result<DmaBuf> {
    let size = memory.bytes();
    let exported = KBox::pin_init(
        pin_init!(Exported {
            memory,
            mappings <- new_mutex!(KVec::new()),
        }),
        GFP_KERNEL,
    )?;
    // SAFETY: The box is made again by `release`, which lets nobody move out of it, or below.
    let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(exported) });
    let info = bindings::dma_buf_export_info {
        exp_name: crate::MODULE_NAME.as_char_ptr(),
        owner: this_module().as_ptr(),
        ops: &OPERATIONS,
        size,
        // CAST: The constant is 2.
        flags: bindings::O_RDWR as c_int,
        priv_: raw.cast(),
        ..pin_init::zeroed()
    };
    // SAFETY: The description is complete. What it points to lives forever, but for `raw`, which
    // lives until `release`.
    let dma_buf = from_err_ptr(unsafe { bindings::dma_buf_export(&info) }).inspect_err(|_| {
        // SAFETY: There is no dma-buf, so this is the only pointer to what was boxed above.
        drop(unsafe { KBox::from_raw(raw) });
    })?;
    // INVARIANT: A new dma-buf comes with a reference.
    Ok(DmaBuf(NonNull::new(dma_buf).ok_or(ENOMEM)?))
}

/// What a dma-buf of ours has.
#[pin_data]
struct Exported {
    memory: Arc<CachedMemory>,
    /// Those of the devices that have mapped it, each until it is unmapped.
    #[pin]
    mappings: Mutex<KVec<Mapped>>,
}

impl Exported {
    /// # Safety
    ///
    /// `dma_buf` must be one that [`export`] has made, and not be released during `'a`.
    unsafe fn of<'a>(dma_buf: *mut bindings::dma_buf) -> &'a Self {
        // SAFETY: The caller promises that the dma-buf is valid, and `export` has put this there.
        unsafe { &*(*dma_buf).priv_.cast::<Self>() }
    }

    /// Passes all of the memory to a side, for all devices that have it.
    fn pass(&self, direction: DataDirection, to: Side) -> Result {
        let all = 0..self.memory.bytes();
        for mapped in self.mappings.lock().iter() {
            mapped.pass(all.clone(), direction, to)?;
        }
        match self.memory.pass(all, direction, to) {
            // The device that it was made for does not have it any more.
            Err(ENODEV) => Ok(()),
            passed => passed,
        }
    }

    fn map_for(&self, device: *mut bindings::device) -> Result<*mut bindings::sg_table> {
        let mut mappings = self.mappings.lock();
        mappings.reserve(1, GFP_KERNEL)?;
        // SAFETY: A device that maps a dma-buf is valid.
        let device: &device::Device = unsafe { device::Device::from_raw(device) };
        // SAFETY: It is bound until it has unmapped the dma-buf.
        let device = unsafe { device.as_bound() };
        // SAFETY: See there.
        let mapped = unsafe { Mapped::new(self.memory.pages().clone(), device) }?;
        let table = mapped.table();
        mappings.push(mapped, GFP_KERNEL)?;
        Ok(table)
    }

    fn unmap_for(&self, device: *mut bindings::device, table: *mut bindings::sg_table) {
        let mut mappings = self.mappings.lock();
        let index = mappings.iter().position(|mapped| mapped.table() == table);
        if let Some(mapped) = index.and_then(|index| mappings.remove(index).ok()) {
            // SAFETY: As in `map_for`.
            let device: &device::Device = unsafe { device::Device::from_raw(device) };
            // SAFETY: As in `map_for`.
            mapped.unmap(unsafe { device.as_bound() });
        }
    }

    /// # Safety
    ///
    /// `attachment` must be one to a dma-buf that [`export`] has made, of a device that is bound
    /// until it has unmapped it.
    unsafe extern "C" fn map_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        _direction: bindings::dma_data_direction,
    ) -> *mut bindings::sg_table {
        // SAFETY: The caller promises that the attachment is valid.
        let (dma_buf, device) = unsafe { ((*attachment).dmabuf, (*attachment).dev) };
        // SAFETY: The attachment keeps the dma-buf.
        let mapped = unsafe { Self::of(dma_buf) }.map_for(device);
        mapped.unwrap_or_else(|error| error.to_ptr())
    }

    /// # Safety
    ///
    /// As for [`Self::map_dma_buf`], which must have returned `table`.
    unsafe extern "C" fn unmap_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        table: *mut bindings::sg_table,
        _direction: bindings::dma_data_direction,
    ) {
        // SAFETY: The caller promises that the attachment is valid.
        let (dma_buf, device) = unsafe { ((*attachment).dmabuf, (*attachment).dev) };
        // SAFETY: The attachment keeps the dma-buf.
        unsafe { Self::of(dma_buf) }.unmap_for(device, table);
    }

    /// # Safety
    ///
    /// As for [`Self::of`]; nobody uses the dma-buf any more.
    unsafe extern "C" fn release(dma_buf: *mut bindings::dma_buf) {
        // SAFETY: As promised by the caller, this is the last pointer to what `export` has boxed.
        drop(unsafe { KBox::from_raw((*dma_buf).priv_.cast::<Self>()) });
    }

    /// # Safety
    ///
    /// As for [`Self::of`].
    unsafe extern "C" fn begin_cpu_access(
        dma_buf: *mut bindings::dma_buf,
        direction: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: As promised by the caller.
        let this = unsafe { Self::of(dma_buf) };
        from_result(|| this.pass(known(direction)?, Side::Cpu).map(|()| 0))
    }

    /// # Safety
    ///
    /// As for [`Self::of`].
    unsafe extern "C" fn end_cpu_access(
        dma_buf: *mut bindings::dma_buf,
        direction: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: As promised by the caller.
        let this = unsafe { Self::of(dma_buf) };
        from_result(|| this.pass(known(direction)?, Side::Device).map(|()| 0))
    }

    /// # Safety
    ///
    /// As for [`Self::of`], and `area` must be undergoing its setup.
    unsafe extern "C" fn mmap(
        dma_buf: *mut bindings::dma_buf,
        area: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: As promised by the caller.
        let this = unsafe { Self::of(dma_buf) };
        // SAFETY: The caller promises that `area` is valid.
        let first = unsafe { (*area).vm_pgoff };
        // SAFETY: The caller promises that `area` is undergoing its setup.
        let area = unsafe { VmaNew::from_raw(area) };
        from_result(|| {
            this.memory.map(area, first)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Self::of`], and `map` must be valid for writes.
    unsafe extern "C" fn vmap(
        dma_buf: *mut bindings::dma_buf,
        map: *mut bindings::iosys_map,
    ) -> c_int {
        // SAFETY: As promised by the caller. The pages stay in the kernel's address space as long as
        // the dma-buf has them.
        let start = unsafe { Self::of(dma_buf) }.memory.pages().start();
        // SAFETY: As promised by the caller.
        unsafe {
            map.write(bindings::iosys_map {
                __bindgen_anon_1: bindings::iosys_map__bindgen_ty_1 {
                    vaddr: start.as_ptr().cast(),
                },
                is_iomem: false,
            })
        };
        0
    }
}

/// A direction that a range can be passed with.
fn known(direction: bindings::dma_data_direction) -> Result<DataDirection> {
    let all = [
        DataDirection::Bidirectional,
        DataDirection::ToDevice,
        DataDirection::FromDevice,
    ];
    let known = |known: &DataDirection| direction == (*known).into();
    all.into_iter().find(known).ok_or(EINVAL)
}

/// What a dma-buf of ours does. It keeps the module.
static OPERATIONS: bindings::dma_buf_ops = bindings::dma_buf_ops {
    map_dma_buf: Some(Exported::map_dma_buf),
    unmap_dma_buf: Some(Exported::unmap_dma_buf),
    release: Some(Exported::release),
    begin_cpu_access: Some(Exported::begin_cpu_access),
    end_cpu_access: Some(Exported::end_cpu_access),
    mmap: Some(Exported::mmap),
    vmap: Some(Exported::vmap),
    ..pin_init::zeroed()
};
