// SPDX-License-Identifier: GPL-2.0

//! Somebody else's dma-buf, attached to a device until that goes.

use core::ptr::NonNull;

use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::DataDirection,
    error::{
        from_err_ptr,
        to_result, //
    },
    new_condvar,
    new_mutex,
    prelude::*,
    scatterlist::SGTable,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    }, //
};

use super::{
    super::{
        binding::Binding,
        raw_device,
        streaming::{
            Segments,
            Side, //
        },
        window::Window, //
    },
    DmaBuf, //
};
use crate::limits::Charge;

/// The memory of a dma-buf, mapped for a device until [`Self::revoke`].
///
/// # Invariants
///
/// `attached` is attached to the device of `binding`. It is not taken out of `state` as long as
/// `accesses` is not 0.
#[pin_data(PinnedDrop)]
pub(crate) struct ImportedMemory {
    bytes: usize,
    binding: Arc<Binding>,
    #[pin]
    state: Mutex<State>,
    /// Notified when `accesses` is 0.
    #[pin]
    idle: CondVar,
}

struct State {
    attached: Option<Attached>,
    /// How many accesses by the processor are under way.
    accesses: usize,
}

/// # Invariants
///
/// `attachment` is one to `dma_buf`, and `table` its mapping, for both directions. `start` is where
/// the dma-buf is mapped to the kernel's address space, if it is.
struct Attached {
    dma_buf: DmaBuf,
    attachment: NonNull<bindings::dma_buf_attachment>,
    table: NonNull<bindings::sg_table>,
    segments: Segments,
    start: Option<NonNull<u8>>,
    /// Given back when all of it is given up.
    _charge: Charge,
}

// SAFETY: An attachment can be used and given up on any thread.
unsafe impl Send for Attached {}

impl ImportedMemory {
    /// Attaches `dma_buf` to the device of `binding`, and keeps `charge` until it is detached.
    ///
    /// The device sees what has been written to it until [`Self::settle`].
    pub(crate) fn new(
        binding: &Arc<Binding>,
        dma_buf: DmaBuf,
        charge: Charge,
    ) -> Result<Arc<Self>> {
        let bytes = dma_buf.bytes();
        // INVARIANT: Nothing is attached, and no access under way.
        let this = Arc::pin_init(
            pin_init!(Self {
                bytes,
                binding: binding.clone(),
                state <- new_mutex!(State {
                    attached: None,
                    accesses: 0,
                }),
                idle <- new_condvar!(),
            }),
            GFP_KERNEL,
        )?;
        let device = binding.hold().ok_or(ENODEV)?;
        // INVARIANT: The device is that of the binding, and bound.
        let attached = Attached::new(dma_buf, &device, charge)?;
        drop(device);
        this.state.lock().attached = Some(attached);
        Ok(this)
    }

    /// Has the exporter pass what is there, once, to both sides. As to how long that takes, see
    /// [`Self::pass`].
    pub(crate) fn settle(&self) -> Result {
        // An exporter may have told us that we see what is there only after this.
        self.pass(DataDirection::ToDevice, Side::Cpu)?;
        self.pass(DataDirection::ToDevice, Side::Device)
    }

    /// The size of the memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The dma-buf.
    pub(crate) fn dma_buf(&self) -> Result<DmaBuf> {
        let state = self.state.lock();
        let attached = state.attached.as_ref().ok_or(ENODEV)?;
        Ok(attached.dma_buf.clone())
    }

    /// Where the device finds the byte at `offset`, and how many bytes are contiguous from there on.
    /// It is valid until the memory is revoked.
    pub(crate) fn segment(&self, offset: usize) -> Result<(u64, usize)> {
        let state = self.state.lock();
        let attached = state.attached.as_ref().ok_or(ENODEV)?;
        attached.segments.at(offset).ok_or(EINVAL)
    }

    /// Passes all of the memory to a side; `direction` says who writes.
    ///
    /// To the processor, it may take as long as others like: until the fences of the dma-buf, which
    /// any program can add, are signaled, or the caller gets a signal. So only a program waits for
    /// it, with no lock held that others need.
    #[doc(alias = "dma_buf_begin_cpu_access")]
    #[doc(alias = "dma_buf_end_cpu_access")]
    pub(crate) fn pass(&self, direction: DataDirection, to: Side) -> Result {
        let dma_buf = self.dma_buf()?;
        to_result(match to {
            // SAFETY: The dma-buf is valid, since it is borrowed, and no lock of its is held.
            Side::Cpu => unsafe {
                bindings::dma_buf_begin_cpu_access(dma_buf.as_ptr(), direction.into())
            },
            // SAFETY: Likewise.
            Side::Device => unsafe {
                bindings::dma_buf_end_cpu_access(dma_buf.as_ptr(), direction.into())
            },
        })
    }

    /// Passes all of the memory to the processor, without a wait for fences: `EIO` if there are any.
    #[doc(alias = "dma_resv_test_signaled")]
    fn pass_at_once(&self, direction: DataDirection) -> Result {
        let dma_buf = self.dma_buf()?;
        let raw = dma_buf.as_ptr();
        // SAFETY: The dma-buf is valid, since it is borrowed. Neither of these ever changes.
        let (reservation, operations) = unsafe { ((*raw).resv, (*raw).ops) };
        // Who reads waits for those who write, and who writes, for those who read, too.
        let usage = match direction {
            DataDirection::FromDevice => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
            _ => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
        };
        // SAFETY: A dma-buf has a reservation object as long as it is there.
        if !unsafe { bindings::dma_resv_test_signaled(reservation, usage) } {
            return Err(EIO);
        }
        // What `dma_buf_begin_cpu_access` does before it waits. A fence that is added from now on is
        // that of a program that does not care.
        // SAFETY: The operations of a dma-buf are valid as long as it is there.
        match unsafe { (*operations).begin_cpu_access } {
            // SAFETY: The dma-buf is valid, since it is borrowed, and no lock of its is held.
            Some(begin) => to_result(unsafe { begin(raw, direction.into()) }),
            None => Ok(()),
        }
    }

    /// Calls `f` with the memory, which is passed to the processor meanwhile, and not revoked;
    /// `direction` says what it is for. `EIO` if others have not yet done with it what they announced.
    pub(crate) fn access<R>(
        &self,
        direction: DataDirection,
        f: impl FnOnce(&Window<'_>) -> Result<R>,
    ) -> Result<R> {
        let access = self.begin()?;
        self.pass_at_once(direction)?;
        // SAFETY: `begin` has mapped as many bytes there. They stay as long as `access` does, by the
        // type invariants, and nobody takes a reference to them.
        let result = f(&unsafe { Window::new(access.start, self.bytes) });
        let passed = self.pass(direction, Side::Device);
        let value = result?;
        passed.map(|()| value)
    }

    /// Keeps the memory from being revoked, and maps it to the kernel's address space unless that has
    /// been done.
    fn begin(&self) -> Result<Access<'_>> {
        let mut state = self.state.lock();
        let start = state.attached.as_mut().ok_or(ENODEV)?.start()?;
        state.accesses += 1;
        Ok(Access {
            memory: self,
            start,
        })
    }

    /// Takes the memory from the device, which must not be using it any more, and still be bound.
    pub(crate) fn revoke(&self) {
        let mut state = self.state.lock();
        while state.accesses > 0 {
            self.idle.wait(&mut state);
        }
        if let Some(attached) = state.attached.take() {
            match self.binding.hold() {
                Some(_device) => attached.detach(),
                // Without the device, it leaks: unmapping it now could unmap something else.
                None => core::mem::forget(attached),
            }
        }
    }
}

#[pinned_drop]
impl PinnedDrop for ImportedMemory {
    fn drop(self: Pin<&mut Self>) {
        self.revoke();
    }
}

/// An access by the processor.
struct Access<'a> {
    memory: &'a ImportedMemory,
    start: NonNull<u8>,
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        let mut state = self.memory.state.lock();
        state.accesses -= 1;
        if state.accesses == 0 {
            self.memory.idle.notify_all();
        }
    }
}

impl Attached {
    fn new(dma_buf: DmaBuf, device: &device::Device<Bound>, charge: Charge) -> Result<Self> {
        // SAFETY: The dma-buf is valid, since it is owned, and so is the device, since it is borrowed.
        let attachment = from_err_ptr(unsafe {
            bindings::dma_buf_attach(dma_buf.as_ptr(), raw_device(device))
        })?;
        // SAFETY: The attachment has just been made, and the lock of the dma-buf is not held.
        let table = from_err_ptr(unsafe {
            bindings::dma_buf_map_attachment_unlocked(
                attachment,
                DataDirection::Bidirectional.into(),
            )
        });
        let table = match table {
            Ok(table) => table,
            Err(error) => {
                // SAFETY: The attachment has just been made, and is not mapped.
                unsafe { bindings::dma_buf_detach(dma_buf.as_ptr(), attachment) };
                return Err(error);
            }
        };
        // SAFETY: The table is valid until it is unmapped, and nobody changes it.
        let segments = Segments::of(unsafe { SGTable::from_raw(table) });
        let is_known = segments.is_ok();
        // INVARIANT: The attachment has just been made and mapped.
        let this = Self {
            dma_buf,
            attachment: NonNull::new(attachment).ok_or(EINVAL)?,
            table: NonNull::new(table).ok_or(EINVAL)?,
            segments: segments.unwrap_or_default(),
            start: None,
            _charge: charge,
        };
        if !is_known {
            this.detach();
            return Err(ENOMEM);
        }
        Ok(this)
    }

    /// Where the dma-buf is in the kernel's address space.
    fn start(&mut self) -> Result<NonNull<u8>> {
        if let Some(start) = self.start {
            return Ok(start);
        }
        let mut map: bindings::iosys_map = pin_init::zeroed();
        // SAFETY: The dma-buf is valid, `map` can be written to, and no lock of the dma-buf is held.
        to_result(unsafe { bindings::dma_buf_vmap_unlocked(self.dma_buf.as_ptr(), &mut map) })?;
        // SAFETY: Both members of the union are pointers.
        let start = NonNull::new(unsafe { map.__bindgen_anon_1.vaddr });
        match start {
            Some(start) if !map.is_iomem => {
                // INVARIANT: The dma-buf has just been mapped there.
                self.start = Some(start.cast());
                Ok(start.cast())
            }
            // Not memory that can be accessed like any other.
            _ => {
                // SAFETY: `dma_buf_vmap_unlocked` has just filled in `map`.
                unsafe { bindings::dma_buf_vunmap_unlocked(self.dma_buf.as_ptr(), &mut map) };
                Err(EINVAL)
            }
        }
    }

    /// Gives up everything; the device must be bound.
    fn detach(self) {
        let dma_buf = self.dma_buf.as_ptr();
        if let Some(start) = self.start {
            let mut map = bindings::iosys_map {
                __bindgen_anon_1: bindings::iosys_map__bindgen_ty_1 {
                    vaddr: start.as_ptr().cast(),
                },
                is_iomem: false,
            };
            // SAFETY: By the type invariants, the dma-buf is mapped there.
            unsafe { bindings::dma_buf_vunmap_unlocked(dma_buf, &mut map) };
        }
        // SAFETY: By the type invariants, this is the mapping of this attachment.
        unsafe {
            bindings::dma_buf_unmap_attachment_unlocked(
                self.attachment.as_ptr(),
                self.table.as_ptr(),
                DataDirection::Bidirectional.into(),
            )
        };
        // SAFETY: By the type invariants, this is an attachment to the dma-buf, not mapped any more.
        unsafe { bindings::dma_buf_detach(dma_buf, self.attachment.as_ptr()) };
    }
}
